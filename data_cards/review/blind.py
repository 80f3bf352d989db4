"""The true entities of passages that people read before they saw any prediction."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from annotator.cleaning.entity_reviews import Decision, Span, Subject


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
