"""Rows by the million in memory that does not grow: sorted by a hash, run after run, in a temporary file.

What belongs together has the same hash, so it comes back together, whatever order it went in: counting, finding
duplicates and joining go part by part. Some ten thousand rows never see the disk.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from annotator.errors import RunDirError
from annotator.storage.memory import give_back

HELD: Final = 1 << 15
"""Rows in memory at a time (24 bytes each): those that wait, and those of a part that comes back."""
_RUNS: Final = 512
"""Sorted runs from which on they become longer, and parts with them: each part reads from every run."""
ROW: Final = np.dtype([("key", "<u8"), ("value", "<u8"), ("kind", "<i4"), ("number", "<i4")])

Rows = npt.NDArray[np.void]
Hashes = npt.NDArray[np.uint64]


class Spill:
    """Takes rows in any order, and gives them back by their keys, which must be hashes (spread evenly)."""

    def __init__(self) -> None:
        self._limit = HELD
        self._waiting: list[Rows] = []
        self._held = 0
        self._file: IO[bytes] | None = None
        self._runs: list[tuple[int, int]] = []
        """First row and length of each sorted run in the file."""

    def add(self, key: Hashes, value: Any = 0, kind: Any = 0, number: Any = 0) -> None:
        """Take a row for each key; the other columns are one value for all rows, or as many as keys."""
        for begin in range(0, len(key), self._limit):
            part = slice(begin, begin + self._limit)
            rows = np.empty(len(key[part]), ROW)
            for name, column in (("key", key), ("value", value), ("kind", kind), ("number", number)):
                rows[name] = column[part] if isinstance(column, np.ndarray) else column
            self._waiting.append(rows)
            self._held += len(rows)
            if self._held >= self._limit:
                self._write()

    def parts(self) -> Iterator[Rows]:
        """All rows, sorted by key; those of one key come in one part. Parts are ``HELD`` rows or so."""
        if not self._runs:
            if self._waiting:
                yield self._sorted()
            return
        if self._waiting:
            self._write()
        give_back()  # what filled the memory until now is done
        total = sum(length for _, length in self._runs)
        number = -(-total // self._limit)
        bounds = np.array([(part << 64) // number for part in range(1, number)], np.uint64)
        ends = np.array([self._ends(*run, bounds) for run in self._runs])
        begins = np.zeros(len(ends), np.int32)
        for part in range(number):
            places = zip(self._runs, begins.tolist(), ends[:, part].tolist(), strict=True)
            rows = np.concatenate([self._read(first + begin, end - begin) for (first, _), begin, end in places])
            begins = ends[:, part]
            if len(rows):
                yield rows[np.argsort(rows["key"], kind="stable")]

    def _ends(self, first: int, length: int, bounds: Hashes) -> npt.NDArray[np.int32]:
        """Where in a run each part ends."""
        return np.append(np.searchsorted(self._read(first, length)["key"], bounds), length).astype(np.int32)

    def _sorted(self) -> Rows:
        rows = np.concatenate(self._waiting)
        self._waiting, self._held = [], 0
        rows = rows[np.argsort(rows["key"], kind="stable")]
        self._waiting = [rows]  # they may be asked for again
        return rows

    def _write(self) -> None:
        rows = self._sorted()
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the rows, and has no name
            begin = self._file.seek(0, 2) // ROW.itemsize
            self._file.write(rows.tobytes())
            self._file.flush()
        except OSError as error:
            raise RunDirError(
                f"cannot write temporary rows to {tempfile.gettempdir()}: {error.strerror or error};"
                " free some space, or set TMPDIR to a folder with more"
            ) from error
        self._runs.append((begin, len(rows)))
        self._limit = max(self._limit, (begin + len(rows)) // _RUNS)
        self._waiting, self._held = [], 0

    def _read(self, begin: int, length: int) -> Rows:
        if self._file is None:
            return np.zeros(0, ROW)
        self._file.seek(begin * ROW.itemsize)
        return np.frombuffer(self._file.read(length * ROW.itemsize), ROW)


def runs_of(*columns: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Where each run of equal rows begins, in columns that are sorted together."""
    if not len(columns[0]):
        return np.zeros(0, np.int64)
    new = np.ones(len(columns[0]), bool)
    new[1:] = columns[0][1:] != columns[0][:-1]
    for column in columns[1:]:
        new[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(new)


def looked_up(known: Hashes, wanted: Hashes) -> npt.NDArray[np.int64]:
    """For each wanted hash its first place among the known ones, which are sorted; -1 where it is not there."""
    if not len(known):
        return np.full(len(wanted), -1)
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[place] == wanted, place, -1)
