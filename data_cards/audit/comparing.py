"""Compare the audits of two datasets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
_SETTINGS: Final = ("teacher", "tokenizer", "source", "lexicon")


def compare(before: Audit, after: Audit) -> dict[str, Any]:
    """Return what differs: numbers, types, the funnel, settings and problems."""
    old, new = before.frequency, after.frequency
    came = {label: new[label] for label in new if label not in old}
    went = {label: old[label] for label in old if label not in new}
    changed: list[dict[str, Any]] = [
        {"label": label, "before": old[label], "after": new[label]}
        for label in new
        if label in old and old[label] != new[label]
    ]
    changed.sort(key=lambda row: -abs(row["after"]["mentions"] - row["before"]["mentions"]))
    one, other = before.figures, after.figures
    return {
        "numbers": _changes(_numbers(one), _numbers(other)),
        "splits": _changes(_splits(one), _splits(other), 0),
        "types": {
            "came": len(came),
            "went": len(went),
            "changed": len(changed),
            "came_most_frequent": [{"label": label, **came[label]} for label in list(came)[:LISTED]],
            "went_most_frequent": [{"label": label, **went[label]} for label in list(went)[:LISTED]],
            "changed_most": changed[:LISTED],
        },
        "funnel": list(_funnel(one.get("funnel", []), other.get("funnel", []))),
        "settings": _changes(
            {name: one.get(name) for name in _SETTINGS}, {name: other.get(name) for name in _SETTINGS}
        ),
        "problems": {
            "came": [line for line in other["problems"] if line not in one["problems"]],
            "went": [line for line in one["problems"] if line not in other["problems"]],
        },
    }


def _changes(old: Mapping[str, Any], new: Mapping[str, Any], absent: Any = None) -> dict[str, dict[str, Any]]:
    """Return the values that differ by name, before and after."""
    pairs = {name: (old.get(name, absent), new.get(name, absent)) for name in {**old, **new}}
    return {name: {"before": one, "after": other} for name, (one, other) in pairs.items() if one != other}


def _numbers(figures: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name, path in _NUMBERS:
        value: Any = figures
        for step in path:
            value = value.get(step) if isinstance(value, Mapping) else None
        found[name] = value
    return found


def _splits(figures: Mapping[str, Any]) -> dict[str, int]:
    return {split: sum(counts.values()) for split, counts in figures["samples"]["splits"].items()}


def _funnel(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    old, new = ({flow["stage"]: flow for flow in flows} for flows in (before, after))
    for stage in {**old, **new}:
        one, other = old.get(stage, {}), new.get(stage, {})
        numbers = _changes(*({name: flow.get(name) for name in ("in", "out")} for flow in (one, other)))
        rejected = _changes(one.get("rejected", {}), other.get("rejected", {}), 0)
        if numbers or rejected:
            row = {"stage": stage, "unit": (other or one)["unit"], **numbers}
            yield {**row, "rejected": rejected} if rejected else row
