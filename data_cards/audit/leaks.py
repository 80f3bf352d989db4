"""Passages of one split that occur, in whole or for the most part, in another.

A passage is the set of its 8-grams of syllables. Two passages of different splits overlap when at least ``SHARED`` of
the shorter one's n-grams are in the other; ``audit.json`` calls these ``near_duplicates``. All n-grams are compared, so
the shares are exact.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import numpy as np
import pyarrow as pa

from annotator.engines import Engine
from data_cards.audit.arrays import Hashes
from data_cards.audit.database import Database
from data_cards.audit.dataset import Dataset
from data_cards.audit.ngrams import N
from data_cards.audit.reading import distinct

SHARED: Final = 0.5
"""Share of the shorter passage's n-grams from which on two passages overlap."""
MOSTLY: Final = 0.8
"""Share from which on they are a leak, and a problem."""
CROWD: Final = 64
"""An n-gram of more passages than this on both sides (a copyright notice) is compared for so many of each only."""
EXAMPLES: Final = 5
BEGINNING: Final = 120
"""Characters of a passage that an example shows."""

_RANKED: Final = """
CREATE TABLE ranked AS
WITH rows AS (SELECT DISTINCT hash, passage, split, size FROM ngrams
              SEMI JOIN (SELECT hash FROM ngrams GROUP BY hash HAVING min(split) < max(split)) USING (hash))
SELECT *, row_number() OVER (PARTITION BY hash, split ORDER BY passage) AS rank FROM rows
"""
_CROWDED: Final = """
WITH crowds AS (SELECT hash, split FROM ranked WHERE rank = {crowd} + 1)
SELECT count(*) FROM crowds a JOIN crowds b ON a.hash = b.hash AND a.split < b.split
"""
_PAIRS: Final = """
CREATE TABLE pairs AS
SELECT least(a.passage, b.passage) AS one, greatest(a.passage, b.passage) AS other,
       count(DISTINCT a.hash) / min(least(a.size, b.size)) AS share
FROM ranked a JOIN ranked b ON a.hash = b.hash AND a.split < b.split AND a.passage <> b.passage
WHERE a.rank <= {crowd} OR b.rank <= {crowd}
GROUP BY ALL HAVING share >= {shared}
"""
_IDENTICAL: Final = """
CREATE TABLE identical AS SELECT input FROM samples GROUP BY input HAVING min(split) < max(split)
"""
_SHOWN: Final = f"""
SELECT share, one, other FROM (SELECT * FROM pairs UNION ALL SELECT input, input, 1.0 FROM identical)
ORDER BY share DESC, one, other LIMIT {EXAMPLES}
"""  # noqa: S608 - numbers of this module


def figures(database: Database, dataset: Dataset, engine: Engine) -> dict[str, Any]:
    """Count the pairs of passages in different splits, and show the worst with their beginnings."""
    database.run(_RANKED)
    database.run("DROP TABLE ngrams")
    crowded = database.number(_CROWDED.format(crowd=CROWD))
    database.run(_PAIRS.format(crowd=CROWD, shared=SHARED))
    database.run("DROP TABLE ranked")
    database.run(_IDENTICAL)
    shown = database.rows(_SHOWN)
    places = _places(dataset, {passage for _, *pair in shown for passage in pair}, engine) if shown else {}
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
                "passages": [place for passage in sorted({one, other}) for _, place in sorted(places[passage].items())],
            }
            for share, one, other in shown
        ],
    }


def _places(dataset: Dataset, wanted: set[int], engine: Engine) -> dict[int, dict[str, dict[str, str]]]:
    """Read the samples again for the beginnings of some passages: in each split the one with the smallest id."""
    found: dict[int, dict[str, dict[str, str]]] = {passage: {} for passage in wanted}
    batches = ((split, rows) for split, read in dataset.splits.items() for rows in read())
    for places in engine.spread(partial(_look_for, wanted=np.array(sorted(wanted), np.uint64)), batches):
        for passage, place in places:
            known, split = found[passage], place["split"]
            known[split] = min(known.get(split, place), place, key=lambda one: one["passage_id"])
    return found


def _look_for(some: tuple[str, pa.RecordBatch], wanted: Hashes) -> list[tuple[int, dict[str, str]]]:
    """Find the wanted passages among some samples of a split."""
    split, rows = some
    batch = distinct(rows.drop_null())
    return [
        (
            int(batch.hashes[number]),
            {"split": split, "passage_id": batch.identity(number), "text": batch.texts[number][:BEGINNING]},
        )
        for number in np.flatnonzero(np.isin(batch.hashes, wanted)).tolist()
    ]
