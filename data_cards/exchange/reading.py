"""Turn one record of a foreign file into ``Reviewed``, or say what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from data_cards.exchange.carrying import Reviewed, Unread


def checked(item: Any, make: Callable[[Any], Reviewed | Unread], passage_id: Any = "") -> Reviewed | Unread:
    """``make(item)``, whose result has the right types; what the record lacks makes it ``unreadable``."""
    identity = passage_id if isinstance(passage_id, str) else ""
    if isinstance(item, Exception):
        return Unread("unreadable", identity, f"not valid JSON: {item}")
    if not identity and isinstance(item, dict):
        identity = str(item.get("passage_id") or item.get("id") or "")
    try:
        made = make(item)
    except KeyError as error:
        return Unread("unreadable", identity, f"it has no {error}")
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        return Unread("unreadable", identity, f"it has another form: {error}")
    if isinstance(made, Unread):
        return made
    wrong = _wrong(made)
    return Unread("unreadable", identity, wrong) if wrong else made


def _wrong(made: Any) -> str:
    """What has not the type that ``Reviewed`` promises; the values come from a file."""
    if not isinstance(made.passage_id, str) or not made.passage_id:
        return "it has no passage id"
    if not isinstance(made.text, str | None):
        return "its text is no text"
    for start, end, label in made.spans:
        if type(start) is not int or type(end) is not int or not isinstance(label, str):
            return f"a span wants two whole numbers and a label, not {[start, end, label]!r}"
    for strings in (made.tokens or (), *(made.claims or ())):
        if not all(isinstance(string, str) for string in strings):
            return "a token, mention or label is no text"
    return ""
