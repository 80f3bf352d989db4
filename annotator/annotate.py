"""Ask the teacher about every passage that has no answer yet; lose none and ask none twice.

    passages -> workers, each asking until it is answered -> ledger, in one transaction every 50 ms

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

from annotator.asking import Asker
from annotator.errors import FatalTeacherError, TeacherError
from annotator.ledger import Failure, Ledger
from annotator.limits import Pace
from annotator.progress import Progress
from annotator.records import Completion, Passage
from annotator.teachers import Question, Teacher

__all__ = ["Pace", "annotate"]

WRITE_EVERY: Final = 0.05
"""Seconds between two transactions: what a killed process can lose beyond the requests in flight."""
RESTING: Final = 4
"""Workers that may wait to try again, for each that may ask."""
TURN: Final = 200
"""Passages with an answer that are passed over at once, before anybody else gets a turn."""


@dataclass(slots=True)
class _Task:
    passage: Passage
    question: Question
    replaced: bool = False
    """Its worker waits, and another has taken that one's place."""


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
        self._teacher, self._ledger, self._progress, self._estimate = teacher, ledger, progress, estimate
        self._asker, self._concurrency = Asker(teacher, pace, progress), pace.concurrency
        self._workers: asyncio.TaskGroup | None = None
        self._resting = 0  # workers that wait to try again, while another has taken their place
        self._to_write: list[Completion | Failure] = []
        self._asking: set[str] = set()  # keys on their way: two passages with one text are one question
        self._known = 0  # passages passed over since the last look

    async def run(self, passages: Iterable[Passage]) -> None:
        self._tasks = self._unanswered(passages)
        try:
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(self._write_now_and_then())
                await self._ask_all()
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

    async def _ask_all(self) -> None:
        first = await _next(self._tasks)
        if first is None:
            return
        await self._answer(first)
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
        if self._workers and not task.replaced and self._resting < RESTING * self._concurrency:
            self._resting += 1
            task.replaced = True
            self._workers.create_task(self._work())

    async def _answer(self, task: _Task) -> None:
        passage, key = task.passage, task.question.key
        try:
            reply, latency = await self._asker.ask(
                task.question, self._estimate(passage), before_wait=lambda: self._rest(task)
            )
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
