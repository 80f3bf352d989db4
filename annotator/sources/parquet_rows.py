"""Read rows of Parquet files by their numbers, as if the files were one sequence of rows."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, starmap

import pyarrow.parquet as pq

from annotator.errors import SourceError
from annotator.records import Rejected
from annotator.sources.documents import Columns, Row, check_columns, rejected, to_row
from annotator.sources.formats.columns import BATCH, is_text, opened_parquet, values
from annotator.sources.formats.files import EmptyFileError, Record, SourceFile, refuse_repeated
from annotator.sources.remote import RemoteFile, together

_HELD = 4096  # rows of a remote row group that are kept in memory at most; where more are needed, they are streamed


@dataclass(frozen=True, slots=True)
class _RowGroup:
    file: SourceFile
    footer: pq.FileMetaData
    index: int
    """Its number in its file."""
    first: int
    """Number of its first row in the source."""
    before: int
    """Rows of its file that come before it."""


class ParquetFiles:
    """The rows of several files, numbered from zero in the order of the files; only footers are read to begin with."""

    def __init__(self, files: Sequence[SourceFile], columns: Columns) -> None:
        """Read the footers, several at once.

        Raises:
            SourceError: a file is not Parquet, cannot be read, or lacks a needed column.
        """
        self._columns = columns
        self._groups: list[_RowGroup] = []
        self._bytes: dict[int, int] = {}  # that were read of a row group, by its first row
        self._footer_bytes = 0
        self._remote = any(isinstance(file.path, RemoteFile) for file in files)
        self.row_count = 0
        self.empty: list[Rejected] = []
        """Files without a byte."""
        self.bytes_total = sum(file.size for file in files)
        for file, (footer, size) in zip(files, together(self._read_footer, files), strict=True):
            if footer is None:
                self.empty.append(rejected("empty file", file.name, "", "it has no bytes"))
                continue
            self._footer_bytes += size
            before = 0
            for index in range(footer.num_row_groups):
                self._groups.append(_RowGroup(file, footer, index, self.row_count + before, before))
                before += footer.row_group(index).num_rows
            self.row_count += before
        self._starts = [group.first for group in self._groups]

    @property
    def bytes_read(self) -> int:
        """Bytes of the footers and row groups that were read; those of a row group that is read again count once."""
        return self._footer_bytes + sum(self._bytes.values())

    @property
    def row_groups(self) -> int:
        """Row groups of all files."""
        return len(self._groups)

    @property
    def row_groups_read(self) -> int:
        """Row groups that ``take`` has read so far, each counted once."""
        return len(self._bytes)

    def take(self, rows: Sequence[int]) -> Iterator[tuple[int, Row]]:
        """Yield the rows of these ascending numbers, each with its number; only row groups that hold one are read.

        Remote row groups are read several at once, in order.

        Raises:
            SourceError: a file is damaged or has become unreadable.
        """
        by_group = groupby(rows, key=lambda row: self._groups[bisect_right(self._starts, row) - 1])
        wanted = ((group, list(members)) for group, members in by_group)
        for ahead, some in groupby(wanted, key=lambda one: self._remote and len(one[1]) <= _HELD):
            if ahead:
                yield from chain.from_iterable(together(lambda one: list(self._read_rows(*one)), some))
            else:
                yield from chain.from_iterable(starmap(self._read_rows, some))

    def _read_rows(self, group: _RowGroup, rows: Sequence[int]) -> Iterator[tuple[int, Row]]:
        """Yield rows of one row group by their ascending numbers, decoded batch by batch up to the last of them."""
        with opened_parquet(group.file, group.footer) as (parquet, stream):
            there = parquet.schema_arrow.names
            wanted = [name for name in (self._columns.text, self._columns.id) if name in there]
            first = group.first
            for batch in parquet.iter_batches(BATCH, row_groups=[group.index], columns=wanted, use_threads=False):
                members = rows[bisect_left(rows, first) : bisect_left(rows, first + len(batch))]
                picked = [values(batch.column(name), [row - first for row in members]) for name in wanted]
                for row, cells in zip(members, zip(*picked, strict=True), strict=True):
                    where = f"{group.file.name}:{row - group.first + group.before + 1}"
                    record = Record(where, dict(zip(wanted, cells, strict=True)))
                    yield row, to_row(group.file.name, record, self._columns)
                first += len(batch)
                if first > rows[-1]:
                    break
            self._bytes[group.first] = max(stream.bytes_read, self._bytes.get(group.first, 0))

    def _read_footer(self, file: SourceFile) -> tuple[pq.FileMetaData | None, int]:
        """Return a file's footer, None for an empty file, and the bytes that were read for it.

        Raises:
            SourceError: it is not Parquet, lacks a needed column or has it twice, or its text is no text.
        """
        text = self._columns.text
        try:
            with opened_parquet(file) as (parquet, stream):
                schema = parquet.schema_arrow
                refuse_repeated(file, schema.names, (text, self._columns.id))
                check_columns(str(file.path), schema.names, self._columns)
                kind = schema.field(text).type
                if not is_text(kind):
                    flaw = f'column "{text}" of {file.path} is {kind}, not text'
                    raise SourceError(f"{flaw}; name another with --text-field")
                return parquet.metadata, stream.bytes_read
        except EmptyFileError:
            return None, 0
