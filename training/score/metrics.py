"""Compute precision, recall and F1 from counts, with intervals and a paired test.

Passages are resampled: the queries of a sentence are not independent of each other. All figures are sums over queries,
so a resample is a weight for each query, and no string is compared twice.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from annotator.records import Sample
from training.benchmarks import gold_of
from training.score.matching import MATCHINGS, count

Floats = NDArray[np.float64]

LEVEL: Final = 0.95
"""Share of the resamples that an interval covers."""
SHARES: Final = ("precision", "recall", "f1")
AVERAGES: Final = ("micro", "macro")


@dataclass(frozen=True, slots=True)
class Tally:
    """The counts of all queries, sorted by type.

    ``counts[q, m]`` is credit, predicted and gold of query ``q`` under matching ``m``.
    """

    types: tuple[str, ...]
    counts: Floats
    first: NDArray[np.int64]
    """By type, the index of its first query."""
    passage: NDArray[np.int64]
    """By query, the number of its passage."""
    passages: int


def tally(samples: Sequence[Sample], answers: Sequence[Sequence[str]]) -> Tally:
    """Compare each answer with its gold under every matching."""
    pairs = sorted(zip(samples, answers, strict=True), key=lambda pair: pair[0].entity_type)
    names, first = np.unique([sample.entity_type for sample, _ in pairs], return_index=True)
    numbers = {name: number for number, name in enumerate(dict.fromkeys(sample.passage_id for sample in samples))}
    return Tally(
        tuple(map(str, names)),
        np.array([count(gold_of(sample), answer, sample.input) for sample, answer in pairs], np.float64),
        first.astype(np.int64),
        np.array([numbers[sample.passage_id] for sample, _ in pairs], np.int64),
        len(numbers),
    )


def totals(scored: Tally, of_passages: Floats | None = None) -> Floats:
    """Return the sums of counts by type, ``[type, matching, 3]``, each query times the weight of its passage."""
    weighted = scored.counts if of_passages is None else scored.counts * of_passages[scored.passage, None, None]
    return np.add.reduceat(weighted, scored.first, axis=0)


def shares(totals: Floats) -> Floats:
    """Return precision, recall and F1 in the place of credit, predicted and gold, the last axis.

    A share of nothing is 0; without gold and predicted mentions all three are 1.
    """
    credit, predicted, gold = totals[..., 0], totals[..., 1], totals[..., 2]
    whole = np.stack([predicted, gold, (predicted + gold) / 2], axis=-1)
    part = np.where(whole == 0, 0.0, credit[..., None] / np.where(whole == 0, 1.0, whole))
    return np.where(((predicted == 0) & (gold == 0))[..., None], 1.0, part)


def summarize(by_type: Floats) -> Floats:
    """Return micro and macro shares, ``[matching, 2, 3]``; macro is the mean over the types with any mention."""
    alive = (by_type[..., 1] > 0) | (by_type[..., 2] > 0)
    micro = shares(by_type.sum(axis=0))
    number = np.sum(alive, axis=0)[:, None]
    mean = (shares(by_type) * alive[..., None]).sum(axis=0) / np.maximum(number, 1)
    return np.stack([micro, np.where(number == 0, 1.0, mean)], axis=1)


def figures(scored: Tally) -> dict[str, Any]:
    """Return the shares of each matching: ``micro``, ``macro``, and ``per_type`` with the number of gold mentions."""
    by_type = totals(scored)
    each = shares(by_type)
    report = _named(summarize(by_type))
    for m, matching in enumerate(MATCHINGS):
        report[matching]["per_type"] = {
            name: {**dict(zip(SHARES, each[t, m].tolist(), strict=True)), "support": int(by_type[t, m, 2])}
            for t, name in enumerate(scored.types)
        }
    return report


def bootstrap(scored: Tally, draws: int, seed: int) -> dict[str, Any]:
    """Return percentile intervals of the shares, resampling passages (Efron & Tibshirani, 1993, chapter 13)."""
    rng = np.random.default_rng(seed)
    return _intervals([summarize(totals(scored, _resample(scored, rng))) for _ in range(draws)])


def compare(a: Tally, b: Tally, draws: int, seed: int) -> dict[str, Any]:
    """Test whether two predictors, which answered the same queries, differ by more than chance.

    ``difference`` is a - b, with its percentile interval for the same resampled passages. ``p`` is the two-sided
    probability of a difference in F1 at least as large if both were the same, by approximate randomisation: the answers
    of a passage are exchanged by the toss of a coin (Noreen, 1989; Yeh, 2000).
    """
    rng = np.random.default_rng(seed)
    sum_a, sum_b = totals(a), totals(b)
    observed = summarize(sum_a) - summarize(sum_b)
    at_least = np.zeros(observed.shape[:2])
    drawn = []
    for _ in range(draws):
        weights = _resample(a, rng)
        drawn.append(summarize(totals(a, weights)) - summarize(totals(b, weights)))
        coins = rng.integers(0, 2, a.passages).astype(np.float64)
        moved = totals(a, coins) - totals(b, coins)
        by_chance = summarize(sum_a - moved) - summarize(sum_b + moved)
        at_least += np.abs(by_chance[..., 2]) >= np.abs(observed[..., 2]) - 1e-12  # sums are not exact to the last bit
    p = (1 + at_least) / (1 + draws)
    differences, intervals = _named(observed), _intervals(drawn)
    report: dict[str, Any] = {matching: {} for matching in MATCHINGS}
    for (m, matching), (n, average) in itertools.product(enumerate(MATCHINGS), enumerate(AVERAGES)):
        difference, interval = differences[matching][average], intervals[matching][average]
        report[matching][average] = {"difference": difference, "interval": interval, "p": float(p[m, n])}
    return report


def _resample(scored: Tally, rng: np.random.Generator) -> Floats:
    """Return how often each passage is drawn, with replacement."""
    drawn = rng.integers(0, scored.passages, scored.passages)
    return np.bincount(drawn, minlength=scored.passages).astype(np.float64)


def _intervals(drawn: Sequence[Floats]) -> dict[str, Any]:
    """Return the ends of the percentile intervals of ``[matching, average, share]``."""
    ends = np.quantile(np.stack(drawn), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return _named(np.moveaxis(ends, 0, -1))


def _named(table: Floats) -> dict[str, Any]:
    """Return ``[matching, average, share]`` by their names; a fourth axis becomes lists."""
    return {
        matching: {
            average: dict(zip(SHARES, values, strict=True)) for average, values in zip(AVERAGES, row, strict=True)
        }
        for matching, row in zip(MATCHINGS, table.tolist(), strict=True)
    }
