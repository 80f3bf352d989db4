"""Compares the audits of two builds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from data_cards.audit.compute import Audit

LISTED: Final = 50
_NUMBERS: Final = (
    ("passages", ("passages", "count")),
    ("types", ("labels", "distinct")),
    ("mentions", ("mentions", "count")),
    ("mentions a passage", ("mentions", "per_passage", "mean")),
    ("types a passage", ("mentions", "types_per_passage", "mean")),
    ("passages without entities", ("mentions", "passages_without")),
    ("samples", ("samples", "count")),
    ("duplicates", ("duplicates",)),
    ("near duplicates across splits", ("leaks", "near_duplicates")),
    ("prompt tokens", ("usage", "prompt_tokens")),
    ("completion tokens", ("usage", "completion_tokens")),
)


def compare(before: Audit, after: Audit) -> dict[str, Any]:
    """Return types that came and went, numbers that changed and differences of the funnel, without equal numbers."""
    old, new = before.frequency, after.frequency
    came = {label: new[label] for label in new if label not in old}
    went = {label: old[label] for label in old if label not in new}
    changed: list[dict[str, Any]] = [
        {"label": label, "before": old[label], "after": new[label]}
        for label in new
        if label in old and old[label] != new[label]
    ]
    changed.sort(key=lambda row: -abs(row["after"]["mentions"] - row["before"]["mentions"]))
    return {
        "numbers": _changes({name: (_at(before.figures, path), _at(after.figures, path)) for name, path in _NUMBERS}),
        "splits": _changes(
            {split: (_samples(before, split), _samples(after, split)) for split in _splits(before, after)}
        ),
        "types": {
            "came": len(came),
            "went": len(went),
            "changed": len(changed),
            "came_most_frequent": [{"label": label, **came[label]} for label in list(came)[:LISTED]],
            "went_most_frequent": [{"label": label, **went[label]} for label in list(went)[:LISTED]],
            "changed_most": changed[:LISTED],
        },
        "funnel": _funnel(before.figures.get("funnel", []), after.figures.get("funnel", [])),
        "settings": {
            name: {"before": before.figures.get(name), "after": after.figures.get(name)}
            for name in ("teacher", "tokenizer", "source", "lexicon")
            if before.figures.get(name) != after.figures.get(name)
        },
        "problems": {
            "came": [line for line in after.figures["problems"] if line not in before.figures["problems"]],
            "went": [line for line in before.figures["problems"] if line not in after.figures["problems"]],
        },
    }


def _changes(pairs: Mapping[str, tuple[Any, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {"before": old, "after": new} for name, (old, new) in pairs.items() if old != new}


def _at(figures: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    found: Any = figures
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _splits(before: Audit, after: Audit) -> list[str]:
    return list(dict.fromkeys([*before.figures["samples"]["splits"], *after.figures["samples"]["splits"]]))


def _samples(audit: Audit, split: str) -> int:
    return sum(audit.figures["samples"]["splits"].get(split, {}).values())


def _funnel(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[dict[str, Any]]:
    old, new = ({flow["stage"]: flow for flow in flows} for flows in (before, after))
    rows: list[dict[str, Any]] = []
    for stage in dict.fromkeys([*old, *new]):
        one, other = old.get(stage, {}), new.get(stage, {})
        reasons = dict.fromkeys([*one.get("rejected", {}), *other.get("rejected", {})])
        row = {
            "stage": stage,
            "unit": (other or one)["unit"],
            **_changes({name: (one.get(name), other.get(name)) for name in ("in", "out")}),
        }
        rejected = _changes({reason: (one.get("rejected", {}).get(reason, 0), other.get("rejected", {}).get(reason, 0))
                             for reason in reasons})  # fmt: skip
        if rejected:
            row["rejected"] = rejected
        if len(row) > 2:
            rows.append(row)
    return rows
