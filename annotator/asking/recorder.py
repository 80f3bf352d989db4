"""Write answers to the ledger, flush them to the disk, and report them to the progress display."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from annotator.asking.retrying import Task
from annotator.errors import TeacherError
from annotator.ledger import Answers, Attempt, Failure
from annotator.records import Completion
from annotator.teachers import Reply
from annotator.terminal.events import Progress

FLUSH_EVERY: Final = 0.05
"""Seconds between two flushes of the ledger to the disk, and two reports of progress: what a power cut can cost."""


def completion_of(key: str, passage_id: str, reply: Reply, latency: float) -> Completion:
    """Make the ledger's record of ``reply``, now; ``latency`` in seconds, 0 where there is none, as in a batch."""
    return Completion(
        key=key,
        passage_id=passage_id,
        reply=reply.text,
        finish_reason=reply.finish_reason,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        latency=latency,
        created=time.time(),
        logprobs=reply.logprobs,
    )


class Recorder:
    """Records what becomes of each question. A worker asks again only after ``write`` has returned.

    The answers that arrive in one turn of the event loop share a transaction, which costs as much as one for each.
    """

    def __init__(self, ledger: Answers, progress: Progress) -> None:
        self._ledger, self._progress = ledger, progress
        self._unwritten: list[Completion] = []
        self._done = self._tokens = 0  # passages and tokens that progress has not heard of

    async def write(self, task: Task, reply: Reply, latency: float) -> None:
        """Write the answer to a question; when this returns, it survives the process."""
        together = self._unwritten
        together.append(completion_of(task.question.key, task.passage.id, reply, latency))
        await asyncio.sleep(0)  # until every worker that has an answer in this turn has come here
        if together is self._unwritten:  # no other worker has written it
            self._write()

    def give_up(self, task: Task, error: TeacherError) -> None:
        """Record why a question has no answer."""
        self._ledger.record_failures([Failure(task.question.key, task.passage.id, error.kind, str(error))])
        self._progress.count(f"gave up: {error.kind}")
        self._done += 1

    def keep_attempt(self, task: Task, error: TeacherError) -> None:
        """Keep the body of a response that was paid for and is not the answer."""
        self._ledger.keep_attempt(Attempt(task.question.key, task.passage.id, error.kind, error.body, time.time()))

    def skip(self) -> None:
        """Count a passage whose question is answered already, or on its way."""
        self._done += 1

    async def flush_regularly(self) -> None:
        """Flush and report until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_EVERY)
            await asyncio.to_thread(self._ledger.flush)  # a busy disk takes its time
            self._report()

    def finish(self) -> None:
        """Write what cancelled workers have left, flush and report."""
        if self._unwritten:
            self._write()
        self._ledger.flush()
        self._report()

    def _write(self) -> None:
        answers = self._unwritten
        self._ledger.append(answers)
        self._unwritten = []  # only now: if the ledger raises, no worker may take its answer for written
        self._tokens += sum(answer.prompt_tokens + answer.completion_tokens for answer in answers)
        self._done += len(answers)

    def _report(self) -> None:
        if self._tokens:
            self._progress.count("tokens", self._tokens)
        if self._done:
            self._progress.advance(self._done)
        self._done = self._tokens = 0
