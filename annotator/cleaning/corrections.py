"""Read, write and apply corrections by people: a file in the run directory that replaces the teacher's answers.

A passage that a person has reviewed has the mentions of that person and no others, even if there are none. The answers
stay in the ledger; without the file the dataset is as before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from annotator.cleaning.clean import Cleaned, Decider, clean_reply, sorted_mentions
from annotator.errors import RunDirError
from annotator.records import Annotation, Completion, Mention, Passage, Rejected
from annotator.storage import tables
from annotator.storage.atomic import replacing

HUMAN: Final = "human"
"""The ``match`` of a mention that a person added or changed."""
REVIEWED: Final = "reviewed"
"""The ``reply_status`` of a passage that a person has reviewed."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """A mention in a reviewed passage: ``passage.text[start:end]``."""

    start: int
    end: int
    raw_label: str
    """As the person wrote it, or the teacher where the person did not change it. It is normalised when it is used."""
    match: str
    """``human``, or the rule that found the teacher's mention where the person did not change it."""


@dataclass(frozen=True, slots=True)
class Correction:
    """All mentions of one reviewed passage."""

    passage_id: str
    text_sha256: str
    """Of the passage's text in UTF-8; a correction of another text is not applied."""
    mentions: tuple[Corrected, ...]
    tool: str
    """The format from which it was imported."""


def text_sha256(text: str) -> str:
    """Return the sha256 of ``text`` in UTF-8."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def read_corrections(path: Path) -> dict[str, Correction]:
    """Read corrections by passage id; there are none without the file.

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
    """Write corrections in the order of their ids, so that the same corrections give the same bytes."""
    with replacing(path) as file:
        tables.write_records(
            file, tables.schema_of(Correction), (corrections[identity] for identity in sorted(corrections))
        )


def file_identity(path: Path) -> dict[str, str]:
    """Return the sha256 of the file for the manifest; nothing where there is no file."""
    return {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()} if path.exists() else {}


def clean_or_correct(
    answers: Iterable[tuple[Passage, Completion]], labels: Decider, corrections: Mapping[str, Correction]
) -> Iterator[Cleaned]:
    """Clean every answered passage; a reviewed passage has the entities of its correction."""
    for passage, completion in answers:
        correction = corrections.get(passage.id)
        if correction and correction.text_sha256 == text_sha256(passage.text):
            yield correct(passage, correction, labels)
        else:
            yield clean_reply(passage, completion, labels)


def correct(passage: Passage, correction: Correction, labels: Decider) -> Cleaned:
    """Return the annotation of a reviewed passage. Each mention is kept, or rejected with a reason.

    A label that no rule knows is kept in its clean form, since a person has chosen it; a meaningless one is rejected.
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
    annotation = Annotation(passage.id, passage.text, sorted_mentions(found.values()), REVIEWED)
    return Cleaned(annotation, len(found), tuple(rejected), decisions)
