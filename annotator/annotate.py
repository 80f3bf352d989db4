"""Ask the teacher about every passage that has no answer yet; lose none and ask none twice.

    passages -> workers (gate, limits, retries, breaker) -> ledger, in one transaction every 50 ms

The workers share one stream and each takes the next passage when it is free, so nothing is read ahead. The first
question goes out alone: a wrong key, model or address shows before anything more is asked. An answer counts as done
when the ledger has it on disk. Whatever ends the run early, what was already answered is written first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from annotator.breaker import Breaker
from annotator.errors import FatalTeacherError, RetryableError, TeacherError
from annotator.ledger import Failure, Ledger
from annotator.limits import Gate, RateLimit
from annotator.progress import Progress
from annotator.records import Completion, Passage
from annotator.teachers import Question, Reply, Teacher

LONGEST_WAIT: Final = 60.0
"""Seconds between two tries at most, unless the endpoint asks for more."""
WRITE_EVERY: Final = 0.05
"""Seconds between two transactions: what a killed process can lose beyond the requests in flight."""
MOST_WAITS: Final = 100
"""Times one request may be told to come back later."""
TRIPS: Final = 5
"""Failures in a row after which the endpoint is suspected to be down."""
OVERLOAD: Final = frozenset({"http 429", "http 498", "http 503", "http 529", "timeout"})
"""Failures that say "too much"."""
TURN: Final = 200
"""Passages with an answer that are passed over at once, before anybody else gets a turn."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How hard to ask. Nothing here changes an answer."""

    concurrency: int = 16
    max_retries: int = 6
    rpm: int = 0
    tpm: int = 0


@dataclass(slots=True)
class _Task:
    passage: Passage
    question: Question
    failed: int = 0
    """Tries that failed while the endpoint was up."""
    put_off: int = 0
    """Times it was told to come back later."""
    was_empty: bool = False
    """An answer without a word came, and it was asked once more."""


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
        self._limit, self._gate = RateLimit(pace.rpm, pace.tpm), Gate(pace.concurrency)
        self._breaker = Breaker(self._probe, min(TRIPS, 1 + pace.max_retries), progress.say)
        self._to_write: list[Completion | Failure] = []
        self._asking: set[str] = set()  # keys on their way: two passages with one text are one question
        self._known = 0  # passages passed over since the last look

    async def run(self, passages: Iterable[Passage]) -> None:
        tasks = self._unanswered(passages)
        try:
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(self._write_now_and_then())
                await self._ask_all(tasks)
                writer.cancel()
        except BaseExceptionGroup as errors:
            raise _first(errors) from None
        finally:
            try:
                self._write()
            finally:
                await self._teacher.close()

    def _unanswered(self, passages: Iterable[Passage]) -> Iterator[_Task | None]:
        """What is to be asked; None now and then, so that a long known stretch holds up nobody."""
        for passage in passages:
            question = self._teacher.question(passage.text)
            if question.key in self._asking or self._ledger.has(question.key):
                self._known += 1
                if self._known % TURN == 0:
                    yield None
                continue
            self._asking.add(question.key)
            yield _Task(passage, question)

    async def _ask_all(self, tasks: Iterator[_Task | None]) -> None:
        first = await _next(tasks)
        if first is None:
            return
        await self._answer(first)
        async with asyncio.TaskGroup() as group:
            for _ in range(self._pace.concurrency):
                group.create_task(self._work(tasks))

    async def _work(self, tasks: Iterator[_Task | None]) -> None:
        while (task := await _next(tasks)) is not None:
            await self._answer(task)

    async def _answer(self, task: _Task) -> None:
        passage, key = task.passage, task.question.key
        try:
            reply, latency = await self._ask(task)
        except FatalTeacherError:
            raise
        except TeacherError as error:
            self._to_write.append(Failure(key, passage.id, error.kind, str(error)))
            return
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

    async def _ask(self, task: _Task) -> tuple[Reply, float]:
        """Ask until there is an answer, or until it has failed ``1 + max_retries`` times."""
        try:
            return await self._try(task)
        except RetryableError as error:
            failed = [error]  # only now does tenacity come in: its bookkeeping costs as much as a request

        async def again() -> tuple[Reply, float]:
            if failed:
                raise failed.pop()
            return await self._try(task)

        retrying = AsyncRetrying(
            retry=retry_if_exception_type(RetryableError),
            stop=lambda _: task.failed > self._pace.max_retries or task.put_off > MOST_WAITS,
            wait=_wait,
            reraise=True,
        )
        return await retrying(again)

    async def _try(self, task: _Task) -> tuple[Reply, float]:
        """One try that counts. What fails while the endpoint is down is the endpoint's failure, and asked again."""
        while True:
            try:
                return await self._send(task)
            except RetryableError as error:
                self._progress.count(error.kind)
                if error.kind == "http 429":
                    self._breaker.alive()
                    task.put_off += 1
                elif await self._breaker.was_down(error):
                    continue
                else:
                    task.failed += 1
                raise
            except TeacherError:
                self._breaker.alive()
                raise

    async def _send(self, task: _Task) -> tuple[Reply, float]:
        """One request, when gate, breaker and limits let it go."""
        ticket = await self._gate.enter()
        try:
            entry = await self._permission(self._estimate(task.passage))
            began = time.monotonic()
            reply = await self._teacher.ask(task.question)
            latency = time.monotonic() - began
        except RetryableError as error:
            crowded = self._gate.note(ticket, overloaded=error.kind in OVERLOAD)
            if crowded and error.retry_after:
                self._pause(error.retry_after)
            raise
        finally:
            self._gate.leave()
        self._gate.note(ticket, overloaded=False)
        self._breaker.alive()
        self._limit.settle(entry, reply.prompt_tokens + reply.completion_tokens)
        if reply.pause:
            self._pause(reply.pause)
        if _says_nothing(reply) and not task.was_empty and task.failed < self._pace.max_retries:
            task.was_empty = True
            raise RetryableError("the answer is empty", kind="empty answer", retry_after=0.0)
        return reply, latency

    async def _permission(self, tokens: int) -> list[float]:
        """Wait until breaker and limits both let a request go; returns its entry in the limits."""
        while True:
            await self._breaker.closed()
            entry = await self._limit.acquire(tokens)
            if not self._breaker.open:
                return entry

    async def _probe(self) -> None:
        await self._limit.acquire(0)
        await self._teacher.probe()

    def _pause(self, seconds: float) -> None:
        if self._limit.pause(seconds) and seconds >= 1:
            self._progress.say(f"the endpoint asked for a pause of {seconds:.1f} s")

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
        self._asking.difference_update(item.key for item in batch)
        known, self._known = self._known, 0
        if done := known + len(batch):
            self._progress.advance(done)


def _wait(state: RetryCallState) -> float:
    """Seconds to wait after a failure: what the endpoint asked for, else a random time that grows."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, RetryableError) and error.retry_after is not None:
        return error.retry_after
    return wait_random_exponential(multiplier=0.5, max=LONGEST_WAIT)(state)


def _says_nothing(reply: Reply) -> bool:
    """Empty although the teacher says it finished; a refusal or a cut answer is empty for a reason that stays."""
    return not reply.text and reply.finish_reason in ("", "stop")


async def _next(tasks: Iterator[_Task | None]) -> _Task | None:
    """The next thing to ask; None at the end."""
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
