"""What must hold and does not, a line each: a dataset with problems should not be passed on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from data_cards.audit.annotations import Annotations
from data_cards.audit.passages import Passages
from data_cards.audit.samples import Samples


def of_run_files(
    figures: Mapping[str, Any],
    rejected: Counter[tuple[str, str]],
    annotations: Annotations,
    passages: Passages,
) -> Iterator[str]:
    """Offsets, texts, splits and the funnel of a run directory."""
    yield from _of_funnel(figures, rejected)
    if annotations.broken:
        yield f"{annotations.broken:,} mentions are not what stands at their offsets"
    if passages.foreign_annotations:
        yield f"{passages.foreign_annotations:,} annotations have another text than their passage"
    if passages.foreign_samples:
        yield f"{passages.foreign_samples:,} samples have another text than their passage"
    if passages.repeated:
        yield f"{passages.repeated:,} passages have the id of another"
    if passages.documents_in_several_splits:
        yield f"{passages.documents_in_several_splits:,} documents have passages in several splits"


def of_samples(samples: Samples) -> Iterator[str]:
    """What each sample must be."""
    if not any(sum(counted.values()) for counted in samples.figures()["splits"].values()):
        yield "there are no samples"
    if samples.incomplete:
        yield f"{samples.incomplete:,} samples lack a passage, a type or an answer"
    if samples.unreadable:
        yield f"{samples.unreadable:,} answers are no JSON list of strings"
    if samples.absent:
        yield f"{samples.absent:,} answers name something that does not stand in the passage"
    if samples.contradicting:
        yield f"{samples.contradicting:,} samples are negative with an answer, or positive without one"


def of_leaks(leaks: Mapping[str, Any]) -> Iterator[str]:
    """What stands in two splits."""
    if leaks["identical_passages"]:
        yield f"{leaks['identical_passages']:,} passages stand in several splits, word for word"
    if leaks["nearly_identical"]:
        yield f"{leaks['nearly_identical']:,} pairs of passages in different splits are the same for the most part"


def _passages(flows: Mapping[str, Any]) -> int | None:
    """How many passages were kept; a run of an older version kept all that it made."""
    made = flows.get("chunk", {}).get("made", {}).get("passage")
    kept: int | None = flows.get("overlap", {}).get("out", made)
    return kept


def _of_funnel(figures: Mapping[str, Any], rejected: Counter[tuple[str, str]]) -> Iterator[str]:
    flows = {flow["stage"]: flow for flow in figures["funnel"]}
    for stage, flow in flows.items():
        lost = sum(flow["rejected"].values())
        if flow["in"] != flow["out"] + lost:
            yield f"{stage}: {flow['in']:,} went in, but {flow['out']:,} kept and {lost:,} rejected came out"
        for reason, number in flow["rejected"].items():
            if rejected[stage, reason] != number:
                yield f"{stage}: {number:,} rejected as {reason!r}, but {rejected[stage, reason]:,} of them are on file"
    for (stage, reason), number in rejected.items():
        if reason not in flows.get(stage, {"rejected": {}})["rejected"]:
            yield f"{stage}: {number:,} on file as rejected for {reason!r}, but none were counted"
    made = [
        ("passages", _passages(flows), figures["passages"]["count"]),
        ("mentions", flows.get("clean", {}).get("made", {}).get("mention"), figures["mentions"]["count"]),
        ("samples", flows.get("explode", {}).get("out"), figures["samples"]["count"]),
    ]
    for what, counted, there in made:
        if counted is not None and counted != there:
            yield f"{counted:,} {what} were counted when they were made, but {there:,} are on file"
    for (one, first), (other, second) in pairwise(flows.items()):
        gone_on = first["made"].get(second["unit"], first["out"]) if first["unit"] != second["unit"] else first["out"]
        handed_on = first["unit"] == second["unit"] or second["unit"] in first["made"]
        if handed_on and gone_on != second["in"]:
            yield f"{one} passed on {gone_on:,}, but {other} took {second['in']:,}"
