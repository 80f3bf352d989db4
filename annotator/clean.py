"""From what the teacher said to what the passage holds: parse the reply, normalise labels, ground mentions.

Two stages, each with its own unit: ``parse`` takes replies, ``clean`` takes claims (one claim: this string is an entity
of this type). Every claim ends as one or more mentions, or as one ``Rejected``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from annotator.records import Annotation, Completion, Mention, Passage, RawMention, Rejected
from annotator.replies.parsing import ParsedReply, parse_reply
from normalizers.labels import LabelNormalizer
from normalizers.spans import Grounder, Miss


@dataclass(frozen=True, slots=True)
class Cleaned:
    """All that came of one answered passage."""

    annotation: Annotation | None
    """None when nothing in the reply could be read: that is not the same as a passage without entities."""
    claims: int
    """What the reply claimed, readable or not; = ``kept`` + the rejected ones of stage ``clean``."""
    kept: int
    rejected: tuple[Rejected, ...]


def clean(answers: Iterable[tuple[Passage, Completion]], normalizer: LabelNormalizer) -> Iterator[Cleaned]:
    """Clean every answered passage."""
    return (clean_reply(passage, completion, normalizer) for passage, completion in answers)


def clean_reply(passage: Passage, completion: Completion, normalizer: LabelNormalizer) -> Cleaned:
    """Clean one answer."""
    parsed = parse_reply(completion.reply, truncated=completion.finish_reason == "length")
    if parsed.status == "unparsable" or (parsed.status == "truncated" and not parsed.mentions):
        cause = f"finish reason {completion.finish_reason or 'unknown'}"
        unread = Rejected("parse", f"reply {parsed.status}", passage.id, completion.reply[:500], cause)
        return Cleaned(None, 0, 0, (unread,))

    mentions, kept, rejected = _claims(passage, parsed, normalizer)
    rejected += [
        Rejected("clean", "malformed claim", passage.id, item, "not a pair of an entity and its type")
        for item in parsed.malformed
    ]
    annotation = Annotation(passage.id, passage.text, mentions, parsed.status)
    return Cleaned(annotation, kept + len(rejected), kept, tuple(rejected))


def _claims(
    passage: Passage, parsed: ParsedReply, normalizer: LabelNormalizer
) -> tuple[tuple[Mention, ...], int, list[Rejected]]:
    grounder = Grounder(passage.text)
    found: dict[tuple[int, int, str], Mention] = {}
    rejected: list[Rejected] = []
    kept = 0
    for claim in parsed.mentions:
        outcome = _claim(passage.text, grounder, claim, normalizer)
        if isinstance(outcome, tuple):
            reason, detail = outcome
        elif new := [mention for mention in outcome if (mention.start, mention.end, mention.label) not in found]:
            found.update({(mention.start, mention.end, mention.label): mention for mention in new})
            kept += 1
            continue
        else:
            reason, detail = "duplicate", f"already a {outcome[0].label}"
        rejected.append(Rejected("clean", reason, passage.id, f"{claim.text} [{claim.label}]", detail))
    # The longer of two that start together comes first, so that what is nested follows what holds it.
    ordered = sorted(found.values(), key=lambda mention: (mention.start, -mention.end, mention.label))
    return tuple(ordered), kept, rejected


def _claim(
    text: str, grounder: Grounder, claim: RawMention, normalizer: LabelNormalizer
) -> list[Mention] | tuple[str, str]:
    """The mentions that a claim stands for, or the reason and the detail of its rejection."""
    decision = normalizer.decide(claim.label)
    if decision.label is None:
        return "label rejected", decision.rule
    if decision.status == "review":
        return "label needs review", f"{decision.label} ({decision.rule})"
    match = grounder.ground(claim.text)
    if isinstance(match, Miss):
        return match.reason, match.detail
    return [Mention(text[start:end], decision.label, claim.label, start, end, match.rule) for start, end in match.spans]
