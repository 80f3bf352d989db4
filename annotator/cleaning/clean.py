"""Clean a reply: parse it, normalise labels, ground mentions in the passage.

There are three stages, each with its own unit: ``parse`` reads replies, ``clean`` predicted entities (this string is
an entity of this type), ``project`` the occurrences of the kept ones. What a stage does not keep is a ``Rejected``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from annotator.cleaning.occurrences import project
from annotator.cleaning.replies.parser import ParsedReply, parse_reply
from annotator.records import Annotation, Completion, LabelUse, Mention, Passage, Rejected
from normalizers.grounding import Grounder, Match, Miss
from normalizers.labels import LabelDecision

MALFORMED: Final = "malformed claim"
"""The reason, as files store it, of a prediction that is not a pair of an entity and its type."""
PROJECT: Final = "project"
"""The stage that decides which occurrences are mentions."""

NEEDS_REVIEW: Final = "label needs review"
"""The reason of a label that no rule knows and nobody has decided about."""
NOT_IN_TYPES: Final = "not in --types"
"""The reason of a label that is not one of the user's types."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """The result of one answered passage."""

    annotation: Annotation | None
    """None when nothing in the reply could be read, which is not the same as a passage without entities."""
    kept: int
    """Predicted entities that have mentions."""
    rejected: tuple[Rejected, ...]
    decisions: tuple[LabelDecision, ...] = ()
    """The decision about the label of each entity that could be read, in order."""

    @property
    def predictions(self) -> int:
        """Return the number of predicted entities, readable or not: those kept and those that stage clean rejected."""
        return self.kept + sum(one.stage == "clean" for one in self.rejected)


class Decider(Protocol):
    """Decides about labels."""

    def decide(self, raw: str) -> LabelDecision:
        """Decide one label."""
        ...


class LabelLog:
    """The merge log: which label of the teacher became which type, by which rule, and how often."""

    def __init__(self) -> None:
        self._decisions: dict[str, LabelDecision] = {}
        self._predictions: Counter[str] = Counter()
        self._mentions: Counter[str] = Counter()

    def add(self, cleaned: Cleaned) -> None:
        """Count the labels of one reply."""
        self._decisions.update({decision.raw: decision for decision in cleaned.decisions})
        self._predictions.update(decision.raw for decision in cleaned.decisions)
        if cleaned.annotation:
            self._mentions.update(mention.raw_label for mention in cleaned.annotation.mentions)

    def merge(self, other: LabelLog) -> None:
        """Add the counts of another log."""
        self._decisions.update(other._decisions)
        self._predictions.update(other._predictions)
        self._mentions.update(other._mentions)

    def uses(self) -> list[LabelUse]:
        """Return a record for each raw label, the most frequent first."""
        ordered = sorted(self._decisions.values(), key=lambda found: (-self._predictions[found.raw], found.raw))
        return [
            LabelUse(
                found.raw,
                found.label,
                found.status,
                found.rule,
                self._predictions[found.raw],
                self._mentions[found.raw],
            )
            for found in ordered
        ]


def clean_reply(passage: Passage, completion: Completion, labels: Decider) -> Cleaned:
    """Clean one answer."""
    parsed = parse_reply(completion.reply, passage.text, truncated=completion.finish_reason == "length")
    if parsed.status == "unparsable" or (parsed.status == "truncated" and not parsed.mentions):
        cause = f"finish reason {completion.finish_reason or 'unknown'}"
        unread = Rejected("parse", f"reply {parsed.status}", passage.id, completion.reply[:500], cause)
        return Cleaned(None, 0, (unread,))
    return clean_parsed(passage, parsed, labels)


def clean_parsed(passage: Passage, parsed: ParsedReply, labels: Decider) -> Cleaned:
    """Clean the mentions of an answer that could be read."""
    decisions = tuple(labels.decide(entity.label) for entity in parsed.mentions)
    mentions, kept, rejected = _located(passage, parsed, decisions)
    rejected += [
        Rejected("clean", MALFORMED, passage.id, item, "not a pair of an entity and its type")
        for item in parsed.malformed
    ]
    rejected += [
        Rejected("clean", "excluded by the reply", passage.id, item, "the reply itself calls it no entity")
        for item in parsed.excluded
    ]
    annotation = Annotation(passage.id, passage.text, mentions, parsed.status)
    return Cleaned(annotation, kept, tuple(rejected), decisions)


def _located(
    passage: Passage, parsed: ParsedReply, decisions: Sequence[LabelDecision]
) -> tuple[tuple[Mention, ...], int, list[Rejected]]:
    """Return the mentions of a passage, how many predictions have some, and what was rejected of both."""
    text, grounder = passage.text, Grounder(passage.text)
    matches = [grounder.ground(entity.text) for entity in parsed.mentions]
    projections = project(text, [match.spans if isinstance(match, Match) else () for match in matches])
    found: dict[tuple[int, int, str], Mention] = {}
    left_out: dict[tuple[int, int, str], Rejected] = {}
    rejected: list[Rejected] = []
    kept = 0
    for entity, match, projection, decision in zip(parsed.mentions, matches, projections, decisions, strict=True):
        label, before = decision.label, len(found)
        if label is None:
            is_unlisted = decision.rule == NOT_IN_TYPES
            reason, detail = (NOT_IN_TYPES, entity.label) if is_unlisted else ("label rejected", decision.rule)
        elif decision.status == "review":
            reason, detail = NEEDS_REVIEW, f"{label} ({decision.rule})"
        elif isinstance(match, Miss):
            reason, detail = match.reason, match.detail
        else:
            for start, end in projection.kept:
                mention = Mention(text[start:end], label, entity.label, start, end, match.rule)
                found.setdefault((start, end, label), mention)
            for (start, end), why in projection.left_out:
                around = f"at {start}: {text[max(0, start - 20) : end + 20]!r}"
                out = Rejected(PROJECT, why, passage.id, text[start:end], around, entity.label)
                left_out.setdefault((start, end, label), out)
            if len(found) > before:
                kept += 1
                continue
            reason, detail = "duplicate", f"already a {label}"
        rejected.append(Rejected("clean", reason, passage.id, entity.text, detail, entity.label))
    return sorted_mentions(found.values()), kept, rejected + [out for key, out in left_out.items() if key not in found]


def sorted_mentions(mentions: Iterable[Mention]) -> tuple[Mention, ...]:
    """Sort mentions by start; the longer of two that start together comes first, before what is nested in it."""
    return tuple(sorted(mentions, key=lambda mention: (mention.start, -mention.end, mention.label)))
