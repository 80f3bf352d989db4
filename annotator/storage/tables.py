"""Write records to Parquet and read them, in batches, so that a file may be larger than memory.

The columns of a file are the fields of its record in ``annotator.records``. The same records give the same bytes:
fixed compression and row-group size, no time stamps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import accumulate, chain, islice, starmap
from pathlib import Path
from typing import IO, Any, Final, TypeVar, get_args, get_origin, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq

from annotator.errors import RunDirError
from annotator.records import Annotation, Completion, Document, LabelUse, Passage, Rejected, Sample

Record = TypeVar("Record")

ROWS: Final = 4096
"""Rows per batch and per row group."""
ARTICLES: Final = 1024
"""Rows per row group of documents, which are long."""
HELD: Final = 512
"""Records that are converted to or from columns together: enough to be fast, few enough for the garbage collector."""
BUFFER: Final = 1 << 18
"""Bytes of a column that are read at once, instead of a whole row group."""

_COLUMN_TYPES: Final[Mapping[Any, pa.DataType]] = {
    str: pa.string(),
    str | None: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    float | None: pa.float64(),
    bool: pa.bool_(),
}


def schema_of(kind: type[Any]) -> pa.Schema:
    """Return the columns of a record: its fields in their order, a tuple of records as a list of structs."""
    items = _items(kind)  # type: ignore[arg-type] # a class is hashable
    return pa.schema(
        (name, pa.list_(pa.struct(list(schema_of(items[name])))) if name in items else _COLUMN_TYPES[hint])
        for name, hint in get_type_hints(kind).items()
    )


@cache
def _items(kind: type[Any]) -> dict[str, type[Any]]:
    """Return the record in each field that holds a tuple of records."""
    return {name: get_args(hint)[0] for name, hint in get_type_hints(kind).items() if get_origin(hint) is tuple}


DOCUMENT: Final = schema_of(Document)
PASSAGE: Final = schema_of(Passage)
COMPLETION: Final = schema_of(Completion)
ANNOTATION: Final = schema_of(Annotation)
SAMPLE: Final = schema_of(Sample)
REJECTED: Final = schema_of(Rejected)
LABEL: Final = schema_of(LabelUse)


@contextmanager
def writer(file: IO[bytes], schema: pa.Schema, rows: int = ROWS) -> Iterator[Callable[[Any], None]]:
    """Yield a function that writes one record, or a batch of them; row groups have ``rows`` rows."""
    records: list[Any] = []
    batches: list[pa.RecordBatch] = []
    with pq.ParquetWriter(file, schema, compression="zstd") as parquet:

        def add(batch: pa.RecordBatch) -> None:
            batches.append(batch)
            while sum(map(len, batches)) >= rows:
                table = pa.Table.from_batches(batches)
                parquet.write_table(table.slice(0, rows).combine_chunks())  # pages end with chunks
                batches[:] = table.slice(rows).to_batches()

        def add_records() -> None:
            if records:
                add(to_batch(records, schema))
                records.clear()

        def write(item: Any) -> None:
            if isinstance(item, pa.RecordBatch):
                add_records()
                add(item)
            else:
                records.append(item)
                if len(records) >= HELD:
                    add_records()

        yield write
        add_records()
        if batches:
            parquet.write_table(pa.Table.from_batches(batches).combine_chunks())


def to_batch(records: Sequence[Any], schema: pa.Schema) -> pa.RecordBatch:
    """Convert records to columns; through dictionaries, this would take five times as long."""
    return pa.RecordBatch.from_arrays(_columns(records, schema), schema=schema)


def _columns(records: Sequence[Any], fields: Iterable[pa.Field]) -> list[pa.Array]:
    return [_column([getattr(record, field.name) for record in records], field.type) for field in fields]


def _column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_list(kind):
        offsets = pa.array([0, *accumulate(map(len, values))], pa.int32())
        return pa.ListArray.from_arrays(offsets, _column(list(chain.from_iterable(values)), kind.value_type), type=kind)
    if pa.types.is_struct(kind):
        return pa.StructArray.from_arrays(_columns(values, kind), fields=list(kind))
    return pa.array(values, kind)


def write_records(file: IO[bytes], schema: pa.Schema, records: Iterable[Any], rows: int = ROWS) -> int:
    """Write records in row groups of ``rows``; return their number."""
    total = 0
    with writer(file, schema, rows) as add:
        for total, record in enumerate(records, start=1):  # noqa: B007 - the last number is the result
            add(record)
    return total


def _row_groups(
    parquet: pq.ParquetFile, columns: list[str] | None, size: int, rows: range | None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of an open file in batches of at most ``size``: all, or those with the numbers ``rows``.

    One iterator over all row groups would keep what it read until it ends.
    """
    rows = range(parquet.metadata.num_rows) if rows is None else rows
    begin = 0
    for number in range(parquet.num_row_groups):
        end = begin + parquet.metadata.row_group(number).num_rows
        if rows.start < end and begin < rows.stop:
            for batch in parquet.iter_batches(size, row_groups=[number], columns=columns, use_threads=False):
                first = min(max(rows.start - begin, 0), len(batch))
                yield batch.slice(first, max(rows.stop - begin - first, 0))
                begin += len(batch)
        begin = end


def _of_size(stream: Iterable[pa.RecordBatch], size: int) -> Iterator[pa.RecordBatch]:
    """Yield the same rows in batches of ``size``; only the last may have fewer."""
    held: list[pa.RecordBatch] = []
    for batch in stream:
        held.append(batch)
        if sum(map(len, held)) >= size:
            table = pa.Table.from_batches(held).combine_chunks()
            whole = len(table) - len(table) % size
            yield from table.slice(0, whole).to_batches(size)
            held = table.slice(whole).to_batches()
    if held:
        yield from pa.Table.from_batches(held).combine_chunks().to_batches(size)


def damaged(path: Path, error: Exception) -> RunDirError:
    """Return the error of a file that cannot be read."""
    return RunDirError(f"cannot read {path}: {error}; build it again with --fresh (paid answers stay)")


def batches(
    path: Path, columns: list[str] | None = None, size: int = ROWS, rows: range | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of ``path`` in batches of ``size``; only the last may have fewer.

    Args:
        path: a Parquet file.
        columns: their names; None: all.
        size: rows of a batch.
        rows: numbers of the wanted rows; None: all.

    Raises:
        RunDirError: the file is missing or damaged.
    """
    try:
        with pq.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False) as parquet:
            yield from _of_size(_row_groups(parquet, columns, size, rows), size)
    except (OSError, pa.ArrowException) as error:
        raise damaged(path, error) from error


def rows(path: Path, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the rows of ``path`` as dictionaries."""
    for batch in batches(path, columns, HELD):
        yield from batch.to_pylist()


def count(path: Path) -> int:
    """Return the number of rows, from the footer alone."""
    try:
        return int(pq.read_metadata(path).num_rows)
    except (OSError, pa.ArrowException) as error:
        raise damaged(path, error) from error


def read_passages(path: Path) -> Iterator[Passage]:
    """Read passages."""
    return read_records(path, Passage)


def read_annotations(path: Path, rows: range | None = None) -> Iterator[Annotation]:
    """Read annotations: all, or those with the numbers ``rows``."""
    return read_records(path, Annotation, rows)


def read_samples(path: Path) -> Iterator[Sample]:
    """Read samples."""
    return read_records(path, Sample)


def read_rejected(path: Path) -> Iterator[Rejected]:
    """Read rejected records."""
    return read_records(path, Rejected)


def read_records(path: Path, kind: type[Record], rows: range | None = None) -> Iterator[Record]:
    """Read records of ``kind`` by column names."""
    for batch in batches(path, size=HELD, rows=rows):
        yield from from_batch(batch, kind)


def pick(batch: pa.RecordBatch, wanted: Sequence[bool]) -> pa.RecordBatch:
    """Return the wanted rows."""
    return batch.filter(pa.array(wanted, pa.bool_()))


def from_batch(batch: pa.RecordBatch, kind: type[Record]) -> Iterator[Record]:
    """Yield the records of a batch; other columns are ignored. A file of an older version may lack the last columns."""
    fields = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    names = [name for name in fields if name in batch.schema.names]
    items = _items(kind)  # type: ignore[arg-type] # a class is hashable
    return starmap(kind, zip(*(_values(batch.column(name), items.get(name)) for name in names), strict=True))


def _values(column: pa.Array, item: type[Any] | None) -> Iterable[Any]:
    if item is None:
        values: list[Any] = column.to_pylist()
        return values
    inner = pa.RecordBatch.from_struct_array(column.flatten())
    items = from_batch(inner, item)
    return (tuple(islice(items, length)) for length in column.value_lengths().to_pylist())  # built when they are read
