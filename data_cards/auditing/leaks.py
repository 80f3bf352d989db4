"""Passages of one split that stand, in whole or in great part, in another: what a student would be tested on by heart.

A passage is the set of its runs of eight syllables. Two passages are near duplicates when at least ``NEAR`` of the
shorter one's runs are in the other. One run in four is looked at, chosen by its hash, so the same ones everywhere; the
share is therefore an estimate, exact for identical passages. Only the smaller splits are held in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_cards.auditing.arrays import Hashes, Ints, encoded, hashed, ints, mixed
from data_cards.auditing.dataset import Dataset

RUN: Final = 8
"""Syllables of a run."""
LOOKED_AT: Final = 4
"""One run in so many is compared."""
NEAR: Final = 0.5
"""Share of the shorter passage's runs from which on two passages count as near duplicates."""
MOSTLY: Final = 0.8
"""Share from which on they are a leak, not only alike."""
EXAMPLES: Final = 5
BEGINNING: Final = 120
"""Characters of a passage that an example shows."""
_PRIME: Final = np.uint64(0x100000001B3)


def runs(texts: list[str]) -> tuple[Ints, Hashes]:
    """The runs that are looked at, each once: the number of its text, and its hash; each text has one at least."""
    words = pc.utf8_split_whitespace(pc.utf8_trim_whitespace(pc.utf8_lower(pa.array(texts, pa.string()))))
    vocabulary, codes = encoded(words.flatten())
    tokens = hashed(vocabulary)[codes]
    rolling = np.zeros_like(tokens)
    for step in range(RUN):
        rolling *= _PRIME
        rolling[: max(len(tokens) - step, 0)] += tokens[step:]
    rolling = mixed(rolling, rolling)
    lengths = ints(pc.list_value_length(words))
    owner = np.repeat(np.arange(len(texts)), lengths)
    place = np.arange(len(tokens)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    whole = place + RUN <= np.repeat(lengths, lengths)
    kept = whole & ((rolling % np.uint64(LOOKED_AT) == 0) | (place == 0))
    short = np.flatnonzero(lengths < RUN)  # these are a run each
    owner = np.concatenate([owner[kept], short])
    rolling = np.concatenate([rolling[kept], hashed([texts[number] for number in short])])
    order = np.lexsort((rolling, owner))
    owner, rolling = owner[order], rolling[order]
    new = np.ones(len(owner), bool)
    new[1:] = (owner[1:] != owner[:-1]) | (rolling[1:] != rolling[:-1])
    return owner[new], rolling[new]


class Leaks:
    """Takes the passages split by split, the smallest split first, and finds those that were in an earlier one."""

    def __init__(self) -> None:
        self._passages = np.zeros(0, np.uint64)
        self._sizes = np.zeros(0, np.int64)
        self._runs = np.zeros(0, np.uint64)
        self._owners = np.zeros(0, np.int64)
        self._coming: list[tuple[Hashes, Ints, Hashes, Ints]] = []
        self._found: dict[tuple[int, int], float] = {}
        self._earlier: list[str] = []
        self._places: dict[int, dict[str, dict[str, str]]] = {}

    def add(self, split: str, batch: Distinct, *, last: bool) -> None:
        """Compare some passages of a split with all earlier splits; ``last`` says that no split follows."""
        passages, texts = batch.hashes, batch.texts
        owner, found = runs(texts)
        sizes = np.bincount(owner, minlength=len(texts))
        if not last:
            self._coming.append((passages, owner, found, sizes))
        if not len(self._runs):
            return
        low, high = np.searchsorted(self._runs, found, "left"), np.searchsorted(self._runs, found, "right")
        hits = high - low
        new = np.repeat(owner, hits)
        within = np.arange(len(new)) - np.repeat(np.cumsum(hits) - hits, hits)
        old = self._owners[np.repeat(low, hits) + within]
        pairs, shared = np.unique((new << 32) | old, return_counts=True)
        new, old = pairs >> 32, pairs & 0xFFFFFFFF
        contained = shared / np.minimum(sizes[new], self._sizes[old])
        near = contained >= NEAR
        for one, other, value in zip(
            passages[new[near]].tolist(), self._passages[old[near]].tolist(), contained[near].tolist(), strict=True
        ):
            self._found[one, other] = round(value, 3)
        for number in np.unique(new[near]).tolist():
            self._note(split, batch, number)

    def end_split(self, split: str) -> None:
        """From now on, compare with the passages of this split too."""
        if self._coming:
            self._earlier.append(split)
        base = len(self._passages)
        for passages, owner, found, sizes in self._coming:
            self._passages = np.concatenate([self._passages, passages])
            self._sizes = np.concatenate([self._sizes, sizes])
            self._runs = np.concatenate([self._runs, found])
            self._owners = np.concatenate([self._owners, owner + base])
            base += len(passages)
        self._coming = []
        order = np.argsort(self._runs, kind="stable")
        self._runs, self._owners = self._runs[order], self._owners[order]

    def figures(self, dataset: Dataset) -> dict[str, Any]:
        """How many pairs, between which splits, and the worst of them with their beginnings."""
        # An identical passage is known by its hash, whatever its length.
        pairs = sorted(self._found.items(), key=lambda item: (-item[1], item[0]))
        identical = sum(one == other for (one, other), _ in pairs)
        shown = pairs[:EXAMPLES]
        if shown:
            self._look_up(dataset, {other for (_, other), _ in shown})
        return {
            "syllables_of_a_run": RUN,
            "runs_looked_at": f"1 in {LOOKED_AT}",
            "near_from": NEAR,
            "identical_passages": identical,
            "nearly_identical": sum(value >= MOSTLY for (one, other), value in pairs if one != other),
            "near_duplicates": len(pairs) - identical,
            "passages": len({passage for pair, _ in pairs for passage in pair}),
            "examples": [
                {"overlap": value, "passages": [place for one in sorted(set(pair)) for place in self._noted(one)]}
                for pair, value in shown
            ],
        }

    def _look_up(self, dataset: Dataset, wanted: set[int]) -> None:
        """Read again what the earlier, smaller splits have of some passages."""
        for split in self._earlier:
            for rows in dataset.splits[split]():
                batch = distinct(rows)
                for number in np.flatnonzero(np.isin(batch.hashes, np.array(list(wanted), np.uint64))).tolist():
                    self._note(split, batch, number)

    def _note(self, split: str, batch: Distinct, number: int) -> None:
        passage = int(batch.hashes[number])
        place = {"split": split, "passage_id": batch.identity(number), "text": batch.texts[number][:BEGINNING]}
        self._places.setdefault(passage, {}).setdefault(split, place)

    def _noted(self, passage: int) -> list[dict[str, str]]:
        return [place for _, place in sorted(self._places.get(passage, {}).items())]


@dataclass(frozen=True, slots=True)
class Distinct:
    """The distinct passages of a batch of samples."""

    rows: pa.RecordBatch
    texts: list[str]
    codes: Ints
    """For each sample, the number of its passage."""
    hashes: Hashes

    def identity(self, number: int) -> str:
        """The id of a passage, empty where samples have none."""
        if "passage_id" not in self.rows.schema.names:
            return ""
        return str(self.rows.column("passage_id")[int(np.argmax(self.codes == number))].as_py())


def distinct(rows: pa.RecordBatch) -> Distinct:
    """The distinct passages of a batch of samples."""
    texts, codes = encoded(rows.column("input"))
    return Distinct(rows, texts, codes, hashed(texts))
