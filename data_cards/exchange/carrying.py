"""Records exchanged between a run and another tool, and what a format cannot hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from annotator.records import Annotation, Mention
from annotator.samples.explode import Negatives

SEVERAL_LABELS = "another label of a span that is there"
NESTED = "inside a longer span"
CROSSING = "crosses a longer span"
OFF_TOKENS = "begins or ends inside a token"


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


@dataclass(frozen=True, slots=True)
class Job:
    """Negatives and counts of a writer. Spans: in = carried + left out."""

    negatives: Negatives
    """Draws types that are absent from a passage."""
    passages: Counter[str] = field(default_factory=Counter)
    """Passages written, under ``all``."""
    carried: Counter[str] = field(default_factory=Counter)
    """Spans written, by label."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Spans the format cannot hold, by reason."""
    examples: dict[str, str] = field(default_factory=dict)
    """For each reason, the first span that was left out for it."""

    def count(self, annotation: Annotation, lost: Mapping[Mention, str]) -> None:
        """Count a passage of which everything but ``lost`` (with reasons) was written."""
        self.passages["all"] += 1
        for mention in annotation.mentions:
            if reason := lost.get(mention):
                self.left_out[reason] += 1
                self.examples.setdefault(reason, f"{mention.text} [{mention.label}] of passage {annotation.passage_id}")
            else:
                self.carried[mention.label] += 1


def nothing_lost(_annotation: Annotation) -> dict[Mention, str]:
    """Return nothing: for a format that holds any span."""
    return {}


def lost_when_flat(mentions: Iterable[Mention]) -> dict[Mention, str]:
    """Return the mentions that a format without nesting leaves out, with the reason.

    The longest stays, of two of one length the one that comes first: always the same choice.
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


def to_utf16(text: str, offset: int) -> int:
    """Convert an offset in code points to UTF-16 code units, in which a browser counts: an emoji is two of them."""
    return offset + sum(char > "\uffff" for char in text[:offset])


def from_utf16(text: str, offset: int) -> int:
    """Convert an offset in UTF-16 code units to code points.

    Raises:
        ValueError: it lies in the middle of a character or outside the text.
    """
    if text.isascii() and 0 <= offset <= len(text):
        return offset
    units = text.encode("utf-16-le", "surrogatepass")
    if not 0 <= 2 * offset <= len(units):
        raise ValueError(f"offset {offset} is outside the text")
    try:
        return len(units[: 2 * offset].decode("utf-16-le"))
    except UnicodeDecodeError:
        raise ValueError(f"offset {offset} is in the middle of a character") from None
