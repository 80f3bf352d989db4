"""Parquet files as one long sequence of rows, in which any row is reached by its number."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any

from annotator.errors import SourceError
from annotator.sources.locating import SourceFile
from annotator.sources.rows import Columns, Record, Row, check_columns, to_row

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_BATCH = 1024  # rows decoded at a time
_READ_BUFFER = 1 << 20  # bytes: a column chunk is streamed, never loaded whole


class ParquetFiles:
    """The rows of several files, numbered from zero in the order of the files; only footers are read to begin with."""

    def __init__(self, files: Sequence[SourceFile], columns: Columns) -> None:
        """Read the footers.

        Raises:
            SourceError: a file is not Parquet, cannot be read, or lacks a wanted column.
        """
        self._columns = columns
        self._starts: list[int] = []  # number of the first row of each row group
        self._groups: list[tuple[SourceFile, int]] = []  # whose row group it is, and which
        self._file_starts: dict[SourceFile, int] = {}
        self._touched: set[int] = set()
        self.row_count = 0
        for file in files:
            self._file_starts[file] = self.row_count
            with _opened(file) as parquet:
                _check_schema(file, parquet.schema_arrow, columns)
                for group in range(parquet.metadata.num_row_groups):
                    self._groups.append((file, group))
                    self._starts.append(self.row_count)
                    self.row_count += parquet.metadata.row_group(group).num_rows

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

        Raises:
            SourceError: a file is damaged or has become unreadable.
        """
        by_group = groupby(rows, key=lambda row: bisect_right(self._starts, row) - 1)
        for file, groups in groupby(by_group, key=lambda item: self._groups[item[0]][0]):
            with _opened(file) as parquet:
                for group, members in groups:
                    self._touched.add(group)
                    yield from self._take_from_group(parquet, group, list(members))

    def _take_from_group(self, parquet: pq.ParquetFile, group: int, rows: list[int]) -> Iterator[tuple[int, Row]]:
        """Yield the wanted rows of one row group, decoded batch by batch up to the last of them."""
        file, index = self._groups[group]
        there = parquet.schema_arrow.names
        wanted = [name for name in (self._columns.text, self._columns.id) if name in there]
        first = self._starts[group]
        for batch in parquet.iter_batches(_BATCH, row_groups=[index], columns=wanted, use_threads=False):
            members = rows[bisect_left(rows, first) : bisect_left(rows, first + len(batch))]
            if members:
                picked = batch.take([row - first for row in members])
                values = [_values(picked.column(name)) for name in wanted]
                for row, cells in zip(members, zip(*values, strict=True), strict=True):
                    where = f"{file.name}:{row - self._file_starts[file] + 1}"
                    yield row, to_row(file.name, Record(where, dict(zip(wanted, cells, strict=True))), self._columns)
            first += len(batch)
            if first > rows[-1]:
                return


@contextmanager
def _opened(file: SourceFile) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file, and turn what goes wrong while it is read into a SourceError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with file.path.open("rb") as stream, pq.ParquetFile(stream, buffer_size=_READ_BUFFER) as parquet:
            yield parquet
    except pa.ArrowException as error:
        raise SourceError(f"{file.path} is not a whole Parquet file: {_one_line(error)}; get it again") from error
    except OSError as error:
        cause = error.strerror or _one_line(error)
        raise SourceError(f"cannot read {file.path}: {cause}; check the permissions, or get it again") from error


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
