"""Mentions: their lengths, how many a passage has, how they were found, how their spans lie."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from data_cards.audit.arrays import descending, distribution, share
from data_cards.audit.database import Counts, Database

_PER_PASSAGE: Final = """
SELECT number, count(*) FROM (SELECT {what} AS number FROM occurrences GROUP BY passage) GROUP BY number
"""
_LENGTHS: Final = "SELECT {column}, count(*) FROM mentions GROUP BY 1"


def mention_figures(database: Database, passages: int) -> dict[str, Any]:
    """Return lengths of mentions, and mentions and types per passage; those of ``passages`` without mentions count."""
    per_passage = _counter(database, _PER_PASSAGE.format(what="sum(mentions)::BIGINT"))
    types = _counter(database, _PER_PASSAGE.format(what="count(*)"))
    if without := passages - per_passage.total():
        per_passage[0] = types[0] = without
    syllables, characters = (_counter(database, _LENGTHS.format(column=name)) for name in ("syllables", "characters"))
    return {
        "count": characters.total(),
        "syllables": distribution(syllables),
        "characters": distribution(characters),
        "per_passage": distribution(per_passage),
        "types_per_passage": distribution(types),
        "passages_without": without,
        "share_of_passages_without": share(without, passages),
    }


def span_figures(counts: Counts) -> dict[str, Any]:
    """Return how mentions were matched, and how their spans lie."""
    spans = counts["spans"]
    return {
        "match": descending(counts["match"]),
        "spans_nested": spans["nested"],
        "spans_with_several_labels": spans["several labels"],
        "spans_broken": spans["broken"],
    }


def _counter(database: Database, query: str) -> Counter[int]:
    return Counter(dict(database.rows(query)))
