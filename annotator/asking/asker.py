"""One question until it is answered: through gate, limits and breaker, again and again where that can help.

Which failure is whose: "later" (429) is a wait; a failure while the endpoint is down is the endpoint's and costs the
passage nothing; any other is a try of the passage's own, and it has ``1 + max_retries`` of them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from annotator.asking.breaker import Breaker
from annotator.asking.latency import Latency
from annotator.asking.limits import Gate, Limit, Pace, RateLimit
from annotator.errors import RetryableError, TeacherError
from annotator.progress import Progress
from annotator.teachers import Question, Reply, Teacher

LONGEST_WAIT: Final = 60.0
"""Seconds between two tries at most, unless the endpoint asks for more."""
MOST_WAITS: Final = 100
"""Times one request may be told to come back later."""
DOUBT: Final = 5
"""Failures in a row, and no fewer than requests are out, after which the endpoint is suspected to be down."""
OVERLOAD: Final = frozenset({"http 429", "http 498", "http 503", "http 529", "timeout"})
"""Failures that say "too much"."""


class Asker:
    """Asks for all workers: what one of them learns about the endpoint holds for the others."""

    def __init__(self, teacher: Teacher, pace: Pace, progress: Progress) -> None:
        self._teacher, self._progress, self._retries = teacher, progress, pace.max_retries
        self._limit: Limit = pace.shared or RateLimit(pace.rpm, pace.tpm)
        self._gate = Gate(pace.concurrency)
        self._breaker = Breaker(self._probe, progress.say)
        self._latency = Latency()
        self._overtaking = 0.0
        """When the last one was sent of the requests that are answered."""

    def remember(self, spent: Iterable[tuple[float, int]]) -> None:
        """Count requests of an earlier command against the limits: seconds ago, and tokens."""
        if isinstance(self._limit, RateLimit):  # what several processes share remembers for itself
            self._limit.remember(spent)

    async def ask(self, question: Question, tokens: int, before_wait: Callable[[], None]) -> tuple[Reply, float]:
        """Ask until there is an answer, or no try is left.

        Args:
            question: what to ask.
            tokens: what it will cost, prompt and answer, by the best estimate there is.
            before_wait: called before a wait between two tries, and when a request takes far longer than others do:
                another worker may take this one's place.

        Returns:
            The answer, and the seconds from sending it to the last byte of the try that succeeded.

        Raises:
            TeacherError: as the last try did.
        """
        state = _State(question, tokens, before_wait)
        try:
            return await self._try(state)
        except RetryableError as error:
            failed = [error]  # only now does tenacity come in: its bookkeeping is not free
        before_wait()

        async def again() -> tuple[Reply, float]:
            if failed:
                raise failed.pop()
            return await self._try(state)

        retrying = AsyncRetrying(
            retry=retry_if_exception_type(RetryableError),
            stop=lambda _: state.failed > self._retries or state.put_off > MOST_WAITS,
            wait=_wait,
            reraise=True,
        )
        return await retrying(again)

    async def _try(self, state: _State) -> tuple[Reply, float]:
        """One try that counts. What fails while the endpoint is down is the endpoint's failure, and asked again."""
        while True:
            try:
                return await self._send(state)
            except RetryableError as error:
                self._progress.count(error.kind)
                if error.kind == "http 429":
                    self._breaker.alive()
                    state.put_off += 1
                elif state.lent and not state.failed:
                    state.failed += 1  # others were answered meanwhile: it says nothing of the endpoint
                    if error.retry_after is None:
                        error.retry_after = 0.0  # it has waited long enough
                elif await self._breaker.was_down(error, self._enough(state)):
                    continue
                else:
                    state.failed += 1
                raise
            except TeacherError:
                self._breaker.alive()
                raise

    def _enough(self, state: _State) -> int:
        """Failures in a row that make one doubt the endpoint: sooner before a passage is given up."""
        if state.failed >= self._retries:
            return min(DOUBT, 1 + self._retries)
        return max(DOUBT, self._gate.out)

    async def _send(self, state: _State) -> tuple[Reply, float]:
        """One request, when gate, breaker and limits let it go."""
        ticket = await self._gate.enter(again=state.tried)
        state.tried = True
        state.lent = False
        try:
            entry = await self._permission(state.tokens)
            state.sent = time.monotonic()
            self._watch(state)
            reply = await self._teacher.ask(state.question)
            latency = time.monotonic() - state.sent
        except RetryableError as error:
            crowded = self._gate.note(ticket, overloaded=error.kind in OVERLOAD and not state.lent)
            if crowded and error.retry_after:
                self._pause(error.retry_after)
            raise
        finally:
            if state.timer:
                state.timer.cancel()
            self._gate.leave(lent=state.lent)
        self._latency.note(latency)
        self._overtaking = max(self._overtaking, state.sent)
        self._gate.note(ticket, overloaded=False)
        self._breaker.alive()
        self._limit.settle(entry, reply.prompt_tokens + reply.completion_tokens)
        if reply.pause:
            self._pause(reply.pause)
        if _says_nothing(reply) and not state.was_empty and state.failed < self._retries:
            state.was_empty = True
            raise RetryableError("the answer is empty", kind="empty answer", retry_after=0.0)
        return reply, latency

    def _watch(self, state: _State) -> None:
        """Look after a request when it is overdue."""
        if overdue := self._latency.overdue:
            state.timer = asyncio.get_running_loop().call_later(overdue, self._lend, state)

    def _lend(self, state: _State) -> None:
        """Let another ask in the place of a request that takes too long; it is not given up before its time-out."""
        state.lent = self._gate.lend(overtaken=state.sent < self._overtaking)
        if state.lent:
            state.before_wait()
        else:  # too many have done so: perhaps there is room later
            self._watch(state)

    async def _permission(self, tokens: int) -> Any:
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


@dataclass(slots=True)
class _State:
    """How it went with one question so far."""

    question: Question
    tokens: int
    before_wait: Callable[[], None]
    """Lets another worker take this one's place."""
    tried: bool = False
    sent: float = 0.0
    """When the last try was."""
    failed: int = 0
    """Tries that failed while the endpoint was up."""
    put_off: int = 0
    """Times it was told to come back later."""
    was_empty: bool = False
    """An answer without a word came, and it was asked once more."""
    lent: bool = False
    """The request that is out takes so long that another has its place."""
    timer: asyncio.TimerHandle | None = None
    """When to look whether it does."""


def _wait(state: RetryCallState) -> float:
    """Seconds to wait after a failure: what the endpoint asked for, else a random time that grows."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, RetryableError) and error.retry_after is not None:
        return error.retry_after
    return wait_random_exponential(multiplier=0.5, max=LONGEST_WAIT)(state)


def _says_nothing(reply: Reply) -> bool:
    """Empty although the teacher says it finished; a refusal or a cut answer is empty for a reason that stays."""
    return not reply.text and reply.finish_reason in ("", "stop")
