"""Define the rows and the protocol of a ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, Self

from annotator.records import Completion

SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a question has no answer yet; replaced when the question is asked again."""

    key: str
    passage_id: str
    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """A paid response that is not the answer, stored unchanged. Only its tokens are counted."""

    key: str
    passage_id: str
    kind: str
    """Why it is not the answer."""
    body: str
    created: float
    """Unix time in seconds."""


class Ledger(Protocol):
    """Stores every paid answer for ever, by the content of its question.

    Every method raises ``RunDirError`` where the ledger cannot be used.
    """

    def append(self, completions: Sequence[Completion]) -> None:
        """Write answers, all or none; when this returns they survive the process. A key that is there stays."""

    def record_failures(self, failures: Sequence[Failure]) -> None:
        """Record why questions have no answer, in place of earlier records."""

    def keep_attempt(self, attempt: Attempt) -> None:
        """Store a paid response that is not the answer."""

    def attempts(self) -> Iterator[Attempt]:
        """Yield all that ``keep_attempt`` has kept."""

    def flush(self) -> None:
        """Flush all writes to the disk."""

    def get(self, key: str) -> Completion | None:
        """Return the answer to ``key``, or None."""
        return self.find((key,)).get(key)

    def find(self, keys: Iterable[str]) -> dict[str, Completion]:
        """Return the answers to those of ``keys`` that have one."""

    def known(self, keys: Sequence[str]) -> set[str]:
        """Return those of ``keys`` (up to some thousands) that have an answer."""

    def has(self, key: str) -> bool:
        """Whether ``key`` has an answer."""
        return bool(self.known((key,)))

    def since(self, moment: float) -> list[tuple[float, int]]:
        """Return time and tokens of each answer after ``moment`` (Unix seconds), by time, without those of batches."""

    def failure(self, key: str) -> Failure | None:
        """Return why ``key`` has no answer, or None if it was not asked."""

    def __len__(self) -> int:
        """Return the number of answers."""

    def close(self) -> None:
        """Close the file or the connection."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
