"""Documents added in steps: all results of earlier steps stay the same and in place."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotator.config.settings import RunConfig
from annotator.errors import ConfigError
from annotator.records import Document, Passage, Rejected
from annotator.samples.splits import assign_splits
from annotator.sources.sampling import sample
from annotator.sources.screening import Screening
from annotator.storage import tables
from tests.test_splits import passages_of_documents

SHARES = (0.6, 0.2, 0.2)
GREETING = "Mời quý vị theo dõi những tin tức đáng chú ý nhất trong ngày hôm nay."


def rows_of(total: int) -> list[str]:
    """Return articles with repetitions, texts in English, and a line that many share."""
    made = []
    for number in range(total):
        text = f"Hà Nội mưa to, bản tin số {number} kể chuyện làng thứ {number * number} ở huyện Sóc Sơn và Mê Linh."
        made.append(f"{text} {GREETING}" if number % 3 == 0 else text)
    return [made[number // 2] if number % 7 == 5 else "The rain." if number % 11 == 3 else text
            for number, text in enumerate(made)]  # fmt: skip


@pytest.fixture(scope="module", params=["parquet", "jsonl"])
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a file of 120 articles, with row groups of ten."""
    path = tmp_path_factory.mktemp("source") / f"news.{request.param}"
    texts = rows_of(120)
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"id": [str(n) for n in range(120)], "text": texts}), path, row_group_size=10)
    else:
        path.write_text("".join(json.dumps({"id": n, "text": text}) + "\n" for n, text in enumerate(texts)))
    return path


some_steps = st.lists(st.integers(1, 50), min_size=1, max_size=5)


@pytest.mark.slow
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=some_steps, seed=st.integers(0, 3))
def test_a_draw_in_steps_begins_with_each_shorter_one(source: Path, steps: list[int], seed: int) -> None:
    """The rows of a longer draw begin with those of a shorter one, and no document comes twice."""
    drawn = [
        list(sample(source, steps[:end], seed, screening=Screening(shortest=0))) for end in range(1, len(steps) + 1)
    ]
    for shorter, longer in pairwise(drawn):
        assert longer[: len(shorter)] == shorter
    ids = [row.id for row in drawn[-1] if isinstance(row, Document)]
    assert len(ids) == len(set(ids)) <= sum(steps)
    rejected = Counter(row.record_id for row in drawn[-1] if isinstance(row, Rejected) and row.stage == "sample")
    assert not set(ids) & set(rejected)
    assert len(ids) + rejected.total() == 120 or len(ids) == sum(steps)


def test_one_step_equals_a_plain_draw(source: Path) -> None:
    """A list of one number equals that number; several steps draw the documents of their sum."""
    assert list(sample(source, [20], 1)) == list(sample(source, 20, 1))
    in_steps, at_once = (
        {
            row.id
            for row in sample(source, docs, 1, screening=Screening(shortest=0, cuts=False))
            if isinstance(row, Document)
        }
        for docs in ([20, 15, 5], 40)
    )
    assert in_steps == at_once


def divided(passages: Sequence[Passage], ends: Sequence[int], seed: int) -> list[int]:
    """Return the splits of passages that came in steps."""

    def part(begin: int, end: int, columns: list[str]) -> list[pa.RecordBatch]:
        return [tables.to_batch(passages[begin:end], tables.PASSAGE).select(columns)]

    reads = [lambda columns, rows=rows: part(*rows, columns) for rows in pairwise([0, *ends])]
    pairs = list(assign_splits(reads, SHARES, seed))
    assert [identity for identity, _ in pairs] == [passage.id for passage in passages]
    return [split for _, split in pairs]


@pytest.mark.slow
@given(passages_of_documents, st.data(), st.integers(0, 3))
def test_no_passage_changes_its_split(passages: list[Passage], data: st.DataObject, seed: int) -> None:
    """Added passages never change the split of an earlier one."""
    cuts = data.draw(st.lists(st.integers(0, len(passages)), max_size=4).map(sorted))
    ends = [*cuts, len(passages)]
    found = divided(passages, ends, seed)
    for number, end in enumerate(ends, start=1):
        assert divided(passages[:end], ends[:number], seed) == found[:end]


@pytest.mark.slow
@given(passages_of_documents, passages_of_documents, st.integers(0, 3))
def test_an_equal_passage_goes_to_the_same_split(old: list[Passage], new: list[Passage], seed: int) -> None:
    """A new document with an earlier passage goes to the split of that passage."""
    added = [
        Passage(f"n{one.id}", one.text, 1, tuple(type(piece)(f"n{piece.document_id}", 0, 1) for piece in one.pieces), 1)
        for one in new
    ]
    splits = divided([*old, *added], [len(old), len(old) + len(added)], seed)
    where: dict[str, int] = {}
    for passage, split in zip(added, splits[len(old) :], strict=True):
        for piece in passage.pieces:
            assert where.setdefault(piece.document_id, split) == split
    places = {passage.text: split for passage, split in zip(reversed(old), reversed(splits[: len(old)]), strict=True)}
    alone = [passage for passage in added if passage.text in places and len(passage.pieces) == 1]
    for passage in alone:
        own = [one for one in added if {piece.document_id for piece in one.pieces} & {passage.pieces[0].document_id}]
        others = {one.text for one in added if one not in own}
        if len(own) == 1 and passage.text not in others:
            assert where[passage.pieces[0].document_id] == places[passage.text]


def test_small_updates_add_up_to_the_shares(make_passage: pytest.FixtureRequest) -> None:
    """After a hundred small updates, the splits have their shares."""
    passages = [make_passage(f"text {n}", f"p{n}", f"d{n}") for n in range(400)]  # type: ignore[operator]
    found = divided(passages, [100, *range(103, 401, 3)], 0)
    assert all(abs(found.count(split) - 400 * share) <= 2 for split, share in enumerate(SHARES))


@pytest.mark.parametrize(("added", "steps"), [("", (600,)), ("100", (600, 100)), ("100, 50", (600, 100, 50))])
def test_the_setting(added: str, steps: tuple[int, ...]) -> None:
    """``added_docs`` is a list of numbers with commas, stored without spaces."""
    config = RunConfig(docs=600, added_docs=added)
    assert config.steps == steps
    assert config.added_docs == added.replace(" ", "")


@pytest.mark.parametrize("added", ["0", "x", "5,", "-3", "5,,5", "1.5"])
def test_an_invalid_number_of_articles(added: str) -> None:
    """An invalid ``added_docs`` is a one-line error with the flag."""
    with pytest.raises(ConfigError, match="--added-docs needs numbers"):
        RunConfig(added_docs=added)


def test_rows_of_a_file(tmp_path: Path) -> None:
    """``batches`` reads any range of rows, across row groups, with any batch size."""
    path = tmp_path / "rows.parquet"
    documents = [Document(str(n), f"t{n}", "s") for n in range(50)]
    with path.open("wb") as file:
        tables.write_records(file, tables.DOCUMENT, documents, rows=8)
    ends = list(accumulate([0, 8, 3, 0, 20, 19, 5]))
    for begin, end in pairwise(ends):
        read = [batch.to_pylist() for batch in tables.batches(path, ["id"], 7, range(begin, end))]
        assert [row["id"] for rows in read for row in rows] == [one.id for one in documents[begin:end]]
        assert {len(rows) for rows in read[:-1]} <= {7}
