"""Records for what may be a mention and its type, with the form in which a reply gave it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

from annotator.cleaning.replies.scanner import Bare, Node

Form: TypeAlias = Literal["pair", "bare pair", "row", "bare row", "record", "entry", "listed entry", "headed", "line"]


class Line(str):
    """A line of text, or a part of one, that may hold an item."""

    __slots__ = ()


class Prose(Line):
    """The only line of an answer, without a bullet: most such lines are sentences."""

    __slots__ = ()


class Item(NamedTuple):
    """Strings of which one may be a mention and another its type."""

    nodes: tuple[Node, ...]
    """Mention and type, of a record and under a heading; type or mention first, of a pair and of an entry of a map;
    any number, of a row; the uncut text, of a line."""
    form: Form
    """Bare: with no other list around it, as a list of mentions without types is, too."""
    several: bool = False
    """Whether the mention may be several between commas."""


class Excluded(str):
    """An item that the reply itself calls no entity, as it will be shown."""

    __slots__ = ()


class Visit(NamedTuple):
    """A node still to be looked into; ``group`` is the type named by a key above it, if any."""

    node: Node
    group: str | None = None


Step: TypeAlias = Item | Excluded | str
"""A ``str`` is a malformed item as it will be shown."""
Steps: TypeAlias = "list[Visit | Item | Excluded | str]"

_SURROGATE = re.compile("[\ud800-\udfff]")


def shorten(node: Node | tuple[Node, ...]) -> str:
    """Return ``node`` as text of at most 200 characters, without what stands deeper in it."""
    if isinstance(node, list):
        node = "[" + ", ".join("…" if isinstance(item, list) else shorten(item) for item in node[:50]) + "]"
    elif isinstance(node, tuple):
        node = f"{node[0]}: {'…' if isinstance(node[1], list) else node[1]}"
    return _SURROGATE.sub("?", str(node).strip()[:200])


def strict_json(text: str) -> Node:
    """Read JSON as the tree that the scanner makes of other notations; None where it is none."""
    try:
        tree: Node = json.loads(text, object_pairs_hook=list, parse_int=Bare, parse_float=Bare, parse_constant=Bare)
    except (ValueError, RecursionError):
        return None
    return tree


def is_pair(items: Sequence[Node]) -> bool:
    """Whether these are two scalars, after which only numbers (offsets, a score) may follow."""
    return len(items) >= 2 and all(isinstance(item, Bare) for item in items[2:])
