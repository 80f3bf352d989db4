"""Draw the share of the passages that a second teacher is asked about, stratified.

Each passage has a position from 0 to 1, and a share has the passages with positions below it: so a larger share has
every passage of a smaller one. Strata are the split, the number of entities that the first teacher predicted, and
whether one has a rare type. Within a stratum the positions are evenly spaced from a random start, in the order of a
hash: a share has the same part of each stratum to within one passage, and each passage with the same probability
(systematic sampling; Cochran 1977, Sampling Techniques, chapter 8).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, TypeAlias

from annotator.samples.explode import digest

RARE: Final = 0.1
"""Rare types are the rarest ones that together have this share of all pairs of a passage and a type."""
Stratum: TypeAlias = tuple[int, str, bool]
"""Split, number of entities in words, and whether a type is rare."""


@dataclass(frozen=True, slots=True)
class Outline:
    """A passage before the second teacher is asked."""

    passage_id: str
    split: int
    """Index of its split."""
    entities: Mapping[str, int] | None
    """Number of the first teacher's entities by type; None where its answer cannot be read."""


def positions(passages: Sequence[Outline], seed: int) -> dict[str, float]:
    """Return the position of each passage, by its id."""
    drawn: dict[str, float] = {}
    for stratum, ids in strata(passages).items():
        start = fraction(seed, *map(str, stratum))
        for rank, identity in enumerate(sorted(ids, key=lambda identity: (fraction(seed, identity), identity))):
            drawn[identity] = (rank + start) / len(ids)
    return drawn


def strata(passages: Sequence[Outline]) -> dict[Stratum, list[str]]:
    """Return the ids of the passages of each stratum."""
    rare = _rare([one.entities or {} for one in passages])
    sizes = [sum(one.entities.values()) for one in passages if one.entities]
    middle = median(sizes) if sizes else 0
    found: defaultdict[Stratum, list[str]] = defaultdict(list)
    for one in passages:
        if one.entities is None:
            size = "unread"
        else:
            number = sum(one.entities.values())
            size = "none" if not number else "few" if number < middle else "many"
        found[one.split, size, not rare.isdisjoint(one.entities or {})].append(one.passage_id)
    return dict(sorted(found.items()))


def fraction(seed: int, *parts: str) -> float:
    """Return a number from 0 to 1 by a hash of the seed and ``parts``."""
    return int.from_bytes(digest(seed, "check", *parts)[:8], "big") / 2**64


def _rare(passages: Sequence[Mapping[str, int]]) -> frozenset[str]:
    frequency = Counter(entity_type for entities in passages for entity_type in entities)
    left = RARE * frequency.total()
    rare = set()
    for entity_type in sorted(frequency, key=lambda entity_type: (frequency[entity_type], entity_type)):
        left -= frequency[entity_type]
        if left < 0:
            break
        rare.add(entity_type)
    return frozenset(rare)
