"""The sample is uniform, reproducible and complete, and every rejected row has a reason."""

from __future__ import annotations

import json
import random
import tracemalloc
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotator.errors import ConfigError, SourceError
from annotator.records import Document, Rejected
from annotator.sources.documents import Columns, Row
from annotator.sources.sample_report import SampleReport
from annotator.sources.sampling import permutation
from annotator.sources.sampling import sample as draw
from annotator.sources.screening import Screening

ENGLISH = "The government said on Monday that it would raise taxes on fuel and tobacco next year."


LAX = Screening(near_duplicates=0, shortest=0, cuts=False)
"""Accepts every distinct Vietnamese text, since these tests are about which rows are drawn."""


def sample(*arguments: Any, **settings: Any) -> Iterator[Row]:
    """Draw without the screens that the short texts of these tests would not pass."""
    return draw(*arguments, **{"screening": LAX, **settings})


def _text(number: int) -> str:
    return f"Hà Nội mưa to, bản tin số {number}."


def _write(folder: Path, kind: str, texts: Iterable[str | None], ids: Iterable[object] | None = None) -> Path:
    """Write texts with ids 0, 1, 2, ... as one file of ``kind``, with row groups of ten rows."""
    texts = list(texts)
    ids = list(range(len(texts)) if ids is None else ids)
    path = folder / f"a.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table({"id": [str(item) for item in ids], "text": texts}), path, row_group_size=10)
    else:
        lines = (json.dumps({"id": item, "text": text}) + "\n" for item, text in zip(ids, texts, strict=True))
        path.write_text("".join(lines))
    return path


def _documents(rows: Iterable[Any]) -> list[Document]:
    return [row for row in rows if isinstance(row, Document)]


def _ids(rows: Iterable[Any]) -> list[str]:
    return [row.id for row in _documents(rows)]


def _reasons(rows: Iterable[Any]) -> Counter[str]:
    return Counter(row.reason for row in rows if isinstance(row, Rejected))


KINDS = pytest.mark.parametrize("kind", ["parquet", "jsonl"])


@given(total=st.integers(0, 60), seed=st.integers())
def test_permutation_has_each_number_once(total: int, seed: int) -> None:
    """Every number comes once, and the same seed gives the same order."""
    order = list(permutation(total, seed))
    assert sorted(order) == list(range(total))
    assert order == list(permutation(total, seed))


def test_every_order_is_equally_likely() -> None:
    """The 24 orders of four numbers are equally likely: chi-square over 4,800 seeds, 99.9 % quantile."""
    counts = Counter(tuple(permutation(4, seed)) for seed in range(4800))
    assert len(counts) == 24
    assert sum((count - 200) ** 2 / 200 for count in counts.values()) < 49.7


def test_permutation_of_a_corpus_takes_no_memory() -> None:
    """The first 6,600 of 16.8 million numbers need memory only for themselves."""
    tracemalloc.start()
    drawn = list(islice(permutation(16_762_024, 0), 6600))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(set(drawn)) == 6600
    assert peak < 5_000_000


@pytest.mark.slow
@KINDS
def test_draws_are_uniform(tmp_path: Path, kind: str) -> None:
    """Each of 12 documents is drawn equally often: chi-square over 600 seeds, 99.9 % for 11 degrees."""
    path = _write(tmp_path, kind, map(_text, range(12)))
    counts = Counter(identity for seed in range(600) for identity in _ids(sample(path, 4, seed)))
    assert sum(counts.values()) == 2400
    spread = sum((counts[str(number)] - 200) ** 2 / 200 for number in range(12))
    assert spread * 11 / 8 < 31.3  # without replacement, the variance is 8/11 of that of independent draws


@KINDS
def test_same_seed_same_documents(tmp_path: Path, kind: str) -> None:
    """The seed determines the draw; documents come in the order of the source."""
    path = _write(tmp_path, kind, map(_text, range(100)))
    first = list(sample(path, 20, 7))
    assert first == list(sample(path, 20, 7))
    assert first != list(sample(path, 20, 8))
    assert len(first) == 20
    assert [int(identity) for identity in _ids(first)] == sorted(int(identity) for identity in _ids(first))


@KINDS
def test_a_larger_draw_contains_the_smaller(tmp_path: Path, kind: str) -> None:
    """With the same seed, a larger draw contains the smaller one."""
    path = _write(tmp_path, kind, map(_text, range(300)))
    assert set(_ids(sample(path, 20, 0))) < set(_ids(sample(path, 200, 0)))


@KINDS
def test_a_small_source_is_taken_whole(tmp_path: Path, kind: str) -> None:
    """A source with fewer documents than wanted is taken whole, in its order."""
    path = _write(tmp_path, kind, map(_text, range(25)))
    assert _documents(sample(path, 10**6, 0)) == [Document(str(n), _text(n), f"a.{kind}") for n in range(25)]


@pytest.mark.slow
@KINDS
def test_rejected_documents_are_replaced(tmp_path: Path, kind: str) -> None:
    """If nineteen of twenty rows are rejected, further rows are drawn until there are enough documents."""
    path = _write(tmp_path, kind, (_text(n) if n % 20 == 0 else "..." for n in range(3000)))
    report = SampleReport()
    rows = list(sample(path, 100, 0, report=report))
    assert len(_documents(rows)) == 100
    assert report.rows_taken == len(rows) == 100 + _reasons(rows).total()
    assert set(_reasons(rows)) == {"empty"}


@KINDS
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    texts=st.lists(st.sampled_from([*map(_text, range(9)), "", ENGLISH, None]), min_size=1, max_size=60),
    docs=st.integers(1, 12),
    seed=st.integers(0, 9),
)
def test_in_is_kept_and_rejected(tmp_path: Path, kind: str, texts: list[str | None], docs: int, seed: int) -> None:
    """For any source, the draw has the wanted number of distinct good texts and a reason for each other row."""
    good = {text for text in texts if text and text != ENGLISH}
    source = sample(_write(tmp_path, kind, [_text(99), *texts]), docs, seed, report=(report := SampleReport()))
    rows = list(source)
    kept = _documents(rows)
    assert len(kept) == len({row.text for row in kept}) == len({row.id for row in kept}) == min(docs, len(good) + 1)
    assert report.rows_taken == len(rows)
    assert report.rows_total == len(texts) + 1
    if len(kept) < docs:
        assert len(rows) == len(texts) + 1


@KINDS
def test_one_id_for_two_texts(tmp_path: Path, kind: str) -> None:
    """Documents with the same id are both kept, with different ids."""
    path = _write(tmp_path, kind, [_text(1), _text(2)], ids=["x", "x"])
    ids = _ids(sample(path, 5, 0))
    assert len(set(ids)) == 2
    assert all(identity.split("#")[0] == "x" for identity in ids)


@pytest.mark.slow
def test_a_stream_is_read_again_when_its_spare_rows_are_used_up(tmp_path: Path) -> None:
    """Later passes over a stream continue the same order of draws; no rejection is reported twice."""
    texts = [_text(n) if n % 50 == 0 else "..." for n in range(4000)]
    path = _write(tmp_path, "jsonl", texts)
    with path.open("a") as file:
        file.write("broken\n")
    few, all_of_them = list(sample(path, 10, 3)), list(sample(path, 80, 3))
    assert len(_documents(few)) == 10
    assert len(_documents(all_of_them)) == 80
    assert set(_ids(few)) < set(_ids(all_of_them))
    tried = [row.record_id for row in few if isinstance(row, Rejected)]
    assert len(tried) == len(set(tried))
    assert tried == [row.record_id for row in all_of_them if isinstance(row, Rejected)][: len(tried)]


@pytest.mark.slow
def test_a_stream_is_held_in_part_only(tmp_path: Path) -> None:
    """Drawing five documents of a 20 MB stream holds a small part of it in memory."""
    path = _write(tmp_path, "jsonl", (_text(n) + "à" * 5000 for n in range(2000)))
    tracemalloc.start()
    rows = list(sample(path, 5, 0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(rows) == 5
    assert peak < 4_000_000


@KINDS
def test_common_lines_are_learnt_from_the_first_documents(tmp_path: Path, kind: str) -> None:
    """A line of every document is cut out of each, and the report counts its characters."""
    footer = "Mọi đóng góp xin gửi về tòa soạn báo của chúng tôi ở Hà Nội."
    path = _write(tmp_path, kind, [None, *(f"{_text(number)}\n{footer}" for number in range(9))])
    report = SampleReport()
    rows = list(sample(path, 9, 0, screening=Screening(near_duplicates=0, shortest=0), report=report))
    assert {row.text for row in _documents(rows)} == {_text(number) for number in range(9)}
    assert _reasons(rows) == {"no text": 1, "line of many documents": 9}
    assert report.characters_cut == 9 * len(footer)


def test_all_broken_lines_of_a_stream_are_reported(tmp_path: Path) -> None:
    """A file that is read to its end reports every broken line, however few documents are wanted."""
    path = _write(tmp_path, "jsonl", map(_text, range(50)))
    path.write_text(path.read_text() + "{\n[]\n")
    rows = list(sample(path, 3, 0))
    assert _reasons(rows) == {"broken record": 2}
    assert len(_documents(rows)) == 3


def test_folders_of_several_formats(tmp_path: Path) -> None:
    """A folder may mix Parquet and other formats; each document names its file."""
    _write(tmp_path, "parquet", map(_text, range(5)))
    (tmp_path / "b").mkdir()
    _write(tmp_path / "b", "jsonl", map(_text, range(5, 8)))
    (tmp_path / "c.txt").write_text(_text(8))
    rows = list(sample(tmp_path, 100, 0))
    assert Counter(row.source for row in _documents(rows)) == {"a.parquet": 5, "b/a.jsonl": 3, "c.txt": 1}
    assert len(list(sample(tmp_path, 4, 0))) == 4


def test_only_some_row_groups_are_read(tmp_path: Path) -> None:
    """Two of 1,000 documents need two of 100 row groups, which the report counts."""
    noise = random.Random(0)
    path = _write(
        tmp_path, "parquet", (_text(number) + "".join(noise.choices("đơưạảấ ", k=800)) for number in range(1000))
    )
    report = SampleReport()
    assert len(list(sample(path, 2, 0, report=report))) == 2
    figures = report.as_dict()
    assert figures.pop("seconds") > 0
    assert figures.pop("peak_rss_mb") > 10
    assert 0 < figures.pop("bytes_read") < figures.pop("bytes_total") == path.stat().st_size
    assert figures == {
        "rows_total": 1000,
        "rows_taken": 2,
        "row_groups_total": 100,
        "row_groups_read": 2,
        "documents": 2,
        "screened": {},
        "characters_cut": 0,
        "encodings_repaired": 0,
    }


@KINDS
def test_progress_is_reported(tmp_path: Path, kind: str) -> None:
    """Progress counts the drawn rows of a Parquet file, and all rows of another."""
    path = _write(tmp_path, kind, map(_text, range(2500)))
    steps: list[tuple[int, int | None]] = []
    list(sample(path, 1500, 0, report=SampleReport(on_progress=lambda done, total: steps.append((done, total)))))
    if kind == "parquet":
        assert steps == [(1000, 1500), (1500, 1500)]
    else:
        assert steps == [(1000, None), (2000, None), (2500, 2500)]


@pytest.mark.slow
def test_a_hub_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Hub dataset is streamed until there are enough documents, which carry its name."""
    _write(tmp_path, "jsonl", [ENGLISH, *map(_text, range(1, 1200))])
    load = datasets.load_dataset
    monkeypatch.setattr(datasets, "load_dataset", lambda name, **options: load(str(tmp_path), **options))
    steps: list[tuple[int, int | None]] = []
    report = SampleReport(on_progress=lambda done, total: steps.append((done, total)))
    monkeypatch.setattr("annotator.sources.sampling.parquet_files", lambda dataset: ())
    rows = list(sample("org/name", 1199, 1, report=report))
    assert {row.source for row in _documents(rows)} == {"org/name"}
    assert len(_documents(rows)) == 1199
    assert steps == [(1000, None)]
    assert report.rows_total is None
    few = list(sample("org/name", 5, 1))
    assert few == list(sample("org/name", 5, 1))
    assert set(_ids(few)) < set(_ids(rows))
    in_steps = list(sample("org/name", [5, 30], 1))
    assert in_steps[: len(few)] == few
    assert set(_ids(in_steps)) == set(_ids(sample("org/name", 35, 1)))


def test_bundled_sample() -> None:
    """Every bundled article is a usable document with its own id."""
    rows = list(sample(None, 10**6, 0))
    assert _reasons(rows) == {}
    assert not any("#" in identity for identity in _ids(rows))
    assert rows


def test_other_columns(tmp_path: Path) -> None:
    """Column names are passed to the reader."""
    (tmp_path / "a.jsonl").write_text(json.dumps({"uid": 5, "body": _text(1)}))
    assert _documents(sample(tmp_path, 1, 0, Columns("body", "uid"))) == [Document("5", _text(1), "a.jsonl")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "id,text\n", "no usable Vietnamese document in .*: it has no rows; check"),
        ("a.jsonl", "", "empty file 1; the first: a.jsonl: it has no content; check"),
        ("a.parquet", "", "empty file 1; the first: a.parquet: it has no bytes; check"),
        ("a.txt", "", "empty 1; the first: a: the text has no letters; check"),
        ("a.txt", "a\0", 'broken record 1; the first: a.txt: field "text" holds a NUL'),
        ("a.jsonl", "{\n[]\n", "broken record 2; the first: a.jsonl:1: not JSON"),
        ("a.json", json.dumps([ENGLISH]), "not Vietnamese 1; the first: "),
    ],
)
def test_nothing_usable(tmp_path: Path, name: str, content: str, message: str) -> None:
    """A source without a usable document is a one-line error with the reasons counted and the first shown."""
    (tmp_path / name).write_text(content)
    with pytest.raises(SourceError, match=message) as caught:
        list(sample(tmp_path, 5, 0))
    assert "\n" not in str(caught.value)


def test_no_rows_in_parquet(tmp_path: Path) -> None:
    """A Parquet file without rows is an error."""
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "a.parquet")
    with pytest.raises(SourceError, match="it has no rows"):
        list(sample(tmp_path, 5, 0))


def test_wrong_requests_fail_at_once(tmp_path: Path) -> None:
    """Invalid numbers of documents and missing sources fail before the iteration."""
    with pytest.raises(ConfigError, match="--docs is 0; give 1 or more"):
        sample(tmp_path, 0, 0)
    with pytest.raises(SourceError, match="no such file or folder"):
        sample(tmp_path / "none.jsonl", 1, 0)


@pytest.mark.slow
def test_real_news(news_dir: Path) -> None:
    """A draw of 300 from 6,600 real articles is distinct, in file order and reproducible."""
    report = SampleReport()
    rows = list(sample(news_dir, 300, 0, report=report))
    assert len({row.id for row in _documents(rows)}) == len({row.text for row in _documents(rows)}) == 300
    assert rows == list(sample(news_dir, 300, 0))
    assert report.rows_total == 6600
    assert report.rows_taken == len(rows)
    sources = [row.source for row in _documents(rows)]
    assert sources == sorted(sources)
