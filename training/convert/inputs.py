"""Lines and JSON records of the published files, whatever their packing. Text is UTF-8 and becomes NFC here."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias, cast

from annotator.errors import RunDirError, SourceError
from normalizers.text import nfc

JSON_FILES: Final = ((".json", ".jsonl", ".json.gz", ".jsonl.gz", ".parquet"),)
"""What holds records. Suffixes stand in groups: of a folder, the first group of which there are files is read."""
_BOM: Final = b"\xef\xbb\xbf"

Suffixes: TypeAlias = Sequence[Sequence[str]]
Read: TypeAlias = tuple[str, Any, str]
"""File and line (or record), its value, and why it cannot be read, in which case the value is its text."""


def list_files(sources: Sequence[Path], suffixes: Suffixes) -> list[Path]:
    """List the files that ``sources`` mean: a file is itself, a folder its files of the first group of ``suffixes``.

    Raises:
        SourceError: a source is missing, or a folder holds no such file.
    """
    return [path for source in sources for path in _files_of(source, suffixes)]


def _files_of(source: Path, suffixes: Suffixes) -> list[Path]:
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise SourceError(f"no such file or folder: {source}; give the path of your copy of the data set")
    parts = ((path, path.relative_to(source).parts) for path in sorted(source.rglob("*")))
    found = [path for path, names in parts if path.is_file() and not any(name.startswith(".") for name in names)]
    for group in suffixes:
        if files := [path for path in found if path.name.lower().endswith(tuple(group))]:
            return files
    known = ", ".join(suffix for group in suffixes for suffix in group)
    raise SourceError(f"no file to read in {source}; it wants files of type {known}")


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file after its byte order mark, unpacked where its name ends in ``.gz``."""
    try:
        with path.open("rb") as plain:
            file = cast(BinaryIO, gzip.GzipFile(fileobj=plain)) if path.name.lower().endswith(".gz") else plain
            if file.read(len(_BOM)) != _BOM:
                file.seek(0)
            yield file
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise SourceError(f"{path} is not a whole gzip file: {error}; get it again") from error
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}; check the path and permissions") from error


def lines(path: Path) -> Iterator[Read]:
    """Yield each line in NFC and without its end; only line feeds end one.

    Raises:
        SourceError: the file cannot be read, or is no whole gzip file.
    """
    with _opened(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                yield f"{path}:{number}", nfc(line.rstrip(b"\r\n").decode("utf-8")).removeprefix("\ufeff"), ""
            except UnicodeDecodeError as error:
                problem = f"not UTF-8: {error.reason} at byte {error.start + 1} of the line"
                yield f"{path}:{number}", line.decode("utf-8", "replace").rstrip("\r\n"), problem


def records(path: Path, under: str = "") -> Iterator[Read]:
    """Yield each object of a JSON array, of JSON lines or of a Parquet file. One record is in memory at a time.

    With ``under``, the file may also be one object that holds the array by this name.

    Raises:
        SourceError: the file cannot be read, or its array breaks off.
    """
    if path.suffix.lower() == ".parquet":
        stream = _parquet(path)
    elif _first(path) == b"[":
        stream = _array(path, "item")
    elif under and _holds(path, under):
        stream = _array(path, f"{under}.item")
    else:
        stream = _json_lines(path)
    for where, value, problem in stream:
        if problem or isinstance(value, dict):
            yield where, value, problem
        else:
            yield where, value, f"a {type(value).__name__}, not an object"


def _parquet(path: Path) -> Iterator[Read]:
    from annotator.storage import tables

    try:
        yield from ((f"{path}:{number}", row, "") for number, row in enumerate(tables.rows(path), start=1))
    except RunDirError as error:  # its advice is for a run directory
        raise SourceError(f"cannot read {path} as Parquet: {error.__cause__}; get it again") from error


def _first(path: Path) -> bytes:
    with _opened(path) as file:
        while char := file.read(1):
            if char not in b" \t\r\n":
                return char
    raise SourceError(f"{path} is empty; get it again, or leave it out")


def _holds(path: Path, under: str) -> bool:
    """Whether ``under`` is among the first names of the file's first object."""
    import ijson

    try:
        with _opened(path) as file:
            events = islice(ijson.parse(file, multiple_values=True), 1000)
            names = (value for prefix, event, value in events if (prefix, event) == ("", "map_key"))
            return under in islice(names, 8)
    except ijson.JSONError:
        return False


def _json_lines(path: Path) -> Iterator[Read]:
    for where, line, problem in lines(path):
        if problem:
            yield where, line, problem
        elif line.strip():
            try:
                yield where, json.loads(line), ""
            except (ValueError, RecursionError) as error:
                yield where, line, f"not JSON: {error}"


def _array(path: Path, prefix: str) -> Iterator[Read]:
    import ijson

    number = 0
    try:
        with _opened(path) as file:
            for number, value in enumerate(ijson.items(file, prefix, use_float=True), start=1):
                yield f"{path}:{number}", value, ""
    except ijson.JSONError as error:
        cause = " ".join(os.fsencode(str(error)).decode("utf-8", "replace").split())[:200]
        raise SourceError(f"{path} breaks after record {number:,}: {cause}; get it again") from error


def text_of(record: Any, name: str, default: str | None = None) -> str:
    """The field ``name`` in NFC.

    Raises:
        ValueError: it is missing (and there is no ``default``), no text, or cannot be encoded.
    """
    value = object_of(record).get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise ValueError(f'field "{name}" is {"missing" if value is None else f"a {type(value).__name__}, not text"}')
    value.encode()  # half of a surrogate pair cannot be stored; UnicodeEncodeError is a ValueError
    return nfc(value)


def list_of(record: Any, name: str, kind: type = object) -> list[Any]:
    """The field ``name``, a list of ``kind``.

    Raises:
        ValueError: it is missing or another thing.
    """
    value = object_of(record).get(name)
    if not isinstance(value, list) or not all(isinstance(item, kind) for item in value):
        raise ValueError(f'"{name}" is no list{" of strings" if kind is str else ""}')
    return value


def object_of(value: Any) -> dict[str, Any]:
    """``value``, an object.

    Raises:
        ValueError: it is another thing.
    """
    if not isinstance(value, dict):
        raise ValueError(f"a {type(value).__name__}, not an object")
    return value
