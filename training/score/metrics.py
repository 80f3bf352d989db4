"""Precision, recall and F1 from counts, and how far they can be trusted.

The unit of resampling is the passage: the queries of a sentence are not independent of each other. Everything is a sum
over queries, so a resample is a weight for each query, and no string is compared twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    """Of each type: the index of its first query."""
    passage: NDArray[np.int64]
    """Of each query: the number of its passage."""
    passages: int


@dataclass(frozen=True, slots=True)
class Draws:
    """How often to draw, and from which seed."""

    number: int = 1000
    seed: int = 0


def tally(samples: Sequence[Sample], answers: Sequence[Sequence[str]]) -> Tally:
    """Compare each answer with its gold under every matching.

    Raises:
        SourceError: a gold is no list.
    """
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


def shares(totals: Floats) -> Floats:
    """Compute precision, recall and F1 in the place of credit, predicted and gold, the last axis.

    A share of nothing is 0; where there was nothing to find and nothing was found, all three are 1.
    """
    credit, predicted, gold = totals[..., 0], totals[..., 1], totals[..., 2]
    whole = np.stack([predicted, gold, (predicted + gold) / 2], axis=-1)
    part = np.where(whole == 0, 0.0, credit[..., None] / np.where(whole == 0, 1.0, whole))
    return np.where(((predicted == 0) & (gold == 0))[..., None], 1.0, part)


def summarize(by_type: Floats) -> Floats:
    """Average totals by type to micro and macro shares: ``[type, matching, 3]`` becomes ``[matching, 2, 3]``.

    Macro is the plain mean over the types that gold or answers mention at all.
    """
    alive = (by_type[..., 1] > 0) | (by_type[..., 2] > 0)
    micro = shares(by_type.sum(axis=0))
    number = np.sum(alive, axis=0)[:, None]
    mean = (shares(by_type) * alive[..., None]).sum(axis=0) / np.maximum(number, 1)
    return np.stack([micro, np.where(number == 0, 1.0, mean)], axis=1)


def totals(counts: Floats, first: NDArray[np.int64], weights: Floats | None = None) -> Floats:
    """Sum ``counts`` by type, each query times its weight."""
    weighted = counts if weights is None else counts * weights[:, None, None]
    return np.add.reduceat(weighted, first, axis=0)


def figures(scored: Tally, unparsable: int) -> dict[str, Any]:
    """Return the shares as the command line prints them with ``--json``."""
    by_type = totals(scored.counts, scored.first)
    each = shares(by_type)
    overall = summarize(by_type)
    report: dict[str, Any] = _grid(lambda m, a: _named(overall[m, a]))
    for m, matching in enumerate(MATCHINGS):
        report[matching]["per_type"] = {
            name: {**_named(each[t, m]), "support": int(by_type[t, m, 2])} for t, name in enumerate(scored.types)
        }
    return {**report, "unparsable": unparsable}


def bootstrap(scored: Tally, draws: Draws) -> dict[str, Any]:
    """Return percentile intervals of the shares, resampling passages (Efron & Tibshirani, 1993, chapter 13)."""
    rng = np.random.default_rng(draws.seed)
    drawn = [summarize(totals(scored.counts, scored.first, _resample(scored, rng))) for _ in range(draws.number)]
    ends = _ends(drawn)
    return _grid(lambda m, a: _interval(ends[:, m, a]))


def compare(a: Tally, b: Tally, draws: Draws) -> dict[str, Any]:
    """Whether ``a`` and ``b``, which answered the same queries, differ by more than chance.

    ``difference`` is a - b, with its percentile interval under resampling of passages for both alike. ``p`` is the
    two-sided probability of a difference in F1 at least as large if the two were the same: approximate randomisation,
    which exchanges the answers of a passage by the toss of a coin (Noreen, 1989; Yeh, 2000).
    """
    rng = np.random.default_rng(draws.seed)
    sum_a, sum_b, gap = totals(a.counts, a.first), totals(b.counts, b.first), a.counts - b.counts
    observed = summarize(sum_a) - summarize(sum_b)
    at_least = np.zeros(observed.shape[:2])
    drawn = []
    for _ in range(draws.number):
        weights = _resample(a, rng)
        drawn.append(summarize(totals(a.counts, a.first, weights)) - summarize(totals(b.counts, b.first, weights)))
        moved = totals(gap, a.first, rng.integers(0, 2, a.passages).astype(np.float64)[a.passage])
        by_chance = summarize(sum_a - moved) - summarize(sum_b + moved)
        at_least += np.abs(by_chance[..., 2]) >= np.abs(observed[..., 2]) - 1e-12  # sums are not exact to the last bit
    ends, p = _ends(drawn), (1 + at_least) / (1 + draws.number)
    return _grid(
        lambda m, a: {
            "difference": _named(observed[m, a]),
            "interval": _interval(ends[:, m, a]),
            "p": float(p[m, a]),
        }
    )


def _resample(scored: Tally, rng: np.random.Generator) -> Floats:
    """Return how often each query is drawn when as many passages as there are are drawn with replacement."""
    drawn = np.bincount(rng.integers(0, scored.passages, scored.passages), minlength=scored.passages)
    return drawn.astype(np.float64)[scored.passage]


def _ends(drawn: Sequence[Floats]) -> Floats:
    """Return the ends of the intervals: ``[2, matching, average, 3]``."""
    ends: Floats = np.quantile(np.stack(drawn), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return ends


def _grid(show: Callable[[int, int], Any]) -> dict[str, Any]:
    """Return what ``show`` gives for the numbers of each matching and average, by their names."""
    return {
        matching: {average: show(m, a) for a, average in enumerate(AVERAGES)} for m, matching in enumerate(MATCHINGS)
    }


def _named(values: Floats) -> dict[str, float]:
    return dict(zip(SHARES, values.tolist(), strict=True))


def _interval(ends: Floats) -> dict[str, list[float]]:
    return dict(zip(SHARES, ends.T.tolist(), strict=True))
