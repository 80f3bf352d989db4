"""What is set aside on the disk while a sample is drawn: memory holds a number for each document, and no text."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self

from annotator.errors import SourceError
from annotator.records import Document

_CACHE: Final = 8192
"""KiB of a register that are kept in memory."""


class Shelf:
    """A temporary file of documents, one a line; it has no name and goes when the process goes."""

    def __init__(self) -> None:
        """Make the file where the system keeps temporary ones (``TMPDIR``)."""
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._end = 0

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Let go of the file."""
        self._file.close()

    def put(self, document: Document) -> int:
        """Set a document aside; returns its place.

        Raises:
            SourceError: the disk is full.
        """
        line = json.dumps([document.id, document.text, document.source], ensure_ascii=False).encode() + b"\n"
        place = self._end
        with _explained():
            self._file.seek(place)
            self._file.write(line)
            self._file.flush()
        self._end += len(line)
        return place

    def get(self, place: int) -> Document:
        """Take the document at ``place``; it stays there."""
        self._file.seek(place)
        return Document(*json.loads(self._file.readline()))


class Register:
    """Which ids and which texts were taken: a database of its own in a temporary file, which goes with the process."""

    def __init__(self) -> None:
        """Begin with none."""
        self._database = sqlite3.connect("", isolation_level=None)
        for line in (
            "PRAGMA journal_mode = OFF",
            f"PRAGMA cache_size = -{_CACHE}",
            "CREATE TABLE texts (hash BLOB PRIMARY KEY, id TEXT) WITHOUT ROWID",
            "CREATE TABLE ids (id TEXT PRIMARY KEY) WITHOUT ROWID",
        ):
            self._database.execute(line)

    def taken_as(self, text: bytes) -> str | None:
        """The id under which a text with this hash was taken, or None."""
        found = self._database.execute("SELECT id FROM texts WHERE hash = ?", (text,)).fetchone()
        return str(found[0]) if found else None

    def holds(self, identity: str) -> bool:
        """Whether this id is taken."""
        return self._database.execute("SELECT 1 FROM ids WHERE id = ?", (identity,)).fetchone() is not None

    def add(self, identity: str, text: bytes) -> None:
        """Take an id and the hash of a text, neither of which was taken.

        Raises:
            SourceError: the disk is full.
        """
        with _explained():
            self._database.execute("INSERT INTO texts VALUES (?, ?)", (text, identity))
            self._database.execute("INSERT INTO ids VALUES (?)", (identity,))


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        cause = getattr(error, "strerror", None) or error
        raise SourceError(
            f"cannot write to the temporary folder: {cause}; make room, or name another with TMPDIR"
        ) from error
