"""Samples by split: numbers, duplicates, types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from data_cards.audit.database import Database

_DUPLICATES: Final = "SELECT sum(number - 1) FROM (SELECT count(*) AS number FROM samples GROUP BY input, label)"
_DISTINCT: Final = "SELECT split, count(*) FROM (SELECT DISTINCT split, input FROM samples) GROUP BY split"
_BY_SIGN: Final = "SELECT split, negative, count(*) FROM samples GROUP BY ALL"
_BY_LABEL: Final = "SELECT split, label, count(*) FROM samples GROUP BY ALL"
MOST_FREQUENT: Final = 10
"""Types of a split that are listed."""


def sample_figures(database: Database, splits: Sequence[str]) -> dict[str, Any]:
    """Return numbers of samples; ``splits`` are the names of the splits, at their numbers."""
    counts = {split: {"positive": 0, "negative": 0} for split in splits}
    for number, negative, count in database.rows(_BY_SIGN):
        counts[splits[number]]["negative" if negative else "positive"] = count
    return {"count": sum(sum(counted.values()) for counted in counts.values()), "splits": counts}


def duplicates(database: Database) -> int:
    """Count the samples that ask the same of the same text as another."""
    return database.number(_DUPLICATES)


def balance(database: Database, splits: Sequence[str]) -> dict[str, Any]:
    """Return how splits differ: samples, passages, types, types that no other has, the most frequent ones."""
    types: dict[str, Counter[str]] = {split: Counter() for split in splits}
    for number, label, count in database.rows(_BY_LABEL):
        types[splits[number]][label] = count
    passages = {splits[number]: count for number, count in database.rows(_DISTINCT)}
    everywhere = Counter(label for counted in types.values() for label in counted)
    return {
        split: {
            "samples": counted.total(),
            "passages": passages.get(split, 0),
            "types": len(counted),
            "types_only_here": sum(everywhere[name] == 1 for name in counted),
            "top": dict(sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:MOST_FREQUENT]),
        }
        for split, counted in types.items()
    }
