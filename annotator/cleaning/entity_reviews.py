"""Store and apply decisions of people about predicted entities: a file for each reviewer, a line for each decision.

``reviews/NAME.jsonl`` is only appended to. It can be read by a person, merged by copying files into one folder, and
moved between machines. A later line about the same subject replaces an earlier one of the same reviewer; a line with
the verdict ``undo`` withdraws it. Without the files the dataset is as the teacher annotated it.
"""

from __future__ import annotations

import hashlib
import json
from codecs import BOM_UTF8
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

from annotator.cleaning.clean import Cleaned, Decider, sorted_mentions
from annotator.cleaning.corrections import HUMAN, Corrected, Correction, correct, text_sha256
from annotator.errors import RunDirError
from annotator.records import Annotation, Mention, Passage, Rejected
from annotator.storage.atomic import append_line
from normalizers.grounding import Grounder, Miss

if TYPE_CHECKING:
    from pydantic import TypeAdapter

MODES: Final = ("verify", "blind", "correct", "settle")
VERDICTS: Final = ("right", "type", "span", "none", "unsure", "undo")
"""Of an entity: right, wrong type, wrong span, no entity, the reviewer cannot decide; or the decision is withdrawn."""
WRONG: Final = ("type", "span", "none")
WHOLE: Final = ("blind", "correct")
"""Modes whose decisions are about all entities of a passage."""

Span: TypeAlias = tuple[int, int, str]
"""Start, end (code points, half open) and label."""
Subject: TypeAlias = tuple[str, str, str]
"""Passage id, mention and label; the last two are empty for a decision about a whole passage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One line of a review."""

    reviewer: str
    mode: str
    """One of ``MODES``."""
    passage_id: str
    text_sha256: str
    """Of the passage's text; a decision about another text does not count."""
    time: str
    """UTC, ISO 8601, to the second."""
    verdict: str = ""
    """One of ``VERDICTS``; for a whole passage empty or ``undo``."""
    mention: str = ""
    label: str = ""
    """The predicted entity that was judged."""
    new_mention: str = ""
    new_label: str = ""
    """The right mention or type, where its span or its type is wrong."""
    entities: tuple[Span, ...] = ()
    """All entities of the passage, in the modes ``blind`` and ``correct``."""
    marked: tuple[Span, ...] = ()
    """The entities that the reviewer marked before seeing any prediction, in the mode ``blind``."""
    types: tuple[str, ...] = ()
    """The types that were looked for; all when empty."""
    stratum: str = ""
    rank: int = 0
    size: int = 0
    """The place of the entity in the order of the sample: ``rank`` of ``size`` in its stratum. Its inclusion
    probability is the number of entities drawn from the stratum divided by ``size``. 0 outside a random sample."""

    __pydantic_config__: ClassVar = {"extra": "forbid", "strict": True}

    def __post_init__(self) -> None:
        """Refuse a decision that no reviewer can make."""
        if self.mode not in MODES:
            raise ValueError(f"unknown mode {self.mode!r}")
        if self.verdict not in (("", "undo") if self.mode in WHOLE else VERDICTS):
            raise ValueError(f"unknown verdict {self.verdict!r}")
        if self.mode not in WHOLE and not (self.mention and self.label):
            raise ValueError("without the entity that it judges")
        if any(not (0 <= start < end and label) for start, end, label in (*self.entities, *self.marked)):
            raise ValueError("an entity is not [start, end, label]")
        if self.rank < 0 or self.size < 0:
            raise ValueError("rank and size are counts")

    @property
    def subject(self) -> Subject:
        """Return what the decision is about."""
        return (self.passage_id, self.mention, self.label)


@dataclass(frozen=True, slots=True)
class Reviews:
    """All decisions that count, and the lines that could not be read."""

    decisions: tuple[Decision, ...] = ()
    unreadable: tuple[str, ...] = ()
    """``FILE:LINE: why``, for each line that is not a decision."""


def folder(root: Path) -> Path:
    """Return the folder of the reviews of a run directory."""
    return root / "reviews"


def append(path: Path, decision: Decision) -> None:
    """Append one line and flush it to the disk before returning.

    Raises:
        RunDirError: it cannot be written.
    """
    line = {name: value for name, value in asdict(decision).items() if value not in ("", (), 0)}
    append_line(path, json.dumps(line, ensure_ascii=False) + "\n")


def read_reviews(root: Path) -> Reviews:
    """Read all reviews of the run directory ``root``: for each reviewer, mode and subject the last line counts.

    Raises:
        RunDirError: a file cannot be opened.
    """
    standing: dict[tuple[str, str, Subject], Decision] = {}
    unreadable: list[str] = []
    for path in sorted(folder(root).glob("*.jsonl")):
        try:
            lines = path.read_bytes().removeprefix(BOM_UTF8).split(b"\n")
        except OSError as error:
            raise RunDirError(f"cannot read {path}: {error.strerror}") from error
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                decision = parse(line)
            except ValueError as error:
                unreadable.append(f"{path.name}:{number}: {error}")
                continue
            standing.pop(key := (decision.reviewer, decision.mode, decision.subject), None)
            if decision.verdict != "undo":
                standing[key] = decision
    return Reviews(tuple(standing.values()), tuple(unreadable))


def parse(line: str | bytes) -> Decision:
    """Parse a line of JSON.

    Raises:
        ValueError: the line is not a decision; the message gives the reason.
    """
    from pydantic import ValidationError

    try:
        return _adapter().validate_json(line)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        place = ".".join(map(str, found["loc"]))
        raise ValueError(f"{place}: {found['msg']}" if place else found["msg"]) from None


@cache
def _adapter() -> TypeAdapter[Decision]:
    """Return the validator of decisions; only a run with reviews needs the import, which takes 0.1 s."""
    from pydantic import TypeAdapter

    return TypeAdapter(Decision)


def files_identity(root: Path) -> dict[str, str]:
    """Return the sha256 of all review files together for the manifest; nothing where there are none."""
    paths = sorted(folder(root).glob("*.jsonl"))
    if not paths:
        return {}
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.name}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return {"sha256": digest.hexdigest()}


def by_passage(decisions: Iterable[Decision]) -> dict[str, tuple[Decision, ...]]:
    """Group decisions by passage id."""
    found: dict[str, list[Decision]] = defaultdict(list)
    for decision in decisions:
        found[decision.passage_id].append(decision)
    return {identity: tuple(own) for identity, own in found.items()}


def verdict_of(decisions: Iterable[Decision]) -> Decision | None:
    """Return the decision that counts about an entity: the latest of mode ``settle``, else the majority's.

    None when votes are equal. ``unsure`` is no vote where somebody else decided.
    """
    own = list(decisions)
    settled = [one for one in own if one.mode == "settle"]
    if settled:
        return max(settled, key=lambda one: one.time)
    sure = [one for one in own if one.verdict != "unsure"] or own
    votes = Counter((one.verdict, one.new_mention, one.new_label) for one in sure).most_common(2)
    if not votes or (len(votes) == 2 and votes[0][1] == votes[1][1]):
        return None
    return next(one for one in sure if (one.verdict, one.new_mention, one.new_label) == votes[0][0])


def apply(cleaned: Cleaned, passage: Passage, decisions: tuple[Decision, ...], labels: Decider) -> Cleaned:
    """Apply the decisions about ``passage`` to ``cleaned``, the result of the teacher's answer.

    A passage that somebody reviewed as a whole has the entities of that person. Otherwise entities are corrected one by
    one, and those without a decision stay as they are.
    """
    identity = text_sha256(passage.text)
    whole = [one for one in decisions if one.mode in WHOLE and one.text_sha256 == identity]
    if whole:
        return _whole(cleaned, passage, max(whole, key=lambda one: one.time), labels)
    wrong = [one for one in _standing(passage, decisions) if one.verdict in WRONG]
    if cleaned.annotation is None or not wrong:
        return cleaned
    return _entities(cleaned, cleaned.annotation, wrong, labels)


def affirmed(passage: Passage, decisions: tuple[Decision, ...]) -> frozenset[tuple[str, str]]:
    """Return mention and label of the predictions that people call an entity, also of another span or type."""
    standing = _standing(passage, decisions)
    return frozenset((one.mention, one.label) for one in standing if one.verdict in ("right", "type", "span"))


def _standing(passage: Passage, decisions: tuple[Decision, ...]) -> list[Decision]:
    """Return the decision that counts about each single entity of ``passage``."""
    identity = text_sha256(passage.text)
    entities: dict[Subject, list[Decision]] = defaultdict(list)
    for one in decisions:
        if one.mode not in WHOLE and one.text_sha256 == identity:
            entities[one.subject].append(one)
    return [decided for own in entities.values() if (decided := verdict_of(own))]


def _whole(cleaned: Cleaned, passage: Passage, decision: Decision, labels: Decider) -> Cleaned:
    before = cleaned.annotation.mentions if cleaned.annotation else ()
    raw = {(one.start, one.end, one.label): one for one in before}
    mentions = [
        Corrected(start, end, known.raw_label, known.match)
        if (known := raw.get((start, end, label)))
        else Corrected(start, end, label, HUMAN)
        for start, end, label in decision.entities
        if 0 <= start < end <= len(passage.text)
    ]
    if decision.types:  # nothing else was looked for
        mentions += [Corrected(one.start, one.end, one.raw_label, one.match)
                     for one in before if one.label not in decision.types]  # fmt: skip
    return correct(passage, Correction(passage.id, decision.text_sha256, tuple(mentions), "review"), labels)


def _entities(cleaned: Cleaned, annotation: Annotation, decisions: Iterable[Decision], labels: Decider) -> Cleaned:
    mentions, rejected, kept = list(annotation.mentions), list(cleaned.rejected), cleaned.kept
    for decision in decisions:
        own = [one for one in mentions if (one.text, one.label) == (decision.mention, decision.label)]
        if not own:
            continue
        mentions = [one for one in mentions if one not in own]
        reason = f"review: {'no entity' if decision.verdict == 'none' else 'wrong ' + decision.verdict}"
        new = (decision.new_mention or decision.mention, decision.new_label or decision.label)
        detail = "" if decision.verdict == "none" else f"now {new[0]} ({new[1]})"
        rejected.append(Rejected("clean", reason, annotation.passage_id, own[0].text, detail, own[0].raw_label))
        kept -= 1
        if decision.verdict == "none" or (label := labels.decide(new[1]).label) is None:
            continue
        taken = {(one.start, one.end, one.label) for one in mentions}
        fresh = [
            Mention(annotation.text[start:end], label, new[1], start, end, HUMAN)
            for start, end in _places(annotation.text, own, new[0])
            if (start, end, label) not in taken
        ]
        kept += bool(fresh)  # the replacement is a prediction of its own: in = kept + rejected
        mentions += fresh
    return Cleaned(replace(annotation, mentions=sorted_mentions(mentions)), kept, tuple(rejected), cleaned.decisions)


def _places(text: str, own: Sequence[Mention], mention: str) -> Sequence[tuple[int, int]]:
    """Return where ``mention``, which replaces the mentions in ``own``, stands in ``text``."""
    if mention == own[0].text:
        return [(one.start, one.end) for one in own]
    match = Grounder(text).ground(mention)
    return () if isinstance(match, Miss) else match.spans
