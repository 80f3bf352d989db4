"""The annotations of a run: matches, reply statuses, nested and broken spans."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

from annotator.engines import Engine
from annotator.storage import tables
from annotator.storage.rundir import RunDir
from data_cards.audit.arrays import Hashes, descending
from data_cards.audit.database import Database
from data_cards.audit.dataset import PART
from data_cards.audit.reading import read_annotations


class Annotations:
    """Reads the annotations into the database."""

    def __init__(self, run: RunDir, too_long: Hashes, database: Database, engine: Engine) -> None:
        self.count = 0
        self._counts: dict[str, Counter[Any]] = {"match": Counter(), "status": Counter(), "spans": Counter()}
        batches = tables.batches(run.annotations, ["passage_id", "text", "mentions", "reply_status"], PART)
        for part in engine.spread(partial(read_annotations, too_long=too_long), batches):
            database.add(part.tables)
            self.count += len(part.tables["annotations"])
            for name, counted in part.counts.items():
                self._counts[name].update(counted)

    @property
    def broken(self) -> int:
        """Mentions that are not the slice at their offsets."""
        return self._counts["spans"]["broken"]

    def replies(self) -> dict[str, int]:
        """Passages by the status of their reply."""
        return descending(self._counts["status"])

    def mention_figures(self) -> dict[str, Any]:
        """How mentions were matched, and how their spans lie."""
        spans = self._counts["spans"]
        return {
            "match": descending(self._counts["match"]),
            "spans_nested": spans["nested"],
            "spans_with_several_labels": spans["several labels"],
            "spans_broken": spans["broken"],
        }
