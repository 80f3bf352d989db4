"""Records as Parquet, and back. Rows go through in batches, so a file may be larger than memory.

The same records give the same bytes: fixed schema, compression and row-group size, and no time stamps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from annotator.errors import RunDirError
from annotator.records import Annotation, Document, Mention, Passage, Piece, Rejected, Sample

ROWS: Final = 4096
"""Rows a batch, and a row group."""

_TEXT = pa.string()
_PIECE = pa.struct([("document_id", _TEXT), ("start", pa.int64()), ("end", pa.int64())])
_MENTION = pa.struct(
    [
        ("text", _TEXT),
        ("label", _TEXT),
        ("raw_label", _TEXT),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("match", _TEXT),
    ]
)
DOCUMENT: Final = pa.schema([("id", _TEXT), ("text", _TEXT), ("source", _TEXT)])
PASSAGE: Final = pa.schema(
    [
        ("id", _TEXT),
        ("text", _TEXT),
        ("n_tokens", pa.int64()),
        ("pieces", pa.list_(_PIECE)),
        ("n_sentences", pa.int64()),
        ("cut", _TEXT),
    ]
)
ANNOTATION: Final = pa.schema(
    [("passage_id", _TEXT), ("text", _TEXT), ("mentions", pa.list_(_MENTION)), ("reply_status", _TEXT)]
)
SAMPLE: Final = pa.schema(
    [
        ("id", _TEXT),
        ("instruction", _TEXT),
        ("input", _TEXT),
        ("output", _TEXT),
        ("entity_type", _TEXT),
        ("negative", pa.bool_()),
        ("passage_id", _TEXT),
    ]
)
REJECTED: Final = pa.schema([(name, _TEXT) for name in ("stage", "reason", "record_id", "value", "detail")])


@contextmanager
def writer(file: IO[bytes], schema: pa.Schema) -> Iterator[Callable[[pa.RecordBatch], None]]:
    """Yield a function that writes one batch; row groups are ``ROWS`` rows however the batches come."""
    pending: list[pa.RecordBatch] = []
    with pq.ParquetWriter(file, schema, compression="zstd") as parquet:

        def write(batch: pa.RecordBatch) -> None:
            pending.append(batch)
            if sum(len(item) for item in pending) >= ROWS:
                table = pa.Table.from_batches(pending, schema)
                whole = len(table) // ROWS * ROWS
                parquet.write_table(table.slice(0, whole), row_group_size=ROWS)
                pending[:] = table.slice(whole).to_batches()

        yield write
        if pending:
            parquet.write_table(pa.Table.from_batches(pending, schema))


@contextmanager
def record_writer(file: IO[bytes], schema: pa.Schema) -> Iterator[Callable[[Any], None]]:
    """Yield a function that writes one record; they go to the file in batches."""
    waiting: list[dict[str, Any]] = []
    with writer(file, schema) as write:

        def add(record: Any) -> None:
            waiting.append(asdict(record))
            if len(waiting) >= ROWS:
                write(pa.RecordBatch.from_pylist(waiting, schema))
                waiting.clear()

        yield add
        if waiting:
            write(pa.RecordBatch.from_pylist(waiting, schema))


def write_records(file: IO[bytes], schema: pa.Schema, records: Iterable[Any]) -> int:
    """Write records; returns how many."""
    total = 0
    with record_writer(file, schema) as add:
        for total, record in enumerate(records, start=1):  # noqa: B007 - the last number is the result
            add(record)
    return total


def batches(path: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of ``path`` in batches.

    Raises:
        RunDirError: the file is missing or damaged.
    """
    try:
        with pq.ParquetFile(path) as parquet:
            yield from parquet.iter_batches(batch_size=ROWS, columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise RunDirError(f"cannot read {path}: {error}; make it again with --fresh (paid answers stay)") from error


def rows(path: Path, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of ``path`` as dictionaries."""
    for batch in batches(path, columns):
        yield from batch.to_pylist()


def count(path: Path) -> int:
    """Number of rows, from the footer alone."""
    try:
        return int(pq.read_metadata(path).num_rows)
    except (OSError, pa.ArrowException) as error:
        raise RunDirError(f"cannot read {path}: {error}; make it again with --fresh (paid answers stay)") from error


def read_documents(path: Path) -> Iterator[Document]:
    """Read documents."""
    return (Document(**row) for row in rows(path))


def read_passages(path: Path) -> Iterator[Passage]:
    """Read passages."""
    return (Passage(**{**row, "pieces": tuple(Piece(**piece) for piece in row["pieces"])}) for row in rows(path))


def read_annotations(path: Path) -> Iterator[Annotation]:
    """Read annotations."""
    return (
        Annotation(**{**row, "mentions": tuple(Mention(**mention) for mention in row["mentions"])})
        for row in rows(path)
    )


def read_samples(path: Path) -> Iterator[Sample]:
    """Read samples."""
    return (Sample(**row) for row in rows(path))


def read_rejected(path: Path) -> Iterator[Rejected]:
    """Read what was left out."""
    return (Rejected(**row) for row in rows(path))
