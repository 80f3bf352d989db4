"""Lists of JSON objects in files: written one after the other, read whichever way they stand."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from annotator.errors import SourceError


def dumps(value: Any) -> str:
    """One line of JSON, Vietnamese letters as they are."""
    return json.dumps(value, ensure_ascii=False)


def write_array(file: IO[bytes], items: Iterable[Any]) -> None:
    """A JSON array with one item a line; memory holds one item."""
    before = "[\n"
    for item in items:
        file.write((before + dumps(item)).encode("utf-8"))
        before = ",\n"
    file.write(b"[]\n" if before == "[\n" else b"\n]\n")


def write_lines(file: IO[bytes], items: Iterable[Any]) -> None:
    """One JSON object a line."""
    for item in items:
        file.write((dumps(item) + "\n").encode("utf-8"))


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """A file from its first byte after a byte order mark; what is wrong with it is one line."""
    try:
        with path.open("rb") as file:
            if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
                file.seek(0)
            yield file
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"cannot read {path}: it is not UTF-8 text ({error.reason})") from error


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a text file one by one, without their ends: line feed, or carriage return and line feed.

    Raises:
        SourceError: it is missing, no file, or not UTF-8.
    """
    with _opened(path) as file:
        for line in file:
            yield line.decode("utf-8").removesuffix("\n").removesuffix("\r")


def read_items(path: Path) -> Iterator[Any]:
    """The items of a JSON array, or of a file with one a line; a line that is no JSON comes as the error it makes.

    Memory holds one item, however large the file.

    Raises:
        SourceError: the file is missing, not UTF-8, or a broken array (after the items before the break).
    """
    if _begins_an_array(path):
        yield from _array(path)
        return
    for line in read_lines(path):
        if line.strip():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError) as error:
                yield error


def _begins_an_array(path: Path) -> bool:
    with _opened(path) as file:
        while some := file.read(4096):  # not a line: an array may be one line of gigabytes
            if some.strip():
                return some.lstrip().startswith(b"[")
    return False


def _array(path: Path) -> Iterator[Any]:
    import ijson

    with _opened(path) as file:
        try:
            yield from ijson.items(file, "item", use_float=True)
        except (ijson.JSONError, OverflowError) as error:  # a number may be beyond what a float can hold
            said = " ".join(str(error).split())
            kind = "not UTF-8 text" if "UTF8" in said else "not valid JSON"
            raise SourceError(f"{path} is {kind}: {said}; export it again from the tool") from error
