"""The versions of an updated dataset in words, for the card and the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from annotator.terminal.words import plural

_COUNTED: Final = ("documents", "passages", "samples", "mentions", "types")


def version_rows(changelog: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return a row for each version in ``changelog`` of ``audit.json``, the newest first: totals and what it added."""
    totals = dict.fromkeys(_COUNTED, 0)
    rows: list[list[str]] = []
    for version in changelog:
        added = {name: version[name] for name in _COUNTED} | {"samples": sum(version["samples"].values())}
        totals = {name: totals[name] + added[name] for name in _COUNTED}
        increase = {name: f" (+{added[name]:,})" if rows else "" for name in _COUNTED}
        rows.append([str(version["version"]), *(f"{totals[name]:,}{increase[name]}" for name in _COUNTED)])
    return rows[::-1]


def added_line(version: Mapping[str, Any]) -> str:
    """Return what a version added: ``2 articles, 8 passages, 21 samples (20 train, 1 validation, 0 test), ...``."""
    samples = ", ".join(f"{number:,} {split}" for split, number in version["samples"].items())
    return ", ".join(
        (
            plural(version["documents"], "article"),
            plural(version["passages"], "passage"),
            f"{plural(sum(version['samples'].values()), 'sample')} ({samples})",
            plural(version["mentions"], "mention"),
            new_types(version),
        )
    )


def new_types(version: Mapping[str, Any]) -> str:
    """Return the new types of a version: ``3 new types (law, river, ship)``."""
    if not version["types"]:
        return "no new type"
    others = version["types"] - len(version["new_types"])
    listed = ", ".join(version["new_types"]) + (f" and {others:,} more" if others else "")
    return f"{plural(version['types'], 'new type')} ({listed})"
