"""Decide what the strings of longer rows are: a pair with an explanation, a type and its mentions, pairs by turns."""

from __future__ import annotations

from collections.abc import Sequence

from annotator.cleaning.replies.cells import cells
from annotator.cleaning.replies.evidence import Evidence, Pair, is_no_type
from annotator.cleaning.replies.items import Item
from annotator.cleaning.replies.line_roles import settle_lines
from annotator.cleaning.replies.scanner import Node, fold


def settle_rows(rows: Sequence[Item], evidence: Evidence) -> dict[int, list[tuple[Node, Node]] | None]:
    """Read rows with an explanation, ``[type, mention, mention]``, mentions and types by turns; strings of both."""
    readings: list[list[list[Pair]]] = []
    for row in rows:
        texts = [str(node).strip() for node in row.nodes if isinstance(node, str) and type(node) is str]
        if len(texts) > 3 and fold(texts[0]) in ("entity", "thực_thể", "node"):
            texts = texts[1:]
        readings.append(
            [
                _explained(texts, evidence),
                _described(texts, evidence),
                _typed(texts, evidence),
                _by_turns(texts, evidence),
            ]
        )
    weights = [sum(evidence.weigh(*pair) for reading in readings for pair in reading[at]) for at in range(4)]
    order = sorted(range(4), key=lambda at: -weights[at])
    settled: dict[int, list[tuple[Node, Node]] | None] = {}
    loose: list[Item] = []
    owners: list[tuple[int, list[Item]]] = []
    for row, reading in zip(rows, readings, strict=True):
        best = reading[order[0]] or reading[order[1]] if weights[order[0]] > 0 else []
        settled[id(row)] = [*best]
        if not best and row.nodes and fold(str(row.nodes[0])) not in _RELATIONS:
            parts = [
                Item((str(node),), "line") for node in row.nodes if isinstance(node, str) and cells(str(node)[:300])
            ]
            if len(parts) == len(row.nodes):
                loose += parts
                owners.append((id(row), parts))
    found = settle_lines(loose, evidence)
    for owner, parts in owners:
        pairs = [found[id(part)] for part in parts]
        settled[owner] = [pair for one in pairs for pair in one or []]
    return settled


_RELATIONS = ("relationship", "relation", "quan_hệ", "content_keywords")


def _explained(texts: Sequence[str], evidence: Evidence) -> list[Pair]:
    """Read ``[mention, type, explanation]``; of a relation, the third is a mention and the second no known type."""
    if len(texts) < 3 or not evidence.stands(texts[0]):
        return []
    weight = evidence.type_weight(texts[1])
    is_type = weight >= 2 or (weight > 0.3 and not evidence.stands(texts[1]) and not evidence.stands(texts[2]))
    return [(texts[0], texts[1])] if is_type and not is_no_type(texts[1]) else []


def _described(texts: Sequence[str], evidence: Evidence) -> list[Pair]:
    """Read ``[type, mention, explanation]``."""
    if len(texts) < 3 or not evidence.stands(texts[1]) or evidence.stands(texts[2]):
        return []
    return [(texts[1], texts[0])] if evidence.type_weight(texts[0]) > 0.3 and not evidence.stands(texts[0]) else []


def _typed(texts: Sequence[str], evidence: Evidence) -> list[Pair]:
    """Read ``[type, mention, mention]``."""
    if (
        len(texts) < 3
        or not all(map(evidence.stands, texts[1:]))
        or any(evidence.type_weight(one) >= 2 for one in texts[1:])
    ):
        return []
    weight = evidence.type_weight(texts[0])
    return (
        [(text, texts[0]) for text in texts[1:]]
        if weight >= 2 or (weight > 0.3 and not evidence.stands(texts[0]))
        else []
    )


def _by_turns(texts: Sequence[str], evidence: Evidence) -> list[Pair]:
    """Read ``[mention, type, mention, type]``, or types first."""
    if len(texts) < 4 or len(texts) % 2:
        return []
    for mentions, kinds in ((texts[::2], texts[1::2]), (texts[1::2], texts[::2])):
        weights = list(map(evidence.type_weight, kinds))
        most = sum(weights) / len(weights) - sum(map(evidence.type_weight, mentions)) / len(weights)
        fits = all(map(evidence.stands, mentions)) if evidence.known else most >= 1
        if fits and most > 0.3 and min(weights) > 0:
            return list(zip(mentions, kinds, strict=True))
    return []
