"""The passages of a run: lengths, sources, and whether annotations, samples and splits agree with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from data_cards.audit.arrays import distribution
from data_cards.audit.database import Counts, Database

SOURCES: Final = 20
"""Sources listed one by one; the others are summed up."""

_SOURCES: Final = """
CREATE TABLE sourced AS
SELECT passages.id, coalesce(any_value(documents.source), '') AS source
FROM passages LEFT JOIN documents ON passages.document = documents.id GROUP BY passages.id
"""
_BY_SPLIT: Final = """
SELECT source, split, count(*) FROM samples JOIN sourced ON samples.passage = sourced.id GROUP BY ALL
"""
_REPEATED: Final = "SELECT count(*) - count(DISTINCT id) FROM passages"
_FOREIGN: Final = """
SELECT count(*) FROM {table} ANTI JOIN passages ON {table}.passage = passages.id AND {table}.{text} = passages.text
"""
_SEVERAL_SPLITS: Final = """
SELECT count(*) FROM (
    SELECT document FROM pieces JOIN (SELECT DISTINCT passage, split FROM samples) USING (passage)
    GROUP BY document HAVING min(split) < max(split))
"""
_WRONG: Final = """
SELECT count(DISTINCT passage) FROM (
    SELECT passage FROM (
        SELECT passage, label, answer, 1 AS number FROM expected
        UNION ALL SELECT passage, label, answer, -1 FROM samples WHERE NOT negative)
    GROUP BY passage, label, answer HAVING sum(number) <> 0)
"""


def passage_figures(counts: Counts, low: int, high: int) -> dict[str, Any]:
    """Return number, lengths in tokens, and how passages were cut; ``low`` and ``high`` are the bounds of a run."""
    lengths = counts["tokens"]
    return {
        "count": lengths.total(),
        "tokens": distribution(lengths),
        "bounds": [low, high],
        "below": sum(number for length, number in lengths.items() if length < low),
        "above": sum(number for length, number in lengths.items() if length > high),
        "cut_sentences": dict(sorted(counts["cuts"].items())),
        "joined_from_several_documents": counts["joined"][True],
    }


def sources(database: Database, splits: Sequence[str]) -> list[dict[str, Any]]:
    """Return documents, passages and samples by source, the largest first; those beyond ``SOURCES`` as one.

    Args:
        database: with documents, passages and samples.
        splits: names of the splits, at their numbers.
    """
    database.run(_SOURCES)
    documents = dict(database.rows("SELECT source, count(*) FROM documents GROUP BY source"))
    passages = dict(database.rows("SELECT source, count(*) FROM sourced GROUP BY source"))
    samples = {(source, splits[number]): count for source, number, count in database.rows(_BY_SPLIT)}
    sizes = {split: sum(count for (_, place), count in samples.items() if place == split) for split in splits}
    counted = sorted((split for split in splits if sizes[split]), key=lambda split: (sizes[split], split))
    rows: list[dict[str, Any]] = [
        {
            "source": source or "unknown",
            "documents": documents.get(source, 0),
            "passages": passages.get(source, 0),
            "samples": {split: samples.get((source, split), 0) for split in counted},
        }
        for source in {**documents, **passages}
        if source or source in passages
    ]
    rows.sort(key=lambda row: (-row["passages"], row["source"]))
    rest = rows[SOURCES:]
    if not rest:
        return rows
    total = {split: sum(row["samples"][split] for row in rest) for split in counted}
    summed = {name: sum(row[name] for row in rest) for name in ("documents", "passages")}
    return [*rows[:SOURCES], {"source": f"{len(rest)} others", **summed, "samples": total}]


def disagreements(database: Database) -> dict[str, int]:
    """Count what does not agree between documents, passages, annotations and samples, by the sentence for it."""
    number = database.number
    return {
        "annotations have another text than their passage": number(_FOREIGN.format(table="annotations", text="text")),
        "samples have another text than their passage": number(_FOREIGN.format(table="samples", text="input")),
        "passages have the id of another": number(_REPEATED),
        "documents have passages in several splits": number(_SEVERAL_SPLITS),
        "passages have samples that do not follow from their annotations": number(_WRONG),
    }
