"""Combine the decisions of several people: true entities of passages that were read blind, and differences."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from annotator.cleaning.corrections import text_sha256
from annotator.cleaning.entity_reviews import Decision, Span, Subject
from annotator.records import Annotation

_OPINION: Final = ("verdict", "new_mention", "new_label")


@dataclass(frozen=True, slots=True)
class Gold:
    """The true entities of a passage that was read blind."""

    passage_id: str
    entities: frozenset[tuple[str, str]]
    types: frozenset[str]
    """The types that were looked for; all when empty."""


def gold_passages(decisions: Iterable[Decision], texts: Mapping[str, str]) -> list[Gold]:
    """Return the true entities of each passage that somebody read blind.

    Where several people read it, an entity counts if at least half of them marked it, unless it was settled.
    """
    readings: dict[str, list[Decision]] = defaultdict(list)
    settled: dict[Subject, str] = {}
    for one in decisions:
        if one.mode == "blind":
            readings[one.passage_id].append(one)
        elif one.mode == "settle":
            settled[one.subject] = one.verdict
    golds = []
    for passage_id, own in sorted(readings.items()):
        text = texts[passage_id]
        votes = Counter(pair for one in own for pair in set(mentions_of(text, one.entities)))
        entities = {pair for pair, number in votes.items() if 2 * number >= len(own)}
        entities |= {pair for pair in votes if settled.get((passage_id, *pair)) == "right"}
        entities -= {pair for pair in votes if settled.get((passage_id, *pair), "right") != "right"}
        types = frozenset(own[0].types).intersection(*(one.types for one in own))
        golds.append(Gold(passage_id, frozenset(pair for pair in entities if not types or pair[1] in types), types))
    return golds


def mentions_of(text: str, spans: Iterable[Span]) -> list[tuple[str, str]]:
    """Return the mention and the label of each span."""
    return [(text[start:end], label) for start, end, label in spans]


def unsettled(
    standing: Collection[Decision], annotations: Mapping[str, Annotation]
) -> Iterator[tuple[Subject, list[dict[str, str]]]]:
    """Yield each entity on which reviewers differ and which nobody settled, with their opinions, without names.

    Args:
        standing: the decisions; those about another text do not count.
        annotations: the passages, by id.
    """
    settled = {one.subject for one in standing if one.mode == "settle"}
    verdicts: dict[Subject, list[Decision]] = defaultdict(list)
    readings: dict[str, list[Decision]] = defaultdict(list)
    for one in standing:
        annotation = annotations.get(one.passage_id)
        if annotation is None or one.text_sha256 != text_sha256(annotation.text):
            continue
        if one.mode == "verify":
            verdicts[one.subject].append(one)
        elif one.mode == "blind":
            readings[one.passage_id].append(one)
    for subject, own in verdicts.items():
        opinions = {(one.verdict, one.new_mention, one.new_label) for one in own if one.verdict != "unsure"}
        if len(opinions) > 1 and subject not in settled:
            yield subject, [dict(zip(_OPINION, opinion, strict=True)) for opinion in sorted(opinions)]
    for passage_id, several in readings.items():
        text = annotations[passage_id].text
        votes = Counter(pair for one in several for pair in set(mentions_of(text, one.entities)))
        for (mention, label), number in sorted(votes.items()):
            if number < len(several) and (passage_id, mention, label) not in settled:
                yield (passage_id, mention, label), [{"verdict": "right"}, {"verdict": "none"}]
