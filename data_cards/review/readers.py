"""What several people found: the true entities of passages that were read blind, and where reviewers differ."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
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

    Where several people read it, an entity counts that at least half of them have, or that was settled.
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
    standing: Iterable[Decision], annotations: Mapping[str, Annotation]
) -> Iterator[tuple[Subject, list[dict[str, str]]]]:
    """Yield each entity on which reviewers differ and which nobody settled, with their opinions, without names.

    Args:
        standing: decisions that count; what is about another text does not.
        annotations: the passages, by id.
    """
    valid = [
        one
        for one in standing
        if (known := annotations.get(one.passage_id)) and one.text_sha256 == text_sha256(known.text)
    ]
    settled = {one.subject for one in standing if one.mode == "settle"}
    verdicts: dict[Subject, list[Decision]] = defaultdict(list)
    readings: dict[str, list[Decision]] = defaultdict(list)
    for one in valid:
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
