"""Read CSV with commas, semicolons or tabs. A broken record does not affect the rows after it."""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from annotator.errors import SourceError
from annotator.sources.formats.files import SHOWN, Record, SourceFile, opened, refuse_binary, refuse_repeated

DELIMITERS: Final = (",", ";", "\t")
_LONGEST_CELL: Final = 2**31 - 1  # characters: the most that a C long holds on every platform
_LONGEST: Final = 1 << 25  # characters of a record; with more, its quote was never closed


def read(file: SourceFile, fields: Sequence[str] = ()) -> Iterator[Record]:
    """Yield a record for each row, with its cells by column name.

    The first line names the columns; the delimiter is the one that gives the first of ``fields``. Bytes that are not
    UTF-8 become lone surrogates. A broken record (a quote that is not closed, or not doubled) ends where the next row
    begins that can be read. It is one record with an error, which counts its lines.

    Arguments and errors are those of ``formats.records``.
    """
    csv.field_size_limit(_LONGEST_CELL)
    with opened(file) as stream:
        refuse_binary(file, stream)
        lines = _Lines(io.TextIOWrapper(stream, encoding="utf-8", errors="surrogateescape", newline=""))
        header, delimiter = _header(file, next(filter(str.strip, lines)), fields)
        refuse_repeated(file, header, fields)
        yield from _rows(file, lines, header, delimiter)


def _header(file: SourceFile, line: str, fields: Sequence[str]) -> tuple[list[str], str]:
    """Return the columns and the delimiter: the one that gives the needed column, or the most columns."""
    readings: list[tuple[bool, int, list[str], str]] = []
    flaw = ""
    for delimiter in DELIMITERS:
        try:
            header = next(csv.reader([line], delimiter=delimiter, strict=True))
            readings.append((bool(fields) and fields[0] in header, len(header), header, delimiter))
        except csv.Error as error:
            flaw = str(error)
    if not readings:
        raise SourceError(f"{file.path} is not CSV: {flaw}; fix its first line")
    return max(readings, key=lambda reading: reading[:2])[2:]


def _rows(file: SourceFile, lines: _Lines, header: Sequence[str], delimiter: str) -> Iterator[Record]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    row_after_broken = _row_pattern(delimiter, len(header))
    broken: Record | None = None
    skipped = 0  # lines after the broken record that belong to it
    while True:
        lines.begin()
        where = f"{file.name}:{lines.number + 1}"
        cells, flaw = None, ""
        try:
            cells = next(reader, None)
        except csv.Error as error:
            flaw = f"not CSV: {error}"
        whole = "".join(lines.record)
        if broken and whole and (flaw or not row_after_broken.fullmatch(whole)):
            lines.push_back(lines.record[1:])
            skipped += 1
            continue
        if broken:
            more = f"; {skipped:,} lines after it are part of it" if skipped else ""
            yield replace(broken, error=broken.error + more)
            broken, skipped = None, 0
        if cells is None and not flaw:
            return
        if cells and len(cells) > len(header):
            flaw = f"{len(cells)} cells under {len(header)} columns"
        if flaw:
            lines.push_back(lines.record[1:])
            broken = Record(where, raw=lines.record[0][:SHOWN].rstrip("\r\n"), error=flaw)
        elif cells:
            yield Record(where, dict(zip(header, cells, strict=False)), whole[:SHOWN].rstrip("\r\n"))


class _Lines:
    """Iterates over the lines of a file; those of the last record can be put back."""

    def __init__(self, file: Iterable[str]) -> None:
        self._file = iter(file)
        self._waiting: deque[str] = deque()
        self.number = 0
        """Number of lines that were read and not put back."""
        self.record: list[str] = []
        """Lines since ``begin``."""
        self._size = 0

    def begin(self) -> None:
        """Start a record."""
        self.record, self._size = [], 0

    def push_back(self, lines: Sequence[str]) -> None:
        """Put back the last lines that were read."""
        self._waiting.extendleft(reversed(lines))
        self.number -= len(lines)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._size > _LONGEST:
            raise csv.Error(f"a record of more than {_LONGEST:,} characters")
        line = self._waiting.popleft() if self._waiting else next(self._file)
        self.number += 1
        self.record.append(line)
        self._size += len(line)
        return line


def _row_pattern(delimiter: str, width: int) -> re.Pattern[str]:
    """Return what a row after a broken record must match.

    The rest of a broken cell can look like a row. So a row has all its columns, quotes only around whole cells, and no
    space after a delimiter, as prose has.
    """
    between = re.escape(delimiter)
    cell = rf'(?:"(?:[^"]|"")*+"|(?![ ])[^"{between}\r\n]*+)'
    return re.compile(rf"(?:{cell}{between}){{{width - 1}}}{cell}[\r\n]*")
