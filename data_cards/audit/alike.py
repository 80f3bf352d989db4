"""Pairs of types that look like one concept under two names, with the evidence."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations
from typing import Any, Final

import numpy as np

from data_cards.audit.census import SKETCH, Census
from normalizers.labels import related

LISTED: Final = 50
SHARED: Final = 5
"""Mentions that two types must have in common, in small letters, to be compared by them."""
OVERLAP: Final = 0.3
"""Share of common mentions (of all that either has) from which on two types look alike."""
_SHORTEST: Final = 5
"""Letters of a name from which on a difference of one letter may be a typing error."""
_CROWD: Final = 50
"""Names that share a form with more others than this are not compared by it: the form says nothing."""


def alike(census: Census) -> dict[str, Any]:
    """Look for pairs by their names and by what they name; pairs that the lexicon holds to be related are left out."""
    evidence: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for pair in _same_words(census.labels):
        evidence[pair].append("same words")
    for pair in _one_letter(census.labels):
        if "same words" not in evidence[pair]:
            evidence[pair].append("one letter apart")
    for pair, (common, overlap) in _same_mentions(census).items():
        evidence[pair].append(f"{common} mentions in common, {overlap:.0%} of both")
    frequency = census.frequency()
    found: list[dict[str, Any]] = [
        {"labels": list(pair), "samples": [frequency[label]["samples"] for label in pair], "evidence": reasons}
        for pair, reasons in evidence.items()
        if not related(*pair)
    ]
    found.sort(key=lambda item: (-len(item["evidence"]), -min(item["samples"]), item["labels"]))
    return {"count": len(found), "pairs": found[:LISTED]}


def _same_words(labels: list[str]) -> set[tuple[str, str]]:
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for label in labels:
        words = "".join(char if char.isalnum() else " " for char in label.casefold()).split()
        kept = sorted(word for word in words if word not in {"of", "the", "a", "an", "name", "type"})
        groups[" ".join(kept)].append(label)
        groups["".join(words)].append(label)
    return _pairs(groups)


def _one_letter(labels: list[str]) -> set[tuple[str, str]]:
    """Names that differ in one letter: changed, left out, or two neighbours swapped. Digits are no letters."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for label in labels:
        if len(label) >= _SHORTEST:
            for form in {label, *(label[:place] + label[place + 1 :] for place in range(len(label)))}:
                groups[form].append(label)
    return {pair for pair in _pairs(groups) if _near(*pair)}


def _near(one: str, other: str) -> bool:
    differing = [place for place, (left, right) in enumerate(zip(one, other, strict=False)) if left != right]
    if any(char.isdigit() for char in one + other):
        return False
    if len(one) == len(other):
        swapped = len(differing) == 2 and differing[1] == differing[0] + 1 and sorted(one) == sorted(other)
        return len(differing) == 1 or swapped
    return abs(len(one) - len(other)) == 1


def _same_mentions(census: Census) -> dict[tuple[str, str], tuple[int, float]]:
    """Types whose mentions overlap: how many are common, and their share; estimated beyond ``SKETCH`` mentions."""
    codes, texts = census.sketches()
    order = np.argsort(texts, kind="stable")
    groups = np.split(codes[order], np.flatnonzero(np.diff(texts[order])) + 1)
    together: defaultdict[tuple[int, int], int] = defaultdict(int)
    for group in groups:
        if 1 < len(group) <= _CROWD:
            for pair in combinations(sorted(group.tolist()), 2):
                together[pair] += 1
    begins = np.searchsorted(codes, np.arange(len(census.labels) + 1))
    found = {}
    for (one, other), common in together.items():
        if common >= SHARED:
            left, right = (texts[begins[code] : begins[code + 1]] for code in (one, other))
            union = np.union1d(left, right)
            smallest = union[:SKETCH] if SKETCH in (len(left), len(right)) else union
            both = int((np.isin(smallest, left) & np.isin(smallest, right)).sum())
            if both >= OVERLAP * len(smallest):
                names = sorted((census.labels[one], census.labels[other]))
                found[names[0], names[1]] = (common, both / len(smallest))
    return found


def _pairs(groups: dict[str, list[str]]) -> set[tuple[str, str]]:
    return {
        (min(pair), max(pair))
        for group in groups.values()
        if len(group) <= _CROWD
        for pair in combinations(sorted(set(group)), 2)
    }
