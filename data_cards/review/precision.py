"""Estimate precision from the entities that people checked, overall and by type."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import numpy as np

from annotator.cleaning.entity_reviews import Decision, Subject, verdict_of
from data_cards import estimates
from data_cards.review.predictions import Predictions

TYPES_SHOWN: Final = 100
_STRICT: Final = ("right",)
_SPAN: Final = ("right", "type")
"""Verdicts that call a span right."""


def precision(predictions: Predictions, decisions: Iterable[Decision]) -> dict[str, Any] | None:
    """Return ``precision`` of ``quality.json``: overall, of spans alone, by type, by stratum; None without checks."""
    judged = standing_verdicts(decisions)
    drawn = [(one, shares) for subject, shares in judged.items() if (one := predictions.drawn.get(subject))]
    verdicts = Counter(verdict for _, shares in drawn for verdict in shares)
    sure = [(one, shares) for one, shares in drawn if set(shares) != {"unsure"}]
    if not sure:
        return None
    strict = _strata(predictions, {one.subject: _right(shares, _STRICT) for one, shares in sure})
    span = _strata(predictions, {one.subject: _right(shares, _SPAN) for one, shares in sure})
    overall, span_alone = estimates.stratified([*strict.values()]), estimates.stratified([*span.values()])
    if overall is None or span_alone is None:
        return None
    sizes, total = predictions.labels, len(predictions.drawn)
    own: dict[str, list[dict[str, float]]] = defaultdict(list)
    for one, shares in sure:
        own[one.subject[2]].append(shares)

    def of_type(label: str, verdicts: Collection[str], others: float) -> dict[str, Any]:
        right = np.array([_right(shares, verdicts) for shares in own[label]])
        found = estimates.by_type(estimates.Stratum("", sizes[label], right), others)
        return found.as_dict() if found else {}

    types = [
        {
            "label": label,
            "entities": sizes[label],
            **of_type(label, _STRICT, overall.value),
            "span": of_type(label, _SPAN, span_alone.value),
        }
        for label in sorted(own, key=lambda label: (-sizes[label], label))[:TYPES_SHOWN]
    ]
    rest = (overall.value * (total - overall.n) + overall.n) / total
    return {
        **overall.as_dict(),
        "span": span_alone.as_dict(),
        "types": types,
        "verdicts": {name: verdicts[name] for name in ("right", "type", "span", "none", "unsure")},
        "after_corrections": round(rest, 4),
        "strata": [{"name": name, "entities": part.size, "checked": len(part.right)} for name, part in strict.items()],
    }  # fmt: skip


def standing_verdicts(decisions: Iterable[Decision]) -> dict[Subject, dict[str, float]]:
    """Return for each judged entity the verdict that counts or, where reviewers differ, each verdict's share."""
    by_subject: dict[Subject, list[Decision]] = defaultdict(list)
    for one in decisions:
        if one.mode in ("verify", "settle"):
            by_subject[one.subject].append(one)
    found: dict[Subject, dict[str, float]] = {}
    for subject, own in by_subject.items():
        if not any(one.mode == "verify" for one in own):
            continue  # readers of a blind passage differed: the entity is not in the sample
        if counting := verdict_of(own):
            found[subject] = {counting.verdict: 1.0}
        else:
            votes = Counter(one.verdict for one in own if one.verdict != "unsure")
            found[subject] = {verdict: number / votes.total() for verdict, number in votes.items()}
    return found


def _right(shares: Mapping[str, float], wanted: Collection[str]) -> float:
    return sum(share for verdict, share in shares.items() if verdict in wanted)


def _strata(predictions: Predictions, right: Mapping[Subject, float]) -> dict[str, estimates.Stratum]:
    checked: dict[str, list[float]] = defaultdict(list)
    scores: dict[str, list[float]] = defaultdict(list)
    every: dict[str, list[float]] = defaultdict(list)
    for subject, share in right.items():
        stratum = predictions.drawn[subject].stratum
        checked[stratum].append(share)
        scores[stratum] += [predictions.scores[subject]] if predictions.scores else []
    for subject, score in predictions.scores.items():
        every[predictions.drawn[subject].stratum].append(score)
    return {
        name: estimates.Stratum(
            _group(name),
            size,
            np.array(checked[name], float),
            np.array(scores[name], float) if predictions.scores else None,
            float(np.mean(every[name])) if every[name] else 0.0,
        )
        for name, size in sorted(predictions.strata.items())
    }


def _group(stratum: str) -> str:
    return stratum.rpartition(" / ")[2] if " / " in stratum else ""
