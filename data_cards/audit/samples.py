"""Figures of passages and samples: numbers, lengths, sources, splits, and disagreements between the files of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from data_cards.audit.database import Database
from data_cards.audit.mentions import distribution

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
DUPLICATES: Final = "SELECT sum(number - 1) FROM (SELECT count(*) AS number FROM samples GROUP BY input, label)"
"""Counts the samples that ask about the same type in the same text as another one."""
_DISTINCT: Final = "SELECT split, count(*) FROM (SELECT DISTINCT split, input FROM samples) GROUP BY split"
_BY_SIGN: Final = "SELECT split, negative, count(*) FROM samples GROUP BY ALL"
_BY_LABEL: Final = "SELECT split, label, count(*) FROM samples GROUP BY ALL"
MOST_FREQUENT: Final = 10
"""Types of a split that are listed."""


def passage_figures(database: Database, low: int, high: int) -> dict[str, Any]:
    """Return number, lengths in tokens and cuts of passages; ``low`` and ``high`` are the bounds of the run."""
    lengths = database.counts("SELECT tokens, count(*) FROM passages GROUP BY tokens")
    cuts = database.counts("SELECT cut, count(*) FROM passages GROUP BY cut")
    return {
        "count": sum(lengths.values()),
        "tokens": distribution(lengths),
        "bounds": [low, high],
        "below": sum(number for length, number in lengths.items() if length < low),
        "above": sum(number for length, number in lengths.items() if length > high),
        "cut_sentences": {name or "none": cuts[name] for name in sorted(cuts, key=lambda name: name or "none")},
        "joined_from_several_documents": database.number("SELECT count(*) FROM passages WHERE pieces > 1"),
    }


def sources(database: Database, splits: Sequence[str]) -> list[dict[str, Any]]:
    """Return documents, passages and samples by source, the largest first; one row has those beyond ``SOURCES``.

    Args:
        database: with documents, passages and samples.
        splits: names of the splits, at their numbers.
    """
    database.run(_SOURCES)
    documents = database.counts("SELECT source, count(*) FROM documents GROUP BY source")
    passages = database.counts("SELECT source, count(*) FROM sourced GROUP BY source")
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
    """Count disagreements between documents, passages, annotations and samples, each by its sentence."""
    number = database.number
    return {
        "annotations have another text than their passage": number(_FOREIGN.format(table="annotations", text="text")),
        "samples have another text than their passage": number(_FOREIGN.format(table="samples", text="input")),
        "passages have the id of another": number(_REPEATED),
        "documents have passages in several splits": number(_SEVERAL_SPLITS),
        "passages have samples that do not follow from their annotations": number(_WRONG),
    }


def sample_figures(database: Database, splits: Sequence[str]) -> dict[str, Any]:
    """Return numbers of samples; ``splits`` are the names of the splits, at their numbers."""
    counts = {split: {"positive": 0, "negative": 0} for split in splits}
    for number, negative, count in database.rows(_BY_SIGN):
        counts[splits[number]]["negative" if negative else "positive"] = count
    return {"count": sum(sum(counted.values()) for counted in counts.values()), "splits": counts}


def balance(database: Database, splits: Sequence[str]) -> dict[str, Any]:
    """Return for each split its samples, passages, types, types that no other has, and most frequent types."""
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
