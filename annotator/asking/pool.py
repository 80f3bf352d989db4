"""Ask the teacher every question that has no answer yet, each once, and lose no answer.

    passages -> workers, each asking one question at a time -> ledger
                   a failed question waits for its next try

There are as many workers as requests may be in flight. They share one stream, of which one block is read ahead and
looked up in the ledger. The first question is sent alone: a wrong key, model, address or parameter shows before
anything more is asked. A worker asks again only when its answer is in the ledger: a killed process loses the requests
in flight and nothing else.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections import deque
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from itertools import islice
from typing import Final

from annotator.asking.endpoint_limits import limits_of
from annotator.asking.rate_limits import WINDOW, Pace, RateLimit
from annotator.asking.retry_policy import rule_of
from annotator.asking.sending import Requests, Task
from annotator.config.settings import RunConfig
from annotator.errors import AnnotateError, FatalTeacherError, TeacherError
from annotator.ledger import Attempt, Failure, Ledger
from annotator.records import Completion, Passage
from annotator.teachers import Asked, Teacher, completion_of
from annotator.terminal.events import Progress

BLOCK: Final = 100
"""Passages that are read and looked up in the ledger together, at most as many as there are workers."""
FLUSH_EVERY: Final = 0.05
"""Seconds between two flushes of the ledger and reports of progress: what a power cut can cost."""


def ask_all(
    questions: Iterable[Asked],
    teacher: Teacher,
    ledger: Ledger,
    pace: Pace,
    progress: Progress,
    estimate: Callable[[Passage], int] = lambda passage: passage.n_tokens,
) -> None:
    """Ask each of ``questions`` that has no answer in the ledger, and record answers and failures there.

    Args:
        questions: read as needed, never held.
        teacher: answers them.
        ledger: receives answers and failures.
        pace: concurrency, retries and limits.
        progress: advances with every passage, whether answered before, answered now or failed.
        estimate: tokens of one request, prompt and answer; they count against ``pace.tpm`` until it is answered.

    Raises:
        FatalTeacherError: the endpoint will answer nothing. All answers so far are kept, as with the other errors.
        LimitError: a limit is used up for longer than an hour.
        RunDirError: the ledger cannot be written.
    """
    threshold = gc.get_threshold()
    gc.set_threshold(10 * threshold[0], *threshold[1:])  # else each wave of answers starts a collection for nothing
    try:
        asyncio.run(_Pool(teacher, ledger, pace, progress, estimate).run(questions))
    finally:
        gc.set_threshold(*threshold)


def pace_of(config: RunConfig) -> Pace:
    """Return the concurrency, retries and rate limits of ``config``.

    Raises:
        ConfigError: ``--limits`` names no profile, or one that does not list the model.
    """
    limits = limits_of(config)
    return Pace(config.concurrency, config.max_retries, limits.rpm, limits.tpm)


def estimate_tokens(passage: Passage, overhead: int) -> int:
    """Return the tokens that one request will take, where the prompt alone takes ``overhead``."""
    return overhead + 2 * passage.n_tokens  # an answer is about as long as its passage


class _Pool:
    def __init__(
        self,
        teacher: Teacher,
        ledger: Ledger,
        pace: Pace,
        progress: Progress,
        estimate: Callable[[Passage], int],
    ) -> None:
        self._teacher, self._ledger, self._progress = teacher, ledger, progress
        self._pace, self._estimate = pace, estimate
        self._recorder = _Recorder(ledger, progress)
        limit = RateLimit(pace.rpm, pace.tpm, pace.window)
        if pace.rpm or pace.tpm:  # the last command may have asked within the window
            now = time.time()
            limit.remember((max(0.0, now - when), tokens) for when, tokens in ledger.since(now - WINDOW))
        self._requests = Requests(teacher, limit, pace, progress)
        self._fresh: deque[Task] = deque()
        """Questions that were read and not asked yet."""
        self._waiting: list[tuple[float, str, Task]] = []
        """Heap of the questions that are asked again: moment of the next try, key, task."""
        self._error: AnnotateError | None = None
        """What stops the run; another request in flight may fail later."""
        self._asking: set[str] = set()  # keys without an outcome yet: two passages with one text are one question

    async def run(self, questions: Iterable[Asked]) -> None:
        self._questions = iter(questions)
        try:
            async with asyncio.TaskGroup() as group:
                flusher = group.create_task(self._recorder.flush_regularly())
                await self._ask_first()
                async with asyncio.TaskGroup() as workers:
                    for _ in range(self._pace.concurrency):
                        workers.create_task(self._work())
                flusher.cancel()
        except BaseExceptionGroup as errors:
            raise self._error or _first_of(errors) from None
        finally:
            try:
                self._recorder.finish()
            finally:
                await self._teacher.close()

    async def _ask_first(self) -> None:
        if task := await self._next():
            while (wait := await self._ask(task, first=True)) is not None:
                await asyncio.sleep(wait)

    async def _work(self) -> None:
        try:
            while task := await self._next():
                if (wait := await self._ask(task)) is not None:
                    heappush(self._waiting, (time.monotonic() + wait, task.question.key, task))
        except AnnotateError as error:
            self._error = self._error or error
            await self._requests.stop()  # before the error cancels the other workers
            raise

    async def _next(self) -> Task | None:
        """Return a question whose wait is over, else a new one, else the one whose wait ends next; None at the end."""
        while not self._is_due():
            if self._fresh:
                return self._fresh.popleft()
            if not self._read_block():
                break
            await asyncio.sleep(0)  # many answered blocks in a row do not delay the other workers
        if not self._waiting:
            return None
        due, _, task = heappop(self._waiting)
        await asyncio.sleep(due - time.monotonic())
        return task

    def _is_due(self) -> bool:
        """Return whether a waiting question comes before a new one: its wait is over, or too many wait."""
        waiting = self._waiting
        return bool(waiting) and (waiting[0][0] <= time.monotonic() or len(waiting) >= self._pace.waiting)

    def _read_block(self) -> bool:
        """Read a block of questions and keep those that have no answer; return False at the end."""
        block = list(islice(self._questions, min(BLOCK, self._pace.concurrency)))
        answered = self._ledger.known([question.key for _, question in block]) if block else set()
        for passage, question in block:
            if question.key in answered or question.key in self._asking:
                self._recorder.done += 1
            else:
                self._asking.add(question.key)
                self._fresh.append(Task(passage, question, self._estimate(passage)))
        return bool(block)

    async def _ask(self, task: Task, *, first: bool = False) -> float | None:
        """Ask once; return the seconds until the next try, or None if the question is answered or given up."""
        key, passage_id = task.question.key, task.passage.id
        try:
            reply, latency = await self._requests.send(task)
        except TeacherError as error:
            if error.body:  # paid for
                self._ledger.keep_attempt(Attempt(key, passage_id, error.kind, error.body, time.time()))
            if (wait := await self._requests.wait_after(error, task)) is not None:
                if not rule_of(error.kind).overloaded:
                    return wait
                await asyncio.sleep(wait)  # the worker waits, so that fewer requests are in flight
                return 0.0
            if first and await self._requests.refuses_all(error):
                raise FatalTeacherError(
                    f"{error}; a request of one word is refused as well, so no passage was asked about", kind=error.kind
                ) from error
            self._ledger.record_failures([Failure(key, passage_id, error.kind, str(error))])
            self._progress.count(f"gave up: {error.kind}")
            self._recorder.done += 1
        else:
            await self._recorder.write(completion_of(key, passage_id, reply, latency))
        self._asking.discard(key)
        return None


class _Recorder:
    """Writes answers to the ledger; those that arrive in one turn of the event loop share a transaction."""

    def __init__(self, ledger: Ledger, progress: Progress) -> None:
        self._ledger, self._progress = ledger, progress
        self._unwritten: list[Completion] = []
        self.done = self._tokens = 0  # passages and tokens that are not reported yet

    async def write(self, answer: Completion) -> None:
        """Write an answer; when this returns, it survives the process."""
        together = self._unwritten
        together.append(answer)
        await asyncio.sleep(0)  # let the other workers that have an answer in this turn add theirs
        if together is self._unwritten:  # none of them has written it
            self._write()

    async def flush_regularly(self) -> None:
        """Flush and report until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_EVERY)
            await asyncio.to_thread(self._ledger.flush)  # slow on a busy disk
            self._report()

    def finish(self) -> None:
        """Write the answers of cancelled workers, flush and report."""
        if self._unwritten:
            self._write()
        self._ledger.flush()
        self._report()

    def _write(self) -> None:
        answers = self._unwritten
        self._ledger.append(answers)
        self._unwritten = []  # only now: if the ledger raises, the answers are not written
        self._tokens += sum(answer.prompt_tokens + answer.completion_tokens for answer in answers)
        self.done += len(answers)

    def _report(self) -> None:
        if self._tokens:
            self._progress.count("tokens", self._tokens)
        if self.done:
            self._progress.advance(self.done)
        self.done = self._tokens = 0


def _first_of(error: BaseException) -> BaseException:
    return _first_of(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
