"""Parquet: rows one after the other, and what random access (``sources.parquet``) needs of a file."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from annotator.errors import SourceError, one_line
from annotator.sources.byte_ranges import ByteRanges, local_ranges
from annotator.sources.formats import table
from annotator.sources.formats.files import LFS, EmptyFileError, Record, SourceFile
from annotator.sources.remote import RemoteFile

if TYPE_CHECKING:
    import pyarrow.parquet as pq

BATCH: Final = 1024
"""Rows that are decoded at a time."""
_BUFFER: Final = 1 << 20  # bytes: a column chunk is streamed, never loaded whole
_REMOTE_BUFFER: Final = 4 << 20  # bytes a request asks for: enough to make little of the way there and back
_SHORT: Final = 512  # bytes; a Git LFS pointer has fewer


def read(file: SourceFile, fields: Sequence[str] = ()) -> Iterator[Record]:
    """Yield the rows of a file: the columns ``fields`` that are there, or all.

    Raises:
        SourceError: the file cannot be read, is not Parquet, or a needed column occurs twice.
    """
    with opened(file) as (parquet, _):
        names = parquet.schema_arrow.names
        table.refuse_repeated(file, names, fields)
        wanted = [name for name in names if name in fields] or (None if not fields else [])
        before = 0
        for group in range(parquet.num_row_groups):
            for batch in parquet.iter_batches(BATCH, row_groups=[group], columns=wanted, use_threads=False):
                yield from table.records(batch, file.name, before)
                before += len(batch)


@contextmanager
def opened(file: SourceFile, metadata: pq.FileMetaData | None = None) -> Iterator[tuple[pq.ParquetFile, ByteRanges]]:
    """Open a Parquet file, with its footer where that was read before.

    Raises:
        SourceError: it is empty, damaged or not Parquet, or becomes unreadable while it is open.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    remote = isinstance(file.path, RemoteFile)
    try:
        with file.path.ranges() if isinstance(file.path, RemoteFile) else local_ranges(file.path) as stream:
            if metadata is None and stream.seek(0, io.SEEK_END) < _SHORT:
                _refuse_short(file, stream)
            size = _REMOTE_BUFFER if remote else _BUFFER
            with pq.ParquetFile(stream, metadata=metadata, buffer_size=size, pre_buffer=False) as parquet:
                yield parquet, stream
    except pa.ArrowException as error:
        if isinstance(error.__context__, SourceError):
            raise error.__context__ from error
        raise SourceError(f"{file.path} is not a whole Parquet file: {one_line(error)}; get it again") from error
    except OSError as error:
        cause = error.strerror or one_line(error)
        raise SourceError(f"cannot read {file.path}: {cause}; check the permissions, or get it again") from error


def _refuse_short(file: SourceFile, stream: ByteRanges) -> None:
    stream.seek(0)
    head = stream.read(_SHORT)
    if not head:
        raise EmptyFileError(f"{file.path} is empty, not a whole Parquet file; get it again, or leave it out")
    if head.startswith(LFS):
        raise SourceError(f"{file.path} is a Git LFS pointer, not the file itself; run: git lfs pull")
