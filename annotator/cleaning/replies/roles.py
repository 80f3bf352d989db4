"""Decide which string of each item is the mention and which its type, for all items of one form at once.

One pair may be doubtful where ten are not: the order is one for all pairs of a reply, for all entries of its maps, for
all its lines. Then each item must hold on its own, the more the less its form says: two strings in a list within a list
are a pair whatever they are, a line of text only where the passage has the one and the other looks like a type.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from annotator.cleaning.replies.evidence import (
    PASSAGE_ADDS,
    Evidence,
    Pair,
    has_parts,
    is_no_type,
    is_nothing,
    is_remark,
    is_shaped,
    likeness,
    look,
)
from annotator.cleaning.replies.items import Item
from annotator.cleaning.replies.lines import MAX_LINES, Prose, cells
from annotator.cleaning.replies.scanner import Node, fold

Settled = Mapping[int, "list[tuple[Node, Node]] | None"]
"""By the id of an item: its pairs of mention and type, none where it is malformed, None where the reply excludes it."""


def settle(items: Sequence[Item], evidence: Evidence) -> Settled:
    """Settle the roles of all items of a reply."""
    settled: dict[int, list[tuple[Node, Node]] | None] = {}
    of: dict[str, list[Item]] = {form: [] for form in _TOGETHER.values()}
    for item in items:
        if item.form in _TOGETHER:
            of[_TOGETHER[item.form]].append(item)
    turned = _labels_first(of["pair"], evidence)
    swap = _keys_are_types(of["entry"], evidence)
    unheard = evidence.known and not _any_holds(of["entry"], swap, evidence)
    bare = _bare_pairs_count(of["bare pair"], evidence)
    for item in items:
        first, *rest = item.nodes
        second = rest[0] if rest else None
        if item.form in ("pair", "record", "headed"):
            pair = (second, first) if item.form == "pair" and turned else (first, second)
            settled[id(item)] = _pairs(pair, item, evidence)
        elif item.form in ("entry", "listed entry"):
            pair = (second, first) if swap else (first, second)
            settled[id(item)] = _pairs(pair, item, evidence, several=item.several and swap)
            if unheard and settled[id(item)] and likeness(str(pair[1])) < 3:
                settled[id(item)] = []
        elif item.form == "bare pair":
            pair = (second, first) if bare < 0 else (first, second)
            settled[id(item)] = _pairs(pair, item, evidence) if bare else []
    if rows := of["row"] if bare else [*of["bare pair"], *of["row"]]:
        settled.update(_rows(rows, evidence))
    if of["line"]:
        settled.update(_lines(of["line"], evidence))
    return settled


_TOGETHER = {
    "pair": "pair",
    "entry": "entry",
    "listed entry": "entry",
    "bare pair": "bare pair",
    "row": "row",
    "bare row": "row",
    "line": "line",
}
"""Forms by the one whose items they are weighed with."""


def _texts(items: Iterable[Item]) -> list[Pair]:
    return [
        (str(item.nodes[0]).strip(), str(item.nodes[1]).strip())
        for item in items
        if isinstance(item.nodes[0], str) and isinstance(item.nodes[1], str)
    ]


def _pairs(
    pair: tuple[Node, Node], item: Item, evidence: Evidence, *, several: bool | None = None
) -> list[tuple[Node, Node]] | None:
    text, label = pair
    if not (isinstance(text, str) and isinstance(label, str)):
        return [pair]
    is_blank = item.form not in ("pair", "record") and not any(map(str.isalnum, text))
    if is_blank or is_no_type(label) or (is_nothing(text) and (item.form != "pair" or evidence.known)):
        return None
    if item.form == "entry" and len(label.split()) > 8:
        return []
    if item.form == "headed" and not (text := evidence.first_that_stands(text) if evidence.known else _first(text)):
        return []
    is_list = item.several if several is None else several
    if is_list or (item.form == "record" and has_parts(text) and not evidence.stands(text) and evidence.holds(text)):
        return [(one, label) for one in evidence.mentions(text, label) if not is_nothing(one)]
    return [(text, label)]


def _first(text: str) -> str:
    """Return the mention of a line under a heading, without what is said about it."""
    if any(mark in text for mark in (" (", " - ", " – ", ": ")):
        return next((found[0] for found in cells(text)), text)
    return text


def _labels_first(pairs: Sequence[Item], evidence: Evidence) -> bool:
    """Whether ``[type, mention]`` is the order of the pairs, by the passage or as all of the first are known types."""
    texts = _texts(pairs)[:500]
    if not texts:
        return False
    firsts, seconds = zip(*texts, strict=True)
    if len(texts) > 1 and all(look(first) >= 2 for first in firsts):
        named = sum(evidence.type_weight(second) == 0 for second in seconds)
        if 2 * named > len(texts):
            return True
    if not evidence.known or sum(map(look, seconds)) - sum(map(look, firsts)) > PASSAGE_ADDS * len(texts) + 0.01:
        return False  # as most are: without comparing anything with the passage
    more = sum(map(evidence.stands, seconds)) - sum(map(evidence.stands, firsts))
    if more < 0:
        return False
    likely = sum(map(evidence.type_weight, firsts)) - sum(map(evidence.type_weight, seconds))
    least = len(texts) if more == 0 else 0 if len(texts) > 1 and more == len(texts) else 0.01
    return likely >= least and evidence.order(texts) < -1


def _keys_are_types(entries: Sequence[Item], evidence: Evidence) -> bool:
    """Decide for a whole reply which side of its ``key: value`` maps is the type.

    ``{"location": "Hà Nội"}`` and ``{"Hà Nội": "location"}`` differ by their words alone. Each side is weighed by how
    much its distinct words look like types, by how often they come again, as types do, and by the passage. If neither
    wins, the value is the type, in the order of a pair; lists hold mentions unless they clearly look like types.
    """
    pairs = [(str(entry.nodes[0]).strip(), str(entry.nodes[1]).strip()) for entry in entries]
    pairs = [pair for pair in pairs if not is_nothing(pair[1])] or pairs
    lean = _weight([first for first, _ in pairs], evidence) - _weight([second for _, second in pairs], evidence)
    return lean > (-1 if any(entry.form == "listed entry" for entry in entries) else 0)


def _any_holds(entries: Sequence[Item], swap: bool, evidence: Evidence) -> bool:
    """Whether the passage has a mention of the map; if not, it may be no map of entities at all."""
    return any(evidence.some_hold(text) for text in {str(entry.nodes[1 if swap else 0]) for entry in entries[:500]})


def _weight(side: Sequence[str], evidence: Evidence) -> float:
    words = set(side)
    if not words:
        return 0.0
    if not evidence.known:
        likely = sum(map(likeness, words)) / len(words)
    else:
        seen = sorted(words)[:500]
        likely = sum(map(evidence.type_weight, seen)) / len(seen) - 2 * sum(map(evidence.holds, seen)) / len(seen)
    return likely + 2 * (1 - len(words) / len(side))


def _bare_pairs_count(pairs: Sequence[Item], evidence: Evidence) -> int:
    """Whether ``["Hà Nội", "location"]`` with no list around is a pair (1), turned round (-1), or two mentions (0)."""
    texts = _texts(pairs)[:500]
    if not texts:
        return 0
    order = evidence.order(texts)
    if abs(order) < 0.3 and len(texts) == 1:
        return 0
    kinds = [second if order >= 0 else first for first, second in texts]
    likely = sum(evidence.type_weight(kind) for kind in kinds) / len(kinds)
    stand = 2 * sum(map(evidence.stands, kinds)) > len(kinds)
    if order < 0 and (not evidence.known or stand or likely < 0.3):
        return 1 if not evidence.known and len(texts) > 1 else 0
    if likely >= 2 or (likely > 0 and not stand):
        return 1 if order >= 0 else -1
    return (
        1
        if evidence.known and not stand and all(evidence.stands(first) for first, _ in texts)
        else int(len(texts) > 1 and not stand)
    )


# ---- rows of three strings and more ----


def _rows(rows: Sequence[Item], evidence: Evidence) -> dict[int, list[tuple[Node, Node]] | None]:
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
    found = _lines(loose, evidence)
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


# ---- lines ----

_TRUE = ("true", "yes", "có", "đúng")
_FALSE = ("false", "no", "sai", "không")


def _lines(lines: Sequence[Item], evidence: Evidence) -> dict[int, list[tuple[Node, Node]] | None]:
    """Cut each line as it fits best with mentions first, and with types first; the better order for all counts."""
    settled: dict[int, list[tuple[Node, Node]] | None] = {id(line): [] for line in lines}
    cut: list[tuple[Item, list[tuple[str, ...]]]] = []
    excluded = 0
    for line in lines[:MAX_LINES]:
        ways = [tuple(cell for cell in way if fold(cell) not in _TRUE) for way in cells(str(line.nodes[0])[:1000])]
        if any(_is_excluded(way, evidence) for way in ways):
            settled[id(line)] = None
            excluded += 1
        elif not is_nothing(str(line.nodes[0])) and not str(line.nodes[0]).endswith("?"):
            cut.append((line, [way for way in ways if len(way) > 1]))
    best: tuple[float, bool, list[tuple[Item, Pair]]] = (0.0, False, [])
    for types_first in (False, True):
        fits = [(line, pair) for line, ways in cut if (pair := _best(ways, types_first, evidence))]
        score = sum(evidence.weigh(*pair) for _, pair in fits) - (0.3 if types_first else 0)
        if _is_list(fits, len(cut), evidence, types_first) and score > best[0]:
            best = score, types_first, fits
    _, types_first, fits = best
    if types_first and all(fold(label) == "title" for _, (_, label) in fits):
        return settled  # "Title: ..." over prose
    for line, (text, label) in fits:
        whole = not types_first and (evidence.stands(text) or not evidence.known)
        texts = [text] if whole else evidence.mentions(text, label)
        settled[id(line)] = [(one, label) for one in texts if not is_nothing(one)]
    return settled


def _is_excluded(cells: Sequence[str], evidence: Evidence) -> bool:
    """Whether a line says that its mention is no entity; "No, I cannot do that" is about no mention."""
    if fold(cells[0]) in _FALSE and evidence.known and not any(map(evidence.stands, cells[1:])):
        return False
    return any(fold(cell) in _FALSE or cell == "O" or is_no_type(cell) for cell in cells) or (
        len(cells) > 1 and is_nothing(cells[1])
    )


def _best(ways: Sequence[tuple[str, ...]], types_first: bool, evidence: Evidence) -> Pair | None:
    """Return the mention and type of a line that fit best, with the mention or the type in its first cell."""
    found: list[tuple[float, Pair]] = []
    for way in ways:
        for at, cell in enumerate(way[1:]):
            text, label = (cell, way[0]) if types_first else (way[0], cell)
            if text.isdigit() and len(way) > 2:
                continue
            likely = evidence.type_weight(label)
            if (
                not is_shaped(label)
                or is_remark(text)
                or likely < 0.3
                or (evidence.known and not evidence.some_hold(text))
            ):
                continue
            if not evidence.known and evidence.type_weight(text) >= 2 and likely < 3:
                continue
            if (
                types_first
                and likely < 1
                and not (evidence.known and evidence.holds(text) and not evidence.stands(label))
            ):
                continue
            found.append((evidence.weigh(text, label) - 0.1 * at, (text, label)))
    return max(found, key=lambda one: one[0])[1] if found else None


def _is_list(fits: Sequence[tuple[Item, Pair]], lines: int, evidence: Evidence, types_first: bool) -> bool:
    """Whether lines are a list of items rather than prose: most fit, and their types are known or few."""
    if not fits:
        return False
    known = sum(evidence.type_weight(label) >= (2 if evidence.known or types_first else 3) for _, (_, label) in fits)
    if not evidence.known:
        if any(isinstance(line.nodes[0], Prose) for line, _ in fits):
            return False
        return len(fits) == lines and (known == lines if types_first else 2 * known >= lines)
    return 2 * len(fits) >= lines and (2 * known >= len(fits) or (len(fits) == lines and len(fits) > 1))
