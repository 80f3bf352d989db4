"""Rejected records: counts by stage and reason, with a few examples."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc

from annotator.records import Rejected
from annotator.storage import tables
from data_cards.audit.arrays import Hashes, hashes

EXAMPLES: Final = 3
LONGEST: Final = 200
"""Characters of an example that are shown."""

Kinds = Counter[tuple[str, str]]
"""Rejected records by stage and reason."""


def too_long(path: Path) -> Hashes:
    """Return the hashes of the ids of the samples that the length filter rejected, sorted."""
    batches = tables.batches(path, ["stage", "record_id"]) if path.exists() else ()
    exploded = (batch.filter(pc.equal(batch.column("stage"), "explode")) for batch in batches)
    return np.sort(np.concatenate([np.zeros(0, np.uint64), *(hashes(part.column("record_id")) for part in exploded)]))


def rejection_figures(path: Path) -> tuple[list[dict[str, Any]], Kinds]:
    """Return the reasons with examples, and counts; stages in the order of the file, the most frequent reason first."""
    counts: Kinds = Counter()
    examples: dict[tuple[str, str], list[dict[str, str]]] = {}
    for item in tables.read_rejected(path) if path.exists() else ():
        kind = (item.stage, item.reason)
        counts[kind] += 1
        if counts[kind] <= EXAMPLES:
            examples.setdefault(kind, []).append(_example(item))
    stages = list(dict.fromkeys(stage for stage, _ in counts))
    order = sorted(counts, key=lambda kind: (stages.index(kind[0]), -counts[kind], kind[1]))
    return [
        {"stage": stage, "reason": reason, "count": counts[stage, reason], "examples": examples[stage, reason]}
        for stage, reason in order
    ], counts


def _example(item: Rejected) -> dict[str, str]:
    shown = {"record_id": item.record_id, "value": item.value[:LONGEST], "detail": item.detail[:LONGEST]}
    return {**shown, "label": item.label} if item.label else shown
