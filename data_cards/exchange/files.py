"""Lists of JSON objects in files: written one after the other, read whichever way they stand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
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


def read_text(path: Path) -> str:
    """The text of a file; line ends stay as they are, a byte order mark goes.

    Raises:
        SourceError: it is missing, no file, or not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"cannot read {path}: it is not UTF-8 text ({error.reason} at byte {error.start})") from error


def read_items(path: Path) -> Iterator[Any]:
    """The items of a JSON array, or of a file with one a line; a line that is no JSON comes as the error it makes.

    Raises:
        SourceError: the file is missing, not UTF-8, or a broken array.
    """
    text = read_text(path)
    if text.lstrip().startswith("["):
        try:
            yield from json.loads(text)
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{path} is not valid JSON: {error}; export it again from the tool") from error
        return
    for line in text.split("\n"):
        if line.strip():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError) as error:
                yield error
