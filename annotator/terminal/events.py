"""Events of a long stage: a stage calls ``Progress``, which decides how they are displayed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Progress:
    """Receives the events of a stage. This one displays nothing; ``annotator.terminal.progress`` has others."""

    def start(self, stage: str, unit: str, total: int | None = None) -> None:
        """Begin a stage of ``total`` units, where their number is known."""

    def advance(self, done: int = 1) -> None:
        """Count ``done`` further units as done."""

    def count(self, kind: str, number: int = 1) -> None:
        """Count something besides the units: failures of a kind, tokens spent."""

    def show(self, text: str) -> None:
        """Show a changing text, such as the loss, in place of the one before."""

    def say(self, message: str) -> None:
        """Print one line, such as a pause and its cause."""

    def finish(self, *, complete: bool = True) -> None:
        """End the stage; ``complete`` is False where an error or Ctrl-C ended it."""


@contextmanager
def displayed(progress: Progress) -> Iterator[None]:
    """End the display of a stage, also where the stage fails."""
    try:
        yield
    except BaseException:
        progress.finish(complete=False)
        raise
    progress.finish()
