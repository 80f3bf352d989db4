"""Reads the texts of a benchmark from whatever file it comes in; what it is, the content tells, not the name.

Parquet: every column of strings, or of lists of strings (tokens). JSON, or a line of JSON each: every string and list
of strings, wherever it stands. CoNLL: the first column, a text to each empty line. Anything else is plain text, a text
to each line, without tags such as ``<ENAMEX TYPE="PERSON">``. Each may be packed with gzip.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from annotator.errors import ConfigError

_TAG: Final = re.compile(r"</?[A-Za-z][^<>\n]{0,80}>")
_LABEL: Final = re.compile(r"O|[BIESLU]-\S+")
_LOOKED_AT: Final = 200  # lines that tell CoNLL from prose
_ROWS: Final = 1024


def texts(path: Path) -> Iterator[str]:
    """Yield the texts of one file.

    Raises:
        ConfigError: it cannot be read, is binary but not Parquet, or holds no text.
    """
    found = 0
    try:
        with path.open("rb") as file:
            for text in _texts(file):
                found += 1
                yield text
    except OSError as error:
        cause = error.strerror or str(error)
        raise ConfigError(f"cannot read --decontaminate {path}: {cause}; check the name and the permissions") from error
    except (ValueError, EOFError, zlib.error, RecursionError) as error:
        cause = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"cannot read --decontaminate {path}: {cause}; give Parquet, JSON, CoNLL or plain text"
        ) from error
    if not found:
        raise ConfigError(f"--decontaminate {path} holds no text; give a file with the texts of the benchmark")


def _texts(file: BinaryIO) -> Iterator[str]:
    if file.read(2) == b"\x1f\x8b":
        file.seek(0)
        file = cast(BinaryIO, gzip.GzipFile(fileobj=file))
    file.seek(0)
    if file.read(4) == b"PAR1":
        file.seek(0)
        yield from _parquet(file)
        return
    file.seek(0)
    lines = io.TextIOWrapper(file, encoding="utf-8-sig")
    head = list(islice(lines, _LOOKED_AT))
    every = _chained(head, lines)
    first = next((line.lstrip() for line in head if line.strip()), "")
    if any("\0" in line for line in head):
        raise ValueError("it is binary")
    if first.startswith(("{", "[")) and (values := _json(first, every)) is not None:
        for value in values:
            yield from _strings(value)
    elif _is_conll(head):
        rows = [len(_cells(line)) for line in head if line.strip() and not line.startswith("-DOCSTART-")]
        yield from _conll(every, min(rows))
    else:
        yield from filter(str.strip, (_TAG.sub("", line) for line in every))


def _chained(head: list[str], lines: Iterable[str]) -> Iterator[str]:
    yield from head
    yield from lines


def _parquet(file: BinaryIO) -> Iterator[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as parquet:
        schema = parquet.schema_arrow
        wanted = [field.name for field in schema if _is_text(field.type) or _is_list_of_texts(field.type)]
        for batch in parquet.iter_batches(_ROWS, columns=wanted):
            for name in wanted:
                column = batch.column(name)
                for value in column.to_pylist() if pa.types.is_nested(column.type) else column.unique().to_pylist():
                    yield from _strings(value)


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_list_of_texts(kind: Any) -> bool:
    import pyarrow as pa

    return bool((pa.types.is_list(kind) or pa.types.is_large_list(kind)) and _is_text(kind.value_type))


def _json(first: str, lines: Iterable[str]) -> Iterable[Any] | None:
    """The values of a file of JSON: one a line where the first line is one, else the whole; None if it is neither."""
    try:
        json.loads(first)
    except ValueError:
        try:
            return [json.loads("".join(lines))]
        except ValueError:
            return None
    return (json.loads(line) for line in lines if line.strip())


def _strings(value: Any) -> Iterator[str]:
    """Every string of a JSON value; a list of strings is one text of tokens, and each of them a text."""
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


def _is_conll(head: Iterable[str]) -> bool:
    """Whether every line ends with a tag, as ``B-PER`` or ``O``."""
    rows = [_cells(line) for line in head if line.strip() and not line.startswith("-DOCSTART-")]
    return bool(rows) and all(len(row) > 1 and _LABEL.fullmatch(row[-1]) for row in rows)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().split("\t")] if "\t" in line else line.split()


def _conll(lines: Iterable[str], width: int) -> Iterator[str]:
    """Yield a text for each sentence; a row of more than ``width`` columns has a token with spaces in it."""
    tokens: list[str] = []
    for line in lines:
        if line.strip():
            cells = _cells(line)
            tokens.append(" ".join(cells[: max(1, len(cells) - width + 1)]))
        elif tokens:
            yield " ".join(tokens)
            tokens = []
    if tokens:
        yield " ".join(tokens)
