"""Pairs of types that may be one concept under two names, with the evidence."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations
from typing import Any, Final

from data_cards.audit.database import Database
from data_cards.audit.mentions import Frequency
from normalizers.labels import near, related

LISTED: Final = 50
SHARED: Final = 5
"""Mentions in lower case that two types must have in common to be compared by them."""
OVERLAP: Final = 0.3
"""Two types with this share of common mentions, of all that either has, look alike."""
_SHORTEST: Final = 5
"""In names of at least this length, a difference of one letter may be a typing error."""
_CROWD: Final = 50
"""A form that more names than this share is ignored."""
_SAME_MENTIONS: Final = f"""
WITH named AS (SELECT DISTINCT label, text FROM mentions),
     sizes AS (SELECT label, count(*) AS size FROM named GROUP BY label),
     shared AS (SELECT * FROM named QUALIFY count(*) OVER (PARTITION BY text) BETWEEN 2 AND {_CROWD}),
     pairs AS (SELECT a.label AS one, b.label AS other, count(*) AS common
               FROM shared a JOIN shared b ON a.text = b.text AND a.label < b.label
               GROUP BY ALL HAVING common >= {SHARED})
SELECT one, other, common, common / (a.size + b.size - common) AS overlap
FROM pairs JOIN sizes a ON one = a.label JOIN sizes b ON other = b.label WHERE overlap >= {OVERLAP}
"""  # noqa: S608 - numbers of this module


def alike(database: Database, frequency: Frequency) -> dict[str, Any]:
    """Return pairs that look alike by their names or mentions, except those that are related but not near."""
    evidence: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    labels = sorted(frequency)
    for pair in _by_lexicon(labels):
        evidence[pair].append("near in the lexicon")
    for pair in _same_words(labels):
        evidence[pair].append("same words")
    for pair in _one_letter(labels):
        if "same words" not in evidence[pair]:
            evidence[pair].append("one letter apart")
    for one, other, common, overlap in database.rows(_SAME_MENTIONS):
        evidence[one, other].append(f"{common} mentions in common, {overlap:.0%} of both")
    found: list[dict[str, Any]] = [
        {"labels": list(pair), "samples": [frequency[label]["samples"] for label in pair], "evidence": reasons}
        for pair, reasons in evidence.items()
        if not related(*pair) or pair[1] in near(pair[0])
    ]
    found.sort(key=lambda item: (-len(item["evidence"]), -min(item["samples"]), item["labels"]))
    return {"count": len(found), "pairs": found[:LISTED]}


def _by_lexicon(labels: list[str]) -> set[tuple[str, str]]:
    present = set(labels)
    return {(label, other) for label in labels for other in near(label) & present if label < other}


def _same_words(labels: list[str]) -> set[tuple[str, str]]:
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for label in labels:
        words = "".join(char if char.isalnum() else " " for char in label.casefold()).split()
        kept = sorted(word for word in words if word not in {"of", "the", "a", "an", "name", "type"})
        groups[" ".join(kept)].append(label)
        groups["".join(words)].append(label)
    return _pairs(groups)


def _one_letter(labels: list[str]) -> set[tuple[str, str]]:
    """Return names that differ in one letter: changed, left out, or two neighbours swapped. Digits are no letters."""
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


def _pairs(groups: dict[str, list[str]]) -> set[tuple[str, str]]:
    return {
        (min(pair), max(pair))
        for group in groups.values()
        if len(group) <= _CROWD
        for pair in combinations(sorted(set(group)), 2)
    }
