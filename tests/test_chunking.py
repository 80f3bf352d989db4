"""Passages: bounds, exact slices, leftovers, and complete coverage of the documents."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.passages import chunking
from annotator.passages.chunking import chunk
from annotator.passages.sentences import split_sentences
from annotator.passages.tokenizers import Tokenizer, load_tokenizer
from annotator.passages.units import units_of
from annotator.records import Document, Passage, Piece, Rejected
from tests.fake_tokenizer import CHARACTERS, FakeTokenizer

SENTENCE = "Hôm nay trời có mưa rất to."  # 8 tokens with its full stop


MARKS = FakeTokenizer(lambda text: len(re.findall(r"\w+|[^\w\s]", text)))
"""Words and marks: the counts of units add up to that of the whole."""
PAIRS = FakeTokenizer(lambda text: (len(text) + 3) // 2)
"""With a constant for each text: the whole counts less than its units."""
SQUARES = FakeTokenizer(lambda text: len(text) * (len(text) + 40) // 60)
"""The counts of units never add up, so that the plan must be repeated."""


LLAMA3 = load_tokenizer("llama3")


def documents(*texts: str) -> list[Document]:
    return [Document(f"d{number}", text, "here") for number, text in enumerate(texts)]


def passages(results: Iterable[Passage | Rejected]) -> list[Passage]:
    return [result for result in results if isinstance(result, Passage)]


def rejections(results: Iterable[Passage | Rejected]) -> list[Rejected]:
    return [result for result in results if isinstance(result, Rejected)]


def assert_sound(
    given_: Sequence[Document], results: list[Passage | Rejected], tokenizer: Tokenizer, high: int
) -> None:
    """Check that each non-space character is in one passage or rejection, and no passage is too long."""
    by_id = {document.id: document.text for document in given_}
    spans: dict[str, list[tuple[int, int]]] = {document.id: [] for document in given_}
    for passage in passages(results):
        slices = [by_id[piece.document_id][piece.start : piece.end] for piece in passage.pieces]
        assert passage.text == "\n".join(slices)
        assert passage.n_tokens == tokenizer.count(passage.text) <= high
        assert passage.cut or any(sentence.complete for part in slices for sentence in split_sentences(part))
        for piece in passage.pieces:
            spans[piece.document_id].append((piece.start, piece.end))
    for rejected in rejections(results):
        assert (rejected.stage, rejected.reason) == ("chunk", "no complete sentence")
        start, end = map(int, re.findall(r"\d+", rejected.detail))
        assert by_id[rejected.record_id][start:end] == rejected.value
        spans[rejected.record_id].append((start, end))
    for document_id, text in by_id.items():
        position = 0
        for start, end in sorted(spans[document_id]):
            assert position <= start < end
            assert not text[position:start].strip()
            position = end
        assert not text[position:].strip()
    taken = sum(map(len, units_of([document.text for document in given_], tokenizer, high)))
    assert taken == sum(passage.n_sentences for passage in passages(results)) + len(rejections(results))
    order = [next(n for n, d in enumerate(given_) if d.id == _first(result)) for result in results]
    assert order == sorted(order)


def _first(result: Passage | Rejected) -> str:
    return result.pieces[0].document_id if isinstance(result, Passage) else result.record_id


def test_whole_sentences_within_bounds() -> None:
    """A long document becomes the fewest passages of whole sentences, of similar size."""
    text = " ".join([SENTENCE] * 10)
    made = passages(chunk(documents(text), MARKS, 20, 40))
    assert [passage.n_tokens for passage in made] == [40, 40]
    assert [passage.n_sentences for passage in made] == [5, 5]
    assert [passage.pieces for passage in made] == [(Piece("d0", 0, 139),), (Piece("d0", 140, 279),)]
    assert {passage.cut for passage in made} == {""}


def test_sizes_are_balanced() -> None:
    """Passage sizes are balanced: 24 and 32, not 40 and 16."""
    made = passages(chunk(documents(" ".join([SENTENCE] * 7)), MARKS, 10, 40))
    assert sorted(passage.n_tokens for passage in made) == [24, 32]


def test_packing_fills() -> None:
    """--pack fills passages to the limit, also with the rest of several documents, and makes fewer."""
    given_ = documents(*[" ".join([SENTENCE] * 7)] * 2)
    balanced, packed = (passages(chunk(given_, MARKS, 20, 40, pack=pack)) for pack in (False, True))
    assert [passage.n_tokens for passage in balanced] == [24, 32, 24, 32]
    assert [(passage.n_tokens, len(passage.pieces)) for passage in packed] == [(40, 1), (32, 2), (40, 1)]


def test_packing_closes_no_passage_early() -> None:
    """A packed passage of leftovers takes more while it has room."""
    given_ = documents(*[SENTENCE] * 10)
    balanced, packed = (passages(chunk(given_, MARKS, 20, 40, pack=pack)) for pack in (False, True))
    assert [passage.n_tokens for passage in balanced] == [32, 24, 24]
    assert [passage.n_tokens for passage in packed] == [40, 40]


def test_short_documents_are_joined() -> None:
    """Short neighbours share a passage; each piece is a slice of its document, joined by newlines."""
    given_ = documents(SENTENCE, f"  {SENTENCE}\n", f"{SENTENCE} {SENTENCE}")
    (made,) = chunk(given_, MARKS, 20, 40)
    assert isinstance(made, Passage)
    assert made.text == f"{SENTENCE}\n{SENTENCE}\n{SENTENCE} {SENTENCE}"
    assert (made.n_tokens, made.n_sentences) == (32, 4)
    assert [piece.document_id for piece in made.pieces] == ["d0", "d1", "d2"]


def test_leftovers_never_join_full_passages() -> None:
    """A passage that is large enough takes no leftovers, however much room it has."""
    given_ = documents(" ".join([SENTENCE] * 3), SENTENCE)
    made = passages(chunk(given_, MARKS, 20, 40))
    assert [(passage.n_tokens, len(passage.pieces)) for passage in made] == [(24, 1), (8, 1)]


def test_a_small_rest_joins_a_passage_of_leftovers() -> None:
    """At the end of a block, a small rest joins a passage of leftovers that has room."""
    given_ = documents(*[" ".join([SENTENCE] * 2)] * 2, "Minh Thu")
    (made,) = chunk(given_, MARKS, 20, 40)
    assert isinstance(made, Passage)
    assert [piece.document_id for piece in made.pieces] == ["d0", "d1", "d2"]


def test_a_leftover_is_the_tail() -> None:
    """The leftover of a document is its end, where a byline is."""
    text = "\n".join([*[SENTENCE] * 5, "Minh Thu"])
    made = passages(chunk(documents(text, f"{SENTENCE} {SENTENCE}"), MARKS, 22, 40))
    assert [passage.pieces for passage in made] == [
        (Piece("d0", 0, 139),),
        (Piece("d0", 140, 148), Piece("d1", 0, 55)),
    ]


def test_without_a_complete_sentence() -> None:
    """Headlines alone are rejected, each with its place."""
    results = list(chunk(documents("Tin vắn trong ngày\nẢnh: Minh Thu"), MARKS, 5, 40))
    assert [(result.value, result.record_id) for result in rejections(results)] == [
        ("Tin vắn trong ngày", "d0"),
        ("Ảnh: Minh Thu", "d0"),
    ]
    assert not passages(results)


def test_a_headline_joins_a_complete_sentence() -> None:
    """A fragment large enough for a passage joins a complete sentence instead of being rejected."""
    headline = "Tin vắn " * 12
    given_ = documents(f"{headline}\n{SENTENCE}", headline, SENTENCE)
    results = list(chunk(given_, MARKS, 20, 40))
    assert not rejections(results)
    assert [len(passage.pieces) for passage in passages(results)] == [1, 2]


def test_a_cut_is_marked() -> None:
    """A passage with a part of an over-long sentence records the kind of the cut."""
    long = "Anh nói, " + ", ".join(["hôm nay trời có mưa"] * 8) + "."
    made = passages(chunk(documents(long, " ".join(["mưa"] * 60)), MARKS, 10, 40))
    assert [passage.cut for passage in made] == ["clause", "clause", "space", "space"]


def test_ids_are_content() -> None:
    """The id is a hash of pieces and text: reproducible, and different for another place."""
    first, again = (list(chunk(documents(SENTENCE), MARKS, 5, 40)) for _ in range(2))
    (moved,) = chunk(documents("", SENTENCE), MARKS, 5, 40)
    assert first == again
    assert isinstance(first[0], Passage)
    assert isinstance(moved, Passage)
    assert first[0].text == moved.text
    assert first[0].id != moved.id
    assert re.fullmatch("[0-9a-f]{16}", first[0].id)


def test_empty_documents() -> None:
    """Empty documents give no passages and no rejections."""
    assert list(chunk(documents("", " \n "), MARKS)) == []
    assert list(chunk([], MARKS)) == []


def test_documents_are_read_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents are read in blocks that do not depend on each other."""
    monkeypatch.setattr(chunking, "BLOCK", 3)
    given_ = documents(*[SENTENCE] * 8)
    read: list[str] = []
    stream = chunk((read.append(document.id) or document for document in given_), MARKS, 20, 40)  # type: ignore[func-returns-value]
    next(stream)
    assert read == ["d0", "d1", "d2"]
    alone = [result for start in (0, 3, 6) for result in chunk(given_[start : start + 3], MARKS, 20, 40)]
    assert list(chunk(given_, MARKS, 20, 40)) == alone


PARTS = st.sampled_from(
    [
        f"{SENTENCE} ",
        "Anh về. ",
        "Minh Thu\n",
        "mưa ",
        "gió, ",
        "\n",
        "“Đi đâu?” ",
        "x" * 30,
        "\u00a0",
        "ếế",
        "TP. Huế. ",
    ]
)
TEXTS = st.lists(st.one_of(st.lists(PARTS, max_size=40).map("".join), st.text(max_size=60)), max_size=8)


@pytest.mark.slow
@given(
    TEXTS, st.sampled_from([MARKS, CHARACTERS, PAIRS, SQUARES]), st.integers(1, 40), st.integers(0, 40), st.booleans()
)
def test_nothing_is_lost(texts: list[str], tokenizer: FakeTokenizer, low: int, more: int, pack: bool) -> None:
    """For any input: exact slices, full coverage, in = kept + rejected, never too long, reproducible."""
    given_, high = documents(*texts), max(8, low + more)
    results = list(chunk(given_, tokenizer, low, high, pack=pack))
    assert_sound(given_, results, tokenizer, high)
    assert results == list(chunk(given_, tokenizer, low, high, pack=pack))


@pytest.mark.slow
@given(st.lists(st.lists(PARTS, max_size=60).map("".join), max_size=6), st.booleans())
def test_nothing_is_lost_with_llama3(texts: list[str], pack: bool) -> None:
    """The invariants hold with the tokenizer of a real run."""
    given_, tokenizer = documents(*texts), load_tokenizer("llama3")
    assert_sound(given_, list(chunk(given_, tokenizer, 40, 80, pack=pack)), tokenizer, 80)


@pytest.mark.slow
@given(st.lists(st.integers(1, 30), min_size=1, max_size=12), st.integers(1, 30), st.integers(10, 60))
def test_packing_keeps_the_bounds(sizes: list[int], low: int, high: int) -> None:
    """Packing keeps sentences whole and the limit, and leaves no two short passages that fit together."""
    low, high = min(low, high), max(high, 8)
    given_ = documents(*[" ".join([SENTENCE] * size) for size in sizes])
    made = passages(chunk(given_, MARKS, low, high, pack=True))
    assert sum(passage.n_sentences for passage in made) == sum(sizes)
    assert all(passage.text.count(SENTENCE) == passage.n_sentences for passage in made)
    assert all(passage.n_tokens <= high for passage in made)
    short = sorted(passage.n_tokens for passage in made if passage.n_tokens < low)
    assert len(short) < 2 or sum(short[:2]) > high


@pytest.mark.slow
@given(st.lists(st.lists(PARTS, min_size=10, max_size=80).map("".join), max_size=4), st.integers(20, 40))
def test_the_optimisations_change_nothing(texts: list[str], low: int) -> None:
    """Counting by added tokens and planning without leftovers give the same passages as the slow way."""

    class Slow:
        """Counts every passage as a whole."""

        name, fingerprint = LLAMA3.name, LLAMA3.fingerprint
        count, count_many = staticmethod(LLAMA3.count), staticmethod(LLAMA3.count_many)

        count_spans = FakeTokenizer.count_spans

    given_ = documents(*texts)
    quick = list(chunk(given_, LLAMA3, low, 80))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunking, "plan_passages", lambda *_: [])
        assert quick == list(chunk(given_, Slow(), low, 80))


@pytest.mark.slow
def test_real_news(news_dir: Path) -> None:
    """On real articles, 99 % of the passages are within the bounds and hardly anything is rejected."""
    file = pq.ParquetFile(sorted(news_dir.glob("*.parquet"))[0])
    texts = next(file.iter_batches(batch_size=500, columns=["text"])).column("text").to_pylist()
    given_, tokenizer = documents(*texts), load_tokenizer("llama3")
    results = list(chunk(given_, tokenizer))
    assert_sound(given_, results, tokenizer, 256)
    made = passages(results)
    assert sum(passage.n_tokens >= 150 for passage in made) >= 0.99 * len(made)
    assert len(rejections(results)) < 0.001 * sum(passage.n_sentences for passage in made)
