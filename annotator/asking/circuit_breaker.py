"""Distinguish an endpoint that is down from a passage that fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from annotator.asking.retry_policy import Action, Patience, rule_of
from annotator.errors import FatalTeacherError, TeacherError

START_TRIPS: Final = 3
"""Failures in a row after which an endpoint that has never answered is doubted."""


class Breaker:
    """Stops all workers while the endpoint is down.

    After some failures in a row, of any passages, a probe decides. If it is answered, the failures are those of the
    passages. If not, the endpoint is down: nothing is asked until a later probe is answered, and what failed meanwhile
    is asked again without counting as a failed try.
    """

    def __init__(self, probe: Callable[[], Awaitable[None]], say: Callable[[str], None], patience: Patience) -> None:
        self._probe, self._say, self._patience = probe, say, patience
        self._in_a_row = 0
        self._served = self._was_down = False
        self._up = asyncio.Event()
        self._up.set()

    async def wait_while_down(self) -> None:
        """Wait while the endpoint is down."""
        await self._up.wait()

    def alive(self) -> None:
        """Note that the endpoint has answered a question, or refused one."""
        self._in_a_row, self._served = 0, True

    async def was_down(self, error: TeacherError, enough: int) -> bool:
        """Return whether ``error`` came from an endpoint that was down; if so, only when it is back.

        ``enough`` failures in a row are a reason to doubt it.

        Raises:
            FatalTeacherError: it does not come back.
        """
        if not self._up.is_set():
            await self._up.wait()
            return self._was_down
        self._in_a_row += 1
        if self._in_a_row < (enough if self._served else min(enough, START_TRIPS)):
            return False
        self._up.clear()
        self._was_down = await self._wait_until_up(error)  # if this raises, the run ends, and nothing is asked before
        self._in_a_row = 0
        self._up.set()
        return self._was_down

    async def _wait_until_up(self, error: TeacherError) -> bool:
        """Probe until there is an answer; return whether that took more than one probe."""
        began, wait, down = time.monotonic(), self._patience.first_probe_wait, False
        longest = self._patience.give_up_after if self._served else self._patience.give_up_at_start
        while (cause := await self._failed_probe()) is not None:
            down = True
            gone = time.monotonic() - began
            if gone + wait > longest:
                after = f"; no answer for {gone:.0f} s: run the same command again later" if self._served else ""
                raise FatalTeacherError(f"{error}{after}", kind=error.kind) from cause
            self._say(f"the endpoint is down ({cause.kind}); nothing is lost; trying again in {wait:.0f} s")
            await asyncio.sleep(wait)
            wait = min(2 * wait, self._patience.longest_probe_wait)
        if down:
            self._say(f"the endpoint is back after {time.monotonic() - began:.0f} s")
        return down

    async def _failed_probe(self) -> TeacherError | None:
        """Probe once; return the error, or None where the endpoint answers: a refusal and a 429 are answers too."""
        try:
            await self._probe()
        except TeacherError as error:
            match rule_of(error.kind).action:
                case Action.STOP:
                    raise FatalTeacherError(str(error), kind=error.kind) from error
                case Action.RETRY:
                    return error
        return None
