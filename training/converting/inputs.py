"""Files of the published sets as streams of lines or of JSON records, whatever their packing.

NFC, byte order marks and line ends are settled here. A line that cannot be read comes as the error it makes, so that
whoever reads can count it with its place; a file that breaks off in the middle stops the conversion.
"""

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


class UnreadableError(ValueError):
    """Why a line cannot be read, and the line as far as it is text."""

    def __init__(self, message: str, line: str) -> None:
        """Make the error of one line."""
        super().__init__(message)
        self.line = line


def list_files(sources: Sequence[Path], suffixes: Suffixes) -> list[Path]:
    """The files that ``sources`` mean: a file is itself, a folder its files of the first group of ``suffixes``.

    Raises:
        SourceError: a source is missing, or a folder holds no such file.
    """
    return [path for source in sources for path in _files_of(source, suffixes)]


def _files_of(source: Path, suffixes: Suffixes) -> list[Path]:
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise SourceError(f"no such file or folder: {source}; give the path of your copy of the data set")
    found = [path for path in sorted(source.rglob("*")) if path.is_file() and not _hidden(path.relative_to(source))]
    for group in suffixes:
        if files := [path for path in found if path.name.lower().endswith(tuple(group))]:
            return files
    known = ", ".join(suffix for group in suffixes for suffix in group)
    raise SourceError(f"no file to read in {source}; it wants files of type {known}")


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file behind its byte order mark, unpacked where its name ends in ``.gz``.

    Raises:
        SourceError: it cannot be read, or is no whole gzip file.
    """
    try:
        with path.open("rb") as plain:
            file = cast(BinaryIO, gzip.GzipFile(fileobj=plain)) if path.name.lower().endswith(".gz") else plain
            if file.read(len(_BOM)) != _BOM:
                file.seek(0)
            yield file
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise SourceError(f"{path} is not a whole gzip file: {error}; get it again") from error
    except OSError as error:
        raise SourceError(
            f"cannot read {path}: {error.strerror or error}; check the path and its permissions"
        ) from error


def lines(path: Path) -> Iterator[tuple[int, str | UnreadableError]]:
    """Number and text of each line of UTF-8, in NFC and without its end; only line feeds end one."""
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                yield number, nfc(line.rstrip(b"\r\n").decode("utf-8")).removeprefix("\ufeff")
            except UnicodeDecodeError as error:
                detail = f"not UTF-8: {error.reason} at byte {error.start + 1} of the line"
                yield number, UnreadableError(detail, line.decode("utf-8", "replace").rstrip("\r\n"))


def records(path: Path, under: str = "") -> Iterator[tuple[str, Any]]:
    """Place and value of each record of a JSON array, of JSON lines or of a Parquet file.

    A line that is no JSON comes as ``UnreadableError``. With ``under``, a file may also be one object that holds the
    array by this name. Memory holds one record of an array at a time.

    Raises:
        SourceError: the file cannot be read, or its array breaks off.
    """
    if path.suffix.lower() == ".parquet":
        yield from _parquet(path)
        return
    where = "item" if _first(path) == b"[" else f"{under}.item" if under and _has_head(path, under) else ""
    yield from _array(path, where) if where else _json_lines(path)


def _parquet(path: Path) -> Iterator[tuple[str, Any]]:
    from annotator.storage import tables

    try:
        yield from ((f"{path}:{number}", row) for number, row in enumerate(tables.rows(path), start=1))
    except RunDirError as error:  # its mend is for a run directory
        raise SourceError(f"cannot read {path} as Parquet: {error.__cause__}; get it again") from error


def _first(path: Path) -> bytes:
    with opened(path) as file:
        while char := file.read(1):
            if char not in b" \t\r\n":
                return char
    raise SourceError(f"{path} is empty; get it again, or leave it out")


def _has_head(path: Path, under: str) -> bool:
    """Whether the file is one object with ``under`` among its names, and no record that stands in a line."""
    import ijson

    try:
        with opened(path) as file:
            events = islice(ijson.parse(file, multiple_values=True), 1000)
            depth_one = (value for prefix, event, value in events if (prefix, event) == ("", "map_key"))
            return any(name == under for name in islice(depth_one, 8))
    except ijson.JSONError:
        return False


def _json_lines(path: Path) -> Iterator[tuple[str, Any]]:
    for number, line in lines(path):
        if isinstance(line, ValueError):
            yield f"{path}:{number}", line
        elif line.strip():
            try:
                yield f"{path}:{number}", json.loads(line)
            except (ValueError, RecursionError) as error:
                yield f"{path}:{number}", UnreadableError(f"not JSON: {error}", line)


def _array(path: Path, where: str) -> Iterator[tuple[str, Any]]:
    import ijson

    number = 0
    try:
        with opened(path) as file:
            for number, value in enumerate(ijson.items(file, where, use_float=True), start=1):
                yield f"{path}:{number}", value
    except ijson.JSONError as error:
        cause = " ".join(os.fsencode(str(error)).decode("utf-8", "replace").split())[:200]
        raise SourceError(f"{path} breaks after record {number:,}: {cause}; get it again") from error


def text_of(record: Any, name: str, default: str | None = None) -> str:
    """The field ``name`` as NFC text that can be stored.

    Raises:
        ValueError: it is missing (and there is no ``default``), no text, or holds half of a surrogate pair.
    """
    value = record.get(name, default)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise ValueError(f'field "{name}" is {"missing" if value is None else f"a {type(value).__name__}, not text"}')
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f'field "{name}" holds half of a surrogate pair') from None
    return nfc(value)


def object_of(value: Any) -> dict[str, Any]:
    """``value`` as an object.

    Raises:
        ValueError: it is none; a record that could not be read raises its own error.
    """
    if isinstance(value, ValueError):
        raise value
    if not isinstance(value, dict):
        raise ValueError(f"a {type(value).__name__}, not an object")
    return value
