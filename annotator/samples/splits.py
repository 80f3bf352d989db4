"""Divide passages into splits by document, so that no article is in two.

Documents and texts are 64-bit hashes in memory: about 100 bytes a passage while documents are grouped, so 4 GB for the
40 million passages of 16.8 million articles. Two ids or texts with one hash would only share a split.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from annotator.samples.explode import digest

Hashes: TypeAlias = npt.NDArray[np.uint64]
Numbers: TypeAlias = npt.NDArray[np.integer[Any]]
Read: TypeAlias = Callable[[list[str]], Iterable[pa.RecordBatch]]
"""Yields the named columns of all passages, in the same order each time."""
_SIZE: Final = 8
"""Bytes of a hash."""


def assign_splits(read: Read, shares: Sequence[float], seed: int) -> Callable[[], Iterator[tuple[str, int]]]:
    """Split by document.

    Documents that share a passage, or have a passage word for word the same, stay together. The groups are put in a
    seeded order and fill the shares one after the other, so that the shares of passages are as close as whole groups
    allow.

    Returns:
        A function that yields the id of every passage and the index of its share, in the order of the passages.
    """
    documents, of_passage, group = _groups(read)
    order = _order(read, documents, group, seed)
    sizes = np.bincount(group[of_passage], minlength=len(group))
    leaders = np.flatnonzero(group == np.arange(len(group)))
    leaders = leaders[np.argsort(order[leaders], kind="stable")]
    bounds = [bound * len(of_passage) for bound in accumulate(shares)]
    middle = np.cumsum(sizes[leaders]) - sizes[leaders] / 2
    split = np.zeros(len(group), np.int8)
    last = max(number for number, share in enumerate(shares) if share > 0)
    split[leaders] = np.minimum(np.searchsorted(bounds, middle, side="right"), last)
    splits = split[group][of_passage]

    def walk() -> Iterator[tuple[str, int]]:
        begin = 0
        for batch in read(["id"]):
            yield from zip(batch.column("id").to_pylist(), splits[begin : begin + len(batch)].tolist(), strict=True)
            begin += len(batch)

    return walk


def in_step(splits: Iterable[tuple[str, int]]) -> Callable[[str], int]:
    """Return a function from passage id to split, to be called in the order of the passages; it may skip some."""
    walk = iter(splits)
    here = next(walk, ("", 0))

    def split_of(passage_id: str) -> int:
        nonlocal here
        while here[0] != passage_id:
            here = next(walk)
        return here[1]

    return split_of


def _groups(read: Read) -> tuple[Hashes, Numbers, Numbers]:
    """Group the documents.

    Returns:
        The hashes of all documents, sorted; for each passage the number of its first document; and for each document
        the number of the one that leads its group.
    """
    pieces, texts, sizes = bytearray(), bytearray(), array("q")
    for batch in read(["text", "pieces"]):
        pieces += _hashed(_documents(batch))
        texts += _hashed(batch.column("text").to_pylist())
        sizes.extend(batch.column("pieces").value_lengths().to_pylist())
    documents, of_piece = np.unique(np.frombuffer(pieces, np.uint64), return_inverse=True)
    del pieces
    of_piece = of_piece.astype(np.int32)
    number = np.frombuffer(sizes, np.int64)
    of_passage = of_piece[np.cumsum(number) - number]
    leader = array("q", range(len(documents)))

    def find(document: int) -> int:
        while (above := leader[document]) != document:
            leader[document] = leader[above]
            document = above
        return document

    def join(ones: Numbers, others: Numbers) -> None:
        differ = ones != others
        for one, other in zip(ones[differ].tolist(), others[differ].tolist(), strict=True):
            leader[find(one)] = find(other)

    join(np.repeat(of_passage, number), of_piece)
    del of_piece
    hashes = np.frombuffer(texts, np.uint64)
    by_text = np.argsort(hashes, kind="stable")
    same = hashes[by_text[1:]] == hashes[by_text[:-1]]
    join(of_passage[by_text[1:][same]], of_passage[by_text[:-1][same]])
    return documents, of_passage, np.fromiter(map(find, range(len(documents))), np.int32, len(documents))


def _order(read: Read, documents: Hashes, group: Numbers, seed: int) -> Hashes:
    """Return for each group, at the number of its leader, its place in the seeded order: a hash of its smallest id."""
    order = np.zeros(len(group), np.uint64)
    alone = np.bincount(group, minlength=len(group)) == 1
    smallest: dict[int, str] = {}
    for batch in read(["pieces"]):
        ids = list(dict.fromkeys(_documents(batch)))
        own = group[np.searchsorted(documents, np.frombuffer(_hashed(ids), np.uint64))]
        for number, is_alone, identity in zip(own.tolist(), alone[own].tolist(), ids, strict=True):
            if is_alone:
                order[number] = _place(seed, identity)
            else:
                smallest[number] = min(smallest.get(number, identity), identity)
    for number, identity in smallest.items():
        order[number] = _place(seed, identity)
    return order


def _place(seed: int, identity: str) -> int:
    return int.from_bytes(digest(seed, "split", identity)[:_SIZE], "big")


def _documents(batch: pa.RecordBatch) -> list[str]:
    """The document of each piece of each passage."""
    documents: list[str] = batch.column("pieces").flatten().field("document_id").to_pylist()
    return documents


def _hashed(values: Iterable[str]) -> bytes:
    return b"".join(hashlib.blake2b(value.encode("utf-8"), digest_size=_SIZE).digest() for value in values)
