"""Rate limits: requests and tokens in any 60 seconds, and pauses that the endpoint asks for.

What is done about a request that was refused, as with a 429, is in ``retry_policy``.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from annotator.asking.retry_policy import Patience
from annotator.errors import ConfigError

WINDOW = 60.0
"""Seconds."""
MARGIN: Final = 0.3
"""Seconds added to a window, since requests arrive a little later or sooner than they were sent."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Limits of rate, concurrency and waiting times. They never change an answer."""

    concurrency: int = 16
    max_retries: int = 6
    rpm: int = 0
    tpm: int = 0
    window: float = WINDOW
    """Seconds in which ``rpm`` and ``tpm`` count."""
    patience: Patience = field(default_factory=Patience)
    waiting: int = 2048
    """Questions (some kB each) that may wait for their next try while others are asked."""


class RateLimit:
    """Delays requests so that no window of 60 s has more than ``rpm`` requests or ``tpm`` tokens (0: no limit)."""

    def __init__(self, rpm: int = 0, tpm: int = 0, window: float = WINDOW) -> None:
        self._rpm, self._tpm = rpm, tpm
        self._window = window + MARGIN
        self._sent: deque[list[float]] = deque()  # [time, tokens, first estimate], in order of time
        self._tokens = 0.0
        self._estimated = self._settled = 0.0  # tokens of all settled requests
        self._not_before = 0.0
        self._turn = asyncio.Lock()  # first come, first served

    def pause(self, seconds: float) -> bool:
        """Start no request for ``seconds``; return whether one could have started before."""
        now = time.monotonic()
        was_free = self._not_before <= now
        self._not_before = max(self._not_before, now + seconds)
        return was_free

    def remember(self, spent: Iterable[tuple[float, int]]) -> None:
        """Count earlier requests: for each how many seconds ago it was, in descending order, and its tokens."""
        now = time.monotonic()
        for ago, tokens in spent:
            self._sent.append([now - ago, float(tokens), float(tokens)])
            self._tokens += tokens

    async def acquire(self, tokens: int) -> list[float]:
        """Wait until one request of about ``tokens`` tokens fits, and return the entry to ``settle``.

        Raises:
            ConfigError: a single request is larger than the limit allows in a minute.
        """
        if self._tpm and tokens > self._tpm:
            raise ConfigError(
                f"one request takes about {tokens} tokens, more than --tpm {self._tpm} allows in a minute; "
                "raise --tpm, or lower --max-tokens"
            )
        if not (self._rpm or self._tpm) and self._not_before <= (now := time.monotonic()):
            return [now, 0.0, float(tokens)]
        async with self._turn:
            while (wait := self._wait(self._corrected(tokens))) > 0:
                await asyncio.sleep(wait)
            entry = [time.monotonic(), self._corrected(tokens), float(tokens)]
            if self._rpm or self._tpm:
                self._sent.append(entry)
                self._tokens += entry[1]
        return entry

    def settle(self, entry: list[float], tokens: int) -> None:
        """Replace an estimate by the tokens that the endpoint counted; 0 where it counted none."""
        if not self._tpm:
            return
        if tokens:
            self._estimated += entry[2]
            self._settled += tokens
        self._forget(before := time.monotonic() - self._window)
        if entry[0] > before:
            self._tokens += tokens - entry[1]
            entry[1] = float(tokens)

    def _corrected(self, tokens: int) -> float:
        """Return the estimate, scaled by the ratio of real tokens to estimates so far."""
        if not self._estimated:
            return float(tokens)
        return min(tokens * self._settled / self._estimated, float(self._tpm or tokens))

    def _forget(self, before: float) -> None:
        while self._sent and self._sent[0][0] <= before:
            self._tokens -= self._sent.popleft()[1]

    def _wait(self, tokens: float) -> float:
        now = time.monotonic()
        window = self._window
        self._forget(now - window)
        wait = self._not_before - now
        if self._rpm and len(self._sent) >= self._rpm:
            wait = max(wait, self._sent[-self._rpm][0] + window - now)
        if self._tpm and self._tokens + tokens > self._tpm + 1e-6:
            surplus = self._tokens + tokens - self._tpm
            for sent, spent, _ in self._sent:
                surplus -= spent
                if surplus <= 1e-6:
                    return max(wait, sent + window - now)
        return wait
