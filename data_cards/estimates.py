"""Estimate precision, recall and agreement from a sample that people checked, each with an interval.

All functions take counts and arrays. The intervals hold for the finite dataset that was sampled: when everything was
checked, they have no width.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

LEVEL: Final = 0.95
"""Confidence level of every interval."""
FEW: Final = 20
"""A type with fewer checks borrows from the others."""
PRIOR: Final = 4.0
"""Checks that such a type borrows, at the rate of the others."""
RESAMPLES: Final = 2000
"""Replicates of the bootstrap."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share between 0 and 1, its interval, and its number of checks."""

    value: float
    low: float
    high: float
    n: int
    pooled: bool = False
    """Whether it borrows from other types, since it has fewer than ``FEW`` checks."""

    @property
    def half_width(self) -> float:
        """Return half the width of the interval."""
        return (self.high - self.low) / 2

    def as_dict(self) -> dict[str, Any]:
        """Return the estimate for a JSON file, rounded to a hundredth of a per cent."""
        shares = {name: round(getattr(self, name), 4) for name in ("value", "low", "high")}
        return {**shares, "n": self.n, **({"pooled": True} if self.pooled else {})}


@dataclass(frozen=True, slots=True)
class Stratum:
    """What was checked of one part of the dataset, drawn from it at random without replacement."""

    group: str
    """Parts of one group are assumed to have about the same share of right entities: few checks of each suffice."""
    size: int
    """Predicted entities in the part."""
    right: Floats
    """For each checked entity: 1.0 if it is right, 0.0 if not, between them where reviewers differ."""
    score: Floats | None = None
    """For each checked entity, the probability of being right that a machine gives it; None without a machine."""
    mean_score: float = 0.0
    """The mean of that score over the whole part."""


def jeffreys(share: float, n: float) -> tuple[float, float]:
    """Return the Jeffreys interval of a share seen in ``n`` checks; ``n`` may be an effective number.

    Brown, Cai and DasGupta (2001), Interval estimation for a binomial proportion: its coverage is close to the level on
    average, also for few checks and for shares near 0 or 1.
    """
    from scipy.special import betaincinv

    if n > 1e9:  # everything is known
        return share, share
    right = share * n
    tail = (1 - LEVEL) / 2
    low = 0.0 if right <= 0 else float(betaincinv(right + 0.5, n - right + 0.5, tail))
    high = 1.0 if right >= n else float(betaincinv(right + 0.5, n - right + 0.5, 1 - tail))
    return min(low, share), max(high, share)


def stratified(strata: Sequence[Stratum]) -> Estimate | None:
    """Estimate the share of right entities over all ``strata``; None when nothing was checked.

    Where every check has a score, the difference estimator of prediction-powered inference is used (PPI++:
    Angelopoulos, Duchi and Zrnic 2023): the mean score of the whole part corrects the mean of what was checked, by the
    factor that leaves the least variance. The interval is Jeffreys' at the effective number of checks: the number of
    simple random checks with the same variance.
    """
    parts = _merged([one for one in strata if one.size])
    n = sum(len(one.right) for one in parts)
    if not n:
        return None
    total = sum(one.size for one in parts)
    pairs = [(one.size / total, one) for one in parts]
    factor = _factor(pairs)
    value = sum(
        weight * (float(one.right.mean()) + factor * (one.mean_score - _mean(one.score))) for weight, one in pairs
    )
    value = min(1.0, max(0.0, value))
    smooth = variance = 0.0
    for group in dict.fromkeys(one.group for one in parts):
        own = [(weight, one) for weight, one in pairs if one.group == group]
        checked = np.concatenate([one.right for _, one in own])
        share = (float(checked.sum()) + 0.5) / (len(checked) + 1)  # never 0 or 1, so that there is a variance
        left = sum(weight**2 * (1 - len(one.right) / one.size) / len(one.right) for weight, one in own)
        smooth += sum(weight for weight, _ in own) * share
        variance += share * (1 - share) * left * _reduction([one for _, one in own], factor)
    effective = smooth * (1 - smooth) / variance if variance else math.inf
    return Estimate(value, *jeffreys(value, effective), n)


def by_type(own: Stratum, others: float) -> Estimate | None:
    """Estimate the share of right entities of one type; with few checks it borrows at the overall share ``others``."""
    n = len(own.right)
    if n >= FEW or not n:
        return stratified([own])
    right = float(own.right.sum())
    left = 1 - n / own.size
    value = (right + left * PRIOR * others) / (n + left * PRIOR)
    # Borrowed checks hardly narrow the interval, since it is not known how far types differ.
    low, high = jeffreys(value, (n + 1) / left if left else math.inf)
    return Estimate(value, min(low, right / n), max(high, right / n), n, pooled=True)


def checks_for(estimate: Estimate, half_width: float) -> int:
    """Return the number of further checks until the interval is ``half_width`` on either side, at today's share."""
    if not estimate.n or estimate.half_width <= half_width:
        return 0
    return math.ceil(estimate.n * ((estimate.half_width / half_width) ** 2 - 1))


def ratio(found: Sequence[float], true: Sequence[float], population: int, seed: int = 0) -> Estimate | None:
    """Estimate recall as a ratio of sums over passages that were read blind; None when they hold no entity.

    The interval is from a bootstrap over passages, since the entities of one passage are not independent. The
    replicates are studentised on the logit scale (Davison and Hinkley 1997, chapter 5): plain percentiles are too
    narrow for few passages.

    Args:
        found: for each passage, the number of its true entities that the dataset has too.
        true: for each passage, the number of its true entities.
        population: passages in the dataset.
        seed: of the bootstrap.
    """
    hits, golds = np.asarray(found, float), np.asarray(true, float)
    n = len(golds)
    if not golds.sum():
        return None
    value = float(hits.sum() / golds.sum())
    left = max(0.0, 1 - n / population) if population else 1.0
    simple = Estimate(value, *jeffreys(value, golds.sum() / left if left else math.inf), n)
    if n < 3 or not 0 < value < 1:
        return simple
    draws = _resamples(n, seed)
    sums_hits, sums_golds = draws @ hits, draws @ golds
    kept = (sums_golds > 0) & (sums_hits > 0) & (sums_hits < sums_golds)
    draws, sums_hits, sums_golds = draws[kept], sums_hits[kept], sums_golds[kept]
    values = sums_hits / sums_golds
    residues = draws * (hits[None, :] - values[:, None] * golds[None, :]) ** 2
    errors = np.sqrt(residues.sum(axis=1)) / (sums_golds * values * (1 - values))
    error = float(np.sqrt(((hits - value * golds) ** 2).sum()) / (golds.sum() * value * (1 - value)))
    usable = errors > 0
    if usable.sum() < RESAMPLES / 2 or not error:
        return simple
    center = math.log(value / (1 - value))
    pivots = (np.log(values / (1 - values))[usable] - center) / errors[usable]
    low, high = np.quantile(pivots, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    scale = error * math.sqrt(left * n / (n - 1))
    return Estimate(value, _expit(center - high * scale), _expit(center - low * scale), n)


def alpha(verdicts: Iterable[Mapping[str, Hashable]]) -> float | None:
    """Return Krippendorff's alpha for nominal verdicts; None when no two of them differ or no unit has two.

    Args:
        verdicts: for each unit, the verdict of each reviewer who judged it.

    Krippendorff (2011), Computing Krippendorff's alpha-reliability.
    """
    together: defaultdict[tuple[Hashable, Hashable], float] = defaultdict(float)
    for unit in verdicts:
        counts = Counter(unit.values())
        judges = counts.total()
        if judges < 2:
            continue
        for one, ones in counts.items():
            for other, others in counts.items():
                together[one, other] += ones * (others - (one == other)) / (judges - 1)
    totals: defaultdict[Hashable, float] = defaultdict(float)
    for (one, _), number in together.items():
        totals[one] += number
    n = sum(totals.values())
    expected = sum(totals[one] * totals[other] for one in totals for other in totals if one != other)
    if not expected:
        return None
    observed = sum(number for (one, other), number in together.items() if one != other)
    return 1 - (n - 1) * observed / expected


@lru_cache(maxsize=2)
def _resamples(n: int, seed: int) -> Floats:
    """Return how often each of ``n`` passages is drawn in each replicate; all types share the draws."""
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(float)


def _merged(strata: Sequence[Stratum]) -> list[Stratum]:
    """Merge strata of fewer than two checks with others of their group, or with the largest where it has none."""
    merged: list[Stratum] = []
    for group in dict.fromkeys(one.group for one in strata):
        own = [one for one in strata if one.group == group]
        merged += [one for one in own if len(one.right) >= 2]
        if few := [one for one in own if len(one.right) < 2]:
            merged.append(_join(few))
    checked = [one for one in merged if len(one.right)]
    unchecked = [one for one in merged if not len(one.right)]
    if not checked or not unchecked:
        return checked
    largest = max(checked, key=lambda one: one.size)
    return [*(one for one in checked if one is not largest), _join([largest, *unchecked])]


def _join(parts: Sequence[Stratum]) -> Stratum:
    size = sum(one.size for one in parts)
    right = np.concatenate([one.right for one in parts])
    scores = [one.score for one in parts if one.score is not None]
    score = np.concatenate(scores) if len(scores) == len(parts) else None
    return Stratum(parts[0].group, size, right, score, sum(one.size * one.mean_score for one in parts) / size)


def _factor(pairs: Iterable[tuple[float, Stratum]]) -> float:
    """Return the factor of the scores that leaves the least variance, 0 where a check has no score.

    Args:
        pairs: the weight of each stratum, and the stratum.
    """
    covariance = variance = 0.0
    for weight, one in pairs:
        if one.score is None:
            return 0.0
        if len(one.right) > 2:
            scale = weight**2 / len(one.right)
            covariance += scale * float(np.cov(one.right, one.score)[0, 1])
            variance += scale * float(np.var(one.score, ddof=1))
    return covariance / variance if variance > 0 else 0.0


def _reduction(parts: Sequence[Stratum], factor: float) -> float:
    """Return the share of the variance that the scores do not explain."""
    right = np.concatenate([one.right for one in parts])
    scores = [one.score for one in parts if one.score is not None]
    if not factor or len(right) < 3 or not np.var(right):
        return 1.0
    return min(1.0, float(np.var(right - factor * np.concatenate(scores)) / np.var(right)))


def _mean(values: Floats | None) -> float:
    return float(values.mean()) if values is not None and len(values) else 0.0


def _expit(value: float) -> float:
    return 1 / (1 + math.exp(-value))
