"""Divide passages into splits by document, so that no article is in two.

Texts are 64-bit hashes in memory, and ids Arrow strings. Two texts with one hash would only share a split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from annotator.samples.explode import digest

Hashes: TypeAlias = npt.NDArray[np.uint64]
Numbers: TypeAlias = npt.NDArray[np.integer[Any]]
Read: TypeAlias = Callable[[list[str]], Iterable[pa.RecordBatch]]
"""Yields the named columns of the passages of a step, in the same order each time."""
Value = TypeVar("Value")
_SIZE: Final = 8
"""Bytes of a hash."""


def assign_splits(reads: Sequence[Read], shares: Sequence[float], seed: int) -> Iterator[tuple[str, int]]:
    """Yield the id of every passage and the index of its share, in the order of the passages.

    Documents that share a passage, or have the same passage word for word, stay together. Their groups are put in a
    seeded order and fill the shares one after the other, so the shares of passages are as close as whole groups allow.

    Passages that an update added do not change the split of earlier ones. A new group that has a passage of an earlier
    step word for word goes to the split of that passage; the others fill what the splits lack of all passages.

    Args:
        reads: for each step in which documents were added, a function that reads its passages.
        shares: of each split; they sum to 1.
        seed: of the order.
    """
    done: list[Numbers] = []
    texts = np.array([], np.uint64)
    for read in reads:
        groups = _groups(read, seed)
        fixed = _inherited(groups, texts, np.concatenate([*done, np.array([], np.int8)]))
        have = sum((np.bincount(own, minlength=len(shares)) for own in done), np.zeros(len(shares), np.int64))
        done.append(_filled(groups, fixed, shares, have))
        texts = np.append(texts, groups.texts) if len(reads) > 1 else texts
    for read, splits in zip(reads, done, strict=True):
        begin = 0
        for batch in read(["id"]):
            yield from zip(batch.column("id").to_pylist(), splits[begin : begin + len(batch)].tolist(), strict=True)
            begin += len(batch)


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

    of_passage: Numbers
    """For each passage the number of its group."""
    order: Hashes
    """For each group its place in the seeded order: a hash of its smallest document id."""
    texts: Hashes
    """For each passage the hash of its text."""


def _groups(read: Read, seed: int) -> _Groups:
    """Group the documents."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ids: list[pa.Array] = []
    sizes, texts = [np.zeros(0, np.int64)], bytearray()
    for batch in read(["text", "pieces"]):
        pieces = batch.column("pieces")
        ids.append(pieces.flatten().field("document_id"))
        sizes.append(pieces.value_lengths().to_numpy())
        for text in batch.column("text").to_pylist():
            texts += hashlib.blake2b(text.encode("utf-8"), digest_size=_SIZE).digest()
    encoded = pa.chunked_array(ids, pa.string()).combine_chunks().dictionary_encode()
    documents, of_piece = encoded.dictionary, encoded.indices.to_numpy()
    number = np.concatenate(sizes)
    first_of_passage = of_piece[np.cumsum(number) - number]
    hashes = np.frombuffer(texts, np.uint64)
    by_text = np.argsort(hashes, kind="stable")
    same = hashes[by_text[1:]] == hashes[by_text[:-1]]
    ones = np.concatenate([np.repeat(first_of_passage, number), first_of_passage[by_text[1:][same]]])
    others = np.concatenate([of_piece, first_of_passage[by_text[:-1][same]]])
    differ = ones != others
    links = np.ones(differ.sum(), bool), (ones[differ], others[differ])
    shared = coo_array(links, shape=(len(documents), len(documents)))
    _, group = connected_components(shared, directed=False)
    by_id = pc.sort_indices(documents).to_numpy()
    _, smallest = np.unique(group[by_id], return_index=True)
    leaders = documents.take(by_id[smallest])
    order = np.fromiter((_place(seed, identity) for identity in leaders.to_pylist()), np.uint64, len(leaders))
    return _Groups(group[first_of_passage], order, hashes)


def _place(seed: int, identity: str) -> int:
    return int.from_bytes(digest(seed, "split", identity)[:_SIZE], "big")


def _inherited(groups: _Groups, texts: Hashes, splits: Numbers) -> Numbers:
    """Return the split of each group: that of the first earlier passage with a text of it, else -1.

    Args:
        groups: those of a step.
        texts: the hashes of all earlier passages.
        splits: those of the same passages.
    """
    if not len(texts):
        return np.full(len(groups.order), -1, np.int8)
    known, first = np.unique(texts, return_index=True)
    place = np.minimum(np.searchsorted(known, groups.texts), len(known) - 1)
    same = known[place] == groups.texts
    earliest = np.full(len(groups.order), len(splits), np.int64)
    np.minimum.at(earliest, groups.of_passage[same], first[place[same]])
    return np.append(splits, np.int8(-1))[earliest]


def _filled(groups: _Groups, fixed: Numbers, shares: Sequence[float], have: Numbers) -> Numbers:
    """Return the split of each passage of a step: groups that are ``fixed`` stay, others fill what ``have`` lacks."""
    sizes = np.bincount(groups.of_passage, minlength=len(groups.order))
    split = fixed.copy()
    kept = np.bincount(np.maximum(fixed, 0), sizes * (fixed >= 0), len(shares))
    free = np.flatnonzero(fixed < 0)
    free = free[np.argsort(groups.order[free], kind="stable")]
    lacking = _lacking(shares, have + kept, len(groups.of_passage) + int(have.sum()))
    bounds = [bound * int(sizes[free].sum()) for bound in accumulate(lacking)]
    middle = np.cumsum(sizes[free]) - sizes[free] / 2
    last = max(number for number, share in enumerate(lacking) if share > 0)
    split[free] = np.minimum(np.searchsorted(bounds, middle, side="right"), last)
    return split[groups.of_passage]


def _lacking(shares: Sequence[float], have: Numbers, total: int) -> Sequence[float]:
    """Return the shares of the passages to come by which all ``total`` come closest to ``shares``."""
    if not have.any():
        return shares
    lacking = [max(share * total - own, 0.0) for share, own in zip(shares, have.tolist(), strict=True)]
    return [one / sum(lacking) for one in lacking] if any(lacking) else shares
