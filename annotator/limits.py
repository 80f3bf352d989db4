"""Keeping to an endpoint's limits: so many requests and tokens in any 60 seconds."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from annotator.errors import ConfigError

WINDOW = 60.0
"""Seconds."""


class RateLimit:
    """Holds back requests so that no window of 60 s sees more than ``rpm`` requests or ``tpm`` tokens (0: no limit).

    Also holds everyone back when the endpoint said so: ``pause`` after a ``Retry-After`` is for all requests.
    """

    def __init__(self, rpm: int = 0, tpm: int = 0) -> None:
        self._rpm, self._tpm = rpm, tpm
        self._sent: deque[list[float]] = deque()  # [time, tokens], in order of time
        self._tokens = 0.0
        self._not_before = 0.0
        self._turn = asyncio.Lock()  # first come, first served

    def pause(self, seconds: float) -> None:
        """Let nobody start for ``seconds``."""
        self._not_before = max(self._not_before, time.monotonic() + seconds)

    async def acquire(self, tokens: int) -> list[float]:
        """Wait for room for one request of about ``tokens`` tokens; returns the entry to ``settle``.

        Raises:
            ConfigError: a single request is larger than the limit allows in a minute.
        """
        if self._tpm and tokens > self._tpm:
            raise ConfigError(
                f"one request takes about {tokens} tokens, more than --tpm {self._tpm} allows in a minute"
            )
        async with self._turn:
            while (wait := self._wait(tokens)) > 0:
                await asyncio.sleep(wait)
            entry = [time.monotonic(), float(tokens)]
            if self._rpm or self._tpm:
                self._sent.append(entry)
                self._tokens += tokens
        return entry

    def settle(self, entry: list[float], tokens: int) -> None:
        """Replace the estimate by what the endpoint counted."""
        self._forget(before := time.monotonic() - WINDOW)
        if entry[0] > before:
            self._tokens += tokens - entry[1]
            entry[1] = float(tokens)

    def _forget(self, before: float) -> None:
        while self._sent and self._sent[0][0] <= before:
            self._tokens -= self._sent.popleft()[1]

    def _wait(self, tokens: int) -> float:
        now = time.monotonic()
        self._forget(now - WINDOW)
        wait = self._not_before - now
        if self._rpm and len(self._sent) >= self._rpm:
            wait = max(wait, self._sent[-self._rpm][0] + WINDOW - now)
        if self._tpm and self._tokens + tokens > self._tpm:
            surplus = self._tokens + tokens - self._tpm
            for sent, spent in self._sent:
                surplus -= spent
                if surplus <= 0:
                    return max(wait, sent + WINDOW - now)
        return wait
