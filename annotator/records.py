"""The records of the program, in the order in which they are produced.

Leaf module: no I/O, no third-party imports. Every record is immutable. Offsets are Unicode code points, half open,
into the NFC text of the record that carries them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Document:
    """One article, NFC-normalised, without boilerplate."""

    id: str
    text: str
    source: str
    """Its origin: a file name inside the source, or the name of a Hub dataset."""


@dataclass(frozen=True, slots=True)
class Piece:
    """An exact slice ``[start, end)`` of a document."""

    document_id: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Passage:
    """The text of one request: whole sentences of one document, or short leftovers of several joined by a newline."""

    id: str
    text: str
    n_tokens: int
    """Length of ``text`` in tokens of the run's tokenizer."""
    pieces: tuple[Piece, ...]
    """Where the text stands, in order; only white space lies between two pieces."""
    n_sentences: int
    """Number of its sentences (or parts of an over-long one): the unit in which chunking counts."""
    cut: str = ""
    """``clause`` or ``space`` when an over-long sentence was cut to make this passage, else empty."""


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer of a teacher, unchanged. The ledger stores it for ever."""

    key: str
    """sha256 over the canonical JSON of the question."""
    passage_id: str
    reply: str
    finish_reason: str
    """As the endpoint named it: ``stop``, ``length``, ``content_filter``, ..."""
    prompt_tokens: int
    completion_tokens: int
    latency: float
    """Seconds from sending to the last byte, of the attempt that succeeded."""
    created: float
    """Unix time in seconds."""
    logprobs: str = ""
    """Token probabilities of ``reply``, see ``annotator.teachers.token_logprobs``; empty where there are none."""


@dataclass(frozen=True, slots=True)
class RawMention:
    """A predicted entity before any check: a string and its type."""

    text: str
    label: str


@dataclass(frozen=True, slots=True)
class Mention:
    """One occurrence of an entity in a passage: ``passage.text[start:end] == text``, always."""

    text: str
    label: str
    """The normalised entity type: lower case, English, singular."""
    raw_label: str
    """The type as the teacher wrote it."""
    start: int
    end: int
    match: str
    """``exact``, or the name of the rule that found it."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """An answered passage with its clean mentions in order of ``start``; none is a valid answer."""

    passage_id: str
    text: str
    mentions: tuple[Mention, ...]
    reply_status: str
    """How the reply could be read: ``ok``, ``repaired``, or ``truncated`` (some mentions may be missing)."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One instruction sample: a passage and one entity type."""

    id: str
    instruction: str
    input: str
    output: str
    """JSON list of the distinct mentions in order of first occurrence, Vietnamese letters as they are."""
    entity_type: str
    negative: bool
    """True when the type is absent from the passage and the right answer is ``[]``."""
    passage_id: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """A rejected record. For every stage, in = kept + rejected."""

    stage: str
    reason: str
    record_id: str
    value: str = ""
    """The rejected text, unchanged."""
    detail: str = ""
    """The cause in words."""
    label: str = ""
    """The type that the teacher predicted for it, where it is a mention."""


@dataclass(frozen=True, slots=True)
class LabelUse:
    """The result for one raw label, and its counts: a row of the merge log."""

    raw: str
    label: str | None
    """The type it became; None when it was rejected, the cleaned form while it waits for a decision."""
    status: str
    """``kept``, ``changed``, ``rejected`` or ``review``."""
    rule: str
    """The rule that decided; ``user`` for a person, ``teacher`` for a translation."""
    claims: int
    mentions: int
    """Occurrences in the passages with this raw label."""
