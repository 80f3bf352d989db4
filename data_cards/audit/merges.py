"""How the teacher's labels became types, from the merge log ``labels.parquet``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from annotator.storage import tables

if TYPE_CHECKING:
    import pandas as pd

TOP_MERGED: Final = 20
"""Types listed with the raw labels that became them."""
RAW_SHOWN: Final = 10
"""Raw labels listed for each of them, the most frequent."""


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


def _by(uses: pd.DataFrame, column: str) -> dict[str, dict[str, int]]:
    counts = uses.groupby(column)["claims"].agg(raw_labels="size", claims="sum").reset_index()
    ordered = counts.sort_values(["claims", column], ascending=[False, True]).to_dict("records")
    return {row[column]: {unit: int(row[unit]) for unit in ("raw_labels", "claims")} for row in ordered}
