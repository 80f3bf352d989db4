"""Figures of ``agreement.parquet``: the agreement of two teachers, and a bound on what both missed."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from annotator.checking.compare import (
    AGREED,
    DIFFERENT,
    GRAIN,
    NOT_ASKED,
    ONLY_FIRST,
    ONLY_SECOND,
    SAME,
    TYPE,
    VERDICTS,
)
from annotator.checking.opinions import Opinion, read_opinions
from annotator.checking.settings import read_check
from annotator.storage.rundir import RunDir
from annotator.teachers import query_prompt
from data_cards.estimates import Estimate, jeffreys, ratio

TYPES_SHOWN: Final = 30
PASSAGES_SHOWN: Final = 20
"""Passages on which the teachers differ most that are listed."""


def agreement_figures(run: RunDir) -> dict[str, Any]:
    """Return ``{"agreement": ...}`` for ``audit.json``; an empty result where no second teacher was asked."""
    settings = read_check(run.check)
    if settings is None or not run.agreement.exists():
        return {}
    teacher = {name: settings.teacher.get(name, "") for name in ("provider", "model", "prompt")}
    found = figures(read_opinions(run.agreement))
    if settings.by == "query":
        teacher["prompt"] = query_prompt(teacher["prompt"])
        found |= {
            "queries": query_figures(read_opinions(run.agreement), settings.queries or {}),
            "missed_by_both": None,
        }
    if settings.share < 1:
        found["whole"] = whole(read_opinions(run.agreement), settings.share)
    return {"agreement": {"teacher": teacher, "share": settings.share, "keep": settings.keep, **found}}


def figures(opinions: Iterable[Opinion]) -> dict[str, Any]:
    """Count verdicts and types, and estimate what both teachers missed."""
    pairs: Counter[str] = Counter()
    decided: Counter[str] = Counter()
    first: Counter[str] = Counter()
    second: Counter[str] = Counter()
    agreed: Counter[str] = Counter()
    doubts: defaultdict[str, list[float]] = defaultdict(list)
    wrong: Counter[str] = Counter()
    unasked = 0
    for one in opinions:
        if one.verdict == NOT_ASKED:
            unasked += 1
            continue
        pairs[one.verdict] += one.teacher != "second" or one.verdict == ONLY_SECOND
        decided[one.arbiter] += bool(one.arbiter)
        wrong[one.verdict] += one.arbiter == "rejected" and one.verdict in (ONLY_FIRST, ONLY_SECOND)
        first[one.label] += one.teacher != "second"
        second[one.label] += one.teacher != "first"
        agreed[one.label] += one.teacher == "both"
        of_passage = doubts[one.passage_id]
        if one.verdict in DIFFERENT:
            of_passage.append(one.doubt)
    labels = sorted(first | second, key=lambda label: (-max(first[label], second[label]), label))
    most = sorted(doubts, key=lambda identity: (-sum(doubts[identity]), identity))
    return {
        "passages": {"with_entities": len(doubts), "differing": sum(bool(own) for own in doubts.values())},
        "entities": {"first": first.total(), "second": second.total()},
        "verdicts": {**{verdict: pairs[verdict] for verdict in VERDICTS}, **({NOT_ASKED: unasked} if unasked else {})},
        "f1": f1(pairs, first.total(), second.total()),
        "by_type": [
            {
                "label": label,
                "first": first[label],
                "second": second[label],
                "agreed": agreed[label],
                "f1": _f1(agreed[label], first[label], second[label]),
            }
            for label in labels[:TYPES_SHOWN]
        ],
        **({"arbiter": {name: decided[name] for name in ("accepted", "rejected")}} if decided.total() else {}),
        "missed_by_both": missed_by_both(pairs, wrong),
        "differ_most": [
            {"passage_id": identity, "differences": len(doubts[identity]), "doubt": round(sum(doubts[identity]), 4)}
            for identity in most[:PASSAGES_SHOWN]
            if doubts[identity]
        ],
    }


def query_figures(opinions: Iterable[Opinion], answered: Mapping[str, int]) -> dict[str, Any]:
    """Return the numbers of queries, and for how many of the absent types the second teacher has entities.

    Args:
        opinions: of a check by query.
        answered: the numbers of ``check.json``.
    """
    first: set[tuple[str, str]] = set()
    second: set[tuple[str, str]] = set()
    for one in opinions:
        (second if one.teacher == "second" else first).add((one.passage_id, one.label))
    with_entities, absent = len(second - first), answered.get("absent", 0)
    share = Estimate(with_entities / absent, *jeffreys(with_entities / absent, absent), absent) if absent else None
    return {**answered, "absent_with_entities": with_entities, **({"absent_share": share.as_dict()} if share else {})}


def whole(opinions: Iterable[Opinion], share: float) -> dict[str, Any]:
    """Return estimates for all passages, each with a 95 % interval; an empty result where the part has no entities.

    ``f1``: of one teacher against the other, the same entities. ``confirmed``: the share of the first teacher's
    entities that the second has too, types of another grain included. The passages count as drawn at random, which
    makes the intervals of a stratified draw somewhat too wide.

    Args:
        opinions: on the passages that both teachers were asked about.
        share: of these passages among all.
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


def f1(pairs: Mapping[str, int], first: int, second: int) -> dict[str, float]:
    """Return the F1 of one teacher against the other: the same entity, also in another grain, also of another type."""
    strict = pairs.get(AGREED, 0)
    grain = strict + pairs.get(GRAIN, 0)
    return {
        "strict": _f1(strict, first, second),
        "with_grain": _f1(grain, first, second),
        "span": _f1(grain + pairs.get(TYPE, 0), first, second),
    }


def missed_by_both(pairs: Mapping[str, int], wrong: Mapping[str, int]) -> dict[str, Any] | None:
    """Bound by capture and recapture how many entities neither teacher found; None where nothing was compared.

    Chapman's estimator, N = (n1 + 1)(n2 + 1) / (m + 1) - 1, where n1 and n2 entities were found by each teacher and m
    by both, whatever their types and spans. It assumes that the teachers miss entities independently; they miss hard
    ones together, so it is a lower bound. Wrong entities of one teacher raise it: those that an arbiter rejected are
    left out, and without an arbiter the bound is rough. ``data_cards.review.missed`` measures it instead, on passages
    that people read blind.

    The interval covers chance alone, not errors in common: with the variance v = (n1 + 1)(n2 + 1)(n1 - m)(n2 - m) /
    ((m + 1)^2 (m + 2)) of N, the f missed ones are between f / c and f c, where c = exp(1.96 sqrt(log(1 + v / f^2))).

    Args:
        pairs: number of pairs by verdict.
        wrong: entities that an arbiter rejected, by the verdicts ``only first`` and ``only second``.

    Sources: Chapman (1951), Some properties of the hypergeometric distribution with applications to zoological sample
    censuses; Seber (1970) for the variance; Burnham et al. (1987) and Chao (1987) for the interval.
    """
    both = sum(number for verdict, number in pairs.items() if verdict not in (ONLY_FIRST, ONLY_SECOND))
    alone = [pairs.get(verdict, 0) - wrong.get(verdict, 0) for verdict in (ONLY_FIRST, ONLY_SECOND)]
    found = both + sum(alone)
    if not found:
        return None
    first, second = (both + one for one in alone)
    missed = max(0.0, (first + 1) * (second + 1) / (both + 1) - 1 - found)
    variance = (first + 1) * (second + 1) * alone[0] * alone[1] / ((both + 1) ** 2 * (both + 2))
    factor = math.exp(1.96 * math.sqrt(math.log(1 + variance / missed**2))) if missed else 1.0
    low, high = missed / factor, missed * factor
    return {
        "found": found,
        "missed": round(missed, 1),
        "share": round(missed / (found + missed), 4),
        "low": round(low / (found + low), 4),
        "high": round(high / (found + high), 4),
        "bound": "lower" if any(wrong.values()) else "rough",
        "rejected_left_out": sum(wrong.values()),
    }


def _f1(agreed: int, first: int, second: int) -> float:
    return round(2 * agreed / (first + second), 4) if first + second else 0.0
