"""The local engine gives the same results in the same order, and reports a dead process clearly."""

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
    """Return the item and the process id; the first item takes longest."""
    time.sleep(0.05 if item == 0 else 0)
    return item, os.getpid()


def die(item: int) -> int:
    """Kill the worker process."""
    os.kill(os.getpid(), signal.SIGKILL)
    return item


@pytest.fixture
def engine(processes: type[LocalEngine]) -> Iterator[LocalEngine]:
    """Yield an engine whose processes are started."""
    with closing(processes(2)) as engine:
        yield engine


@pytest.mark.slow
def test_results_come_in_order(engine: LocalEngine) -> None:
    """Results come in order, however long each takes, and from other processes."""
    made = list(engine.spread(process_of, range(20)))
    assert [item for item, _ in made] == list(range(20))
    assert os.getpid() not in {process for _, process in made}


@pytest.mark.slow
def test_work_begins_before_processes_are_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process works until the others are started, and then hands over without a gap."""
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
def test_little_work_starts_no_process(workers: int) -> None:
    """Work that takes less time than starting a process is done in this one."""
    with closing(LocalEngine(workers)) as engine:
        assert {process for _, process in engine.spread(process_of, range(4))} == {os.getpid()}


def test_items_are_taken_as_needed(engine: LocalEngine) -> None:
    """Only a bounded number of items is read ahead."""
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
    """A killed worker process is a one-line error."""
    with pytest.raises(AnnotateError, match="process died"):
        list(engine.spread(die, range(3)))
