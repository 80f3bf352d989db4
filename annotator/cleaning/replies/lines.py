"""Read an answer without brackets to a tree: tags, tables, YAML, CSV, or lines.

What may hold an item, with its type or without, becomes a ``Line``; the passage decides later how it is cut. A line
that ends with a colon, a Markdown heading, a tag or the head of a column becomes a ``Heading`` over what follows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby, zip_longest

from annotator.cleaning.replies.cells import BULLET, MARKS, cut_line, indent
from annotator.cleaning.replies.notations import csv_rows, links, tables, tags, without_table_tags, yaml_fields
from annotator.cleaning.replies.tree import Heading, Line, Node, Prose

MAX_LINES = 2_000
_MAX_WIDTH = 1_000
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_WORDS = re.compile(r"[^\W\d_]++(?:[ _][^\W\d_]++){0,4}")
_NUMERAL = re.compile(r"\A(?:\d{1,3}|[IVX]{1,4}|[A-H])[.)]\s+")
_OWN_TYPE = re.compile(r"[^:]{1,60}:\s+\S")


def read_lines(text: str) -> list[Node]:
    """Read ``text`` as tags, else as a table, records of ``key: value``, or lines of items."""
    text = without_table_tags(_BREAK.sub(", ", text))
    if nodes := tags(text) or links(text):
        return nodes
    lines = [line[:_MAX_WIDTH] for line in text.split("\n") if not line.lstrip().startswith("```")][:MAX_LINES]
    return tables(lines) or yaml_fields(lines) or csv_rows(lines) or _items(lines)


def _items(lines: Sequence[str]) -> list[Node]:
    """Read headings with what is under them, and lines that may be items; bullets outweigh the prose around them."""
    found: list[tuple[Heading | None, bool, Line]] = []
    heading: Heading | None = None
    lines = [line for line in lines if line.strip()]
    was_title = False  # two in a row are a heading and an item under it
    for line, after in zip_longest(lines, lines[1:], fillvalue=""):
        match = BULLET.match(line)
        body = line[match.end() :].strip() if match else line.strip()
        if new := _as_heading(body) or _over_bullets(line, body, after):
            heading = new
            continue
        was_title = not was_title and bool(after and not match and _is_title(body))
        if was_title:
            heading = Heading(body)
            continue
        is_outside = not match and not line.startswith((" ", "\t"))
        if is_outside and heading and _OWN_TYPE.match(body):
            heading = None
        body = body.rstrip(" ,;")
        if body.strip(MARKS + ".-[](){}"):
            found.extend((heading, match is not None, Line(part)) for part in cut_line(body))
        if is_outside and line.rstrip().endswith("."):
            heading = None
    if any(is_bullet for _, is_bullet, _ in found):
        found = [one for one in found if one[1]]
    elif len(found) == 1 and found[0][0] is None:
        return [Prose(found[0][2])]
    nodes: list[Node] = []
    for _, own in groupby(found, key=lambda one: id(one[0])):
        (above, *_), _, items = zip(*own, strict=True)
        nodes += items if above is None else [[(above, [*items])]]
    return nodes


def _as_heading(body: str) -> Heading | None:
    plain = body.strip('*_#`" ').strip()
    is_marked = body.startswith("#") or (body.startswith("**") and body.endswith("**") and "**" not in body[2:-2])
    if plain.endswith(":") or is_marked:
        return Heading(_NUMERAL.sub("", plain).rstrip(": ").strip(MARKS)[:200])
    return None


def _over_bullets(line: str, body: str, after: str) -> Heading | None:
    """Read a heading of a few words without a colon, over bullets that stand deeper or are the first."""
    body = _NUMERAL.sub("", body)
    is_over = BULLET.match(after) and (not BULLET.match(line) or indent(after) > indent(line))
    return Heading(body) if is_over and _WORDS.fullmatch(body) else None


def _is_title(body: str) -> bool:
    """Whether a line is a few words in capitals, or in square brackets."""
    is_boxed = body.startswith("[") and body.endswith("]")
    return _WORDS.fullmatch(body.strip("[]")) is not None and (is_boxed or body.isupper())
