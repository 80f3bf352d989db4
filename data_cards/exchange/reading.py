"""Turn a record of another tool's file into ``Reviewed``, or into ``Unread`` with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from annotator.sources.formats import json
from annotator.sources.formats.files import local
from data_cards.exchange.carrying import Reviewed, Unread


def read_each(path: Path, convert: Callable[[Any], Reviewed | Unread]) -> Iterator[Reviewed | Unread]:
    """Yield what ``convert`` returns for each object of a JSON array or of JSON lines.

    Raises:
        SourceError: the file cannot be read, is empty, or its array breaks off (after the records before the break).
    """
    for record in json.read(local(path)):
        yield checked(record.value, convert, error=record.error)


def checked(
    value: Any, convert: Callable[[Any], Reviewed | Unread], passage_id: Any = "", error: str = ""
) -> Reviewed | Unread:
    """Return ``convert(value)``, or why it is unreadable: an ``error`` before, a missing field, a wrong type."""
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
    if isinstance(result, Unread):
        return result
    wrong = _wrong(result)
    return Unread("unreadable", identity, wrong) if wrong else result


def _wrong(found: Any) -> str:
    """Return what has not the type that ``Reviewed`` promises; the values come from a file."""
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
