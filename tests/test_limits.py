"""Limits of requests and tokens a minute, with a simulated clock."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.asking import rate_limits as limits
from annotator.asking.rate_limits import WINDOW, RateLimit
from annotator.errors import ConfigError


class Clock:
    """A clock that advances only in ``sleep``."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def run_through(limit: RateLimit, clock: Clock, costs: Sequence[tuple[int, int]]) -> list[tuple[float, int]]:
    """Acquire each estimate and settle it with the true number; return (time, true tokens) of each."""

    async def all_of_them() -> list[tuple[float, int]]:
        sent = []
        for estimate, true in costs:
            entry = await limit.acquire(estimate)
            limit.settle(entry, true)
            sent.append((clock.now, true))
        return sent

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "time", clock)
        patch.setattr(limits.asyncio, "sleep", clock.sleep)
        return asyncio.run(all_of_them())


@given(st.lists(st.integers(1, 100), max_size=60), st.integers(0, 7), st.sampled_from([0, 100, 250]))
def test_no_window_exceeds_the_limits(costs: list[int], rpm: int, tpm: int) -> None:
    """In any 60 s there are at most ``rpm`` requests and ``tpm`` tokens."""
    clock = Clock()
    sent = run_through(RateLimit(rpm, tpm), clock, [(cost, cost) for cost in costs])
    for moment, _ in sent:
        window = [tokens for time, tokens in sent if moment <= time < moment + WINDOW - 1e-6]
        assert not rpm or len(window) <= rpm
        assert not tpm or sum(window) <= tpm


def test_requests_of_an_earlier_command_count() -> None:
    """With three recent requests of four, one is sent and the next waits until the oldest is a minute old."""
    limit, clock = RateLimit(rpm=4), Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "time", clock)
        limit.remember([(50.0, 1), (20.0, 1), (10.0, 1)])
    sent = [time for time, _ in run_through(limit, clock, [(1, 1)] * 2)]
    assert sent[0] == 1000.0
    assert 1010.0 <= sent[1] < 1011.0


def test_without_limits_there_is_no_wait() -> None:
    """Without limits, no request waits."""
    clock = Clock()
    assert {time for time, _ in run_through(RateLimit(), clock, [(10**6, 10**6)] * 50)} == {1000.0}


def test_settling_frees_tokens() -> None:
    """An estimate of 100 that cost 10 leaves room for nine more at once."""
    sent = run_through(RateLimit(tpm=190), Clock(), [(100, 10)] * 10)
    assert {time for time, _ in sent} == {1000.0}


def test_a_request_over_the_limit_is_refused() -> None:
    """A request larger than --tpm is refused instead of waiting forever."""
    with pytest.raises(ConfigError, match="more than --tpm 50"):
        run_through(RateLimit(tpm=50), Clock(), [(51, 51)])


def test_a_pause_applies_to_all_requests() -> None:
    """The longest requested pause applies to all requests."""
    clock, limit = Clock(), RateLimit()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "time", clock)
        limit.pause(7.0)
        limit.pause(3.0)
    assert [time for time, _ in run_through(limit, clock, [(1, 1)] * 2)] == [1007.0, 1007.0]


def test_estimates_are_corrected_by_what_requests_cost() -> None:
    """Estimates that are a third too low are corrected from the first answer on."""
    clock = Clock()
    sent = run_through(RateLimit(tpm=1000), clock, [(60, 90)] * 60)
    for moment, _ in sent:
        assert sum(tokens for time, tokens in sent if moment <= time < moment + WINDOW - 1e-6) <= 1000
