"""Find passages of one split that occur, in whole or for the most part, in another.

A passage is the set of its 8-grams of syllables. Two passages of different splits overlap if the other one has at least
``SHARED`` of the shorter one's n-grams; ``audit.json`` calls these ``near_duplicates``. All n-grams are compared, so
the shares are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from data_cards.audit.database import Database
from data_cards.audit.reading import N

SHARED: Final = 0.5
"""Passages overlap from this share of the shorter one's n-grams on."""
MOSTLY: Final = 0.8
"""From this share on they are a leak, and a problem."""
CROWD: Final = 64
"""Of an n-gram that more passages have on both sides (a copyright notice), only so many of each are compared."""
EXAMPLES: Final = 5

_RANKED: Final = """
CREATE TABLE ranked AS
WITH rows AS (SELECT DISTINCT hash, passage, split, size FROM ngrams
              SEMI JOIN (SELECT hash FROM ngrams GROUP BY hash HAVING min(split) < max(split)) USING (hash))
SELECT *, row_number() OVER (PARTITION BY hash, split ORDER BY passage) AS rank FROM rows
"""
_CROWDED: Final = f"""
WITH crowds AS (SELECT hash, split FROM ranked WHERE rank = {CROWD} + 1)
SELECT count(*) FROM crowds a JOIN crowds b ON a.hash = b.hash AND a.split < b.split
"""  # noqa: S608 - a number of this module
_PAIRS: Final = f"""
CREATE TABLE pairs AS
SELECT least(a.passage, b.passage) AS one, greatest(a.passage, b.passage) AS other,
       count(DISTINCT a.hash) / min(least(a.size, b.size)) AS share
FROM ranked a JOIN ranked b ON a.hash = b.hash AND a.split < b.split AND a.passage <> b.passage
WHERE a.rank <= {CROWD} OR b.rank <= {CROWD}
GROUP BY ALL HAVING share >= {SHARED}
"""  # noqa: S608 - numbers of this module
_IDENTICAL: Final = """
CREATE TABLE identical AS SELECT input FROM samples GROUP BY input HAVING min(split) < max(split)
"""
_PLACES: Final = """
SELECT input, split, min(passage), any_value(beginning) FROM texts WHERE input IN (SELECT unnest({wanted}::UBIGINT[]))
GROUP BY input, split
"""
_SHOWN: Final = f"""
SELECT share, one, other FROM (SELECT * FROM pairs UNION ALL SELECT input, input, 1.0 FROM identical)
ORDER BY share DESC, one, other LIMIT {EXAMPLES}
"""  # noqa: S608 - numbers of this module


def figures(database: Database, splits: Sequence[str]) -> dict[str, Any]:
    """Count the pairs of passages in different splits, and show the worst with their beginnings."""
    database.run(_RANKED)
    crowded = database.number(_CROWDED)
    for statement in ("DROP TABLE ngrams", _PAIRS, "DROP TABLE ranked", _IDENTICAL):
        database.run(statement)
    shown = database.rows(_SHOWN)
    places = _places(database, splits, {passage for _, *pair in shown for passage in pair})
    return {
        "syllables_of_a_run": N,
        "runs_looked_at": "all",
        "runs_in_a_crowd": crowded,
        "near_from": SHARED,
        "identical_passages": database.number("SELECT count(*) FROM identical"),
        "nearly_identical": database.number(f"SELECT count(*) FROM pairs WHERE share >= {MOSTLY}"),  # noqa: S608
        "near_duplicates": database.number("SELECT count(*) FROM pairs"),
        "passages": database.number(
            "SELECT count(*) FROM (SELECT one FROM pairs UNION SELECT other FROM pairs UNION SELECT * FROM identical)"
        ),
        "examples": [
            {
                "overlap": round(share, 3),
                "passages": [place for passage in dict.fromkeys(pair) for place in places[passage]],
            }
            for share, *pair in shown
        ],
    }


def _places(database: Database, splits: Sequence[str], wanted: set[int]) -> dict[int, list[dict[str, str]]]:
    """Return the places of each wanted passage: in each split, the one with the smallest id."""
    found: dict[int, list[dict[str, str]]] = {passage: [] for passage in wanted}
    rows = database.rows(_PLACES.format(wanted=sorted(wanted)))
    for passage, split, identity, text in sorted(rows, key=lambda row: splits[row[1]]):
        found[passage].append({"split": splits[split], "passage_id": identity, "text": text})
    return found
