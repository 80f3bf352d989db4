"""Splits by document: related documents share a split, and the shares are kept."""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import accumulate

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.records import Passage, Piece
from annotator.samples.explode import digest
from annotator.samples.splits import assign_splits, in_order
from annotator.storage import tables


def splits(passages: Sequence[Passage], shares: Sequence[float], seed: int = 0) -> dict[str, int]:
    """Assign splits to passages that come in batches of seven."""

    def read(columns: list[str]) -> list[pa.RecordBatch]:
        parts = [passages[begin : begin + 7] for begin in range(0, len(passages), 7)]
        return [tables.to_batch(part, tables.PASSAGE).select(columns) for part in parts]

    pairs = list(assign_splits([read], shares, seed))
    assert [identity for identity, _ in pairs] == [passage.id for passage in passages]
    return dict(pairs)


def plain(passages: Sequence[Passage], shares: Sequence[float], seed: int) -> dict[str, int]:
    """Compute the splits in memory, from ids and texts instead of hashes."""
    leader: dict[str, str] = {}

    def find(document: str) -> str:
        while (above := leader.setdefault(document, document)) != document:
            document = above
        return document

    first: dict[str, str] = {}
    said_by: dict[str, str] = {}
    for passage in passages:
        first[passage.id] = passage.pieces[0].document_id
        twin = said_by.setdefault(passage.text, first[passage.id])
        for document in (twin, *(piece.document_id for piece in passage.pieces)):
            one, other = sorted((find(first[passage.id]), find(document)))
            leader[other] = one
    sizes = Counter(find(document) for document in first.values())
    bounds = [bound * len(first) for bound in accumulate(shares)]
    split, done = {}, 0
    for group in sorted(sizes, key=lambda group: digest(seed, "split", group)):
        split[group] = min(bisect(bounds, done + sizes[group] / 2), max(i for i, share in enumerate(shares) if share))
        done += sizes[group]
    return {identity: split[find(document)] for identity, document in first.items()}


passages_of_documents = st.lists(
    st.tuples(st.lists(st.integers(0, 30).map("d{}".format), min_size=1, max_size=3), st.integers(0, 40)), max_size=60
).map(
    lambda rows: [
        Passage(f"p{number}", f"text {text}", 1, tuple(Piece(document, 0, 1) for document in ids), 1)
        for number, (ids, text) in enumerate(rows)
    ]
)


@given(passages_of_documents, st.integers(0, 5), st.sampled_from([(0.5, 0.25, 0.25), (0.9, 0.1, 0.0)]))
def test_splits_are_those_of_a_union_of_documents(
    passages: list[Passage], seed: int, shares: tuple[float, ...]
) -> None:
    """The groups found by hashes equal those found from ids and texts."""
    assert splits(passages, shares, seed) == plain(passages, shares, seed)


@settings(max_examples=40)
@given(passages_of_documents, st.integers(0, 5))
def test_no_document_is_in_two_splits(passages: list[Passage], seed: int) -> None:
    """No document is in two splits, even through shared passages, in any order of passages."""
    found = splits(passages, (0.5, 0.25, 0.25), seed)
    seen: dict[str, int] = {}
    for passage in passages:
        for piece in passage.pieces:
            assert seen.setdefault(piece.document_id, found[passage.id]) == found[passage.id]
    assert splits(passages[::-1], (0.5, 0.25, 0.25), seed) == found


def test_shares_are_kept(make_passage: Callable[..., Passage]) -> None:
    """1,000 documents of a passage each split into exact shares; a share of 0 stays empty."""
    passages = [make_passage(f"text {number}", f"p{number}", f"d{number}") for number in range(1000)]
    assert Counter(splits(passages, (0.9, 0.05, 0.05)).values()) == {0: 900, 1: 50, 2: 50}
    assert Counter(splits(passages, (0.5, 0.5, 0.0)).values()) == {0: 500, 1: 500}


def test_equal_passages_are_in_one_split(make_passage: Callable[..., Passage]) -> None:
    """Documents with an identical passage, as of news agencies, are in one split."""
    passages = [make_passage(f"text {number % 50}", f"p{number}", f"d{number}") for number in range(100)]
    found = splits(passages, (0.5, 0.25, 0.25))
    assert all(found[f"p{number}"] == found[f"p{number + 50}"] for number in range(50))


def test_the_seed_decides_the_split(make_passage: Callable[..., Passage]) -> None:
    """Another seed gives another split."""
    passages = [make_passage(f"text {number}", f"p{number}", f"d{number}") for number in range(100)]
    assert splits(passages, (0.5, 0.25, 0.25), 0) != splits(passages, (0.5, 0.25, 0.25), 1)


def test_in_order_skips_passages() -> None:
    """``in_order`` skips passages without samples and repeats the last one."""
    split_of = in_order([("a", 0), ("b", 1), ("c", 2)])
    assert [split_of(identity) for identity in ("a", "c", "c")] == [0, 2, 2]
