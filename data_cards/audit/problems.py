"""The structural checks, with a line for each one that fails. A dataset with problems should not be published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from annotator.terminal.words import plural

_SAMPLES: Final = {
    "incomplete": "samples lack a passage, a type or an answer",
    "unreadable": "answers are no JSON list of strings",
    "absent": "answers name something that does not stand in the passage",
    "contradicting": "samples are negative with an answer, or positive without one",
}
_LEAKS: Final = {
    "identical_passages": "passages stand in several splits, word for word",
    "nearly_identical": "pairs of passages in different splits are the same for the most part",
}
SMALL: Final = 100
"""A split with fewer samples is too small to evaluate on."""


def notes(figures: Mapping[str, Any]) -> list[str]:
    """Return a line for each split that is too small to evaluate on, except the largest and empty ones."""
    splits, types = figures["balance"]["splits"], figures["labels"]["distinct"]
    largest = max(splits, key=lambda split: splits[split]["samples"], default="")
    return [
        f"{split} has {plural(row['samples'], 'sample')} of {row['types']:,} of {plural(types, 'type')}: "
        "too small to evaluate on"
        for split, row in splits.items()
        if split != largest and row["samples"] and (row["samples"] < SMALL or 3 * row["types"] <= 2 * types)
    ]


def negatives_note(figures: Mapping[str, Any]) -> list[str]:
    """Return a line on the cost of having no negatives, where no sample is negative."""
    splits = figures["samples"]["splits"].values()
    if not figures["samples"]["count"] or any(split["negative"] for split in splits):
        return []
    cost = "UniversalNER reports F1 31.5 without negatives, 53.4 with them"
    return [f"no sample is negative, so a student never learns to answer []: {cost}"]


def of_counts(numbers: Mapping[str, int]) -> Iterator[str]:
    """Yield a line for each sentence whose number is not 0."""
    yield from (f"{number:,} {sentence}" for sentence, number in numbers.items() if number)


def of_samples(figures: Mapping[str, Any], wrong: Mapping[str, int]) -> Iterator[str]:
    """Check each sample."""
    if not figures["samples"]["count"]:
        yield "there are no samples"
    yield from of_counts({sentence: wrong.get(name, 0) for name, sentence in _SAMPLES.items()})


def of_leaks(figures: Mapping[str, Any]) -> Iterator[str]:
    """Check that no passage is in two splits."""
    yield from of_counts({sentence: figures["leaks"][name] for name, sentence in _LEAKS.items()})


def of_funnel(figures: Mapping[str, Any], rejected: Counter[tuple[str, str]]) -> Iterator[str]:
    """Check that the funnel adds up and agrees with the files."""
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
    passages = flows.get("chunk", {}).get("made", {}).get("passage")  # a run of an older version kept all of them
    made = [
        ("passages", flows.get("overlap", {}).get("out", passages), figures["passages"]["count"]),
        ("mentions", flows.get("clean", {}).get("made", {}).get("mention"), figures["mentions"]["count"]),
        ("samples", flows.get("explode", {}).get("out"), figures["samples"]["count"]),
    ]
    for what, counted, there in made:
        if counted is not None and counted != there:
            yield f"{counted:,} {what} were counted when they were made, but {there:,} are on file"
    for (one, first), (other, second) in pairwise(flows.items()):
        passed_on = first["out"] if first["unit"] == second["unit"] else first["made"].get(second["unit"])
        if passed_on is not None and passed_on != second["in"]:
            yield f"{one} passed on {passed_on:,}, but {other} took {second['in']:,}"
