"""Asks the teacher by many workers of a cluster that share one ledger and one set of limits.

    passages -> partitions -> tasks, each with a worker pool -> ledger (PostgreSQL)

The first task asks about a single passage, so that a wrong key shows before anything else is asked. Then as many tasks
run as the cluster has CPUs, and share ``--concurrency`` evenly. One actor keeps ``--rpm`` and ``--tpm``: workers
acquire each request from it, and what a dead worker acquired still counts.

A task locks its partition in the ledger. If a worker lives on that Ray considers dead, or that belongs to a killed
driver, the next task for the partition waits until it ends, and no question is asked twice.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

from annotator.asking import rate_limits
from annotator.asking.pool import ask_all, estimate_tokens, recent_usage
from annotator.asking.rate_limits import Pace, RateLimit
from annotator.config.settings import RunConfig
from annotator.errors import AnnotateError
from annotator.ledger import Answers
from annotator.records import Passage
from annotator.teachers import Asked, ask_about, make_teacher
from annotator.teachers.registry import PROVIDERS
from annotator.terminal.events import Progress

if TYPE_CHECKING:
    from annotator.cluster.ray import RayEngine

PART: Final = 100
"""Passages a task."""
NEWS_EVERY: Final = 0.2
"""Seconds between two displays of what the workers reported."""
CARRIED: Final = (*(f"{name.upper()}_" for name, provider in PROVIDERS.items() if provider.chat), "PG", "VNER_")
"""Prefixes of the environment variables that a teacher or a ledger reads."""


@dataclass(frozen=True, slots=True)
class Partition:
    """The passages that one task asks about."""

    name: str
    """Key of the first question of the partition, answered or not: the same in every run. Names the lock."""
    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """What all tasks have in common."""

    config: RunConfig
    pace: Pace
    overhead: int
    """Tokens of a request beyond those of its passage, which count twice."""
    environment: Mapping[str, str] = field(repr=False)
    coordinator: Any = None
    """Handle of the actor."""


def annotate_shared(
    questions: Iterable[Asked], ledger: Answers, job: Job, engine: RayEngine, progress: Progress
) -> None:
    """Ask those of ``questions`` that the ledger has no answer to, by tasks on the cluster.

    Args:
        questions: read as needed; workers receive the passages, which are smaller, and make the questions again.
        ledger: tells which questions are answered; workers open the same one by ``job.config.ledger``.
        job: without the actor, which is started here.
        engine: the cluster.
        progress: advances as the workers report.

    Raises:
        AnnotateError: from ``ask_all`` in any of the tasks; all others end.
    """
    cpus = engine.join()
    tasks = max(1, min(cpus, job.pace.concurrency))
    with _coordinator(engine, job.pace, recent_usage(ledger), progress) as coordinator:
        work = partial(ask_partition, job=replace(job, coordinator=coordinator))
        share = replace(job.pace, concurrency=job.pace.concurrency // tasks, warm=True)
        shared = partial(ask_partition, job=replace(job, coordinator=coordinator, pace=share))
        parts = _partitions(questions, ledger, progress)
        first = next(parts, None)
        if first is None:
            return
        alone = replace(first, passages=first.passages[:1])
        rest = replace(first, passages=first.passages[1:])
        for _ in engine.tasks(work, [alone], 1, ordered=False):
            pass
        others = chain([rest] if rest.passages else [], parts)
        for _ in engine.tasks(shared, others, tasks, ordered=False, scheduling_strategy="SPREAD"):
            pass


def ask_partition(part: Partition, job: Job) -> None:
    """Ask about the passages of one partition, in a worker, and write the answers to the ledger."""
    from annotator.cluster.postgres import PostgresLedger

    os.environ.update(job.environment)
    teacher = make_teacher(replace(job.config, workers=1))
    progress = _WorkerProgress(job.coordinator)
    pace = replace(job.pace, shared=_SharedLimit(job.coordinator)) if job.pace.rpm or job.pace.tpm else job.pace
    try:
        with PostgresLedger(job.config.ledger) as ledger, ledger.locked(part.name):
            estimate = partial(estimate_tokens, overhead=job.overhead)
            ask_all(ask_about(part.passages, teacher), teacher, ledger, pace, progress, estimate)
    finally:
        progress.finish()


def _partitions(questions: Iterable[Asked], ledger: Answers, progress: Progress) -> Iterator[Partition]:
    """Cut into partitions; leave out answered questions, and of two passages with one text the second."""
    stream = iter(questions)
    seen: set[int] = set()  # the first 8 bytes of each key
    while block := list(islice(stream, PART)):
        keys = [asked.question.key for asked in block]
        known = ledger.known(keys)
        left = []
        for asked, key in zip(block, keys, strict=True):
            short = int(key[:16], 16)
            if key not in known and short not in seen:
                left.append(asked.passage)
            seen.add(short)
        progress.advance(len(block) - len(left))
        if left:
            yield Partition(keys[0], tuple(left))


class Coordinator:
    """The actor: keeps the rate limits, and collects the progress of the workers."""

    def __init__(self, rpm: int, tpm: int, window: float, spent: Iterable[tuple[float, int]] = ()) -> None:
        self._limit = RateLimit(rpm, tpm, window)
        self._limit.remember(spent)
        self._entries: dict[int, list[float]] = {}
        self._given = 0
        self._news = News()

    async def acquire(self, tokens: int) -> int:
        """Wait until the limits allow one request; return the number of its entry."""
        entry = await self._limit.acquire(tokens)
        self._given += 1
        self._entries[self._given] = entry
        return self._given

    async def settle(self, number: int, tokens: int) -> None:
        """Replace the estimate of an entry by the endpoint's count."""
        self._limit.settle(self._entries.pop(number), tokens)

    async def pause(self, seconds: float) -> None:
        """Start no request for ``seconds``."""
        if self._limit.pause(seconds) and seconds >= 1:
            self._news.said.append(f"the endpoint asked for a pause of {seconds:.1f} s")

    async def report(self, done: int, counts: Mapping[str, int], said: Iterable[str]) -> None:
        """Add the progress of a worker."""
        self._news.done += done
        self._news.counts.update(counts)
        self._news.said += said

    async def news(self) -> News:
        """Return what the workers reported since the last call."""
        news, self._news = self._news, News()
        return news


@dataclass(slots=True)
class News:
    """Progress that workers reported."""

    done: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    said: list[str] = field(default_factory=list)

    def show(self, progress: Progress) -> None:
        """Pass it on to ``progress``."""
        for message in dict.fromkeys(self.said):  # every worker reports an endpoint that is down
            progress.say(message)
        for kind, number in self.counts.items():
            progress.count(kind, number)
        if self.done:
            progress.advance(self.done)


class _SharedLimit:
    """The rate limit of all workers, as one worker uses it."""

    def __init__(self, coordinator: Any) -> None:
        self._coordinator = coordinator

    async def acquire(self, tokens: int) -> int:
        from ray.exceptions import RayTaskError

        try:
            number: int = await self._coordinator.acquire.remote(tokens)
        except RayTaskError as error:
            raise (error.cause if isinstance(error.cause, AnnotateError) else error) from None
        return number

    def settle(self, entry: int, tokens: int) -> None:
        self._coordinator.settle.remote(entry, tokens)

    def pause(self, seconds: float) -> bool:
        self._coordinator.pause.remote(seconds)
        return False  # the coordinator reports the pause


class _WorkerProgress(Progress):
    """Reports the progress of a worker to the coordinator."""

    def __init__(self, coordinator: Any) -> None:
        self._coordinator = coordinator
        self._counts: Counter[str] = Counter()
        self._last: Any = None

    def advance(self, done: int = 1) -> None:
        self._send(done)

    def count(self, kind: str, number: int = 1) -> None:
        self._counts[kind] += number

    def say(self, message: str) -> None:
        self._send(0, message)

    def finish(self, *, complete: bool = True) -> None:  # noqa: ARG002 - the driver ends the display
        """Wait until the coordinator has everything."""
        import ray

        if self._counts:
            self._send(0)
        if self._last is not None:
            ray.wait([self._last], timeout=5)

    def _send(self, done: int, *said: str) -> None:
        self._last = self._coordinator.report.remote(done, dict(self._counts), said)
        self._counts.clear()


@contextmanager
def _coordinator(
    engine: RayEngine, pace: Pace, spent: Iterable[tuple[float, int]], progress: Progress
) -> Iterator[Any]:
    """Start the actor on the driver's node, and a thread that passes its news on to ``progress``."""
    coordinator = engine.actor(
        Coordinator, pace.rpm, pace.tpm, rate_limits.WINDOW, tuple(spent), max_concurrency=pace.concurrency + 100
    )
    over = threading.Event()

    def listen() -> None:
        while not over.wait(NEWS_EVERY):
            _pass_on(engine, coordinator, progress)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        yield coordinator
    finally:
        over.set()
        listener.join()
        _pass_on(engine, coordinator, progress)
        engine.stop(coordinator)


def _pass_on(engine: RayEngine, coordinator: Any, progress: Progress) -> None:
    news: News | None = engine.answer(coordinator.news.remote())
    if news is not None:
        news.show(progress)
