"""Rejected records: counts by stage and reason, with a few examples."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Final

import numpy as np

from annotator.records import Rejected
from annotator.storage import tables
from data_cards.audit.arrays import hashed

EXAMPLES: Final = 3
LONGEST: Final = 200
"""Characters of an example that are shown."""


class Rejections:
    """Reads ``rejected.parquet`` once."""

    def __init__(self, path: Path) -> None:
        self.counted: Counter[tuple[str, str]] = Counter()
        self.too_long = np.zeros(0, np.uint64)
        """Hashes of the ids of samples that the length filter rejected, sorted."""
        left_out: list[str] = []
        self._examples: dict[tuple[str, str], list[Rejected]] = {}
        for item in tables.read_rejected(path) if path.exists() else ():
            kind = (item.stage, item.reason)
            self.counted[kind] += 1
            shown = self._examples.setdefault(kind, [])
            if len(shown) < EXAMPLES:
                shown.append(item)
            if item.stage == "explode":
                left_out.append(item.record_id)
                if len(left_out) == tables.ROWS:
                    self.too_long = np.concatenate([self.too_long, hashed(left_out)])
                    left_out.clear()
        self.too_long = np.sort(np.concatenate([self.too_long, hashed(left_out)]))

    def figures(self) -> list[dict[str, Any]]:
        """Return the reasons, stages in the order of the file, in each the most frequent reason first."""
        stages = list(dict.fromkeys(stage for stage, _ in self.counted))
        order = sorted(self.counted, key=lambda kind: (stages.index(kind[0]), -self.counted[kind], kind[1]))
        return [
            {
                "stage": stage,
                "reason": reason,
                "count": self.counted[stage, reason],
                "examples": [_example(item) for item in self._examples[stage, reason]],
            }
            for stage, reason in order
        ]


def _example(item: Rejected) -> dict[str, str]:
    label = getattr(item, "label", "")
    return {
        "record_id": item.record_id,
        "value": item.value[:LONGEST],
        "detail": item.detail[:LONGEST],
        **({"label": label} if label else {}),
    }
