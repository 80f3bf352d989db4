"""Clean a reply: parse it, normalise labels, ground mentions in the passage.

Three stages, each with its own unit: ``parse`` takes replies, ``clean`` takes predicted entities (this string is an
entity of this type), ``project`` takes the occurrences of the kept ones. Whatever does not go on is one ``Rejected``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from annotator.cleaning.occurrences import Projection, project
from annotator.cleaning.replies.parser import ParsedReply, parse_reply
from annotator.records import Annotation, Completion, LabelUse, Mention, Passage, RawMention, Rejected
from normalizers.grounding import Grounder, Match, Miss
from normalizers.labels import LabelDecision

MALFORMED: Final = "malformed claim"
"""The reason, as files store it, of a prediction that is not a pair of an entity and its type."""
PROJECT: Final = "project"
"""The stage that settles which occurrences are mentions."""

NEEDS_REVIEW: Final = "label needs review"
"""The reason of a label that no rule knows and nobody has decided about."""
NOT_IN_TYPES: Final = "not in --types"
"""The reason of a rejected label that is none of the user's types."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """All that came of one answered passage."""

    annotation: Annotation | None
    """None when nothing in the reply could be read: that is not the same as a passage without entities."""
    kept: int
    """Predicted entities that have mentions."""
    rejected: tuple[Rejected, ...]
    decisions: tuple[LabelDecision, ...] = ()
    """What became of the label of each entity that could be read, in order."""

    @property
    def predictions(self) -> int:
        """Return the number of predicted entities, readable or not: those kept and those that stage clean rejected."""
        return self.kept + sum(one.stage == "clean" for one in self.rejected)


class Decider(Protocol):
    """Decides what becomes of a label."""

    def decide(self, raw: str) -> LabelDecision:
        """Decide one."""
        ...


class LabelLog:
    """The merge log: which label of the teacher's became which type, by which rule, how often."""

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
        """Count in what another log has counted."""
        self._decisions.update(other._decisions)
        self._predictions.update(other._predictions)
        self._mentions.update(other._mentions)

    def uses(self) -> list[LabelUse]:
        """Return a line for each raw label, the most frequent first."""
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
        outcome = _mentions_of(text, match, projection, entity, decision)
        if isinstance(outcome, tuple):
            reason, detail = outcome
        else:
            before = len(found)
            for mention in outcome:
                found.setdefault((mention.start, mention.end, mention.label), mention)
            label = outcome[0].label
            for (start, end), reason in projection.left_out:
                around = f"at {start}: {text[max(0, start - 20) : end + 20]!r}"
                out = Rejected(PROJECT, reason, passage.id, text[start:end], around, entity.label)
                left_out.setdefault((start, end, label), out)
            if len(found) > before:
                kept += 1
                continue
            reason, detail = "duplicate", f"already a {label}"
        rejected.append(Rejected("clean", reason, passage.id, entity.text, detail, entity.label))
    # The longer of two that start together comes first, so that what is nested follows what holds it.
    ordered = sorted(found.values(), key=lambda mention: (mention.start, -mention.end, mention.label))
    return tuple(ordered), kept, rejected + [out for key, out in left_out.items() if key not in found]


def _mentions_of(
    text: str, match: Match | Miss, projection: Projection, entity: RawMention, decision: LabelDecision
) -> list[Mention] | tuple[str, str]:
    """Return the mentions of a predicted entity, or the reason and the detail of its rejection."""
    if decision.label is None:
        if decision.rule == NOT_IN_TYPES:
            return NOT_IN_TYPES, entity.label
        return "label rejected", decision.rule
    if decision.status == "review":
        return NEEDS_REVIEW, f"{decision.label} ({decision.rule})"
    if isinstance(match, Miss):
        return match.reason, match.detail
    return [
        Mention(text[start:end], decision.label, entity.label, start, end, match.rule) for start, end in projection.kept
    ]
