"""Figures of types and mentions: frequencies, lengths, numbers a passage, matches, spans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from data_cards.audit.database import Database

TOP: Final = 100
"""Labels listed one by one."""
PAIRS: Final = 30
"""Pairs of types that occur together, listed one by one."""

_OCCURRENCES: Final = """
CREATE TABLE occurrences AS SELECT passage, label, count(*) AS mentions FROM mentions GROUP BY ALL
"""
_FREQUENCY: Final = "SELECT label, count(*), sum(mentions)::BIGINT FROM occurrences GROUP BY label"
_TOGETHER: Final = f"""
SELECT count(*) AS passages, a.label, b.label
FROM occurrences a JOIN occurrences b ON a.passage = b.passage AND a.label < b.label
GROUP BY a.label, b.label QUALIFY rank() OVER (ORDER BY passages DESC) <= {PAIRS}
"""  # noqa: S608 - a number of this module

_PER_PASSAGE: Final = """
SELECT number, count(*) FROM (SELECT {what} AS number FROM occurrences GROUP BY passage) GROUP BY number
"""
_LENGTHS: Final = "SELECT {column}, count(*) FROM mentions GROUP BY 1"
_SPANS: Final = """
CREATE TABLE spans AS SELECT passage, begins, ends, count(*) AS number FROM mentions GROUP BY passage, begins, ends
"""
_NESTED: Final = """
SELECT count(*) FROM (
    SELECT ends, max(ends) OVER (PARTITION BY passage ORDER BY begins, ends DESC
                                 ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reach FROM spans)
WHERE ends <= reach
"""

Frequency = dict[str, dict[str, int]]
"""Samples and mentions of each type, the most frequent first."""


def frequency(database: Database) -> Frequency:
    """Count the types when all mentions are in the database."""
    database.run(_OCCURRENCES)
    rows = sorted(database.rows(_FREQUENCY), key=lambda row: (-row[1], row[0]))
    return {label: {"samples": samples, "mentions": mentions} for label, samples, mentions in rows}


def label_figures(database: Database, counted: Frequency) -> dict[str, Any]:
    """Return the frequent types, and the shares of mentions of the head and the tail, as UniversalNER counts them."""
    by_mentions = sorted((entry["mentions"] for entry in counted.values()), reverse=True)
    total = sum(by_mentions)
    one, ten = (-(-len(by_mentions) * percent // 100) for percent in (1, 10))
    head, middle = sum(by_mentions[:one]), sum(by_mentions[one:ten])
    together = sorted((-number, one, other) for number, one, other in database.rows(_TOGETHER))[:PAIRS]
    return {
        "distinct": len(counted),
        "mentions": total,
        "top": [{"label": label, **numbers} for label, numbers in list(counted.items())[:TOP]],
        "only_once": sum(number == 1 for number in by_mentions),
        "share_of_mentions": {
            "top_1_percent": share(head, total),
            "next_9_percent": share(middle, total),
            "rest": share(total - head - middle, total),
        },
        "rank_frequency": [[rank, by_mentions[rank - 1]] for rank in _ranks(len(by_mentions))],
        "together": [{"labels": [one, other], "passages": -number} for number, one, other in together],
    }


def mention_figures(database: Database, passages: int) -> dict[str, Any]:
    """Return lengths of mentions, and mentions and types a passage, of ``passages`` in all."""
    per_passage = Counter(database.counts(_PER_PASSAGE.format(what="sum(mentions)::BIGINT")))
    types = Counter(database.counts(_PER_PASSAGE.format(what="count(*)")))
    if without := passages - per_passage.total():
        per_passage[0] = types[0] = without
    syllables, characters = (database.counts(_LENGTHS.format(column=name)) for name in ("syllables", "characters"))
    return {
        "count": sum(characters.values()),
        "syllables": distribution(syllables),
        "characters": distribution(characters),
        "per_passage": distribution(per_passage),
        "types_per_passage": distribution(types),
        "passages_without": without,
        "share_of_passages_without": share(without, passages),
    }


def span_figures(database: Database) -> dict[str, Any]:
    """Return the numbers of mentions by match, and of nested and broken spans and those with several labels."""
    database.run(_SPANS)
    return {
        "match": descending(database.counts(_LENGTHS.format(column="match"))),
        "spans_nested": database.number(_NESTED),
        "spans_with_several_labels": database.number("SELECT count(*) FROM spans WHERE number > 1"),
        "spans_broken": database.number("SELECT count(*) FROM mentions WHERE broken"),
    }


def distribution(counts: Mapping[int, int]) -> dict[str, float]:
    """Return minimum, median, mean, 95th percentile and maximum, from the frequency of each number."""
    if not counts:
        return {}
    series = pd.Series(counts).sort_index()
    cumulative = series.cumsum() / series.sum()
    values = series.index.to_series()
    return {
        "min": int(values.iloc[0]),
        "median": int(values[cumulative >= 0.5].iloc[0]),
        "mean": round(float((values * series).sum() / series.sum()), 3),
        "p95": int(values[cumulative >= 0.95].iloc[0]),
        "max": int(values.iloc[-1]),
    }


def descending(counts: Mapping[str, int]) -> dict[str, int]:
    """Return counts with the most frequent first."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def share(part: float, whole: float) -> float:
    """Return ``part / whole``, or 0 where ``whole`` is 0."""
    return round(part / whole, 6) if whole else 0.0


def _ranks(number: int) -> list[int]:
    """Return the first twenty ranks, then some twenty a decade, and the last."""
    steps = range(20, 20 * len(str(number)) + 1)
    return sorted(
        {min(number, rank) for rank in (*range(1, 21), *(round(10 ** (step / 20)) for step in steps)) if number}
    )
