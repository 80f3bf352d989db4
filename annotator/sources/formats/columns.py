"""Read formats that store columns: Parquet, and Arrow streams (as ``datasets.save_to_disk`` writes) and files."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from annotator.errors import SourceError, one_line
from annotator.sources.formats.files import LFS, EmptyFileError, Record, SourceFile, opened, refuse_repeated, unreadable
from annotator.sources.remote import RemoteFile

BATCH: Final = 1024
"""Rows that are decoded at a time."""
_BUFFER: Final = 1 << 20  # bytes: a column chunk is streamed, never loaded whole
_REMOTE_BUFFER: Final = 4 << 20  # bytes of a request: many, so that its latency matters little
_SHORT: Final = 512  # bytes; a Git LFS pointer has fewer
_ARROW_FILE: Final = b"ARROW1"  # how Arrow's file form begins; a stream begins otherwise
_TEXTUAL: Final = frozenset({"string", "large_string", "string_view", "binary", "large_binary", "binary_view", "null"})


class _CountedFile(io.FileIO):
    """A local file that counts what is read of it, like ``RemoteFile.ranges``."""

    bytes_read = 0

    def read(self, size: int | None = -1) -> bytes:
        content = super().read(size)
        self.bytes_read += len(content)
        return content


def read_parquet(file: SourceFile, fields: Sequence[str] = ()) -> Iterator[Record]:
    """Yield the rows of a Parquet file. Arguments and errors are those of ``formats.records``."""
    with opened_parquet(file) as (parquet, _):
        names = parquet.schema_arrow.names
        refuse_repeated(file, names, fields)
        wanted = [name for name in names if name in fields] if fields else None
        before = 0
        for group in range(parquet.num_row_groups):
            for batch in parquet.iter_batches(BATCH, row_groups=[group], columns=wanted, use_threads=False):
                yield from _records(batch, file.name, before)
                before += len(batch)


@contextmanager
def opened_parquet(file: SourceFile, metadata: pq.FileMetaData | None = None) -> Iterator[tuple[pq.ParquetFile, Any]]:
    """Open a Parquet file, with its footer where that was read before; yield it and its stream, with ``bytes_read``.

    Raises:
        SourceError: the file is empty, damaged or not Parquet, or becomes unreadable while it is open.
    """
    remote = isinstance(file.path, RemoteFile)
    try:
        with file.path.ranges() if isinstance(file.path, RemoteFile) else _CountedFile(file.path) as stream:
            if metadata is None and file.size < _SHORT:
                content = stream.read(_SHORT)
                if not content:
                    raise EmptyFileError(f"{file.path} is empty; get it again, or leave it out")
                if content.startswith(LFS):
                    raise SourceError(f"{file.path} is a Git LFS pointer, not the file itself; run: git lfs pull")
            size = _REMOTE_BUFFER if remote else _BUFFER
            with pq.ParquetFile(stream, metadata=metadata, buffer_size=size, pre_buffer=False) as parquet:
                yield parquet, stream
    except (pa.ArrowException, OSError) as error:
        raise _explained(file, "Parquet", error) from error


def _explained(file: SourceFile, form: str, error: Exception) -> SourceError:
    """Return the error of a file that cannot be read; pyarrow raises OSErrors without a number for damaged files."""
    if isinstance(error, OSError) and error.errno:
        return unreadable(file.path, error)
    return SourceError(f"{file.path} is not a whole {form} file: {one_line(error)}; get it again")


def read_arrow(file: SourceFile, fields: Sequence[str] = ()) -> Iterator[Record]:
    """Yield the rows of an Arrow file, a batch at a time. Arguments and errors are those of ``formats.records``."""
    with opened(file) as stream:
        if not stream.peek(1):
            raise EmptyFileError(f"{file.path} is empty; get it again, or leave it out")
        try:
            if stream.peek(len(_ARROW_FILE)).startswith(_ARROW_FILE):
                reader = pa.ipc.open_file(stream)
                batches = (reader.get_batch(number) for number in range(reader.num_record_batches))
            else:
                reader = batches = pa.ipc.open_stream(stream)
            refuse_repeated(file, reader.schema.names, fields)
            wanted = [name for name in reader.schema.names if name in fields] if fields else reader.schema.names
            before = 0
            for batch in batches:
                yield from _records(batch.select(wanted), file.name, before)
                before += len(batch)
        except (pa.ArrowException, OSError) as error:
            raise _explained(file, "Arrow", error) from error


def is_text(kind: pa.DataType) -> bool:
    """Return whether the values of a column of this type are text, bytes of text or nothing."""
    return str(kind.value_type if pa.types.is_dictionary(kind) else kind) in _TEXTUAL


def values(column: pa.Array, rows: Sequence[int] | None = None) -> list[Any]:
    """Return the values of a column, or of its ``rows``; strings that are not UTF-8 stay bytes."""
    if rows is not None:  # not take(), which has no kernel for views
        return [_value(column[row]) for row in rows]
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        return [_value(scalar) for scalar in column]


def _records(batch: pa.RecordBatch, name: str, before: int) -> Iterator[Record]:
    """Yield the rows of a batch; ``before`` rows of the file precede it."""
    columns = [values(column) for column in batch.columns]
    for number, cells in enumerate(zip(*columns, strict=True), start=before + 1):
        yield Record(f"{name}:{number}", dict(zip(batch.schema.names, cells, strict=True)))


def _value(scalar: pa.Scalar) -> object:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return scalar.as_buffer().to_pybytes()
