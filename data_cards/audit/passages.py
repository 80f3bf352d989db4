"""The passages of a run: lengths, sources, and whether annotations, samples and splits agree with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from annotator.engines import Engine
from annotator.storage import tables
from annotator.storage.rundir import RunDir
from data_cards.audit.arrays import distribution
from data_cards.audit.database import Database
from data_cards.audit.dataset import PART
from data_cards.audit.reading import read_documents, read_passages

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


class Passages:
    """Reads documents and passages into the database."""

    def __init__(self, run: RunDir, database: Database, engine: Engine) -> None:
        self._database = database
        self._counts: dict[str, Counter[Any]] = {"tokens": Counter(), "cuts": Counter(), "joined": Counter()}
        for batch in tables.batches(run.documents, ["id", "source"]) if run.documents.exists() else ():
            database.add(read_documents(batch).tables)
        batches = tables.batches(run.passages, ["id", "text", "n_tokens", "cut", "pieces"], PART)
        for part in engine.spread(read_passages, batches):
            database.add(part.tables)
            for name, counted in part.counts.items():
                self._counts[name].update(counted)

    def figures(self, low: int, high: int) -> dict[str, Any]:
        """Number, lengths in tokens, and how they were cut."""
        lengths = self._counts["tokens"]
        return {
            "count": lengths.total(),
            "tokens": distribution(lengths),
            "bounds": [low, high],
            "below": sum(number for length, number in lengths.items() if length < low),
            "above": sum(number for length, number in lengths.items() if length > high),
            "cut_sentences": dict(sorted(self._counts["cuts"].items())),
            "joined_from_several_documents": self._counts["joined"][True],
        }

    def sources(self, splits: Sequence[str]) -> list[dict[str, Any]]:
        """Documents, passages and samples by source, the largest first; those beyond ``SOURCES`` as one."""
        database = self._database
        database.run(_SOURCES)
        documents = dict(database.rows("SELECT source, count(*) FROM documents GROUP BY source"))
        passages = dict(database.rows("SELECT source, count(*) FROM sourced GROUP BY source"))
        samples = {(source, splits[number]): count for source, number, count in database.rows(_BY_SPLIT)}
        counted = [split for split in splits if any(split == place for _, place in samples)]
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

    def problems(self) -> dict[str, int]:
        """Count what does not agree, by the sentence that says it."""
        number = self._database.number
        return {
            "annotations have another text than their passage": number(
                _FOREIGN.format(table="annotations", text="text")
            ),
            "samples have another text than their passage": number(_FOREIGN.format(table="samples", text="input")),
            "passages have the id of another": number(_REPEATED),
            "documents have passages in several splits": number(_SEVERAL_SPLITS),
            "passages have samples that do not follow from their annotations": number(_WRONG),
        }
