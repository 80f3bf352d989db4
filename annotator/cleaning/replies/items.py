"""What a tree is flattened to: items, each of a mention and its type, in an order that may still be open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

from annotator.cleaning.replies.tree import Node

Form: TypeAlias = Literal["pair", "bare pair", "row", "bare row", "record", "entry", "listed entry", "headed", "line"]


class Item(NamedTuple):
    """Strings of which one may be a mention and another its type."""

    nodes: tuple[Node, ...]
    """Of a record and under a heading: mention and type. Of a pair and of an entry of a map: the same in either order.
    Of a row: any number of strings. Of a line: its text."""
    form: Form
    """``bare`` without another list around it: such a list may also hold mentions without types."""
    several: bool = False
    """Whether the mention may be several between commas."""


Reading: TypeAlias = Sequence[tuple[Node, Node]] | None
"""The pairs of mention and type of an item: none where it is malformed, None where the reply excludes it."""


class Excluded(str):
    """What the reply itself calls no entity, shortened."""

    __slots__ = ()


class Visit(NamedTuple):
    """A node that is still to be read; ``group`` is the type that a key above it names, if any."""

    node: Node
    group: str | None = None


Result: TypeAlias = Item | Excluded | str
"""A ``str`` is a malformed item, shortened."""
Steps: TypeAlias = list[Visit | Item | Excluded | str]
