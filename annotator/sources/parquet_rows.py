"""Parquet files as one long sequence of rows, in which any row is reached by its number."""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

from annotator.errors import SourceError
from annotator.records import Rejected
from annotator.sources.documents import Columns, Reading, Row, check_columns, rejected, to_row
from annotator.sources.formats.files import EmptyFileError, Record, SourceFile
from annotator.sources.formats.parquet import BATCH, opened
from annotator.sources.formats.table import is_text, refuse_repeated, values
from annotator.sources.remote import READERS, RemoteFile, credentials, together

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_HELD = 4096  # rows of one remote row group that are kept in memory at most; where more are needed, they are streamed
_RANGES = 4096  # byte ranges of a file that are kept apart before they are joined
_HELD_HERE = 512  # as above, of a local file, where there is nothing to wait for


@dataclass(frozen=True, slots=True)
class RowGroup:
    """One row group: all that a worker needs in order to read rows of it."""

    file: SourceFile
    index: int
    """Its number in its file."""
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
    """Rows with their numbers, and the byte ranges of the file that were read for them."""

    rows: tuple[tuple[int, Row], ...]
    file: SourceFile
    ranges: tuple[tuple[int, int], ...]


class ParquetFiles:
    """The rows of several files, numbered from zero in the order of the files; only footers are read to begin with."""

    def __init__(self, files: Sequence[SourceFile], reading: Reading) -> None:
        """Read the footers, several at once.

        Raises:
            SourceError: a file is not Parquet, cannot be read, or lacks a needed column; the only file is empty.
        """
        self._columns = reading.columns
        self._engine = reading.engine if reading.engine and reading.engine.distributed else None
        self._groups: list[RowGroup] = []
        self._metadata: dict[SourceFile, pq.FileMetaData] = {}
        self._touched: set[int] = set()
        self._ranges: dict[SourceFile, list[tuple[int, int]]] = {}
        self.row_count = 0
        self.empty: list[Rejected] = []
        """Files without a byte, among others."""
        self.bytes_total = sum(file.size for file in files)
        found = together(lambda file: _footer(file, self._columns, alone=len(files) == 1), list(files))
        for file, footer in zip(files, found, strict=True):
            if footer is None:
                self.empty.append(rejected("empty file", file.name, "", "it has no bytes"))
                continue
            self._metadata[file] = metadata = footer[0]
            self._add_ranges(file, footer[1])
            before = 0
            for index in range(metadata.num_row_groups):
                self._groups.append(RowGroup(file, index, self.row_count + before, before))
                before += metadata.row_group(index).num_rows
            self.row_count += before
        self._starts = [group.first for group in self._groups]

    @property
    def bytes_read(self) -> int:
        """Bytes of the files that were read, each counted once."""
        return sum(end - start for ranges in self._ranges.values() for start, end in _union(ranges))

    def _add_ranges(self, file: SourceFile, ranges: Iterable[tuple[int, int]]) -> None:
        known = self._ranges.setdefault(file, [])
        known += ranges
        if len(known) > _RANGES:
            self._ranges[file] = _union(known)

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
                for found in self._spread(some) if self._engine and self._are_remote else self._by_threads(some):
                    self._add_ranges(found.file, found.ranges)
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
        assert self._engine  # noqa: S101 - checked by the caller
        work = partial(_take, columns=self._columns, environment=credentials())
        for found in self._engine.spread(work, self._parts(wanted)):
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
        with opened(group.file, self._metadata[group.file]) as (parquet, stream):
            yield from _rows(parquet, group, rows, self._columns)
            self._add_ranges(group.file, stream.ranges)


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
    with opened(group.file, metadata) as (parquet, stream):
        found = tuple(_rows(parquet, group, rows, columns))
        return Taken(found, group.file, tuple(stream.ranges))


def _rows(parquet: pq.ParquetFile, group: RowGroup, rows: Sequence[int], columns: Columns) -> Iterator[tuple[int, Row]]:
    there = parquet.schema_arrow.names
    wanted = [name for name in (columns.text, columns.id) if name in there]
    first = group.first
    for batch in parquet.iter_batches(BATCH, row_groups=[group.index], columns=wanted, use_threads=False):
        members = rows[bisect_left(rows, first) : bisect_left(rows, first + len(batch))]
        if members:
            picked = [values(batch.column(name), [row - first for row in members]) for name in wanted]
            for row, cells in zip(members, zip(*picked, strict=True), strict=True):
                where = f"{group.file.name}:{row - group.first + group.before + 1}"
                yield row, to_row(group.file.name, Record(where, dict(zip(wanted, cells, strict=True))), columns)
        first += len(batch)
        if first > rows[-1]:
            return


def _footer(file: SourceFile, columns: Columns, *, alone: bool) -> tuple[pq.FileMetaData, list[tuple[int, int]]] | None:
    """Return a file's footer, and the byte ranges that were read for it; None for an empty file among others."""
    try:
        with opened(file) as (parquet, stream):
            _check_schema(file, parquet, columns)
            return parquet.metadata, stream.ranges
    except EmptyFileError:
        if alone:
            raise
        return None


def _check_schema(file: SourceFile, parquet: pq.ParquetFile, columns: Columns) -> None:
    """Raise a SourceError unless the needed columns are there, each once, and the text is text."""
    names = parquet.schema_arrow.names
    refuse_repeated(file, names, (columns.text, columns.id))
    check_columns(str(file.path), names, columns)
    kind = parquet.schema_arrow.field(columns.text).type
    if not is_text(kind):
        raise SourceError(f'column "{columns.text}" of {file.path} is {kind}, not text; name another with --text-field')


def _union(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ``ranges`` in order, those that touch or overlap joined."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return joined
