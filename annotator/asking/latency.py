"""From when on a request takes so long that most likely it hangs."""

from __future__ import annotations

from typing import Final

GRAIN: Final = 0.05
"""Seconds that mean nothing: a busy event loop is that late now and then."""
GAIN: Final = 1 / 32
"""How much one answer counts beside those before it."""


class Latency:
    """How long answers have taken lately, and how much that varies.

    A request is overdue when TCP would take a packet for lost (RFC 6298): after the mean and four mean deviations.
    Where all answers take the same time, one that hangs shows soon; where they vary, a long one is given its time. The
    first answer came while nothing else was asked, so it counts as if it could have varied by all of itself.
    """

    def __init__(self) -> None:
        self._mean = self._deviation = 0.0

    def note(self, seconds: float) -> None:
        """Learn from an answer."""
        if not self._mean:
            self._mean = self._deviation = seconds
            return
        self._deviation += (abs(seconds - self._mean) - self._deviation) * GAIN
        self._mean += (seconds - self._mean) * GAIN

    @property
    def overdue(self) -> float | None:
        """Seconds after which a request is overdue; None before the first answer."""
        if not self._mean:
            return None
        return self._mean + max(GRAIN, 4 * self._deviation)
