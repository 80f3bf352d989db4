"""Decide which string of each item is the mention and which its type, for all items of one form at once.

One pair may be doubtful where ten are not, so the order is one for all pairs of a reply, for all entries of its maps,
and for all its lines. Then each item must hold on its own, and the less its form tells, the more it must show: two
strings in a list within a list are a pair whatever they are; a line of text is one only where the passage has one
string and the other looks like a type.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from annotator.cleaning.replies.cells import cells
from annotator.cleaning.replies.evidence import Evidence, Pair, has_parts
from annotator.cleaning.replies.items import Item, Reading
from annotator.cleaning.replies.line_roles import settle_lines, settle_rows
from annotator.cleaning.replies.words import PASSAGE_ADDS, is_no_type, is_nothing, likeness, look

_TOGETHER = {"listed entry": "entry", "bare row": "row"}
"""Forms that are weighed with another one."""


def settle(items: Sequence[Item], evidence: Evidence) -> list[Reading]:
    """Return the pairs of each item of a reply."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        places[_TOGETHER.get(item.form, item.form)].append(place)
    bare = 0
    if lists := places.get("bare pair"):
        bare = _bare_order([items[place] for place in lists], evidence)
        if not bare:
            places["row"] = [*places.pop("bare pair"), *places["row"]]
    readings: list[Reading] = [None] * len(items)
    for form, own in places.items():
        of_form = [items[place] for place in own]
        if form == "row":
            found = settle_rows([row.nodes for row in of_form], evidence)
        elif form == "line":
            found = settle_lines([line.nodes[0] for line in of_form], evidence)
        elif form == "entry":
            found = _settle_entries(of_form, evidence)
        else:
            swap = bare < 0 if form == "bare pair" else form == "pair" and _labels_first(of_form, evidence)
            found = [_pairs(item, evidence, swap=swap, several=item.several) for item in of_form]
        for place, reading in zip(own, found, strict=True):
            readings[place] = reading
    return readings


def _settle_entries(entries: Sequence[Item], evidence: Evidence) -> list[Reading]:
    """Return the pairs of the entries of maps; if the passage has no mention of theirs, only those of common types."""
    swap = _keys_are_types(entries, evidence)
    readings = [_pairs(entry, evidence, swap=swap, several=swap and entry.several) for entry in entries]
    mentions = {str(entry.nodes[swap]) for entry in entries[:500]}
    if not evidence.known or any(map(evidence.some_hold, mentions)):
        return readings
    return [pairs and [pair for pair in pairs if likeness(str(pair[1])) == 3] for pairs in readings]


def _texts(items: Iterable[Item]) -> list[Pair]:
    return [
        (str(item.nodes[0]).strip(), str(item.nodes[1]).strip())
        for item in items
        if isinstance(item.nodes[0], str) and isinstance(item.nodes[1], str)
    ]


def _pairs(item: Item, evidence: Evidence, *, swap: bool, several: bool) -> Reading:
    """Return the pairs of an item whose order is settled; with ``swap``, its type comes first."""
    first, second = item.nodes
    text, label = (second, first) if swap else (first, second)
    if not (isinstance(text, str) and isinstance(label, str)):
        return [(text, label)]
    is_blank = item.form not in ("pair", "record") and not any(map(str.isalnum, text))
    is_none = is_nothing(text) and (item.form != "pair" or evidence.known)
    if is_blank or is_none or is_no_type(label) or (label == "O" and evidence.known):
        return None
    if item.form == "entry" and len(label.split()) > 8:
        return []
    if item.form == "headed" and not (text := evidence.first_that_stands(text) if evidence.known else _first(text)):
        return []
    if several or (item.form == "record" and has_parts(text) and not evidence.stands(text) and evidence.holds(text)):
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


def _weight(side: Sequence[str], evidence: Evidence) -> float:
    words = set(side)
    if evidence.known:
        seen = sorted(words)[:500]
        likely = sum(map(evidence.type_weight, seen)) / len(seen) - 2 * sum(map(evidence.holds, seen)) / len(seen)
    else:
        likely = sum(map(likeness, words)) / len(words)
    return likely + 2 * (1 - len(words) / len(side))


def _bare_order(pairs: Sequence[Item], evidence: Evidence) -> int:
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
    named = [first if order >= 0 else second for first, second in texts]
    if likely >= 2 or (likely > 0 and not stand and (not evidence.known or any(map(evidence.stands, named)))):
        return 1 if order >= 0 else -1
    all_stand = evidence.known and all(evidence.stands(first) for first, _ in texts)
    return int(not stand and (all_stand or len(texts) > 1))
