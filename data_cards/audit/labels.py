"""Frequencies of the types, from the tables of the audit."""

from __future__ import annotations

from typing import Any, Final

from data_cards.audit.arrays import share
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

Frequency = dict[str, dict[str, int]]
"""Samples and mentions of each type, the most frequent first."""


def frequency(database: Database) -> Frequency:
    """Count the types, once all mentions are in the database."""
    database.run(_OCCURRENCES)
    rows = sorted(database.rows(_FREQUENCY), key=lambda row: (-row[1], row[0]))
    return {label: {"samples": samples, "mentions": mentions} for label, samples, mentions in rows}


def label_figures(database: Database, counted: Frequency) -> dict[str, Any]:
    """Return the frequent types, and the share of all mentions in the head of the list, as UniversalNER counts."""
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


def _ranks(number: int) -> list[int]:
    """Return the first twenty ranks, then some twenty a decade, and the last."""
    steps = range(20, 20 * len(str(number)) + 1)
    return sorted(
        {min(number, rank) for rank in (*range(1, 21), *(round(10 ** (step / 20)) for step in steps)) if number}
    )
