"""Divide passages into splits by document, so that no article is in two.

Documents and texts are 64-bit hashes in memory: about 100 bytes a passage while documents are grouped, so 4 GB for the
40 million passages of 16.8 million articles. Two ids or texts with one hash would only share a split.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from annotator.samples.explode import digest

Hashes: TypeAlias = npt.NDArray[np.uint64]
Numbers: TypeAlias = npt.NDArray[np.integer[Any]]
Read: TypeAlias = Callable[[list[str]], Iterable[pa.RecordBatch]]
"""Yields the named columns of the passages of a step, in the same order each time."""
Value = TypeVar("Value")
_SIZE: Final = 8
"""Bytes of a hash."""


def assign_splits(reads: Sequence[Read], shares: Sequence[float], seed: int) -> Callable[[], Iterator[tuple[str, int]]]:
    """Split by document.

    Documents that share a passage, or have a passage word for word the same, stay together. The groups are put in a
    seeded order and fill the shares one after the other, so that the shares of passages are as close as whole groups
    allow.

    Passages that an update added change no split of those before. A group of theirs that has a passage of an earlier
    step word for word goes where that one is; the others fill what the splits lack of their shares of all passages.

    Args:
        reads: for each step in which documents were added, a function that reads its passages.
        shares: of each split; they sum to 1.
        seed: of the order.

    Returns:
        A function that yields the id of every passage and the index of its share, in the order of the passages.
    """
    done: list[Numbers] = []
    texts = np.array([], np.uint64)
    for read in reads:
        groups = _groups(read)
        fixed = _inherited(groups, texts, np.concatenate([*done, np.array([], np.int8)]))
        have = sum((np.bincount(own, minlength=len(shares)) for own in done), np.zeros(len(shares), np.int64))
        done.append(_filled(groups, _order(read, groups, seed), fixed, shares, have))
        texts = np.append(texts, groups.texts) if len(reads) > 1 else texts

    def walk() -> Iterator[tuple[str, int]]:
        for read, splits in zip(reads, done, strict=True):
            begin = 0
            for batch in read(["id"]):
                yield from zip(batch.column("id").to_pylist(), splits[begin : begin + len(batch)].tolist(), strict=True)
                begin += len(batch)

    return walk


def _inherited(groups: _Groups, texts: Hashes, splits: Numbers) -> Numbers:
    """Return the split of each group, at its leader: that of the first earlier passage with a text of it, else -1.

    Args:
        groups: those of a step.
        texts: the hashes of all earlier passages.
        splits: those of the same passages.
    """
    if not len(texts):
        return np.full(len(groups.leaders), -1, np.int8)
    known, first = np.unique(texts, return_index=True)
    place = np.minimum(np.searchsorted(known, groups.texts), len(known) - 1)
    same = known[place] == groups.texts
    earliest = np.full(len(groups.leaders), len(splits), np.int64)
    np.minimum.at(earliest, groups.leaders[groups.of_passage[same]], first[place[same]])
    return np.append(splits, np.int8(-1))[earliest]


def _filled(groups: _Groups, order: Hashes, fixed: Numbers, shares: Sequence[float], have: Numbers) -> Numbers:
    """Return the split of each passage of a step: those of ``fixed`` stay, the others fill what ``have`` lacks."""
    sizes = np.bincount(groups.leaders[groups.of_passage], minlength=len(groups.leaders))
    split = fixed.copy()
    kept = np.bincount(np.maximum(fixed, 0), sizes * (fixed >= 0), len(shares))
    free = np.flatnonzero((groups.leaders == np.arange(len(groups.leaders))) & (fixed < 0))
    free = free[np.argsort(order[free], kind="stable")]
    lacking = _lacking(shares, have + kept, len(groups.of_passage) + int(have.sum()))
    bounds = [bound * int(sizes[free].sum()) for bound in accumulate(lacking)]
    middle = np.cumsum(sizes[free]) - sizes[free] / 2
    last = max(number for number, share in enumerate(lacking) if share > 0)
    split[free] = np.minimum(np.searchsorted(bounds, middle, side="right"), last)
    return split[groups.leaders][groups.of_passage]


def _lacking(shares: Sequence[float], have: Numbers, total: int) -> Sequence[float]:
    """Return the shares of the passages to come by which all ``total`` come closest to ``shares``."""
    if not have.any():
        return shares
    lacking = [max(share * total - own, 0.0) for share, own in zip(shares, have.tolist(), strict=True)]
    return [one / sum(lacking) for one in lacking] if any(lacking) else shares


def in_order(pairs: Iterable[tuple[str, Value]]) -> Callable[[str], Value]:
    """Return a function from passage id to value, to be called in the order of the passages; it may skip some."""
    walk = iter(pairs)
    here: tuple[str, Value] | None = None

    def value_of(passage_id: str) -> Value:
        nonlocal here
        while here is None or here[0] != passage_id:
            here = next(walk)
        return here[1]

    return value_of


class _Groups(NamedTuple):
    """The documents of a step in groups that stay together."""

    documents: Hashes
    """The hashes of all documents, sorted."""
    of_passage: Numbers
    """For each passage the number of its first document."""
    leaders: Numbers
    """For each document the number of the one that leads its group."""
    texts: Hashes
    """For each passage the hash of its text."""


def _groups(read: Read) -> _Groups:
    """Group the documents."""
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
    leaders = np.fromiter(map(find, range(len(documents))), np.int32, len(documents))
    return _Groups(documents, of_passage, leaders, hashes)


def _order(read: Read, groups: _Groups, seed: int) -> Hashes:
    """Return for each group, at the number of its leader, its place in the seeded order: a hash of its smallest id."""
    documents, group = groups.documents, groups.leaders
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
    """Return the document of each piece of each passage."""
    documents: list[str] = batch.column("pieces").flatten().field("document_id").to_pylist()
    return documents


def _hashed(values: Iterable[str]) -> bytes:
    return b"".join(hashlib.blake2b(value.encode("utf-8"), digest_size=_SIZE).digest() for value in values)
