"""Ask the teacher about every passage that has no answer yet; lose none and ask none twice.

    passages -> [bounded queue] -> workers (limits, retries) -> ledger, in one transaction every 50 ms

The first question goes out alone: a wrong key, model or address shows before anything more is asked. An answer counts
as done when the ledger has it on disk. Whatever ends the run early, what was already answered is written first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from annotator.errors import FatalTeacherError, RetryableError, TeacherError
from annotator.ledger import Failure, Ledger
from annotator.limits import RateLimit
from annotator.progress import Progress
from annotator.records import Completion, Passage
from annotator.teachers import Question, Reply, Teacher

LONGEST_WAIT: Final = 60.0
"""Seconds between two tries at most."""
WRITE_EVERY: Final = 0.05
"""Seconds between two transactions: what a killed process can lose beyond the requests in flight."""
MOST_WAITS: Final = 100
"""Times in a row one request may be told to come back later."""
UNREACHABLE: Final = ("connection", "timeout")
GIVE_UP_AFTER: Final = 20
"""Passages in a row that failed for want of a connection: the endpoint is gone."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How hard to ask. Nothing here changes an answer."""

    concurrency: int = 16
    max_retries: int = 6
    rpm: int = 0
    tpm: int = 0


@dataclass(frozen=True, slots=True)
class _Task:
    passage: Passage
    question: Question


def annotate(
    passages: Iterable[Passage],
    teacher: Teacher,
    ledger: Ledger,
    pace: Pace,
    progress: Progress,
    estimate: Callable[[Passage], int] = lambda passage: passage.n_tokens,
) -> None:
    """Ask about each of ``passages`` that the ledger does not know. Failures are recorded in the ledger as well.

    Args:
        passages: read as needed, never held.
        teacher: who answers.
        ledger: where the answers go.
        pace: concurrency, retries and limits.
        progress: told of every passage, answered before or now or failed.
        estimate: tokens one request will cost, prompt and answer; counts against ``pace.tpm`` until it is settled.

    Raises:
        FatalTeacherError: the endpoint will answer nothing; all answers so far are kept.
        RunDirError: the ledger cannot be written; all answers so far are kept.
    """
    asyncio.run(_Engine(teacher, ledger, pace, progress, estimate).run(passages))


class _Engine:
    def __init__(
        self,
        teacher: Teacher,
        ledger: Ledger,
        pace: Pace,
        progress: Progress,
        estimate: Callable[[Passage], int],
    ) -> None:
        self._teacher, self._ledger, self._pace = teacher, ledger, pace
        self._progress, self._estimate = progress, estimate
        self._limit = RateLimit(pace.rpm, pace.tpm)
        self._to_ask: asyncio.Queue[_Task | None] = asyncio.Queue(2 * pace.concurrency)
        self._to_write: list[Completion | Failure] = []
        self._asking: set[str] = set()  # keys on their way: two passages with one text are one question
        self._heard = False  # something has answered at least once
        self._unreachable = 0  # passages in a row

    async def run(self, passages: Iterable[Passage]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(self._write_now_and_then())
                await self._ask_all(self._unanswered(passages))
                writer.cancel()
        except BaseExceptionGroup as errors:
            raise _first(errors) from None
        finally:
            try:
                self._write()
            finally:
                await self._teacher.close()

    def _unanswered(self, passages: Iterable[Passage]) -> Iterable[_Task]:
        for passage in passages:
            question = self._teacher.question(passage.text)
            if question.key in self._asking or self._ledger.has(question.key):
                self._progress.advance()
                continue
            self._asking.add(question.key)
            yield _Task(passage, question)

    async def _ask_all(self, tasks: Iterable[_Task]) -> None:
        stream = iter(tasks)
        first = next(stream, None)
        if first is None:
            return
        await self._answer(first)
        async with asyncio.TaskGroup() as group:
            for _ in range(self._pace.concurrency):
                group.create_task(self._worker())
            for task in stream:
                await self._to_ask.put(task)
            for _ in range(self._pace.concurrency):
                await self._to_ask.put(None)

    async def _worker(self) -> None:
        while (task := await self._to_ask.get()) is not None:
            await self._answer(task)

    async def _answer(self, task: _Task) -> None:
        passage, key = task.passage, task.question.key
        try:
            reply, latency = await self._ask_with_retries(task)
        except FatalTeacherError:
            raise
        except TeacherError as error:
            self._notice(error)
            self._to_write.append(Failure(key, passage.id, error.kind, str(error)))
            return
        self._heard, self._unreachable = True, 0
        self._to_write.append(
            Completion(
                key=key,
                passage_id=passage.id,
                reply=reply.text,
                finish_reason=reply.finish_reason,
                prompt_tokens=reply.prompt_tokens,
                completion_tokens=reply.completion_tokens,
                latency=latency,
                created=time.time(),
            )
        )

    def _notice(self, error: TeacherError) -> None:
        if error.kind not in UNREACHABLE:
            self._heard, self._unreachable = True, 0
            return
        self._unreachable += 1
        if not self._heard:
            raise FatalTeacherError(str(error), kind=error.kind) from error
        if self._unreachable >= GIVE_UP_AFTER:
            raise FatalTeacherError(
                f"{error}; {self._unreachable} passages in a row got no connection: run the same command again later",
                kind=error.kind,
            ) from error

    async def _ask_with_retries(self, task: _Task) -> tuple[Reply, float]:
        """Ask until there is an answer, at most 1 + max_retries times; a 429 is a wait, not a failed try."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(RetryableError),
            stop=self._stop,
            wait=self._wait,
            before_sleep=self._before_sleep,
            reraise=True,
        )
        return await retrying(self._ask_once, task)

    async def _ask_once(self, task: _Task) -> tuple[Reply, float]:
        slot = await self._limit.acquire(self._estimate(task.passage))
        began = time.monotonic()
        reply = await self._teacher.ask(task.question)
        self._limit.settle(slot, reply.prompt_tokens + reply.completion_tokens)
        return reply, time.monotonic() - began

    def _stop(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, RetryableError) and error.kind == "http 429":
            return state.attempt_number > MOST_WAITS
        if isinstance(error, RetryableError) and error.kind in UNREACHABLE and not self._heard:
            return state.attempt_number > min(2, self._pace.max_retries)
        return state.attempt_number > self._pace.max_retries

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, RetryableError) and error.retry_after is not None:
            return error.retry_after
        return wait_random_exponential(multiplier=0.5, max=LONGEST_WAIT)(state)

    async def _before_sleep(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, RetryableError):
            self._progress.count(error.kind)
            if error.kind == "http 429":
                wait = state.next_action.sleep if state.next_action else 1.0
                self._limit.pause(wait)
                self._progress.say(f"the endpoint asked for a pause of {wait:.1f} s")

    async def _write_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(WRITE_EVERY)
            self._write()

    def _write(self) -> None:
        """Put on disk, in one transaction, whatever has gathered; only then does it count."""
        batch, self._to_write = self._to_write, []
        answers = [item for item in batch if isinstance(item, Completion)]
        failures = [item for item in batch if isinstance(item, Failure)]
        if answers:
            self._ledger.append(answers)
            self._progress.count("tokens", sum(item.prompt_tokens + item.completion_tokens for item in answers))
        if failures:
            self._ledger.record_failures(failures)
        for failure in failures:
            self._progress.count(f"gave up: {failure.kind}")
        if batch:
            self._asking.difference_update(item.key for item in batch)
            self._progress.advance(len(batch))


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
