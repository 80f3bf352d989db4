"""The tree of a reply: what every reader returns, whatever notation the reply is in.

A list stands for any bracket, a tuple ``(key, value)`` in it for ``key: value``, and a string for a string. Classes of
strings tell how the reply has them: ``Bare`` without quotes, ``Line`` as a line of text, ``Heading`` above a list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TypeAlias, TypeGuard

Node: TypeAlias = "str | bool | list[Node] | tuple[str, Node] | None"

_SURROGATE = re.compile("[\ud800-\udfff]")


class Bare(str):
    """A number or a word without quotes."""

    __slots__ = ()


class Line(str):
    """A line of text, or a part of one, that may hold a mention and its type."""

    __slots__ = ()


class Prose(Line):
    """The only line of an answer, without a bullet: most such lines are sentences."""

    __slots__ = ()


class Heading(str):
    """The text before a list, which may be the type of its items: ``Organization: ["Viettel", "VNPT"]``."""

    __slots__ = ()


class Unquoted(list[Node]):
    """A list without a quote anywhere in it."""


class Table(list[Node]):
    """The rows of a table whose header names no column of mentions; ``columns`` are the same cells under the header."""

    def __init__(self, rows: Sequence[Sequence[str]], columns: Sequence[tuple[Heading, list[Node]]]) -> None:
        """Keep both readings: the header may name types."""
        super().__init__(Line(" | ".join(row)) for row in rows)
        self.columns = columns


def is_string(node: Node) -> TypeGuard[str]:
    """Whether ``node`` is text, not a number or a bare word."""
    return isinstance(node, str) and not isinstance(node, Bare)


def is_object(node: Node) -> bool:
    """Whether ``node`` is a list that holds an entry ``(key, value)``."""
    return isinstance(node, list) and any(isinstance(item, tuple) for item in node)


def is_nested(node: Node) -> bool:
    """Whether ``node`` is a list that holds a list or an entry."""
    return isinstance(node, list) and any(isinstance(item, (list, tuple)) for item in node)


def is_pair(items: Sequence[Node]) -> bool:
    """Whether ``items`` are two scalars, after which only numbers (offsets, a score) follow."""
    return len(items) >= 2 and all(isinstance(item, Bare) for item in items[2:])


def strict_json(text: str) -> Node:
    """Read JSON; None where ``text`` is not JSON."""
    try:
        tree: Node = json.loads(text, object_pairs_hook=list, parse_int=Bare, parse_float=Bare, parse_constant=Bare)
    except (ValueError, RecursionError):
        return None
    return tree


def shorten(node: Node | tuple[Node, ...]) -> str:
    """Return ``node`` as text of at most 200 characters, two levels deep."""
    if isinstance(node, list):
        node = "[" + ", ".join("…" if isinstance(item, list) else shorten(item) for item in node[:50]) + "]"
    elif isinstance(node, tuple):
        node = f"{node[0]}: {'…' if isinstance(node[1], list) else node[1]}"
    return _SURROGATE.sub("?", str(node).strip()[:200])
