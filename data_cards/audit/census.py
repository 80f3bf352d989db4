"""Counts mentions and types as they stream by, in memory that grows with the number of types alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annotator.storage.spill import Spill, runs_of
from data_cards.audit.arrays import Hashes, Ints, count, distribution, encoded, hashes, mixed, share, syllables

TOP: Final = 100
"""Labels listed one by one."""
PAIRS: Final = 30
"""Pairs of types that occur together, listed one by one."""
SKETCH: Final = 256
"""Distinct mentions of a type that are remembered, those with the smallest hashes: a fair sample of all of them."""
_LIMIT: Final = 400_000
"""Entries held before they are summed up."""


@dataclass(frozen=True, slots=True)
class Mentions:
    """Mentions of one part, counted; their types have numbers in the order of ``names``."""

    names: list[str]
    numbers: Ints
    """Mentions of each type."""
    syllables: Counter[int]
    characters: Counter[int]
    sketch: tuple[Ints, Hashes]
    """As ``Census.sketches``, with the numbers of this part."""


@dataclass(frozen=True, slots=True)
class Together:
    """The passages of one part by what they hold; types have the numbers of their ``Mentions``."""

    mentions: Counter[int]
    """Passages by their number of mentions."""
    types: Counter[int]
    """Passages by their number of types."""
    passages: Ints
    """Passages of each type, as far as the last that occurs."""
    pairs: tuple[Ints, Ints, Ints]
    """Two types, and how many passages have both."""


def mentions_of(labels: pa.Array, texts: pa.Array) -> tuple[Mentions, Ints]:
    """Count mentions one by one, given their types and texts; returns the number of each one's type too."""
    names, codes = encoded(labels)
    syllable_counts, characters = Counter[int](), Counter[int]()
    count(syllable_counts, syllables(texts))
    count(characters, pc.utf8_length(texts).to_numpy(zero_copy_only=False))
    numbers = np.bincount(codes, minlength=len(names))
    return Mentions(names, numbers, syllable_counts, characters, _smallest(codes, hashes(pc.utf8_lower(texts)))), codes


def together(passage: Ints, codes: Ints, total: int) -> Together:
    """Count by passage: for each mention its passage (0 to ``total`` - 1) and the number of its type."""
    mentions, types = Counter[int](), Counter[int]()
    count(mentions, np.bincount(passage, minlength=total))
    distinct = np.unique((passage << 32) | codes)
    owner, code = distinct >> 32, distinct & 0xFFFFFFFF
    sizes = np.bincount(owner, minlength=total)
    count(types, sizes)
    # Each type with those that follow it in the same passage.
    following = np.repeat(np.cumsum(sizes), sizes) - np.arange(len(code)) - 1
    first = np.repeat(np.arange(len(code)), following)
    second = first + 1 + np.arange(len(first)) - np.repeat(np.cumsum(following) - following, following)
    keys, numbers = np.unique((code[first] << 32) | code[second], return_counts=True)
    return Together(mentions, types, np.bincount(code), (keys >> 32, keys & 0xFFFFFFFF, numbers))


class Census:
    """Frequencies of types, lengths of mentions, types together in a passage, and a sketch of each type's mentions."""

    def __init__(self) -> None:
        self.labels: list[str] = []
        self.mentions: Counter[int] = Counter()
        self.passages: Counter[int] = Counter()
        self.per_passage: Counter[int] = Counter()
        self.types: Counter[int] = Counter()
        self._codes: dict[str, int] = {}
        self._syllables: Counter[int] = Counter()
        self._characters: Counter[int] = Counter()
        self._pairs = Spill()
        self._sketches: list[tuple[Ints, Hashes]] = []
        self._held = self._kept = 0

    def add_mentions(self, found: Mentions) -> Ints:
        """Take the mentions of a part; returns the code that each of its types has here."""
        codes = self.code(found.names)
        _add_up(self.mentions, codes, found.numbers)
        self._syllables.update(found.syllables)
        self._characters.update(found.characters)
        own, texts = found.sketch
        self._sketches.append((codes[own], texts))
        self._held += len(own)
        if self._held > _LIMIT + 2 * self._kept:  # a sum is worth its while when there is as much again to sum up
            self._sketches = [self.sketches()]
            self._kept = self._held = len(self._sketches[0][0])
        return codes

    def add_passages(self, found: Together, codes: Ints | None = None) -> None:
        """Take the passages of a part; ``codes`` are those of its types where it has numbers of its own."""
        known = np.arange(len(self.labels)) if codes is None else codes
        self.per_passage.update(found.mentions)
        self.types.update(found.types)
        _add_up(self.passages, known, found.passages)
        first, second = (known[place] for place in found.pairs[:2])
        keys = (np.minimum(first, second) << 32 | np.maximum(first, second)).astype(np.uint64)
        self._pairs.add(mixed(keys, keys), keys, number=found.pairs[2])

    def code(self, names: list[str]) -> Ints:
        """The codes of types, new ones where need be."""
        for name in names:
            if name not in self._codes:
                self._codes[name] = len(self.labels)
                self.labels.append(name)
        return np.array([self._codes[name] for name in names], dtype=np.int64)

    def sketches(self) -> tuple[Ints, Hashes]:
        """For each type at most ``SKETCH`` distinct mentions: codes, and the hashes of the mentions in lower case."""
        if not self._sketches:
            return np.zeros(0, np.int64), np.zeros(0, np.uint64)
        codes = np.concatenate([part for part, _ in self._sketches])
        texts = np.concatenate([part for _, part in self._sketches])
        return _smallest(codes, texts)

    def frequency(self) -> dict[str, dict[str, int]]:
        """Samples and mentions of each type, the most frequent first."""
        order = sorted(range(len(self.labels)), key=lambda code: (-self.passages[code], self.labels[code]))
        return {self.labels[code]: {"samples": self.passages[code], "mentions": self.mentions[code]} for code in order}

    def label_figures(self) -> dict[str, Any]:
        """Frequencies of the types, and the share of all mentions in the head of the list, as UniversalNER counts."""
        frequency = self.frequency()
        by_mentions = sorted((entry["mentions"] for entry in frequency.values()), reverse=True)
        total = sum(by_mentions)
        one, ten = (-(-len(by_mentions) * percent // 100) for percent in (1, 10))
        head, middle = sum(by_mentions[:one]), sum(by_mentions[one:ten])
        return {
            "distinct": len(frequency),
            "mentions": total,
            "top": [{"label": label, **numbers} for label, numbers in list(frequency.items())[:TOP]],
            "only_once": sum(number == 1 for number in by_mentions),
            "share_of_mentions": {
                "top_1_percent": share(head, total),
                "next_9_percent": share(middle, total),
                "rest": share(total - head - middle, total),
            },
            "rank_frequency": [[rank, by_mentions[rank - 1]] for rank in _ranks(len(by_mentions))],
            "together": self._together(),
        }

    def mention_figures(self) -> dict[str, Any]:
        """Lengths of mentions, and what a passage holds."""
        passages = self.per_passage.total()
        return {
            "count": self.mentions.total(),
            "syllables": distribution(self._syllables),
            "characters": distribution(self._characters),
            "per_passage": distribution(self.per_passage),
            "types_per_passage": distribution(self.types),
            "passages_without": self.per_passage[0],
            "share_of_passages_without": share(self.per_passage[0], passages),
        }

    def _together(self) -> list[dict[str, Any]]:
        best: list[tuple[int, str, str]] = []
        for part in self._pairs.parts():
            rows = part[np.lexsort((part["value"], part["key"]))]
            begins = runs_of(rows["value"])
            numbers = np.add.reduceat(rows["number"], begins)
            often = numbers >= np.sort(numbers)[-min(PAIRS, len(numbers))]
            for key, number in zip(rows["value"][begins][often].tolist(), numbers[often].tolist(), strict=True):
                one, other = sorted((self.labels[key >> 32], self.labels[key & 0xFFFFFFFF]))
                best.append((-number, one, other))
            best = sorted(best)[:PAIRS]
        return [{"labels": [one, other], "passages": -number} for number, one, other in best]


def _smallest(codes: Ints, texts: Hashes) -> tuple[Ints, Hashes]:
    """Of each type the ``SKETCH`` smallest distinct hashes, in order of types and hashes."""
    order = np.lexsort((texts, codes))
    codes, texts = codes[order], texts[order]
    new = runs_of(codes, texts)
    codes, texts = codes[new], texts[new]
    kept = np.arange(len(codes)) - np.searchsorted(codes, codes) < SKETCH
    return codes[kept], texts[kept]


def _add_up(counter: Counter[int], codes: Ints, numbers: Ints) -> None:
    for code, number in zip(codes.tolist(), numbers.tolist(), strict=False):
        counter[code] += number


def _ranks(number: int) -> list[int]:
    """The first twenty ranks, then some twenty a decade, and the last."""
    steps = range(20, 20 * len(str(number)) + 1)
    return sorted(
        {min(number, rank) for rank in (*range(1, 21), *(round(10 ** (step / 20)) for step in steps)) if number}
    )
