"""How the teacher's labels became types, from the merge log ``labels.parquet``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from annotator.storage import tables

TOP_MERGED: Final = 20
"""Types listed with the raw labels that became them."""


def merges(path: Path) -> dict[str, Any]:
    """Sum up the merge log by status and by rule; return an empty result where a run has none."""
    if not path.exists():
        return {}
    uses = list(tables.rows(path))
    rules: dict[str, Counter[str]] = {"raw_labels": Counter(), "claims": Counter()}
    statuses: dict[str, Counter[str]] = {"raw_labels": Counter(), "claims": Counter()}
    merged: dict[str, list[dict[str, Any]]] = {}
    for use in uses:
        for counts, name in ((rules, use["rule"]), (statuses, use["status"])):
            counts["raw_labels"][name] += 1
            counts["claims"][name] += use["claims"]
        if use["label"] and use["status"] in {"kept", "changed"}:
            merged.setdefault(use["label"], []).append(use)
    widest = sorted(merged.items(), key=lambda item: (-len(item[1]), item[0]))[:TOP_MERGED]
    return {
        "raw_distinct": len(uses),
        "by_status": _side_by_side(statuses),
        "by_rule": _side_by_side(rules),
        "merged_top": [
            {
                "label": label,
                "raw_labels": len(group),
                "claims": sum(use["claims"] for use in group),
                "most_frequent": {use["raw"]: use["claims"] for use in group[:10]},
            }
            for label, group in widest
            if len(group) > 1
        ],
    }


def _side_by_side(counts: Mapping[str, Counter[str]]) -> dict[str, dict[str, int]]:
    names = sorted(counts["claims"], key=lambda name: (-counts["claims"][name], name))
    return {name: {unit: counted[name] for unit, counted in counts.items()} for name in names}
