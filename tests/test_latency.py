"""When a request is overdue: as soon as what is usual allows."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from annotator.asking.latency import GRAIN, Latency


def after(answers: Iterable[float]) -> float:
    """When a request is overdue after ``answers``."""
    latency = Latency()
    for seconds in answers:
        latency.note(seconds)
    assert latency.overdue is not None
    return latency.overdue


def test_before_the_first_answer_nothing_is_overdue() -> None:
    """Nobody knows what is usual."""
    assert Latency().overdue is None


def test_after_the_first_answer_five_times_as_long() -> None:
    """It came alone; many at once may take longer."""
    assert after([2.0]) == 10.0


def test_where_all_answers_take_the_same_a_little_more_is_overdue() -> None:
    """Nothing but what our own clock may be late."""
    assert after([2.0] * 500) == pytest.approx(2.0 + GRAIN)


@pytest.mark.parametrize("usual", [[1.0, 3.0], [1.0, 1.0, 1.0, 5.0], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]])
def test_what_is_usual_is_not_overdue(usual: list[float]) -> None:
    """However much answers vary from one to the next."""
    assert after(usual * 100) > max(usual)


def test_of_answers_of_all_lengths_few_are_overdue() -> None:
    """A few in a hundred where a long tail is usual: those for which another is asked meanwhile."""
    draw, latency, overdue = random.Random(0), Latency(), 0
    for _ in range(5000):
        seconds = draw.lognormvariate(0, 1)
        overdue += latency.overdue is not None and seconds > latency.overdue
        latency.note(seconds)
    assert 0 < overdue < 0.05 * 5000


def test_an_endpoint_that_slows_down_is_given_more_time() -> None:
    """Three times as slow from one answer to the next: after a dozen answers that is usual."""
    assert after([2.0] * 500 + [6.0] * 12) > 6.0
