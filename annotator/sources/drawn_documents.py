"""Store the documents of a draw in a temporary database: memory holds a number for each of them, and no text."""

from __future__ import annotations

from typing import Self

from annotator.records import Document
from annotator.storage.scratch import full_disk_explained, temporary_database


class Drawn:
    """Documents that wait, and the ids and texts that were accepted. A context manager that deletes them.

    Methods raise ``RunDirError`` where the disk is full.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._database = temporary_database(
            "documents (number INTEGER PRIMARY KEY, row INTEGER, id TEXT, text TEXT, source TEXT)",
            "accepted (id TEXT PRIMARY KEY, hash BLOB UNIQUE) WITHOUT ROWID",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def put(self, document: Document, row: int = 0) -> int:
        """Store a document with the number of its row in the source; return its own number, from 1 on."""
        values = (row, document.id, document.text, document.source)
        with full_disk_explained():
            return self._database.execute("INSERT INTO documents VALUES (NULL, ?, ?, ?, ?)", values).lastrowid or 0

    def get(self, number: int) -> Document:
        """Return the document with this number."""
        query = "SELECT id, text, source FROM documents WHERE number = ?"
        return Document(*self._database.execute(query, (number,)).fetchone())

    def row(self, number: int) -> int:
        """Return the row of the document with this number."""
        return int(self._database.execute("SELECT row FROM documents WHERE number = ?", (number,)).fetchone()[0])

    def accepted_as(self, text: bytes) -> str | None:
        """Return the id under which a text with this hash was accepted, or None."""
        found = self._database.execute("SELECT id FROM accepted WHERE hash = ?", (text,)).fetchone()
        return str(found[0]) if found else None

    def has_id(self, identity: str) -> bool:
        """Return whether a document with this id was accepted."""
        return self._database.execute("SELECT 1 FROM accepted WHERE id = ?", (identity,)).fetchone() is not None

    def accept(self, identity: str, text: bytes) -> None:
        """Store a new id and the hash of a new text."""
        with full_disk_explained():
            self._database.execute("INSERT INTO accepted VALUES (?, ?)", (identity, text))
