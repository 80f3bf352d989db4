"""Write lists of JSON objects, one after the other."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import IO, Any


def dumps(value: Any) -> str:
    """Return one line of JSON, Vietnamese letters as they are."""
    return json.dumps(value, ensure_ascii=False)


def write_array(file: IO[bytes], items: Iterable[Any]) -> None:
    """Write a JSON array with an item on each line; memory holds one item."""
    before = "[\n"
    for item in items:
        file.write((before + dumps(item)).encode("utf-8"))
        before = ",\n"
    file.write(b"[]\n" if before == "[\n" else b"\n]\n")


def write_lines(file: IO[bytes], items: Iterable[Any]) -> None:
    """Write a JSON object on each line."""
    for item in items:
        file.write((dumps(item) + "\n").encode("utf-8"))
