"""The estimators of precision, recall and agreement."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.cleaning.entity_reviews import Subject
from data_cards import estimates
from data_cards.estimates import Estimate, Stratum, alpha, by_type, checks_for, jeffreys, ratio, stratified
from data_cards.review.predictions import draw_order, passage_order, strata


def stratum(size: int, right: int, wrong: int, group: str = "") -> Stratum:
    return Stratum(group, size, np.array([1.0] * right + [0.0] * wrong))


def test_jeffreys_is_that_of_scipy() -> None:
    """Jeffreys' interval is the central one of the Beta posterior, with 0 and 1 as limits at the ends."""
    from scipy.stats import beta

    low, high = jeffreys(0.9, 50)
    assert (low, high) == pytest.approx(beta.ppf([0.025, 0.975], 45.5, 5.5), abs=1e-9)
    assert jeffreys(1.0, 20)[1] == 1.0
    assert jeffreys(0.0, 20)[0] == 0.0


def test_203_checks_give_three_points() -> None:
    """At 95 % precision, 203 checks of a large dataset give an interval of ± 3 points."""
    found = stratified([stratum(100_000, 193, 10)])
    assert found is not None
    assert found.half_width == pytest.approx(0.03, abs=0.0005)


@given(st.lists(st.tuples(st.integers(2, 500), st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=8))
def test_an_interval_contains_its_estimate(parts: list[tuple[int, int, int]]) -> None:
    """For any checks, 0 <= low <= value <= high <= 1, and n is their number."""
    own = [stratum(size + right + wrong, right, wrong) for size, right, wrong in parts]
    found = stratified(own)
    checks = sum(right + wrong for _, right, wrong in parts)
    if not checks:
        assert found is None
        return
    assert found is not None
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.n == checks


def test_a_census_has_no_width() -> None:
    """If every entity was checked, the interval has no width."""
    found = stratified([stratum(8, 6, 2), stratum(4, 4, 0)])
    assert found is not None
    assert (found.low, found.value, found.high) == pytest.approx((10 / 12,) * 3)


def test_strata_are_weighted_by_their_size() -> None:
    """Strata are weighted by size, not by the number of checks."""
    found = stratified([stratum(900, 50, 0, "agreed"), stratum(100, 25, 25, "doubtful")])
    assert found is not None
    assert found.value == pytest.approx(0.95)


def test_an_unchecked_stratum_takes_the_rate_of_others() -> None:
    """A stratum without a check is assumed to have the rate of the others."""
    found = stratified([stratum(500, 45, 5), stratum(100, 0, 0)])
    assert found is not None
    assert found.value == pytest.approx(0.9)


@pytest.mark.slow
def test_ppi_agrees_with_its_reference() -> None:
    """With scores for all of a large dataset, value and width are those of the authors' package.

    The width within a twelfth: theirs is a normal interval, ours Jeffreys'.
    """
    from ppi_py import ppi_mean_ci, ppi_mean_pointestimate

    random = np.random.default_rng(1)
    scores = random.beta(8, 1, 200_000)
    right = (random.random(400) < scores[:400]).astype(float)
    found = stratified([Stratum("", 200_000, right, scores[:400], float(scores.mean()))])
    assert found is not None
    low, high = ppi_mean_ci(right, scores[:400], scores, alpha=0.05)
    assert found.value == pytest.approx(float(ppi_mean_pointestimate(right, scores[:400], scores)[0]), abs=0.002)
    assert found.high - found.low == pytest.approx(float(high[0] - low[0]), rel=0.08)


def test_only_a_useful_score_changes_the_interval() -> None:
    """A useful score narrows the interval; a useless one does not widen it."""
    random = np.random.default_rng(2)
    right = (random.random(300) < 0.8).astype(float)
    plain = stratified([Stratum("", 9_000, right)])
    useful = stratified([Stratum("", 9_000, right, right * 0.9 + 0.05, 0.8)])
    useless = stratified([Stratum("", 9_000, right, random.random(300), 0.5)])
    assert plain is not None
    assert useful is not None
    assert useless is not None
    assert useful.half_width < 0.5 * plain.half_width
    assert useless.half_width <= 1.001 * plain.half_width


def test_a_type_with_few_checks_is_pooled() -> None:
    """A type with few checks is pooled with the others, and marked as pooled."""
    found = by_type(stratum(300, 3, 0), others=0.9)
    assert found is not None
    assert found.pooled
    assert 0.9 < found.value < 1
    assert found.low < 0.7
    own = by_type(stratum(300, 18, 2), others=0.5)
    assert own is not None
    assert not own.pooled
    assert own.value == pytest.approx(0.9)


def test_checks_for_returns_the_missing_number() -> None:
    """The returned number of further checks gives the requested width."""
    found = stratified([stratum(50_000, 95, 5)])
    assert found is not None
    more = checks_for(found, 0.03)
    later = stratified([stratum(50_000, round(0.95 * (100 + more)), 100 + more - round(0.95 * (100 + more)))])
    assert later is not None
    assert later.half_width == pytest.approx(0.03, abs=0.002)
    assert checks_for(later, 0.05) == 0


def test_recall_is_a_ratio_over_passages() -> None:
    """Passages count by their entities; without any entity there is no recall."""
    found = ratio([1, 9, 4, 2] * 10, [1, 10, 8, 2] * 10, population=10_000)
    assert found is not None
    assert found.value == pytest.approx(16 / 21)
    assert found.low < found.value < found.high
    assert ratio([0, 0], [0, 0], population=10) is None
    assert ratio([3, 2], [3, 2], population=2) == Estimate(1.0, 1.0, 1.0, 2)


@pytest.mark.slow
def test_recall_covers_the_truth() -> None:
    """In 200 simulated reviews of 60 passages, 90 to 99 % of the intervals contain the truth."""
    random = np.random.default_rng(3)
    gold = random.poisson(6, 2_000) + 1
    hits = random.binomial(gold, random.beta(6, 2, 2_000))
    truth = hits.sum() / gold.sum()
    covered = 0
    for review in range(200):
        read = random.choice(2_000, 60, replace=False)
        found = ratio(hits[read].tolist(), gold[read].tolist(), 2_000, seed=review)
        covered += found is not None and found.low <= truth <= found.high
    assert 180 <= covered <= 198


def test_alpha_of_known_data() -> None:
    """Krippendorff's example of nominal data with missing values has alpha 0.743."""
    rows = [
        "1 2 3 3 2 1 4 1 2 . . .",
        "1 2 3 3 2 2 4 1 2 5 . 3",
        ". 3 3 3 2 3 4 2 2 5 1 .",
        "1 2 3 3 2 4 4 1 2 5 1 .",
    ]
    units = [
        {judge: value for judge, value in enumerate(column) if value != "."}
        for column in zip(*(row.split() for row in rows), strict=True)
    ]
    named = [{str(judge): value for judge, value in unit.items()} for unit in units]
    assert alpha(named) == pytest.approx(0.743, abs=0.001)
    assert alpha([{"a": "right", "b": "right"}]) is None


def entities(number: int) -> list[Subject]:
    return [(f"p{i % 97}", f"m{i}", "person" if i % 3 else f"type {i % 41}") for i in range(number)]


def test_a_larger_sample_contains_every_smaller_one() -> None:
    """The order of the draw is a permutation that depends only on the seed."""
    own = entities(2_000)
    order = [one.subject for one in draw_order(own, strata(own), seed=5)]
    again = [one.subject for one in draw_order(own[::-1], strata(own[::-1]), seed=5)]
    assert order == again
    assert sorted(order) == sorted(own)
    assert order != [one.subject for one in draw_order(own, strata(own), seed=6)]


@pytest.mark.slow
@given(st.integers(1, 400), st.integers(0, 50))
def test_any_beginning_of_the_order_is_a_proportional_sample(length: int, seed: int) -> None:
    """Any beginning of the order has each stratum's share, within two entities."""
    own = entities(1_000)
    head = draw_order(own, strata(own), seed)[:length]
    for name in {one.stratum for one in head}:
        drawn = [one for one in head if one.stratum == name]
        assert sorted(one.rank for one in drawn) == list(range(1, len(drawn) + 1))
        expected = drawn[0].size * length / len(own)
        assert abs(len(drawn) - expected) <= 2


def test_doubtful_entities_are_drawn_more_densely() -> None:
    """Entities on which two teachers differ are drawn three times as often."""
    own = entities(3_000)
    agrees = {one: number % 5 > 0 for number, one in enumerate(own)}
    head = draw_order(own, strata(own, agrees), seed=1)[:300]
    doubtful = sum(one.stratum.endswith("doubtful") for one in head)
    assert 100 < doubtful < 150


def test_blind_passages_have_their_own_order() -> None:
    """The order of blind passages depends only on the seed."""
    ids = [f"p{i}" for i in range(50)]
    assert sorted(passage_order(ids, 1)) == sorted(ids)
    assert passage_order(ids, 1) == passage_order(reversed(ids), 1) != passage_order(ids, 2)


def test_without_checks_there_is_no_estimate() -> None:
    """Without a check there is no estimate."""
    assert stratified([]) is None
    assert by_type(stratum(10, 0, 0), others=0.5) is None
    assert estimates.checks_for(Estimate(1, 1, 1, 0), 0.03) == 0
