"""Passages of one split that stand, in whole or in great part, in another: what a student would be tested on by heart.

A passage is the set of its runs of eight syllables. Two passages are near duplicates when at least ``NEAR`` of the
shorter one's runs are in the other. Every run is looked at, so the shares are exact. What is not in the smaller splits
cannot be shared with them: a filter of fixed size (Bloom, 1970) keeps most of the largest split out of the comparison.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from annotator.engines import Engine
from annotator.storage.spill import HELD, Rows, Spill, runs_of
from data_cards.audit.arrays import Hashes, Ints, encoded, hashed, ints, mixed
from data_cards.audit.dataset import Dataset

RUN: Final = 8
"""Syllables of a run."""
NEAR: Final = 0.5
"""Share of the shorter passage's runs from which on two passages count as near duplicates."""
MOSTLY: Final = 0.8
"""Share from which on they are a leak, not only alike."""
CROWD: Final = 64
"""A run that stands in more passages than this on both sides (a copyright notice) is compared for so many of each."""
EXAMPLES: Final = 5
BEGINNING: Final = 120
"""Characters of a passage that an example shows."""
_MARKS: Final = "[\u0300-\u036f]"
"""Marks that stand after their letter, as decomposed Vietnamese has them."""
_PRIME: Final = np.uint64(0x100000001B3)
_ODD: Final = np.uint64(0x9E3779B97F4A7C15)
_OWNER: Final = np.uint64(48)
"""Bits of a run's hash; the number of its text stands above them while a batch is sorted."""
_RUNS_A_SAMPLE: Final = 64
_LARGEST: Final = 28
"""The filter has 2 to the power of this many bits at most: 32 MB."""


@dataclass(frozen=True, slots=True)
class Runs:
    """The distinct runs of some texts, text after text."""

    found: Hashes
    sizes: Ints
    """Runs of each text: one at least."""

    def owners(self, which: Ints) -> Ints:
        """The numbers of the texts that these runs, by their places, are of."""
        return np.searchsorted(np.cumsum(self.sizes), which, "right")


def runs_of_texts(texts: list[str]) -> Runs:
    """Find the distinct runs of texts."""
    column = pa.array(texts, pa.string())
    decomposed = pc.match_substring_regex(column, _MARKS)
    if pc.any(decomposed).as_py():  # the same letters in another form (NFD) are the same text to a reader
        column = pc.if_else(decomposed, pc.utf8_normalize(column, form="NFC"), column)
    words = pc.utf8_split_whitespace(pc.utf8_trim_whitespace(pc.utf8_lower(column)))
    vocabulary, codes = encoded(words.flatten())
    tokens = hashed(vocabulary)[codes]
    rolling = np.zeros_like(tokens)
    for step in range(RUN):
        rolling *= _PRIME
        rolling[: max(len(tokens) - step, 0)] += tokens[step:]
    rolling = mixed(rolling, rolling)
    lengths = ints(pc.list_value_length(words))
    owner = np.repeat(np.arange(len(texts)), lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(tokens))
    whole = left >= RUN
    short = np.flatnonzero(lengths < RUN)  # these are a run each
    owner = np.concatenate([owner[whole], short]).astype(np.uint64)
    rolling = np.concatenate([rolling[whole], hashed(column.take(short).to_pylist())])
    packed = np.sort(owner << _OWNER | rolling >> np.uint64(64 - int(_OWNER)))
    packed = packed[runs_of(packed)]
    sizes = np.bincount((packed >> _OWNER).astype(np.int64), minlength=len(texts))
    return Runs(packed << np.uint64(64 - int(_OWNER)), sizes)


class Leaks:
    """Takes the passages split by split, the smallest split first, and finds those that are in several."""

    def __init__(self, others: int) -> None:
        """``others``: samples of all splits but the largest."""
        wanted = max(others * _RUNS_A_SAMPLE * 4, 1 << 16)
        self._bits = min(int(wanted - 1).bit_length(), _LARGEST)
        self._filter = np.zeros(1 << (self._bits - 3), np.uint8)
        self._runs = Spill()
        self._identical = Spill()

    def add(self, number: int, texts: Hashes, runs: Runs, *, last: bool) -> None:
        """Take some passages of the ``number``-th split; ``last`` says that it is the last, and so the largest.

        Args:
            number: of the split.
            texts: hashes of the passages.
            runs: theirs.
            last: only runs that may be in an earlier split matter.
        """
        which = np.arange(len(runs.found))
        if last:
            which = np.flatnonzero(self._may_be_known(runs.found))
        else:
            for place, bit in self._slots(runs.found):
                np.bitwise_or.at(self._filter, place, bit)
        owner = runs.owners(which)
        self._runs.add(runs.found[which], texts[owner], number, runs.sizes[owner])

    def stands_in_several(self, passages: Hashes) -> None:
        """Take passages that stand in several splits, word for word."""
        self._identical.add(passages, passages)

    def figures(self, dataset: Dataset, engine: Engine) -> dict[str, Any]:
        """How many pairs, between which splits, and the worst of them with their beginnings; to be asked once."""
        self._filter = np.zeros(0, np.uint8)  # all runs are known
        pairs, crowded = Spill(), 0
        for part in self._runs.parts():
            crowded += _compare(part, pairs)
        involved, near, mostly = Spill(), 0, 0
        shown: list[tuple[float, int, int]] = []
        for one, other, overlap in self._found(pairs):
            near += len(one)
            mostly += int((overlap >= MOSTLY).sum())
            involved.add(np.concatenate([one, other]))
            best = np.lexsort((other, one, -overlap))[:EXAMPLES]
            shown += zip((-overlap[best]).tolist(), one[best].tolist(), other[best].tolist(), strict=True)
        identical = 0
        for part in self._identical.parts():
            identical += len(part)
            involved.add(part["key"])
            shown += [(-1.0, key, key) for key in part["key"][:EXAMPLES].tolist()]
        shown = sorted(shown)[:EXAMPLES]
        places = _places(dataset, {passage for _, *pair in shown for passage in pair}, engine) if shown else {}
        return {
            "syllables_of_a_run": RUN,
            "runs_looked_at": "all",
            "runs_in_a_crowd": crowded,
            "near_from": NEAR,
            "identical_passages": identical,
            "nearly_identical": mostly,
            "near_duplicates": near,
            "passages": sum(len(runs_of(part["key"])) for part in involved.parts()),
            "examples": [
                {
                    "overlap": round(-overlap, 3),
                    "passages": [
                        place for passage in sorted({one, other}) for _, place in sorted(places[passage].items())
                    ],
                }
                for overlap, one, other in shown
            ],
        }

    def _slots(self, found: Hashes) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.uint8]]]:
        """The two bits of each run."""
        for hashes in (found, found * _ODD):
            slot = hashes >> np.uint64(64 - self._bits)
            yield (slot >> np.uint64(3)).astype(np.intp), np.uint8(1) << (slot & np.uint64(7)).astype(np.uint8)

    def _may_be_known(self, found: Hashes) -> npt.NDArray[np.bool_]:
        known = np.ones(len(found), bool)
        for place, bit in self._slots(found):
            known &= (self._filter[place] & bit) != 0
        return known

    @staticmethod
    def _found(pairs: Spill) -> Iterator[tuple[Hashes, Hashes, npt.NDArray[np.float64]]]:
        """The near duplicates: one passage, the other, and the share of the shorter one's runs."""
        for part in pairs.parts():
            rows = part[np.lexsort((part["value"], part["key"]))]
            begins = runs_of(rows["key"], rows["value"])
            shared = np.add.reduceat(rows["number"], begins) if len(rows) else rows["number"]
            rows = rows[begins]
            overlap = shared / rows["kind"]
            near = overlap >= NEAR
            one, other = rows["key"][near], rows["value"][near]
            yield np.minimum(one, other), np.maximum(one, other), overlap[near]


def _compare(part: Rows, pairs: Spill) -> int:
    """Pair the passages of different splits that share a run; returns how many runs are crowded.

    A row of ``pairs`` is a pair, the runs of the shorter one (``kind``), and how many of a part both have (``number``).
    """
    rows = part[np.lexsort((part["kind"], part["value"], part["key"]))]
    rows = rows[runs_of(rows["key"], rows["value"], rows["kind"])]
    begins = np.append(runs_of(rows["key"]), len(rows))
    there = np.diff(begins)
    before = np.cumsum(np.append(0, there * np.minimum(there, CROWD)))  # as many pairs, at most, make the runs before
    crowded = first = 0
    while first < len(there):
        last = max(first + 1, int(np.searchsorted(before, before[first] + HELD, "right")) - 1)
        some = rows[begins[first] : begins[last]]
        made, number = _pairs(some)
        if before[last] - before[first] <= HELD:
            _sum_up(list(made), pairs)
        else:
            _sum_up_one(made, pairs)
        crowded += number
        first = last
    return crowded


def _pairs(rows: Rows) -> tuple[Iterator[tuple[Hashes, ...]], int]:
    """The pairs of all rows of some runs, a pair perhaps more than once, and how many runs are crowded.

    A pair is a run, the one passage, the other, and the number of runs of the shorter one.
    """
    by_split = [rows[rows["kind"] == split] for split in np.unique(rows["kind"])]
    matched = [_matched(left, right) for number, left in enumerate(by_split) for right in by_split[number + 1 :]]
    crowded = sum(number for *_, number in matched)
    return (pair for left, right, low, hits, _ in matched for pair in _spelt_out(left, right, low, hits)), crowded


def _matched(left: Rows, right: Rows) -> tuple[Rows, Rows, Ints, Ints, int]:
    """For each row on the right where those on the left with its run begin, and how many it is paired with."""
    low, high = (np.searchsorted(left["key"], right["key"], side) for side in ("left", "right"))
    rank = np.arange(len(right)) - np.searchsorted(right["key"], right["key"])
    crowded = int(((rank == CROWD) & (high - low > CROWD)).sum())
    return left, right, low, np.where(rank < CROWD, high - low, np.minimum(high - low, CROWD)), crowded


def _spelt_out(left: Rows, right: Rows, low: Ints, hits: Ints) -> Iterator[tuple[Hashes, ...]]:
    total = np.cumsum(hits)
    begin = 0
    while begin < len(right):
        before = int(total[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(total, before + HELD)))
        some = slice(begin, end)
        which = np.repeat(np.arange(begin, end), hits[some])
        within = np.arange(len(which)) - np.repeat(total[some] - hits[some] - before, hits[some])
        yield _pair(right[which], left[low[which] + within])
        begin = end


def _pair(one: Rows, other: Rows) -> tuple[Hashes, ...]:
    different = one["value"] != other["value"]
    one, other = one[different], other[different]
    values, others = one["value"], other["value"]
    swapped = (values > others) ^ ((values ^ others) & np.uint64(1) == 1)  # the smaller always first: no even spread
    first, second = np.where(swapped, others, values), np.where(swapped, values, others)
    return one["key"], first, second, np.minimum(one["number"], other["number"])


def _sum_up(made: list[tuple[Hashes, ...]], pairs: Spill) -> None:
    """Count how many runs each pair shares, a run once though a passage stands in several splits."""
    if not made:
        return
    key, one, other, shorter = (np.concatenate(column) for column in zip(*made, strict=True))
    pair = mixed(one, other)
    _, once = np.unique(mixed(key, pair), return_index=True)
    _, first, number = np.unique(pair[once], return_index=True, return_counts=True)
    first = once[first]
    pairs.add(one[first], other[first], shorter[first], number)


def _sum_up_one(made: Iterator[tuple[Hashes, ...]], pairs: Spill) -> None:
    """As ``_sum_up``, for one run that many have: its pairs may be too many to be held."""
    found = Spill()
    for _, one, other, shorter in made:
        found.add(one, other, shorter)
    for part in found.parts():
        rows = part[np.lexsort((part["value"], part["key"]))]
        rows = rows[runs_of(rows["key"], rows["value"])]
        pairs.add(rows["key"], rows["value"], rows["kind"], 1)


def _places(dataset: Dataset, wanted: set[int], engine: Engine) -> dict[int, dict[str, dict[str, str]]]:
    """Read again where some passages stand: of each split the one with the smallest id."""
    found: dict[int, dict[str, dict[str, str]]] = {passage: {} for passage in wanted}
    batches = ((split, rows) for split, read in dataset.splits.items() for rows in read())
    for places in engine.spread(partial(_look_for, wanted=np.array(sorted(wanted), np.uint64)), batches):
        for passage, place in places:
            known, split = found[passage], place["split"]
            known[split] = min(known.get(split, place), place, key=lambda one: one["passage_id"])
    return found


def _look_for(some: tuple[str, pa.RecordBatch], wanted: Hashes) -> list[tuple[int, dict[str, str]]]:
    """The passages among some samples of a split that are wanted."""
    split, rows = some
    batch = distinct(rows.drop_null())
    return [
        (
            int(batch.hashes[number]),
            {"split": split, "passage_id": batch.identity(number), "text": batch.texts[number][:BEGINNING]},
        )
        for number in np.flatnonzero(np.isin(batch.hashes, wanted)).tolist()
    ]


@dataclass(frozen=True, slots=True)
class Distinct:
    """The distinct passages of a batch of samples."""

    rows: pa.RecordBatch
    texts: list[str]
    codes: Ints
    """For each sample, the number of its passage."""
    hashes: Hashes

    def identity(self, number: int) -> str:
        """The (smallest) id of a passage, empty where samples have none."""
        if "passage_id" not in self.rows.schema.names:
            return ""
        return min(map(str, self.rows.column("passage_id").take(np.flatnonzero(self.codes == number)).to_pylist()))


def distinct(rows: pa.RecordBatch) -> Distinct:
    """The distinct passages of a batch of samples."""
    texts, codes = encoded(rows.column("input"))
    return Distinct(rows, texts, codes, hashed(texts))
