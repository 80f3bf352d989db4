"""CSV with commas, semicolons or tabs. A broken record costs itself, not the rows that follow it."""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

from annotator.errors import SourceError
from annotator.sources.formats.files import SHOWN, Record, SourceFile, opened, refuse_binary
from annotator.sources.formats.table import refuse_repeated

DELIMITERS: Final = (",", ";", "\t")
_LONGEST_CELL: Final = 2**31 - 1  # characters: the most that a C long holds on every platform
_LONGEST: Final = 1 << 25  # characters of a record; with more, its quote was never closed
_AHEAD: Final = 10_000  # lines without a quote that are looked at before they count as records


def read(file: SourceFile, fields: Sequence[str] = ()) -> Iterator[Record]:
    """Yield a record for each row, with its cells by column name.

    A record that is broken (a quote that is not closed, or not doubled) ends where the next row begins that can be
    read. It comes as one record with an error, which counts the lines that went with it.

    Args:
        file: its first row names the columns. What is not UTF-8 comes through as lone surrogates.
        fields: the columns that are needed; the delimiter is the one that gives the first of them.

    Raises:
        SourceError: the file cannot be read, is empty, its first row is broken, or a needed column occurs twice.
    """
    csv.field_size_limit(_LONGEST_CELL)
    with opened(file) as stream:
        refuse_binary(file, stream)
        lines = _Lines(io.TextIOWrapper(stream, encoding="utf-8", errors="surrogateescape", newline=""))
        header, delimiter = _header(file, lines, fields)
        refuse_repeated(file, header, fields)
        yield from _rows(file, lines, header, delimiter)


def _header(file: SourceFile, lines: _Lines, fields: Sequence[str]) -> tuple[list[str], str]:
    readings: list[tuple[bool, int, list[str], str, list[str]]] = []
    flaw = "it has no rows"
    for delimiter in DELIMITERS:
        lines.begin()
        try:
            header = next((cells for cells in csv.reader(lines, delimiter=delimiter, strict=True) if cells), [])
        except csv.Error as error:
            flaw = str(error)
        else:
            readings.append((bool(fields) and fields[0] in header, len(header), header, delimiter, list(lines.record)))
        lines.push_back(lines.record)
    if not readings:
        raise SourceError(f"{file.path} is not CSV: {flaw}; fix its first line")
    _, _, header, delimiter, used = max(readings, key=lambda found: found[:2])
    for _ in used:
        next(lines)
    return header, delimiter


def _rows(file: SourceFile, lines: _Lines, header: Sequence[str], delimiter: str) -> Iterator[Record]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    resume = _Resume(lines, delimiter, len(header))
    while True:
        lines.begin()
        number = lines.number + 1
        try:
            cells, flaw = next(reader), ""
        except StopIteration:
            return
        except csv.Error as error:
            cells, flaw = [], f"not CSV: {error}"
        raw = "".join(lines.record)[:SHOWN].rstrip("\r\n")
        if len(cells) > len(header):
            flaw = f"{len(cells)} cells under {len(header)} columns"
        if flaw:
            lines.push_back(lines.record[1:])
            resume.skip()
            if swallowed := lines.number - number:
                flaw += f"; {swallowed:,} lines after it are part of it"
            yield Record(f"{file.name}:{number}", raw=raw.splitlines()[0] if raw else "", error=flaw)
        elif cells:
            yield Record(f"{file.name}:{number}", dict(zip(header, cells, strict=False)), raw)


class _Lines:
    """The lines of a file, of which those of the last record can be put back."""

    def __init__(self, file: io.TextIOBase) -> None:
        self._file = file
        self._waiting: deque[str] = deque()
        self.number = 0
        """Lines that were read and not put back."""
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


class _Resume:
    """Finds the row at which reading goes on after a broken record.

    The remains of a broken cell can look like rows. So a row to go on with has all its columns, quotes only around
    whole cells, and no space after a delimiter, as prose has; and lines without a quote belong to the broken cell if
    the next line with one does.
    """

    def __init__(self, lines: _Lines, delimiter: str, width: int) -> None:
        self._lines = lines
        between = re.escape(delimiter)
        cell = rf'(?:"(?:[^"]|"")*+"|(?![ ])[^"{between}\r\n]*+)'
        self._row = re.compile(rf"(?:{cell}{between}){{{width - 1}}}{cell}[\r\n]*")

    def skip(self) -> None:
        """Leave out lines up to the next row that can be read."""
        undecided: list[str] = []
        while len(undecided) < _AHEAD:
            found = self._candidate()
            if len(found) == 1 and '"' not in found[0]:
                undecided += found
                continue
            if not found or self._row.fullmatch("".join(found)):
                self._lines.push_back(found)
                break
            self._lines.push_back(found[1:])
            undecided = []
        at = next((at for at, row in enumerate(undecided) if self._row.fullmatch(row)), len(undecided))
        self._lines.push_back(undecided[at:])

    def _candidate(self) -> list[str]:
        """Return the next line, and those after it up to the one that closes its quotes."""
        self._lines.begin()
        quotes = 0
        try:
            for line in self._lines:
                quotes += line.count('"')
                if quotes % 2 == 0:
                    break
        except csv.Error:  # too long: the quote was never closed
            pass
        return self._lines.record
