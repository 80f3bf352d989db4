"""Send requests through rate limits and circuit breaker, and apply ``retry_policy.RULES`` to failures.

A question has ``1 + max_retries`` tries. A failure while the endpoint is down is not one of them.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from annotator.asking.circuit_breaker import Breaker
from annotator.asking.rate_limits import Pace, RateLimit
from annotator.asking.retry_policy import Action, rule_of, wait_before
from annotator.errors import FatalTeacherError, LimitError, TeacherError
from annotator.records import Passage
from annotator.teachers import Question, Reply, Teacher
from annotator.terminal.events import Progress

DOUBT: Final = 5
"""Failures in a row, and at least one for each worker, after which the endpoint is doubted."""


@dataclass(slots=True)
class Task:
    """A question about a passage, and its tries so far."""

    passage: Passage
    question: Question
    tokens: int
    """Estimated tokens of prompt and answer."""
    failed: int = 0
    """Tries that failed while the endpoint was up."""
    put_off: int = 0
    """Times that the endpoint answered "later"."""
    was_empty: bool = False
    """One answer was empty already; the next empty one is kept."""


class Requests:
    """Sends the requests of all workers, which share the limits and the state of the endpoint."""

    def __init__(self, teacher: Teacher, limit: RateLimit, pace: Pace, progress: Progress) -> None:
        self._teacher, self._progress, self._retries = teacher, progress, pace.max_retries
        self._patience, self._concurrency, self._limit = pace.patience, pace.concurrency, limit
        self._breaker = Breaker(self._probe, progress.say, pace.patience)
        self._reported_cut_thinking = False
        self._in_flight, self._stopped = 0, False
        self._none_in_flight = asyncio.Event()

    async def send(self, task: Task) -> tuple[Reply, float]:
        """Send one request, once breaker and limits allow it.

        Returns:
            The answer, and the seconds from the request to the last byte of the answer.

        Raises:
            TeacherError: there is no answer, or the first empty one; to be given to ``wait_after``.
        """
        await self._breaker.wait_while_down()
        entry = await self._limit.acquire(task.tokens)
        if self._stopped:
            await asyncio.Future()  # until this worker is cancelled
        began = time.monotonic()
        self._in_flight += 1
        try:
            reply = await self._teacher.ask(task.question)
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._none_in_flight.set()
        latency = time.monotonic() - began
        self._breaker.alive()
        self._limit.settle(entry, reply.prompt_tokens + reply.completion_tokens)
        self._pause(reply.pause)
        if reply.finish_reason == "length" and reply.text.startswith("<think>") and "</think>" not in reply.text:
            self._report_cut_thinking()
        is_empty = not reply.text and reply.finish_reason in ("", "stop")  # not a refusal, and not cut off
        if is_empty and not task.was_empty and task.failed < self._retries:
            task.was_empty = True
            raise TeacherError("the answer is empty", kind="empty answer", retry_after=0.0, body=reply.body)
        return reply, latency

    async def wait_after(self, error: TeacherError, task: Task) -> float | None:
        """Return the seconds until the next try after a failure, or None where there is none.

        Raises:
            FatalTeacherError: no question will be answered.
            LimitError: the endpoint asks for a longer wait than ``Patience.pause``.
        """
        action = rule_of(error.kind).action
        if action is Action.STOP:
            raise FatalTeacherError(str(error), kind=error.kind) from error
        if error.retry_after and error.retry_after > self._patience.pause:
            when = time.strftime("%Y-%m-%d %H:%M %Z", time.localtime(time.time() + error.retry_after))
            raise LimitError(
                f"{error}; the endpoint accepts nothing more before {when}: the answers so far are kept, "
                "run the same command then",
                kind=error.kind,
                retry_after=error.retry_after,
            ) from error
        if action is Action.REFUSE:
            self._breaker.alive()
            return None
        self._progress.count(error.kind)
        if action is Action.WAIT:
            self._breaker.alive()
            task.put_off += 1
        elif await self._breaker.was_down(error, self._failures_before_doubt(task)):
            return 0.0
        else:
            task.failed += 1
        if task.failed > self._retries or task.put_off > self._patience.put_off:
            return None
        return wait_before(error.retry_after, task.failed + task.put_off, self._patience.between_tries)

    async def stop(self) -> None:
        """Send no further request, and wait for the answers to those in flight, since they are paid for."""
        if self._in_flight and not self._stopped:
            self._progress.say(f"the run stops after the answers to the {self._in_flight} requests in flight")
        self._stopped = True
        if self._in_flight:
            self._none_in_flight.clear()
            await self._none_in_flight.wait()

    async def refuses_all(self, error: TeacherError) -> bool:
        """Return whether the endpoint refuses even a request of one word, having refused a question with ``error``."""
        if rule_of(error.kind).action is not Action.REFUSE:
            return False
        try:
            await self._probe(whole=True)
        except TeacherError as again:
            return rule_of(again.kind).action in (Action.REFUSE, Action.STOP)
        return False

    def _failures_before_doubt(self, task: Task) -> int:
        """Return the failures in a row after which the endpoint is doubted: fewer before a passage is given up."""
        return min(DOUBT, 1 + self._retries) if task.failed >= self._retries else max(DOUBT, self._concurrency)

    async def _probe(self, *, whole: bool = False) -> None:
        await self._limit.acquire(0)
        await self._teacher.probe(whole=whole)

    def _pause(self, seconds: float) -> None:
        """Let all workers wait, unless it is too long: then the next request shows how long it really is."""
        if 0 < seconds <= self._patience.pause and self._limit.pause(seconds) and seconds >= 1:
            self._progress.say(f"the endpoint asked for a pause of {seconds:.1f} s")

    def _report_cut_thinking(self) -> None:
        self._progress.count("cut while thinking")
        if not self._reported_cut_thinking:
            self._progress.say(
                "an answer was cut off (finish_reason=length) with nothing but thinking in it: give the model more "
                "room with --max-completion-tokens, or less to think with --option (docs/reliability.md)"
            )
        self._reported_cut_thinking = True
