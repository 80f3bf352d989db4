"""Estimate for all passages how far two teachers agree, from the part that both were asked about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from annotator.checking.compare import AGREED, NOT_ASKED, SAME
from annotator.checking.opinions import Opinion
from data_cards.estimates import ratio


def whole(opinions: Iterable[Opinion], share: float) -> dict[str, Any]:
    """Return estimates for all passages, each with a 95 % interval; nothing where the part has no entities.

    ``f1``: of one teacher against the other, the same entities. ``confirmed``: the share of the first teacher's
    entities that the second has too, types of another grain included. The passages count as drawn at random, which
    makes the intervals of a stratified draw somewhat too wide.

    Args:
        opinions: on the passages that both teachers were asked about.
        share: of all passages that these are.
    """
    agreed: Counter[str] = Counter()
    same: Counter[str] = Counter()
    first: Counter[str] = Counter()
    both: Counter[str] = Counter()
    for one in opinions:
        if one.verdict == NOT_ASKED:
            continue
        identity = one.passage_id
        agreed[identity] += one.verdict == AGREED
        both[identity] += 2 if one.verdict == AGREED else 1
        first[identity] += one.teacher != "second"
        same[identity] += one.teacher != "second" and one.verdict in SAME
    order = sorted(both)
    population = round(len(order) / share)
    estimates = {
        "f1": ratio([agreed[one] for one in order], [both[one] / 2 for one in order], population),
        "confirmed": ratio([same[one] for one in order], [first[one] for one in order], population),
    }
    return {name: found.as_dict() for name, found in estimates.items() if found}
