"""Work spread over processes: the same results in the same order, and a clear word when a process dies."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import count

import pytest

from annotator.engines import local
from annotator.engines.local import LocalEngine
from annotator.errors import AnnotateError


def process_of(item: int) -> tuple[int, int]:
    """The item, and who worked at it; the first takes longest."""
    time.sleep(0.05 if item == 0 else 0)
    return item, os.getpid()


def die(item: int) -> int:
    """A worker that is killed from outside."""
    os.kill(os.getpid(), signal.SIGKILL)
    return item


@pytest.fixture
def engine(processes: type[LocalEngine]) -> Iterator[LocalEngine]:
    """An engine whose processes are there."""
    with closing(processes(2)) as engine:
        yield engine


@pytest.mark.slow
def test_results_come_in_order(engine: LocalEngine) -> None:
    """Whatever takes how long, and however many processes there are."""
    made = list(engine.spread(process_of, range(20)))
    assert [item for item, _ in made] == list(range(20))
    assert os.getpid() not in {process for _, process in made}


@pytest.mark.slow
def test_work_goes_on_until_processes_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who starts others does not wait for them, and hands over without a gap."""
    monkeypatch.setattr(local, "ALONE", 0.0)
    with closing(LocalEngine(2)) as engine:
        made = []
        for item, process in engine.spread(process_of, count()):
            made.append((item, process == os.getpid()))
            if not made[-1][1]:
                break
    assert [item for item, _ in made] == list(range(len(made)))
    assert made[1][1]
    assert not made[-1][1]


@pytest.mark.parametrize("workers", [1, 2])
def test_little_work_stays_here(workers: int) -> None:
    """No process is started for what is done sooner than it."""
    with closing(LocalEngine(workers)) as engine:
        assert {process for _, process in engine.spread(process_of, range(4))} == {os.getpid()}


def test_items_are_taken_as_needed(engine: LocalEngine) -> None:
    """No more are read ahead than processes have on their way."""
    taken: list[int] = []

    def items() -> object:
        for item in range(100):
            taken.append(item)
            yield item

    results = engine.spread(process_of, items())  # type: ignore[arg-type]
    next(results)
    assert len(taken) <= 2 * local.AHEAD
    results.close()  # type: ignore[attr-defined]


def test_a_dead_worker_is_reported(engine: LocalEngine) -> None:
    """A process killed from outside is one clear line, not a traceback of the pool."""
    with pytest.raises(AnnotateError, match="process died"):
        list(engine.spread(die, range(3)))
