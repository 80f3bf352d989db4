"""Figures of the logs of a run: rejected records, and the types that the teacher's labels became."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from annotator.records import Rejected
from annotator.storage import tables

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES: Final = 3
LONGEST: Final = 200
"""Characters of an example that are shown."""
TOP_MERGED: Final = 20
"""Types listed with the raw labels that became them."""
RAW_SHOWN: Final = 10
"""Raw labels listed for each of them, the most frequent."""

Kinds = Counter[tuple[str, str]]
"""Rejected records by stage and reason."""


def rejection_figures(path: Path) -> tuple[list[dict[str, Any]], Kinds]:
    """Return reasons with examples, by stage in the order of the file, the most frequent first; and the counts."""
    counts: Kinds = Counter()
    examples: defaultdict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for item in tables.read_rejected(path) if path.exists() else ():
        kind = (item.stage, item.reason)
        counts[kind] += 1
        if counts[kind] <= EXAMPLES:
            examples[kind].append(_example(item))
    stages = list(dict.fromkeys(stage for stage, _ in counts))
    order = sorted(counts, key=lambda kind: (stages.index(kind[0]), -counts[kind], kind[1]))
    return [
        {"stage": stage, "reason": reason, "count": counts[stage, reason], "examples": examples[stage, reason]}
        for stage, reason in order
    ], counts


def merges(path: Path) -> dict[str, Any]:
    """Sum up the merge log by status and by rule; return an empty result where a run has none."""
    if not path.exists():
        return {}
    uses = pa.Table.from_batches(tables.batches(path), tables.LABEL).to_pandas()
    used = uses[uses["status"].isin(["kept", "changed"])]
    widest = sorted(used.groupby("label"), key=lambda item: (-len(item[1]), item[0]))[:TOP_MERGED]
    return {
        "raw_distinct": len(uses),
        "by_status": _by(uses, "status"),
        "by_rule": _by(uses, "rule"),
        "merged_top": [
            {
                "label": label,
                "raw_labels": len(group),
                "claims": int(group["claims"].sum()),
                "most_frequent": group.head(RAW_SHOWN).set_index("raw")["claims"].to_dict(),
            }
            for label, group in widest
            if len(group) > 1
        ],
    }


def _example(item: Rejected) -> dict[str, str]:
    shown = {"record_id": item.record_id, "value": item.value[:LONGEST], "detail": item.detail[:LONGEST]}
    return {**shown, "label": item.label} if item.label else shown


def _by(uses: pd.DataFrame, column: str) -> dict[str, dict[str, int]]:
    counts = uses.groupby(column)["claims"].agg(raw_labels="size", claims="sum").reset_index()
    ordered = counts.sort_values(["claims", column], ascending=[False, True]).to_dict("records")
    return {row[column]: {unit: int(row[unit]) for unit in ("raw_labels", "claims")} for row in ordered}
