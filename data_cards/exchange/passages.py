"""Records exchanged between a run and another tool, and the mentions that a format cannot hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from annotator.records import Annotation, Mention, Sample

SEVERAL_LABELS = "another label of a span that is there"
NESTED = "inside a longer span"
CROSSING = "crosses a longer span"
OFF_TOKENS = "begins or ends inside a token"


@dataclass(frozen=True, slots=True)
class Exported:
    """A passage to write to a file of another tool."""

    annotation: Annotation
    """It has only the mentions that the format can hold."""
    samples: Iterable[Sample]
    """The instruction samples of the passage with negatives, made while they are read."""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A passage of a file of another tool. What the format does not hold is None or empty."""

    passage_id: str
    spans: tuple[tuple[int, int, str], ...] = ()
    """Start, end and label, half open, in code points, or in ``tokens`` if there are any."""
    text: str | None = None
    """The text, to compare with the run's."""
    tokens: tuple[str, ...] | None = None
    """The tokens, for a format without the text."""
    predictions: tuple[tuple[str, str], ...] | None = None
    """Mentions with their labels, for a format without offsets."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A passage of a file without a correction."""

    kind: str
    """``unreviewed``, ``conflicting`` or ``unreadable``."""
    passage_id: str
    detail: str


def nothing_lost(_annotation: Annotation) -> dict[Mention, str]:
    """Return an empty result, for a format that holds any span."""
    return {}


def lost_when_flat(mentions: Iterable[Mention]) -> dict[Mention, str]:
    """Return the mentions that a format without nesting cannot hold.

    The longest mention stays; of two of equal length, the first.
    """
    chosen: list[Mention] = []
    lost: dict[Mention, str] = {}
    for mention in sorted(mentions, key=lambda one: (one.start - one.end, one.start, one.label)):
        stronger = next((one for one in chosen if one.start < mention.end and mention.start < one.end), None)
        if stronger is None:
            chosen.append(mention)
        elif (stronger.start, stronger.end) == (mention.start, mention.end):
            lost[mention] = SEVERAL_LABELS
        else:
            inside = stronger.start <= mention.start and mention.end <= stronger.end
            lost[mention] = NESTED if inside else CROSSING
    return lost


def lost_off_tokens(mentions: Iterable[Mention], places: Iterable[tuple[int, int]]) -> dict[Mention, str]:
    """Return the mentions that do not begin and end where tokens (``places``: start and end of each) do."""
    bounds = list(places)
    starts, ends = {start for start, _ in bounds}, {end for _, end in bounds}
    return {mention: OFF_TOKENS for mention in mentions if mention.start not in starts or mention.end not in ends}
