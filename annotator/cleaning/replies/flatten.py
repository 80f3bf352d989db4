"""Flatten the tree of a reply into items.

The walk does not recurse, so deep nesting is cheap. A list is a pair, a longer row, or a list of anything;
``objects.py`` reads the objects.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from annotator.cleaning.replies.evidence import Evidence
from annotator.cleaning.replies.items import Excluded, Item, Result, Steps, Visit
from annotator.cleaning.replies.names import is_field
from annotator.cleaning.replies.objects import read_object
from annotator.cleaning.replies.tree import (
    Bare,
    Heading,
    Line,
    Node,
    Table,
    is_nested,
    is_object,
    is_pair,
    is_string,
    shorten,
)
from annotator.cleaning.replies.words import is_remark, is_shaped, likeness

_EXCLUDED_HEADING = re.compile(
    r"\b(?:excluded|ignored|rejected|removed|skipped|omitted|non-?entit|not (?:an? )?(?:named )?entit|not included)"
    r"|loại trừ|bị loại|bỏ qua|không phải|không đưa|không tính|relation|quan hệ",
    re.IGNORECASE,
)
_EXAMPLE_HEADING = re.compile(r"(?:for )?example|ví dụ|e\.g|draft|(?:bản )?nháp", re.IGNORECASE)
_GENERIC_HEADING = re.compile(r"thực thể|entit|danh sách|kết quả", re.IGNORECASE)


def flatten(roots: Sequence[Node], evidence: Evidence) -> tuple[list[Result], bool]:
    """Return the items of the trees in order, with what is malformed or excluded, and whether a list was empty."""
    found: list[Result] = []
    empty = False
    todo: Steps = []
    for root in roots:
        is_example = len(roots) > 1 and (headed := _headed(root)) and _EXAMPLE_HEADING.match(headed[0])
        todo += [Excluded(shorten(root))] if is_example else _of_root(root, evidence)
    todo.reverse()
    while todo:
        step = todo.pop()
        if not isinstance(step, Visit):
            found.append(step)
            continue
        node, group = step
        if not isinstance(node, list):
            found.append(Item((node,), "line") if is_string(node) else shorten(node))
        elif not node:
            empty = True
        elif len(node) == 2 and type(node[0]) is type(node[1]) is str:
            found.append(Item((node[0], node[1]), "pair"))
        elif is_object(node):
            todo.extend(reversed(read_object(node, group, evidence)))
        else:
            todo.extend(reversed(_of_list(node, group)))
    return found, empty


# ---- headings and the top of a tree ----


def _headed(root: Node) -> tuple[str, Node] | None:
    """Return the heading of ``root`` and the node under it, if it has one."""
    entry = root[0] if isinstance(root, list) and root else None
    return entry if isinstance(entry, tuple) and isinstance(entry[0], Heading) else None


def _of_root(root: Node, evidence: Evidence) -> Steps:
    if isinstance(root, Table):
        columns = [_under_heading(heading, cells, evidence) for heading, cells in root.columns]
        return [step for steps in columns for step in steps or ()] if all(columns) else [Visit(row) for row in root]
    if headed := _headed(root):
        steps = _under_heading(*headed, evidence)
        return _of_root(headed[1], evidence) if steps is None else steps
    if not isinstance(root, list) or not root or is_nested(root):
        return [Visit(root)]
    if not all(isinstance(item, Line) for item in root):
        if is_pair(root):
            return [Item((root[0], root[1]), "bare pair")]
        if len(root) > 2:
            return [Item(tuple(root), "bare row")]
    return [Visit(item) for item in root]


def _under_heading(title: str, node: Node, evidence: Evidence) -> Steps | None:
    """Read ``Person: [...]``, a heading over bullets, a tag or a column, if the heading is a type; else None."""
    heading = re.sub(r"\s*\([^()]*\)\Z", "", title).strip("[]")
    if _EXCLUDED_HEADING.search(heading):
        return [Excluded(shorten([heading, *node]) if isinstance(node, list) else shorten(node))]
    texts = [item for item in node if isinstance(item, str)] if isinstance(node, list) else []
    stands_alone = heading.isupper() or title.startswith("[")  # with no mark that makes it a heading
    is_known = likeness(heading) == 3 or not (heading.isupper() and evidence.has(heading))
    is_mention = stands_alone and not (is_known and evidence.type_weight(heading))  # "WHO" over "Geneva"
    is_part = is_remark(heading) or is_field(heading) or _GENERIC_HEADING.search(heading)
    if is_part or is_mention or not is_shaped(heading):
        return None
    weight = evidence.type_weight(heading)
    if isinstance(node, list) and is_nested(node):
        return (
            [Visit(node, heading)]
            if weight >= 2 and any(isinstance(item, tuple) or is_object(item) for item in node)
            else None
        )
    looks_typed = len(texts) == 2 and evidence.type_weight(texts[1]) >= 2 and not evidence.stands(texts[1])
    if weight < 2 or looks_typed:
        held = [text for text in texts if evidence.first_that_stands(text)]
        is_headline = weight == 0 and len(heading.split()) > 3 and evidence.stands(heading)
        if looks_typed or is_headline or weight == 0.1 or not texts or len(held) < len(texts):
            return None
    return [Item((text, heading), "headed", several=isinstance(text, Line)) for text in texts] or [Visit([])]


# ---- lists ----


def _of_list(items: list[Node], group: str | None) -> Steps:
    """Read a pair, ``[type, [mentions]]``, a pair whose closing bracket was forgotten, or a list of anything."""
    if not is_nested(items):
        strings = [item for item in items if is_string(item)]
        if len(strings) == 2 and not any(isinstance(item, Bare) and item[:1].isalpha() for item in items):
            return [Item((strings[0], strings[1]), "pair")]  # offsets may stand anywhere
        if is_pair(items):
            return [Item((items[0], items[1]), "pair")]
        return [Item(tuple(items), "row")] if len(items) > 2 else [shorten(items)]
    are_lists = [isinstance(item, list) for item in items]
    if are_lists == [False, True] * (len(items) // 2) and all(one and not is_nested(one) for one in items[1::2]):
        groups = zip(items[::2], items[1::2], strict=True)
        return [Item((key, item), "listed entry") for key, own in groups if isinstance(own, list) for item in own]
    if are_lists[:2] == [False, False] and all(are_lists[2:]):
        return [Item((items[0], items[1]), "pair"), *(Visit(item, group) for item in items[2:])]
    return [Visit(item, group) for item in items]
