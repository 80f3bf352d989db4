"""Write files of JSON objects, and convert the objects of another tool's file to ``Reviewed`` or ``Unread``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from annotator.sources.formats import json as json_format
from annotator.sources.formats.files import local
from data_cards.exchange.passages import Exported, Reviewed, Unread


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


def to_line(passage: Exported) -> dict[str, Any]:
    """Return a line of the format ``jsonl``: all fields of ``Annotation`` by their names. It holds any span."""
    return asdict(passage.annotation)


def from_line(line: dict[str, Any]) -> Reviewed:
    """Read such a line back."""
    spans = tuple((mention["start"], mention["end"], mention["label"]) for mention in line["mentions"])
    return Reviewed(line["passage_id"], spans, text=line["text"])


def read_each(path: Path, convert: Callable[[Any], Reviewed | Unread]) -> Iterator[Reviewed | Unread]:
    """Yield what ``convert`` returns for each object of a JSON array or of JSON lines.

    Raises:
        SourceError: the file cannot be read, is empty, or its array breaks off (after the records before the break).
    """
    for record in json_format.read(local(path)):
        yield checked(record.value, convert, error=record.error)


def checked(
    value: Any, convert: Callable[[Any], Reviewed | Unread], passage_id: Any = "", error: str = ""
) -> Reviewed | Unread:
    """Return ``convert(value)``, or why it is unreadable: an earlier ``error``, a missing field, a wrong type."""
    identity = passage_id if isinstance(passage_id, str) else ""
    if not identity and isinstance(value, dict):
        data = value.get("data")
        inner = data.get("passage_id") if isinstance(data, dict) else None
        identity = str(inner or value.get("passage_id") or value.get("id") or "")
    if error:
        return Unread("unreadable", identity, error)
    try:
        result = convert(value)
    except KeyError as missing:
        return Unread("unreadable", identity, f"it has no {missing}")
    except (TypeError, ValueError, AttributeError, IndexError) as flaw:
        return Unread("unreadable", identity, f"it has another form: {flaw}")
    wrong = "" if isinstance(result, Unread) else _wrong(result)
    return Unread("unreadable", identity, wrong) if wrong else result


def _wrong(found: Any) -> str:
    """Return why the values, which come from a file, do not have the types of ``Reviewed``; empty where they do."""
    if not isinstance(found.passage_id, str) or not found.passage_id:
        return "it has no passage id"
    if not isinstance(found.text, str | None):
        return "its text is not a string"
    for start, end, label in found.spans:
        if type(start) is not int or type(end) is not int or not isinstance(label, str):
            return f"a span needs two whole numbers and a label, not {[start, end, label]!r}"
    for strings in (found.tokens or (), *(found.predictions or ())):
        if not all(isinstance(string, str) for string in strings):
            return "a token, mention or label is not a string"
    labels = [label for _, _, label in found.spans] + [label for _, label in found.predictions or ()]
    return "" if all(map(str.strip, labels)) else "an entity has no label"
