"""Records are written to Parquet and read back."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.errors import RunDirError
from annotator.records import Annotation, Document, LabelUse, Mention, Passage, Piece, Rejected, Sample
from annotator.storage import tables

text = st.text(st.characters(codec="utf-8"), max_size=20)
number = st.integers(0, 10**9)
mention = st.builds(Mention, text, text, text, number, number, text)
KINDS = {
    "documents": (
        tables.DOCUMENT,
        lambda path: tables.read_records(path, Document),
        st.builds(Document, text, text, text),
    ),
    "passages": (
        tables.PASSAGE,
        tables.read_passages,
        st.builds(
            Passage, text, text, number, st.lists(st.builds(Piece, text, number, number)).map(tuple), number, text
        ),
    ),
    "annotations": (
        tables.ANNOTATION,
        tables.read_annotations,
        st.builds(Annotation, text, text, st.lists(mention).map(tuple), text),
    ),
    "samples": (
        tables.SAMPLE,
        tables.read_samples,
        st.builds(Sample, text, text, text, text, text, st.booleans(), text),
    ),
    "rejected": (tables.REJECTED, tables.read_rejected, st.builds(Rejected, text, text, text, text, text, text)),
    "labels": (
        tables.LABEL,
        lambda path: tables.read_records(path, LabelUse),
        st.builds(LabelUse, text, st.none() | text, text, text, number, number),
    ),
}


COLUMNS = {
    "documents": "id text source",
    "passages": "id text n_tokens pieces n_sentences cut",
    "annotations": "passage_id text mentions reply_status",
    "samples": "id instruction input output entity_type negative passage_id",
    "rejected": "stage reason record_id value detail label",
    "labels": "raw label status rule claims mentions",
}


def test_the_columns_of_files_stay() -> None:
    """Names and order of columns are pinned for older runs and other programs; new ones come last."""
    assert {kind: " ".join(schema.names) for kind, (schema, _, _) in KINDS.items()} == COLUMNS


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40)
@given(data=st.data())
def test_records_round_trip(kind: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Records are read back in order, and the same records give the same bytes."""
    schema, read, strategy = KINDS[kind]
    records = data.draw(st.lists(strategy, max_size=8))
    path = tmp_path_factory.getbasetemp() / f"{kind}.parquet"
    with path.open("wb") as file:
        assert tables.write_records(file, schema, records) == len(records)
    assert list(read(path)) == records
    assert tables.count(path) == len(records)
    again = io.BytesIO()
    tables.write_records(again, schema, iter(records))
    assert again.getvalue() == path.read_bytes()


@pytest.mark.slow
def test_row_groups_do_not_depend_on_batches() -> None:
    """Records written one by one or in batches give the same bytes."""
    records = [Rejected("s", "r", str(i)) for i in range(10_000)]
    one, parts = io.BytesIO(), io.BytesIO()
    tables.write_records(one, tables.REJECTED, records)
    with tables.writer(parts, tables.REJECTED) as write:
        for start in range(0, 10_000, 37):
            buffer = io.BytesIO()
            tables.write_records(buffer, tables.REJECTED, records[start : start + 37])
            import pyarrow.parquet as pq

            for batch in pq.ParquetFile(buffer).iter_batches():
                write(batch)
    assert one.getvalue() == parts.getvalue()


def test_a_damaged_file_is_reported(tmp_path: Path) -> None:
    """A damaged file is an error with the fix."""
    path = tmp_path / "x.parquet"
    for content in (b"", b"PAR1 torn"):
        path.write_bytes(content)
        with pytest.raises(RunDirError, match="--fresh"):
            list(tables.rows(path))
        with pytest.raises(RunDirError, match="--fresh"):
            tables.count(path)
