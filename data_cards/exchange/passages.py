"""Records exchanged between a run and another tool."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from annotator.records import Annotation, Sample


@dataclass(frozen=True, slots=True)
class Exported:
    """One passage on its way into a file of another tool."""

    annotation: Annotation
    """With the mentions that the format can hold, and no others."""
    samples: Iterable[Sample]
    """The instruction samples of the passage, negatives too; they are made while they are read."""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """One passage as a file of another tool has it. What the format does not hold is None or empty."""

    passage_id: str
    spans: tuple[tuple[int, int, str], ...] = ()
    """Start, end and label: of code points, or of tokens where there are ``tokens``; half open."""
    text: str | None = None
    """The passage, for comparison with the run's own."""
    tokens: tuple[str, ...] | None = None
    """The passage as tokens, where the file has nothing else."""
    predictions: tuple[tuple[str, str], ...] | None = None
    """Mention and label, where the format has strings and no offsets."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A passage of a file without a correction."""

    kind: str
    """``unreviewed``, ``conflicting`` or ``unreadable``."""
    passage_id: str
    detail: str
