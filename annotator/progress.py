"""What a long stage tells of itself while it runs. A stage knows only ``Progress``, not who shows it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives what happens in a stage."""

    def start(self, stage: str, unit: str, total: int | None = None) -> None:
        """A stage begins; ``total`` is the number of ``unit`` s to come, if known."""
        ...

    def advance(self, done: int = 1) -> None:
        """So many more are done."""
        ...

    def count(self, kind: str, number: int = 1) -> None:
        """Something worth counting happened: a failure of this kind, tokens spent."""
        ...

    def show(self, text: str) -> None:
        """How it stands right now, such as the loss; each text takes the place of the one before."""
        ...

    def say(self, message: str) -> None:
        """One line for a person, such as a pause and its cause."""
        ...

    def finish(self) -> None:
        """The stage has ended."""
        ...


class Silent:
    """Shows nothing."""

    def start(self, stage: str, unit: str, total: int | None = None) -> None:
        """Ignore."""

    def advance(self, done: int = 1) -> None:
        """Ignore."""

    def count(self, kind: str, number: int = 1) -> None:
        """Ignore."""

    def show(self, text: str) -> None:
        """Ignore."""

    def say(self, message: str) -> None:
        """Ignore."""

    def finish(self) -> None:
        """Ignore."""
