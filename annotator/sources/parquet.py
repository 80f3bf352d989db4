"""Parquet files as one long sequence of rows, in which any row is reached by its number."""

from __future__ import annotations

import io
import os
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, BinaryIO

from annotator.errors import SourceError
from annotator.sources.locating import SourceFile
from annotator.sources.remote import READERS, RemoteFile, credentials, together
from annotator.sources.rows import Columns, Reading, Record, Row, check_columns, to_row

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_BATCH = 1024  # rows decoded at a time
_READ_BUFFER = 1 << 20  # bytes: a column chunk is streamed, never loaded whole
_HELD = 4096  # rows of one row group elsewhere that are held at most; where more are wanted, they are streamed
_HELD_HERE = 512  # as above, of a file on this machine's disk, where there is nothing to wait for
_REMOTE_BUFFER = 4 << 20  # bytes a request asks for: enough to make little of the way there and back


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Where some rows lie: all that a worker needs in order to read them."""

    file: SourceFile
    index: int
    """Which row group of its file."""
    first: int
    """Number of its first row in the source."""
    before: int
    """Rows of its file that come before it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Rows of one row group, by their ascending numbers in the source."""

    group: RowGroup
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Taken:
    """Rows with their numbers, and the bytes that were read for them."""

    rows: tuple[tuple[int, Row], ...]
    bytes_read: int


class ParquetFiles:
    """The rows of several files, numbered from zero in the order of the files; only footers are read to begin with."""

    def __init__(self, files: Sequence[SourceFile], reading: Reading) -> None:
        """Read the footers, several at once.

        Raises:
            SourceError: a file is not Parquet, cannot be read, or lacks a wanted column.
        """
        self._columns, self._tasks = reading.columns, reading.tasks
        self._groups: list[RowGroup] = []
        self._metadata: dict[SourceFile, pq.FileMetaData] = {}
        self._touched: set[int] = set()
        self.row_count = 0
        footers = together(lambda file: _footer(file, self._columns), list(files))
        self.bytes_total = sum(file.size for file in files)
        self.bytes_read = 0
        for file, (metadata, read) in zip(files, footers, strict=True):
            self._metadata[file] = metadata
            self.bytes_read += read
            before = 0
            for index in range(metadata.num_row_groups):
                self._groups.append(RowGroup(file, index, self.row_count + before, before))
                before += metadata.row_group(index).num_rows
            self.row_count += before
        self._starts = [group.first for group in self._groups]

    @property
    def row_groups(self) -> int:
        """Row groups of all files."""
        return len(self._groups)

    @property
    def row_groups_read(self) -> int:
        """Row groups that ``take`` has opened so far, each counted once."""
        return len(self._touched)

    def take(self, rows: Sequence[int]) -> Iterator[tuple[int, Row]]:
        """Yield the rows of these ascending numbers, each with its number; only row groups that hold one are read.

        Several row groups are read at once; they come in order. Those of files elsewhere are read by the tasks, where
        there are any; one of which many rows are wanted is read here, batch by batch.

        Raises:
            SourceError: a file is damaged or has become unreadable.
        """
        wanted = (
            Wanted(self._groups[place], tuple(members))
            for place, members in groupby(rows, key=lambda row: bisect_right(self._starts, row) - 1)
        )
        held = _HELD if self._are_remote else _HELD_HERE
        for many, some in groupby(wanted, key=lambda one: len(one.rows) > held):
            if many:
                for one in some:
                    self._touched.add(one.group.first)
                    yield from self._streamed(one.group, one.rows)
            else:
                for found in self._spread(some) if self._tasks and self._are_remote else self._by_threads(some):
                    self.bytes_read += found.bytes_read
                    yield from found.rows

    @property
    def _are_remote(self) -> bool:
        return any(isinstance(file.path, RemoteFile) for file in self._metadata)

    def _by_threads(self, wanted: Iterable[Wanted]) -> Iterator[Taken]:
        readers = READERS if self._are_remote else min(4, os.cpu_count() or 1)
        pool, waiting = ThreadPoolExecutor(readers), deque[Future[Taken]]()
        try:
            for one in wanted:
                self._touched.add(one.group.first)
                metadata = self._metadata[one.group.file]
                waiting.append(pool.submit(take_from, one.group, one.rows, self._columns, metadata))
                if len(waiting) > readers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _spread(self, wanted: Iterable[Wanted]) -> Iterator[Taken]:
        assert self._tasks  # noqa: S101 - asked before
        work = partial(_take, columns=self._columns, environment=credentials())
        for found in self._tasks.spread(work, self._parts(wanted)):
            yield from found

    def _parts(self, wanted: Iterable[Wanted]) -> Iterator[tuple[list[Wanted], pq.FileMetaData]]:
        """Row groups of one file for each task, so that its footer, which can be long, travels with several."""
        for file, some in groupby(wanted, key=lambda one: one.group.file):
            part: list[Wanted] = []
            for one in some:
                if len(part) == READERS or sum(len(other.rows) for other in part) + len(one.rows) > _HELD:
                    yield part, self._metadata[file]
                    part = []
                self._touched.add(one.group.first)
                part.append(one)
            yield part, self._metadata[file]

    def _streamed(self, group: RowGroup, rows: Sequence[int]) -> Iterator[tuple[int, Row]]:
        with _opened(group.file, self._metadata[group.file]) as (parquet, stream):
            yield from _rows(parquet, group, rows, self._columns)
            self.bytes_read += stream.bytes_read


def _take(
    part: tuple[list[Wanted], pq.FileMetaData], columns: Columns, environment: Mapping[str, str]
) -> tuple[Taken, ...]:
    """What a task does: read some row groups of a file elsewhere, all at once."""
    os.environ.update(environment)
    wanted, metadata = part
    return tuple(together(lambda one: take_from(one.group, one.rows, columns, metadata), wanted))


def take_from(group: RowGroup, rows: Sequence[int], columns: Columns, metadata: pq.FileMetaData | None = None) -> Taken:
    """Read the rows of these ascending numbers of one row group, decoded batch by batch up to the last of them.

    Args:
        group: where they lie.
        rows: their numbers in the source.
        columns: what of them is wanted; nothing else is read.
        metadata: the file's footer, so that it need not be read again.

    Raises:
        SourceError: the file is damaged or has become unreadable.
    """
    with _opened(group.file, metadata) as (parquet, stream):
        found = tuple(_rows(parquet, group, rows, columns))
        return Taken(found, stream.bytes_read)


def _rows(parquet: pq.ParquetFile, group: RowGroup, rows: Sequence[int], columns: Columns) -> Iterator[tuple[int, Row]]:
    there = parquet.schema_arrow.names
    wanted = [name for name in (columns.text, columns.id) if name in there]
    first = group.first
    for batch in parquet.iter_batches(_BATCH, row_groups=[group.index], columns=wanted, use_threads=False):
        members = rows[bisect_left(rows, first) : bisect_left(rows, first + len(batch))]
        if members:
            picked = batch.take([row - first for row in members])
            values = [_values(picked.column(name)) for name in wanted]
            for row, cells in zip(members, zip(*values, strict=True), strict=True):
                where = f"{group.file.name}:{row - group.first + group.before + 1}"
                yield row, to_row(group.file.name, Record(where, dict(zip(wanted, cells, strict=True))), columns)
        first += len(batch)
        if first > rows[-1]:
            return


class _Counted(io.RawIOBase):
    """A file that knows how much of it was read."""

    def __init__(self, file: BinaryIO | io.RawIOBase) -> None:
        self._file, self.bytes_read = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def read(self, size: int | None = -1) -> bytes:
        content = self._file.read(-1 if size is None else size) or b""
        self.bytes_read += len(content)
        return content

    def close(self) -> None:
        self._file.close()
        super().close()


@contextmanager
def _opened(file: SourceFile, metadata: pq.FileMetaData | None = None) -> Iterator[tuple[pq.ParquetFile, _Counted]]:
    """Open a Parquet file, and turn what goes wrong while it is read into a SourceError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    remote = isinstance(file.path, RemoteFile)
    try:
        with (
            _Counted(file.path.ranges() if isinstance(file.path, RemoteFile) else file.path.open("rb")) as stream,
            pq.ParquetFile(
                stream, metadata=metadata, buffer_size=_REMOTE_BUFFER if remote else _READ_BUFFER, pre_buffer=False
            ) as parquet,
        ):
            yield parquet, stream
    except pa.ArrowException as error:
        if isinstance(error.__context__, SourceError):
            raise error.__context__ from error
        raise SourceError(f"{file.path} is not a whole Parquet file: {_one_line(error)}; get it again") from error
    except OSError as error:
        cause = error.strerror or _one_line(error)
        raise SourceError(f"cannot read {file.path}: {cause}; check the permissions, or get it again") from error


def _footer(file: SourceFile, columns: Columns) -> tuple[pq.FileMetaData, int]:
    """Read what a file says of itself; returns how many bytes that took."""
    with _opened(file) as (parquet, stream):
        _check_schema(file, parquet.schema_arrow, columns)
        return parquet.metadata, stream.bytes_read


def _check_schema(file: SourceFile, schema: pa.Schema, columns: Columns) -> None:
    """Raise a SourceError unless the wanted columns are there and the text is text."""
    import pyarrow as pa

    check_columns(str(file.path), schema.names, columns)
    kind = schema.field(columns.text).type
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    textual = ("string", "large_string", "string_view", "binary", "large_binary", "binary_view")
    if str(value) not in textual:
        raise SourceError(f'column "{columns.text}" of {file.path} is {kind}, not text; name another with --text-field')


def _values(column: pa.Array) -> list[Any]:
    """Return the values of a column; strings that are not UTF-8 come as bytes, which ``to_row`` rejects one by one."""
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        return [_value(scalar) for scalar in column]


def _value(scalar: pa.Scalar) -> object:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return scalar.as_buffer().to_pybytes()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
