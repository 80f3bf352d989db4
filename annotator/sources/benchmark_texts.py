"""Read the texts of a benchmark from a file of any format; its content decides the format, not its name.

Parquet: every column of strings, or of lists of strings (tokens). JSON or JSON lines: every string and list of strings,
at any depth. CoNLL: the first column, a text for each sentence. Anything else is plain text, a text on each line,
without tags such as ``<ENAMEX TYPE="PERSON">``. Text and JSON may be gzip.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any, Final

from annotator.errors import ConfigError, SourceError
from annotator.sources.formats import json
from annotator.sources.formats.columns import read_parquet
from annotator.sources.formats.files import Record, SourceFile, lines, local, unreadable

_TAG: Final = re.compile(r"</?[A-Za-z][^<>\n]{0,80}>")
_LABEL: Final = re.compile(r"O|[BIESLU]-\S+")
_HEAD: Final = 200  # lines by which CoNLL is recognised


def read_texts(path: Path) -> Iterator[str]:
    """Yield the texts of one file.

    Raises:
        ConfigError: it cannot be read, is binary but not Parquet, or holds no text.
    """
    found = 0
    try:
        for text in _texts(local(path)):
            found += 1
            yield text
    except SourceError as error:
        cause = f"cannot read --decontaminate {path.name}: {error}"
        raise ConfigError(f"{cause}; give Parquet, JSON, CoNLL or plain text") from error
    if not found:
        raise ConfigError(f"--decontaminate {path} holds no text; give a file with the texts of the benchmark")


def _texts(file: SourceFile) -> Iterator[str]:
    if _is_parquet(file):
        yield from _all_strings(read_parquet(file))
        return
    every = _sound(lines(file))
    head = list(islice(every, _HEAD))
    if any("\0" in line for line in head):
        raise SourceError(f"{file.path}: it is binary")
    rows = [_cells(line) for line in head if line.strip() and not line.startswith("-DOCSTART-")]
    found = _json(file) if next((line.lstrip() for line in head if line.strip()), "").startswith(("{", "[")) else None
    if found is not None:
        yield from _all_strings(found)
    elif rows and all(len(row) > 1 and _LABEL.fullmatch(row[-1]) for row in rows):
        yield from _conll(chain(head, every), min(map(len, rows)))
    else:
        yield from filter(str.strip, (_TAG.sub("", line) for line in chain(head, every)))


def _is_parquet(file: SourceFile) -> bool:
    try:
        with file.path.open("rb") as stream:
            return stream.read(4) == b"PAR1"
    except OSError as error:
        raise unreadable(file.path, error) from error


def _json(file: SourceFile) -> Iterator[Record] | None:
    """Return the records of a file that begins as JSON does; None if its first record is not JSON."""
    records = json.read(file)
    try:
        first = next(records, Record(""))
    except SourceError:
        return None
    return None if first.error else chain([first], records)


def _sound(records: Iterable[Record]) -> Iterator[Any]:
    """Yield the values of records; raise a SourceError at one that cannot be read."""
    for record in records:
        if record.error:
            raise SourceError(f"{record.where} is {record.error}")
        yield record.value


def _all_strings(records: Iterable[Record]) -> Iterator[str]:
    for value in _sound(records):
        yield from _strings(value)


def _strings(value: Any) -> Iterator[str]:
    """Yield every string of a JSON value; of a list of strings, also its text as that of a list of tokens."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        if all(isinstance(item, str) for item in value):
            yield " ".join(value)
        for item in value:
            yield from _strings(item)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().split("\t")] if "\t" in line else line.split()


def _conll(lines: Iterable[str], width: int) -> Iterator[str]:
    """Yield a text for each sentence; a row of more than ``width`` columns has a token with spaces in it."""
    for is_filled, rows in groupby(lines, key=lambda line: bool(line.strip())):
        if is_filled:
            yield " ".join(" ".join(row[: max(1, len(row) - width + 1)]) for row in map(_cells, rows))
