"""Ask the teacher about every passage that has no answer yet; lose none and ask none twice.

    passages -> workers, each asking until it is answered -> ledger

The workers share one stream and each takes the next passage when it is free; no more is read ahead than one block,
whose questions are looked up in the ledger together. The first question goes out alone: a wrong key, model, address
or parameter shows before anything more is asked. A worker asks again once its answer is in the ledger: a killed process
loses the requests in flight and nothing else.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Final

from annotator.asking.endpoint_limits import limits_of
from annotator.asking.rate_limits import WINDOW, Pace
from annotator.asking.recorder import Recorder
from annotator.asking.retrying import Requests
from annotator.config.settings import RunConfig
from annotator.errors import FatalTeacherError, LimitError, TeacherError
from annotator.ledger import Answers
from annotator.records import Passage
from annotator.teachers import Asked, Question, Teacher
from annotator.terminal.events import Progress

BLOCK: Final = 100
"""Passages that are read and looked up in the ledger at once, or as many as there are workers if that is less."""


@dataclass(slots=True)
class _Task:
    passage: Passage
    question: Question
    replaced: bool = False
    """Its worker waits, and another has taken that one's place."""


def ask_all(
    questions: Iterable[Asked],
    teacher: Teacher,
    ledger: Answers,
    pace: Pace,
    progress: Progress,
    estimate: Callable[[Passage], int] = lambda passage: passage.n_tokens,
) -> None:
    """Ask each of ``questions`` that the ledger has no answer to. Failures are recorded in the ledger as well.

    Args:
        questions: read as needed, never held; ``annotator.teachers.ask_about`` makes them of passages.
        teacher: answers them.
        ledger: receives answers and failures.
        pace: concurrency, retries and limits.
        progress: advances with every passage, answered before or now or failed.
        estimate: tokens one request will take, prompt and answer; counts against ``pace.tpm`` until it is settled.

    Raises:
        FatalTeacherError: the endpoint will answer nothing; all answers so far are kept.
        LimitError: a limit is used up for longer than an hour; likewise.
        RunDirError: the ledger cannot be written; all answers so far are kept.
    """
    with _fewer_collections():
        asyncio.run(_Pool(teacher, ledger, pace, progress, estimate).run(questions))


def pace_of(config: RunConfig) -> Pace:
    """Return the rate and concurrency that ``config`` allows.

    Raises:
        ConfigError: ``--limits`` names no profile, or one that does not speak of the model.
    """
    limits = limits_of(config)
    return Pace(config.concurrency, config.max_retries, limits.rpm, limits.tpm)


def estimate_tokens(passage: Passage, overhead: int) -> int:
    """Return the tokens that one request will take, where the prompt alone takes ``overhead``."""
    return overhead + 2 * passage.n_tokens  # an answer is about as long as what it is about


def recent_usage(ledger: Answers) -> Iterator[tuple[float, int]]:
    """Yield, for each answer of the last window, the seconds since then and its tokens."""
    now = time.time()
    return ((max(0.0, now - when), tokens) for when, tokens in ledger.since(now - WINDOW))


class _Pool:
    def __init__(
        self,
        teacher: Teacher,
        ledger: Answers,
        pace: Pace,
        progress: Progress,
        estimate: Callable[[Passage], int],
    ) -> None:
        self._teacher, self._ledger, self._estimate = teacher, ledger, estimate
        self._recorder = Recorder(ledger, progress)
        self._requests, self._concurrency, self._warm = Requests(teacher, pace, progress), pace.concurrency, pace.warm
        if (pace.rpm or pace.tpm) and not pace.shared:  # another command may have asked a moment ago
            self._requests.remember(recent_usage(ledger))
        self._workers: asyncio.TaskGroup | None = None
        self._resting = 0
        """Workers that wait to try again, while another has taken their place."""
        self._most_resting = pace.resting
        self._asking: set[str] = set()  # keys on their way: two passages with one text are one question

    async def run(self, questions: Iterable[Asked]) -> None:
        self._tasks = self._unanswered(questions)
        try:
            async with asyncio.TaskGroup() as group:
                flusher = group.create_task(self._recorder.flush_regularly())
                await self._ask_all()
                flusher.cancel()
        except BaseExceptionGroup as errors:
            raise _first(errors) from None
        finally:
            try:
                self._recorder.finish()
            finally:
                await self._teacher.close()

    def _unanswered(self, questions: Iterable[Asked]) -> Iterator[_Task | None]:
        """Yield what to ask; None after each block, so that a long answered stretch delays no worker."""
        stream, size = iter(questions), min(BLOCK, self._concurrency)
        while block := [_Task(*asked) for asked in islice(stream, size)]:
            known = self._ledger.known([task.question.key for task in block])
            fresh = []
            for task in block:  # all at once: what is asked meanwhile is not known here
                key = task.question.key
                if key in known or key in self._asking:
                    self._recorder.skip()
                else:
                    self._asking.add(key)
                    fresh.append(task)
            yield from fresh
            yield None

    async def _ask_all(self) -> None:
        if not self._warm:
            first = await _next(self._tasks)
            if first is None:
                return
            await self._answer(first, first=True)
        async with asyncio.TaskGroup() as self._workers:
            for _ in range(self._concurrency):
                self._workers.create_task(self._work())

    async def _work(self) -> None:
        while (task := await _next(self._tasks)) is not None:
            await self._answer(task)
            if task.replaced:
                self._resting -= 1
                return

    def _rest(self, task: _Task) -> None:
        """Let another worker take the place of the one that has to wait before it tries again."""
        if self._workers and not task.replaced and self._resting < self._most_resting:
            self._resting += 1
            task.replaced = True
            self._workers.create_task(self._work())

    async def _answer(self, task: _Task, *, first: bool = False) -> None:
        passage, key = task.passage, task.question.key
        try:
            reply, latency = await self._requests.ask(
                task.question,
                self._estimate(passage),
                before_wait=lambda: self._rest(task),
                keep=lambda error: self._recorder.keep_attempt(key, passage.id, error),
            )
        except (FatalTeacherError, LimitError):
            raise
        except TeacherError as error:
            if first and await self._requests.refuses_all(error):
                raise FatalTeacherError(
                    f"{error}; a request of one word is refused as well, so no passage was asked about", kind=error.kind
                ) from error
            self._recorder.give_up(key, passage.id, error)
        else:
            await self._recorder.write(key, passage.id, reply, latency)
        self._asking.discard(key)


@contextmanager
def _fewer_collections() -> Iterator[None]:
    """Let the garbage collector start at ten times as many objects, more than the requests in flight hold.

    Else each wave of answers starts it, to find nothing: an eighth of the CPU time at 64 in flight.
    """
    before = gc.get_threshold()
    gc.set_threshold(10 * before[0], *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


async def _next(tasks: Iterator[_Task | None]) -> _Task | None:
    """Return the next task; None at the end."""
    for task in tasks:
        if task is not None:
            return task
        await asyncio.sleep(0)
    return None


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
