"""Parse an answer to "which mentions of this type?" of any form to a list of strings.

Strict JSON is read by ``json``; code fences, single quotes, a missing bracket or a ``]`` inside a mention by the
scanner that also reads the replies of teachers. Nothing is evaluated, and nothing raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from annotator.cleaning.replies.final_answer import final_answer, unfenced
from annotator.cleaning.replies.names import LABEL_KEYS, TEXT_KEYS, fold
from annotator.cleaning.replies.scanner import MAX_CHARS, scan
from annotator.cleaning.replies.tree import Node, is_string, strict_json

_UNQUOTED = re.compile(r"\s*\[([^\[\]{}\"'“‘]*)\]\s*\Z")
_COMPLETE = re.compile(r"""\s*+\[\s*+((?:(?:"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+')\s*+,\s*+)++)""", re.DOTALL)
"""The strings of a flat list, each with the comma after it."""
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Answer:
    """The distinct mentions of one answer, in order, without the white space around them; none is a valid answer."""

    mentions: tuple[str, ...]
    readable: bool
    """False where the answer has no list; it is then read as an empty list."""


def read_answer(answer: str) -> Answer:
    """Read the mentions that ``answer`` lists.

    These are the strings and numbers of a list and of the lists in it, the mention of a record (``{"text": ...,
    "type": ...}``), and the values of any other object. A list that was cut off keeps its complete strings. Time is
    linear in the length; the first 500,000 characters are read.
    """
    body = final_answer(answer)
    tree = strict_json(unfenced(body))
    if isinstance(tree, list):
        return Answer(_distinct(_strings([tree])), readable=True)
    if is_string(tree):
        return _read_loosely(tree[:MAX_CHARS])  # JSON inside a JSON string
    return _read_loosely(body[:MAX_CHARS]) if tree is None else Answer((), readable=False)


def _read_loosely(body: str) -> Answer:
    if unquoted := _UNQUOTED.match(unfenced(body)):  # [Hà Nội, Huế]
        return Answer(_distinct(unquoted[1].split(",")), readable=True)
    roots, cut = scan(body)
    if not roots and '\\"' in body:
        roots, cut = scan(body.replace('\\"', '"'))
    mentions = _distinct(_strings(roots))
    if cut and (complete := _COMPLETE.match(unfenced(body))):  # the scanner drops half of what may be a pair
        mentions = max(mentions, _distinct(_strings(scan(f"[{complete[1]}]")[0])), key=len)
    # A list that was cut off before the end of its first mention shows nothing.
    return Answer(mentions, readable=bool(mentions) or (bool(roots) and not cut))


def _strings(roots: Iterable[Node]) -> Iterator[str]:
    """Yield all mentions of the trees in order, without recursion."""
    todo: list[Node] = list(roots)[::-1]
    while todo:
        node = todo.pop()
        if isinstance(node, str):
            yield str(node)
        elif isinstance(node, tuple):
            todo.append(node[1])
        elif isinstance(node, list):
            todo.extend(reversed(_of_record(node) or node))


def _of_record(items: list[Node]) -> list[Node]:
    """Return the mention of ``{"text": ..., "type": ...}``; nothing where ``items`` are not such a record."""
    fields: dict[str, Node] = {}
    for item in items:
        if isinstance(item, tuple):
            fields.setdefault(fold(item[0]), item[1])
    text = next((key for key in TEXT_KEYS if key in fields), None)
    label = next((key for key in LABEL_KEYS if key in fields), None)
    return [fields[text]] if text and label else []


def _distinct(strings: Iterable[str]) -> tuple[str, ...]:
    stripped = (_SURROGATE.sub("\ufffd", string).strip() for string in strings)
    return tuple(dict.fromkeys(string for string in stripped if string))
