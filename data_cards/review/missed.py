"""Measure the share of true entities that both teachers missed, on passages that people read blind.

Capture and recapture (``data_cards.audit.agreement``) assumes that two teachers err independently, so it gives a bound.
Passages read blind are a simple random sample of the dataset, in which the missed entities can be counted. The bound of
the same passages is given too, to show how far it is off. The bound of the whole dataset is not multiplied by that
factor, which is as uncertain as the count.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from annotator.checking.compare import ONLY_FIRST, compare
from annotator.checking.opinions import Opinion
from annotator.records import Annotation, Mention
from data_cards import estimates
from data_cards.audit.agreement import figures
from data_cards.review.readers import Gold

Entities = Collection[tuple[str, str]]
"""Mention and type of each."""


def measured_by_both(
    golds: Sequence[Gold],
    texts: Mapping[str, str],
    predicted: Mapping[str, Entities],
    opinions: Iterable[Opinion],
    share: float,
    population: int,
) -> dict[str, Any] | None:
    """Return the share of true entities that neither teacher found; None where both were asked about no blind passage.

    The share is sum(missed) / sum(true) over the passages. An entity is found if a teacher has one that would be paired
    with it (``annotator.checking.compare``), whatever its type or span, as for the bound. At either end the interval is
    the wider of two: that of recall, a studentised bootstrap over passages (``estimates.ratio``), and Jeffreys' over
    entities, since a bootstrap of few missed entities is too narrow (docs/second-opinion.md).

    Args:
        golds: the true entities of each passage that was read blind.
        texts: the text of each.
        predicted: the entities of the first teacher in each.
        opinions: the entities of both teachers in all passages.
        share: of the passages that the second teacher was asked about. Below 1, passages without any entity are left
            out, since it is not known which of them it was asked about: the result is a little too low.
        population: passages of the dataset.
    """
    own: dict[str, list[Opinion]] = defaultdict(list)
    wanted = {gold.passage_id for gold in golds}
    for one in opinions:
        if one.passage_id in wanted:
            own[one.passage_id].append(one)
    # A passage with entities of the first teacher but without a row has no readable answer of the second one.
    compared = [gold for gold in golds if own[gold.passage_id] or (share >= 1 and not predicted[gold.passage_id])]
    true = [len(gold.entities) for gold in compared]
    missed = [missed_in(gold, texts[gold.passage_id], own[gold.passage_id]) for gold in compared]
    passages = max(1, round(share * population))
    found = estimates.ratio([a - b for a, b in zip(true, missed, strict=True)], true, passages)
    if found is None:
        return None
    left = max(0.0, 1 - len(compared) / passages)
    low, high = estimates.jeffreys(1 - found.value, sum(true) / left if left else math.inf)
    bound = figures(one for gold in compared for one in own[gold.passage_id])["missed_by_both"]
    return {
        **estimates.Estimate(1 - found.value, min(low, 1 - found.high), max(high, 1 - found.low), found.n).as_dict(),
        "entities": sum(true),
        "missed": sum(missed),
        "bound": bound["share"] if bound else None,
    }


def missed_in(gold: Gold, text: str, found: Iterable[Opinion]) -> int:
    """Return how many true entities of a passage neither teacher found."""
    own = {(one.mention, one.label) for one in found}
    pairs = compare(_annotation(gold.passage_id, text, gold.entities), _annotation(gold.passage_id, text, own))
    return sum(pair.verdict == ONLY_FIRST for pair in pairs)


def _annotation(passage_id: str, text: str, entities: Entities) -> Annotation:
    places = [
        Mention(mention, label, label, found.start(), found.end(), "exact")
        for mention, label in entities
        for found in re.finditer(re.escape(mention), text)
    ]
    ordered = sorted(places, key=lambda one: (one.start, -one.end, one.label))
    return Annotation(passage_id, text, tuple(ordered), "ok")
