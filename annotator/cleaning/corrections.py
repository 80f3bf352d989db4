"""Corrections by people: a file in the run directory that replaces the teacher's answers.

A passage that a person has reviewed has that person's mentions, and no others, whatever the teacher answered; none at
all is an answer too. The answers stay in the ledger; without the file everything is as it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from annotator.cleaning.clean import Cleaned, Decider, clean_reply
from annotator.errors import RunDirError
from annotator.records import Annotation, Completion, Mention, Passage, Rejected
from annotator.storage import tables
from annotator.storage.atomic import replacing

HUMAN: Final = "human"
"""The ``match`` of a mention that a person added or changed."""
REVIEWED: Final = "reviewed"
"""The ``reply_status`` of a passage whose mentions a person has settled."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """A mention as a person left it: ``passage.text[start:end]``."""

    start: int
    end: int
    raw_label: str
    """As the person wrote it; as the teacher wrote it where the person left it alone. It is normalised when used."""
    match: str
    """``human``, or how the teacher's mention was found where the person left it alone."""


@dataclass(frozen=True, slots=True)
class Correction:
    """All mentions of one reviewed passage."""

    passage_id: str
    text_sha256: str
    """Of the passage's text in UTF-8: a correction of another text is of no use."""
    mentions: tuple[Corrected, ...]
    tool: str
    """The format it came in."""


def text_sha256(text: str) -> str:
    """Return the identity of a text."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def read_corrections(path: Path) -> dict[str, Correction]:
    """Read corrections by passage id; none where there is no file.

    Raises:
        RunDirError: the file is damaged.
    """
    if not path.exists():
        return {}
    try:
        return {one.passage_id: one for one in tables.read_records(path, Correction)}
    except RunDirError as error:
        raise RunDirError(f"cannot read {path}; restore it from a copy, or remove it and import again") from error


def write_corrections(path: Path, corrections: Mapping[str, Correction]) -> None:
    """Write corrections in the order of their ids, so that the same ones give the same bytes."""
    with replacing(path) as file:
        tables.write_records(
            file, tables.schema_of(Correction), (corrections[identity] for identity in sorted(corrections))
        )


def file_identity(path: Path) -> dict[str, str]:
    """Return what the manifest records of the file: its sha256, nothing where there is none."""
    return {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()} if path.exists() else {}


def clean_or_correct(
    answers: Iterable[tuple[Passage, Completion]], labels: Decider, corrections: Mapping[str, Correction]
) -> Iterator[Cleaned]:
    """Clean every answered passage; a reviewed passage has the reviewer's entities."""
    for passage, completion in answers:
        correction = corrections.get(passage.id)
        if correction and correction.text_sha256 == text_sha256(passage.text):
            yield correct(passage, correction, labels)
        else:
            yield clean_reply(passage, completion, labels)


def correct(passage: Passage, correction: Correction, labels: Decider) -> Cleaned:
    """Make an annotation from a correction. A person's mention is kept, or rejected with a reason.

    A label that no rule knows is kept in its clean form, for here a person has decided; one without meaning is not.
    """
    found: dict[tuple[int, int, str], Mention] = {}
    rejected: list[Rejected] = []
    decisions = tuple(labels.decide(one.raw_label) for one in correction.mentions)
    for one, decision in zip(correction.mentions, decisions, strict=True):
        text = passage.text[one.start : one.end]
        if decision.label is None:
            reason, detail = "label rejected", decision.rule
        elif (key := (one.start, one.end, decision.label)) in found:
            reason, detail = "duplicate", f"already a {decision.label}"
        else:
            found[key] = Mention(text, decision.label, one.raw_label, one.start, one.end, one.match)
            continue
        rejected.append(Rejected("clean", reason, passage.id, text, detail, one.raw_label))
    mentions = tuple(sorted(found.values(), key=lambda one: (one.start, -one.end, one.label)))
    annotation = Annotation(passage.id, passage.text, mentions, REVIEWED)
    return Cleaned(annotation, len(mentions), tuple(rejected), decisions)
