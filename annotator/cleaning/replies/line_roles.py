"""Decide what the cells of lines and the strings of longer rows are, for all lines and rows of a reply at once.

Either mentions come first in all lines, or types do. Each line is cut as it then fits best. Lines of which few fit are
prose. A row is a pair with an explanation, a type and its mentions, or several pairs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain

from annotator.cleaning.replies.cells import cells
from annotator.cleaning.replies.evidence import Evidence, Pair
from annotator.cleaning.replies.items import Reading
from annotator.cleaning.replies.lines import MAX_LINES
from annotator.cleaning.replies.names import fold
from annotator.cleaning.replies.tree import Node, Prose
from annotator.cleaning.replies.words import is_no_type, is_nothing, is_remark, is_shaped

_EMPTY = re.compile(r":[\s*]*(?:[-–—]|\[\]|\{\})\s*\Z")
_TRUE = ("true", "yes", "có", "đúng")
_FALSE = ("false", "no", "sai", "không")


# ---- lines ----


def settle_lines(lines: Sequence[Node], evidence: Evidence) -> list[Reading]:
    """Cut each line as it fits best with mentions first, and with types first; the better order for all counts."""
    readings: list[Reading] = [[] for _ in lines]
    cut: list[tuple[int, list[tuple[str, ...]]]] = []
    for place, line in enumerate(lines[:MAX_LINES]):
        text = str(line)
        ways = [tuple(cell for cell in way if fold(cell) not in _TRUE) for way in cells(text[:1000])]
        if any(_is_excluded(way, evidence) for way in ways) or (not ways and _EMPTY.search(text)):
            readings[place] = None
        elif not (is_nothing(text) or text.endswith("?") or ("/" in text and evidence.stands(text))):
            cut.append((place, [way for way in ways if len(way) > 1]))
    is_prose = any(isinstance(lines[place], Prose) for place, _ in cut)
    best: tuple[float, bool, dict[int, Pair]] = (0.0, False, {})
    for types_first in (False, True):
        fits = {place: pair for place, ways in cut if (pair := _best(ways, types_first, evidence))}
        score = sum(evidence.weigh(*pair) for pair in fits.values()) - (0.3 if types_first else 0)
        if score > best[0] and _is_list([*fits.values()], len(cut), evidence, types_first, is_prose):
            best = score, types_first, fits
    _, types_first, fits = best
    if types_first and all(fold(label) == "title" for _, label in fits.values()):
        return readings  # "Title: ..." over prose
    for place, (text, label) in fits.items():
        whole = not types_first and (evidence.stands(text) or not evidence.known)
        texts = [text] if whole else evidence.mentions(text, label)
        readings[place] = [(one, label) for one in texts if not is_nothing(one)]
    return readings


def _is_excluded(cells: Sequence[str], evidence: Evidence) -> bool:
    """Whether a line calls its mention no entity; "No, I cannot do that" has no mention."""
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
            if not is_shaped(label) or is_remark(text) or likely < 0.3:
                continue
            if not (evidence.some_hold(text) if evidence.known else evidence.type_weight(text) < 2 or likely >= 3):
                continue
            is_clear = likely >= 1 or (evidence.known and evidence.holds(text) and not evidence.stands(label))
            if is_clear or not types_first:
                found.append((evidence.weigh(text, label) - 0.1 * at, (text, label)))
    return max(found, key=lambda one: one[0])[1] if found else None


def _is_list(fits: Sequence[Pair], lines: int, evidence: Evidence, types_first: bool, is_prose: bool) -> bool:
    """Whether lines are a list of items rather than prose: most fit, and their types are known or few."""
    known = sum(evidence.type_weight(label) >= (2 if evidence.known or types_first else 3) for _, label in fits)
    if evidence.known:
        return 2 * len(fits) >= lines and (2 * known >= len(fits) or (len(fits) == lines and len(fits) > 1))
    return not is_prose and len(fits) == lines and (known == lines if types_first else 2 * known >= lines)


# ---- rows ----


def settle_rows(rows: Sequence[Sequence[Node]], evidence: Evidence) -> list[Reading]:
    """Read each row in the way that fits most rows, else in the second best; a row that fits neither, as lines."""
    ways: list[list[list[Pair]]] = []
    for row in rows:
        texts = [str(node).strip() for node in row if type(node) is str]
        if len(texts) > 3 and fold(texts[0]) in ("entity", "thực_thể", "node"):
            texts = texts[1:]
        ways.append([read(texts, evidence) for read in (_explained, _described, _typed, _by_turns)])
    weights = [sum(evidence.weigh(*pair) for pair in chain(*way)) for way in zip(*ways, strict=True)]
    first, second, *_ = sorted(range(len(weights)), key=lambda way: -weights[way])
    readings: list[Reading] = [(way[first] or way[second]) if weights[first] > 0 else [] for way in ways]
    in_words = [place for place, row in enumerate(rows) if not readings[place] and _is_of_lines(row)]
    lines = iter(settle_lines([str(text) for place in in_words for text in rows[place]], evidence))
    for place in in_words:
        readings[place] = [pair for _ in rows[place] for pair in next(lines) or ()]
    return readings


def _is_of_lines(row: Sequence[Node]) -> bool:
    """Whether each string of a row may hold a mention and its type, as in ``["Lê An (person)", "Huế (city)"]``."""
    is_relation = not row or fold(str(row[0])) in _RELATIONS
    return not is_relation and all(isinstance(text, str) and cells(text[:300]) for text in row)


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
    mentions = texts[1:]
    if len(mentions) < 2 or not all(evidence.stands(one) and evidence.type_weight(one) < 2 for one in mentions):
        return []
    kind, weight = texts[0], evidence.type_weight(texts[0])
    return [(one, kind) for one in mentions] if weight >= 2 or (weight > 0.3 and not evidence.stands(kind)) else []


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
