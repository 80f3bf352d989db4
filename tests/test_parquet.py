"""Parquet files as one sequence of rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotator.errors import SourceError
from annotator.records import Document, Rejected
from annotator.sources.documents import Columns
from annotator.sources.formats.files import SourceFile
from annotator.sources.locating import locate
from annotator.sources.parquet_rows import ParquetFiles

RAIN, SUN = "Hà Nội mưa to.", "Đà Lạt nắng đẹp."


def _write(path: Path, columns: dict[str, Any], group: int = 10) -> SourceFile:
    pq.write_table(pa.table(columns), path, row_group_size=group)
    return SourceFile(path.name, path)


def _files(folder: Path, columns: Columns | None = None) -> ParquetFiles:
    located = locate(folder)
    assert isinstance(located, tuple)
    return ParquetFiles(located, columns or Columns())


def _numbered(folder: Path) -> ParquetFiles:
    """Write rows 0 to 59 to three files, the second empty, in row groups of ten and seven."""
    for name, first, last, group in (("a", 0, 25, 10), ("b", 25, 25, 10), ("c", 25, 60, 7)):
        numbers = range(first, last)
        texts = pa.array([f"Bài {number}" for number in numbers], pa.string())
        _write(folder / f"{name}.parquet", {"link": texts, "text": texts, "id": pa.array(numbers, pa.int64())}, group)
    return _files(folder)


def test_footers_have_the_size(tmp_path: Path) -> None:
    """Rows and row groups are known from the footers."""
    files = _numbered(tmp_path)
    assert (files.row_count, files.row_groups_read) == (60, 0)
    assert files.row_groups in (8, 9)  # an empty file has an empty row group or none, depending on its writer


def test_only_row_groups_that_hold_a_wanted_row_are_read(tmp_path: Path) -> None:
    """Only row groups with a wanted row are read, each counted once."""
    files = _numbered(tmp_path)
    rows = dict(files.take([3, 9, 59]))
    assert files.row_groups_read == 2
    assert rows == {
        3: Document("3", "Bài 3", "a.parquet"),
        9: Document("9", "Bài 9", "a.parquet"),
        59: Document("59", "Bài 59", "c.parquet"),
    }
    list(files.take([0, 25]))
    assert files.row_groups_read == 3


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(numbers=st.sets(st.integers(0, 59)))
def test_any_rows_can_be_taken(tmp_path: Path, numbers: set[int]) -> None:
    """Any set of rows is returned in order, each with its number."""
    files = _files(tmp_path) if any(tmp_path.iterdir()) else _numbered(tmp_path)
    taken = list(files.take(sorted(numbers)))
    assert [number for number, _ in taken] == sorted(numbers)
    assert all(isinstance(row, Document) and row.id == str(number) for number, row in taken)


def test_a_row_group_larger_than_a_batch(tmp_path: Path) -> None:
    """Rows beyond the first decoded batch of a row group are right."""
    texts = [f"Bài {number}" for number in range(3000)]
    _write(tmp_path / "a.parquet", {"id": range(3000), "text": texts}, 3000)
    rows = [row.id for _, row in _files(tmp_path).take([0, 1023, 1024, 2999]) if isinstance(row, Document)]
    assert rows == ["0", "1023", "1024", "2999"]


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.binary(),
        pa.large_binary(),
        pa.dictionary(pa.int32(), pa.string()),
    ],
)
def test_every_kind_of_text_column(tmp_path: Path, kind: pa.DataType) -> None:
    """Text is read from strings, bytes and dictionaries, as NFC."""
    _write(tmp_path / "a.parquet", {"text": pa.array(["Ha\u0300 No\u0323\u0302i", SUN]).cast(kind), "id": ["1", "2"]})
    rows = [row for _, row in _files(tmp_path).take([0, 1])]
    assert rows == [Document("1", "Hà Nội", "a.parquet"), Document("2", SUN, "a.parquet")]


@pytest.mark.parametrize("kind", [pa.binary(), pa.string()])
def test_broken_values_are_rejected_one_by_one(tmp_path: Path, kind: pa.DataType) -> None:
    """A null, or text that is not UTF-8 despite the schema, is rejected alone."""
    raw = pa.array([RAIN.encode(), None, b"a\xff", b"a\0", SUN.encode()], pa.binary())
    text = raw if kind == pa.binary() else pa.Array.from_buffers(kind, len(raw), raw.buffers())
    _write(tmp_path / "a.parquet", {"text": text, "id": [1, 2, 3, 4, 5]})
    rows = [row for _, row in _files(tmp_path).take(range(5))]
    assert [row.text for row in rows if isinstance(row, Document)] == [RAIN, SUN]
    assert [(row.record_id, row.reason) for row in rows if isinstance(row, Rejected)] == [
        ("a.parquet:2", "no text"),
        ("a.parquet:3", "broken record"),
        ("a.parquet:4", "broken record"),
    ]


def test_other_columns(tmp_path: Path) -> None:
    """Columns may have other names; without the default id, ids are made from the text."""
    _write(tmp_path / "a.parquet", {"body": [RAIN], "uid": [7]})
    assert dict(_files(tmp_path, Columns("body", "uid")).take([0])) == {0: Document("7", RAIN, "a.parquet")}
    ((_, row),) = _files(tmp_path, Columns("body")).take([0])
    assert isinstance(row, Document)
    assert len(row.id) == 16


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            Columns("body"),
            r'a\.parquet has no column "body"; it has: text, id, n; name the right one with --text-field',
        ),
        (Columns(id="uid"), r'no column "uid"; it has: text, id, n; .* --id-field'),
        (Columns("n"), r'column "n" of .*a\.parquet is int64, not text; name another with --text-field'),
    ],
)
def test_missing_columns(tmp_path: Path, columns: Columns, message: str) -> None:
    """A missing or numeric text column is an error before anything is read."""
    _write(tmp_path / "a.parquet", {"text": [RAIN], "id": [1], "n": [1]})
    with pytest.raises(SourceError, match=message):
        _files(tmp_path, columns)


def test_two_columns_of_one_name(tmp_path: Path) -> None:
    """Two text columns with one name are refused."""
    table = pa.Table.from_arrays([pa.array([RAIN]), pa.array([SUN])], names=["text", "text"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(SourceError, match=r'a\.parquet has two columns "text"; rename one of them'):
        _files(tmp_path)


def test_files_without_content_among_others(tmp_path: Path) -> None:
    """An empty file and a file of null texts are counted."""
    _write(tmp_path / "a.parquet", {"text": [RAIN]})
    (tmp_path / "b.parquet").write_bytes(b"")
    _write(tmp_path / "c.parquet", {"text": pa.nulls(2)})
    files = _files(tmp_path)
    assert [(row.record_id, row.reason) for row in files.empty] == [("b.parquet", "empty file")]
    rows = [row for _, row in files.take(range(files.row_count))]
    assert [row.reason for row in rows if isinstance(row, Rejected)] == ["no text", "no text"]


def test_bytes_are_counted_once(tmp_path: Path) -> None:
    """A row group that is read again is not counted again."""
    files = _numbered(tmp_path)
    list(files.take(range(60)))
    once = files.bytes_read
    assert once > 0
    list(files.take(range(60)))
    assert files.bytes_read == once


def _damaged(whole: bytes) -> bytes:
    """Overwrite the pages between the magic number and the footer."""
    footer = int.from_bytes(whole[-8:-4], "little") + 8
    return whole[:4] + b"\xff" * (len(whole) - 4 - footer) + whole[-footer:]


@pytest.mark.parametrize(
    "spoil", [lambda whole: b"not parquet at all", lambda whole: whole[: len(whole) // 2], _damaged]
)
def test_a_file_that_is_not_parquet(tmp_path: Path, spoil: Any) -> None:
    """A foreign, truncated or damaged file is a one-line error with its name."""
    path = tmp_path / "a.parquet"
    _write(path, {"text": [f"{RAIN} {number}" for number in range(500)], "id": range(500)})
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(SourceError, match=r"a\.parquet") as caught:
        list(_files(tmp_path).take(range(500)))
    assert "\n" not in str(caught.value)
