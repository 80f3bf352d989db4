"""Lines and records of the published files, in NFC, and the fields of a record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from annotator.errors import SourceError
from annotator.sources import formats
from annotator.sources.formats import text
from annotator.sources.formats.files import local
from normalizers.text import nfc

JSON_FILES: Final = ((".json", ".jsonl", ".json.gz", ".jsonl.gz", ".parquet"),)
"""Suffixes of files with records, in groups: of a folder, the first group with files is read."""

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
    raise SourceError(f"no file to read in {source}; the format needs files of type {known}")


def lines(path: Path) -> Iterator[Read]:
    """Yield each line in NFC and without its end; only line feeds end one.

    Raises:
        SourceError: the file cannot be read, or is no whole gzip file.
    """
    for line in text.lines(local(path)):
        yield line.where, line.raw if line.error else nfc(line.value).removeprefix("\ufeff"), line.error


def records(path: Path, under: str = "") -> Iterator[Read]:
    """Yield each object of a JSON array, of JSON lines or of a Parquet file.

    A file that is one object without the field ``under`` is read as the only list in it.

    Raises:
        SourceError: the file cannot be read, or its array breaks off.
    """
    for one in formats.records(local(path), (under,) if under else ()):
        if one.error or isinstance(one.value, dict):
            yield one.where, one.raw if one.error else one.value, one.error
        else:
            yield one.where, one.raw, f"a {type(one.value).__name__}, not an object"


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
