"""Send requests through rate limits and circuit breaker, and decide what is done about a failure.

``retry_policy.RULES`` says what. A failure while the endpoint is down is the endpoint's and costs the passage nothing;
any other that is asked again is a try of the passage's own, and it has ``1 + max_retries`` of them.
"""

from __future__ import annotations

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
"""Failures in a row, and no fewer than there are workers, after which the endpoint is suspected to be down."""


@dataclass(slots=True)
class Task:
    """A question about a passage, and its tries so far."""

    passage: Passage
    question: Question
    tokens: int
    """What it will cost, prompt and answer, by the best estimate there is."""
    failed: int = 0
    """Tries that failed while the endpoint was up."""
    put_off: int = 0
    """Times it was asked to come back later."""
    was_empty: bool = False
    """An answer without a word came, and it was asked once more."""


class Requests:
    """Sends for all workers: what one of them learns about the endpoint holds for the others."""

    def __init__(self, teacher: Teacher, limit: RateLimit, pace: Pace, progress: Progress) -> None:
        self._teacher, self._progress, self._retries = teacher, progress, pace.max_retries
        self._patience, self._concurrency, self._limit = pace.patience, pace.concurrency, limit
        self._breaker = Breaker(self._probe, progress.say, pace.patience)
        self._cut_thinking = False

    async def send(self, task: Task) -> tuple[Reply, float]:
        """Send one request, when breaker and limits let it go.

        Returns:
            The answer, and the seconds from sending the request to its last byte.

        Raises:
            TeacherError: there is no answer, or the first empty one; ``wait_after`` says what is done about it.
        """
        await self._breaker.closed()
        entry = await self._limit.acquire(task.tokens)
        began = time.monotonic()
        reply = await self._teacher.ask(task.question)
        latency = time.monotonic() - began
        self._breaker.alive()
        self._limit.settle(entry, reply.prompt_tokens + reply.completion_tokens)
        self._pause(reply.pause)
        if reply.finish_reason == "length" and reply.text.startswith("<think>") and "</think>" not in reply.text:
            self._report_cut_thinking()
        if _says_nothing(reply) and not task.was_empty and task.failed < self._retries:
            task.was_empty = True
            raise TeacherError("the answer is empty", kind="empty answer", retry_after=0.0, body=reply.body)
        return reply, latency

    async def wait_after(self, error: TeacherError, task: Task) -> float | None:
        """Return the seconds until the next try after a failure, or None where there is none.

        Raises:
            FatalTeacherError: no question will be answered.
            LimitError: the endpoint wants a longer wait than anyone waits.
        """
        action = rule_of(error.kind).action
        if action is Action.STOP:
            raise FatalTeacherError(str(error), kind=error.kind) from error
        if (error.retry_after or 0) > self._patience.pause:
            raise _limit_error(error.retry_after or 0, error) from error
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

    async def refuses_all(self, error: TeacherError) -> bool:
        """Whether the endpoint refuses even the smallest request, as it refused the first question with ``error``."""
        if rule_of(error.kind).action is not Action.REFUSE:
            return False
        try:
            await self._probe(whole=True)
        except TeacherError as again:
            return rule_of(again.kind).action in (Action.REFUSE, Action.STOP)
        return False

    def _failures_before_doubt(self, task: Task) -> int:
        """Return the failures in a row that make one doubt the endpoint: fewer before a passage is given up."""
        return min(DOUBT, 1 + self._retries) if task.failed >= self._retries else max(DOUBT, self._concurrency)

    async def _probe(self, *, whole: bool = False) -> None:
        await self._limit.acquire(0)
        await self._teacher.probe(whole=whole)

    def _pause(self, seconds: float) -> None:
        """Let everyone wait; longer than anyone waits, the next request finds out how long it really is."""
        if 0 < seconds <= self._patience.pause and self._limit.pause(seconds) and seconds >= 1:
            self._progress.say(f"the endpoint asked for a pause of {seconds:.1f} s")

    def _report_cut_thinking(self) -> None:
        self._progress.count("cut while thinking")
        if not self._cut_thinking:
            self._progress.say(
                "an answer was cut off (finish_reason=length) with nothing but thinking in it: give the model more "
                "room with --max-completion-tokens, or less to think with --option (docs/reliability.md)"
            )
        self._cut_thinking = True


def _limit_error(seconds: float, error: TeacherError) -> LimitError:
    when = time.strftime("%Y-%m-%d %H:%M %Z", time.localtime(time.time() + seconds))
    return LimitError(
        f"{error}; the endpoint takes nothing more before {when}: what is answered is kept, run the same command then",
        kind=error.kind,
        retry_after=seconds,
    )


def _says_nothing(reply: Reply) -> bool:
    """Whether an answer is empty although the teacher finished; of a refusal or a cut one the reason stays."""
    return not reply.text and reply.finish_reason in ("", "stop")
