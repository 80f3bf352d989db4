"""Work spread over processes: the same results in the same order, and a clear word when a process dies."""

from __future__ import annotations

import os
import signal
import time
from contextlib import closing

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


def test_results_come_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever takes how long, and however many processes there are."""
    monkeypatch.setattr(local, "ALONE", 0.0)
    with closing(LocalEngine(2)) as engine:
        for _ in range(2):  # the second time with the processes that are there
            made = list(engine.spread(process_of, range(20)))
            assert [item for item, _ in made] == list(range(20))
            assert os.getpid() not in {process for _, process in made}


@pytest.mark.parametrize("workers", [1, 2])
def test_little_work_stays_here(workers: int) -> None:
    """No process is started for what is done sooner than it."""
    with closing(LocalEngine(workers)) as engine:
        assert {process for _, process in engine.spread(process_of, range(4))} == {os.getpid()}


def test_items_are_taken_as_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more are read ahead than processes have on their way."""
    monkeypatch.setattr(local, "ALONE", 0.0)
    taken: list[int] = []

    def items() -> object:
        for item in range(100):
            taken.append(item)
            yield item

    with closing(LocalEngine(2)) as engine:
        results = engine.spread(process_of, items())  # type: ignore[arg-type]
        next(results)
        assert len(taken) <= 2 * local.AHEAD
        results.close()  # type: ignore[attr-defined]


def test_a_dead_worker_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process killed from outside is one clear line, not a traceback of the pool."""
    monkeypatch.setattr(local, "ALONE", 0.0)
    with closing(LocalEngine(2)) as engine, pytest.raises(AnnotateError, match="process died"):
        list(engine.spread(die, range(3)))
