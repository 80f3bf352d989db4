"""Which split a passage is in: by document, so that no article is in two.

A document is known by a 64-bit hash of its id and then by its number, a text by its hash; what belongs together is
found by sorting (see ``Spill``). Memory holds some 40 bytes for each document at the most, and nothing for a passage.
Two ids or texts with the same hash would keep their documents in one split, which harms nobody.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from annotator.samples.explode import digest
from annotator.storage.spill import Hashes, Spill

Ints: TypeAlias = npt.NDArray[np.int64]
Read: TypeAlias = Callable[[list[str]], Iterable[pa.RecordBatch]]
"""Brings the named columns of all passages, in the same order each time."""
_HELD: Final = 1 << 18
"""Hashes of documents that wait to be counted."""


def assign_splits(read: Read, shares: Sequence[float], seed: int) -> Callable[[], Iterator[tuple[str, int]]]:
    """Split by document.

    Documents that meet in one passage, or have a passage word for word the same, stay together. The groups are put in a
    seeded order and fill the shares one after the other, so that the shares of passages are as close as whole groups
    allow.

    Returns:
        What brings the id of every passage and the index of its share, in the order of the passages.
    """
    documents, pieces, joined = _documents(read)
    group = _groups(documents, joined)
    order, sizes = _order(read, documents, group, pieces, seed)
    leaders = np.flatnonzero(group == np.arange(len(group)))
    leaders = leaders[np.argsort(order[leaders], kind="stable")]
    bounds = [bound * int(sizes.sum()) for bound in accumulate(shares)]
    middle = np.cumsum(sizes[leaders]) - sizes[leaders] / 2
    split = np.zeros(len(group), np.int8)
    last = max(number for number, share in enumerate(shares) if share > 0)
    split[leaders] = np.minimum(np.searchsorted(bounds, middle, side="right"), last)
    split = split[group]

    def walk() -> Iterator[tuple[str, int]]:
        for batch in read(["id", "pieces"]):
            ids, begins = _pieces(batch)
            first = _hashes([ids[begin] for begin in begins])
            yield from zip(
                batch.column("id").to_pylist(), split[np.searchsorted(documents, first)].tolist(), strict=True
            )

    return walk


def in_step(splits: Iterable[tuple[str, int]]) -> Callable[[str], int]:
    """A function from passage id to split, to be asked in the order of the passages; it may pass some by."""
    walk = iter(splits)
    here = next(walk, ("", 0))

    def split_of(passage_id: str) -> int:
        nonlocal here
        while here[0] != passage_id:
            here = next(walk)
        return here[1]

    return split_of


def _documents(read: Read) -> tuple[Hashes, Ints, Spill]:
    """The hashes of all documents, sorted; how many pieces each has; and pairs of them that belong together."""
    counted = _Counted()
    joined, texts = Spill(), Spill()
    for batch in read(["text", "pieces"]):
        ids, begins = _pieces(batch)
        own = _hashes(ids)
        counted.add(own)
        first = own[begins]
        leads = np.repeat(first, np.diff([*begins, len(ids)]))
        joined.add(leads[leads != own], own[leads != own])
        texts.add(_hashes(batch.column("text").to_pylist()), first)
    for rows in texts.parts():
        same = (rows["key"][1:] == rows["key"][:-1]) & (rows["value"][1:] != rows["value"][:-1])
        joined.add(rows["value"][1:][same], rows["value"][:-1][same])
    return *counted.total(), joined


class _Counted:
    """Hashes and how often each came."""

    def __init__(self) -> None:
        self._waiting: list[Hashes] = []
        self._keys, self._counts = np.zeros(0, np.uint64), np.zeros(0, np.int64)
        self._held = 0

    def add(self, keys: Hashes) -> None:
        self._waiting.append(keys)
        self._held += len(keys)
        if self._held >= max(_HELD, len(self._keys)):
            self.total()

    def total(self) -> tuple[Hashes, Ints]:
        new, counts = np.unique(np.concatenate([np.zeros(0, np.uint64), *self._waiting]), return_counts=True)
        self._waiting, self._held = [], 0
        keys, where = np.unique(np.concatenate([self._keys, new]), return_inverse=True)
        total = np.zeros(len(keys), np.int64)
        np.add.at(total, where, np.concatenate([self._counts, counts]))
        self._keys, self._counts = keys, total
        return keys, total


def _groups(documents: Hashes, joined: Spill) -> Ints:
    """For each document the number of the one that stands for its group."""
    leader = array("q", range(len(documents)))

    def find(document: int) -> int:
        while (above := leader[document]) != document:
            leader[document] = leader[above]
            document = above
        return document

    for rows in joined.parts():
        pairs = (np.searchsorted(documents, rows[name]).tolist() for name in ("key", "value"))
        for one, other in zip(*pairs, strict=True):
            leader[find(one)] = find(other)
    group = np.frombuffer(leader, np.int64)
    while True:
        above = group[group]
        if np.array_equal(above, group):
            return above
        group = above


def _order(read: Read, documents: Hashes, group: Ints, pieces: Ints, seed: int) -> tuple[Hashes, Ints]:
    """For each group, at the number of its leader, its place in the seeded order, and its passages.

    The place is a hash of the smallest id of the group, which is known once the last of its pieces has come by.
    """
    left = np.bincount(group, pieces, len(group)).astype(np.int64).tolist()
    order, sizes = np.zeros(len(group), np.uint64), np.zeros(len(group), np.int64)
    smallest: dict[int, str] = {}
    for batch in read(["pieces"]):
        ids, begins = _pieces(batch)
        own = group[np.searchsorted(documents, _hashes(ids))]
        np.add.at(sizes, own[begins], 1)
        for number, identity in zip(own.tolist(), ids, strict=True):
            smallest[number] = min(smallest.get(number, identity), identity)
            left[number] -= 1
            if not left[number]:
                order[number] = int.from_bytes(digest(seed, "split", smallest.pop(number))[:8], "big")
    return order, sizes


def _pieces(batch: pa.RecordBatch) -> tuple[list[str], list[int]]:
    """The document of each piece of each passage, and where the pieces of each passage begin."""
    column = batch.column("pieces")
    lengths = column.value_lengths().to_pylist()
    ids: list[str] = column.flatten().field("document_id").to_pylist()
    return ids, [0, *accumulate(lengths)][:-1]


def _hashes(values: Iterable[str]) -> Hashes:
    joined = b"".join(hashlib.blake2b(value.encode("utf-8"), digest_size=8).digest() for value in values)
    return np.frombuffer(joined, "<u8")
