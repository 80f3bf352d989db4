"""Display the progress of stages on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from annotator.terminal.events import Progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars

_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
PLAIN_EVERY: Final = 10.0
"""Seconds between two lines."""


def make_progress(*, quiet: bool) -> Progress:
    """Return a bar where stderr is a terminal, else a display of lines; with ``quiet`` neither."""
    if quiet:
        return Progress()
    from rich.console import Console

    console = Console(stderr=True)
    return LiveProgress(console) if console.is_terminal else PlainProgress(console)


class PlainProgress(Progress):
    """Prints a line every ten seconds, and one when a stage ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stage = ""

    def start(self, stage: str, unit: str, total: int | None = None) -> None:
        """Begin a stage."""
        self._stage, self._unit, self._total = stage, unit, total
        self._done, self._counts, self._shown = 0, Counter[str](), ""
        self._began = self._printed = time.monotonic()

    def advance(self, done: int = 1) -> None:
        """Count units; print a line when it is time."""
        self._done += done
        if time.monotonic() - self._printed >= PLAIN_EVERY:
            self._printed = time.monotonic()
            self._print("")

    def count(self, kind: str, number: int = 1) -> None:
        """Count something besides the units."""
        self._counts[kind] += number

    def show(self, text: str) -> None:
        """Keep the text for the next line."""
        self._shown = text

    def say(self, message: str) -> None:
        """Print a line."""
        line = f"{self._stage}: {message}" if self._stage else message
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def finish(self, *, complete: bool = True) -> None:
        """Print how the stage ended."""
        if self._stage:
            self._print(f" {'in' if complete else 'when it stopped, after'} {time.monotonic() - self._began:.1f} s")
            self._stage = ""

    def _print(self, when: str) -> None:
        seconds = max(time.monotonic() - self._began, 1e-9)
        of = f"/{self._total:,}" if self._total is not None else ""
        done = f"{self._done:,}{of} {self._unit}{when}, {self._done / seconds:,.1f}/s"
        parts = [done, describe(self._counts), self._shown]
        self.say(", ".join(part for part in parts if part))


class LiveProgress(Progress):
    """Shows a bar for each stage with rate, tokens, failures by kind, and the time that remains."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: Bars | None = None

    def start(self, stage: str, unit: str, total: int | None = None) -> None:
        """Begin a stage."""
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._counts = Counter[str]()
        self._bars = Bars(
            TextColumn("{task.description:<8}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]} [dim]{task.fields[rate]}[/dim]"),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("[dim]{task.fields[clock]}[/dim]"),
            TextColumn("{task.fields[counts]}", markup=False),
            TextColumn("{task.fields[shown]}", markup=False),
            console=self._console,
        )
        self._bars.start()
        self._bars.add_task(stage, total=total, unit=unit, counts="", shown="", rate="", clock="left")

    def advance(self, done: int = 1) -> None:
        """Move the bar."""
        self._update(advance=done)
        if self._bars and (speed := self._bars.tasks[0].speed):
            self._update(rate=f"{speed:,.1f}/s")

    def count(self, kind: str, number: int = 1) -> None:
        """Show a count at the end of the line."""
        if self._bars:
            self._counts[kind] += number
            self._update(counts=describe(self._counts))

    def show(self, text: str) -> None:
        """Show a text at the end of the line."""
        self._update(shown=text)

    def say(self, message: str) -> None:
        """Print a line above the bar."""
        self._console.print(message, markup=False, highlight=False)

    def finish(self, *, complete: bool = True) -> None:
        """Leave the bar on the screen: full after a complete stage, unchanged after an error or Ctrl-C."""
        if self._bars is None:
            return
        task = self._bars.tasks[0]
        if complete:
            rate = task.completed / max(task.elapsed or 0, 1e-9)
            self._update(total=task.completed, rate=f"{rate:,.1f}/s", clock="")
        else:
            self._update(clock="left, stopped")
        self._bars.stop()
        self._bars = None

    def _update(self, **values: Any) -> None:
        if self._bars:
            self._bars.update(self._bars.task_ids[0], **values)


def describe(counts: Counter[str]) -> str:
    """Return counts as ``tokens 12,345, http 503 2``: tokens first, then failures by frequency."""
    ordered = sorted(
        (kind for kind in counts if counts[kind]), key=lambda kind: (kind != "tokens", -counts[kind], kind)
    )
    return ", ".join(f"{kind} {counts[kind]:,}" for kind in ordered)


def printable(text: str) -> str:
    """Return ``text`` with control and bidirectional-override characters escaped, safe for a terminal."""
    return _CONTROL.sub(lambda match: json.dumps(match.group())[1:-1], text)
