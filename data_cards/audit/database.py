"""A temporary DuckDB database: the audit joins, groups and sorts there what may be larger than memory."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import duckdb
import pyarrow as pa

from annotator.errors import RunDirError

MEMORY: Final = "128MB"
"""What DuckDB holds in memory; the rest goes to a folder of the user in ``TMPDIR``."""
_SCHEMA: Final = """
CREATE MACRO hashed(text) AS md5_number_lower(text);
CREATE TABLE documents (id UBIGINT, source VARCHAR);
CREATE TABLE passages (id UBIGINT, text UBIGINT, document UBIGINT, tokens INTEGER, cut VARCHAR, pieces INTEGER);
CREATE TABLE pieces (passage UBIGINT, document UBIGINT);
CREATE TABLE annotations (passage UBIGINT, text UBIGINT, status VARCHAR);
CREATE TABLE mentions
    (passage UBIGINT, label VARCHAR, text UBIGINT, syllables INTEGER, characters INTEGER,
     begins INTEGER, ends INTEGER, match VARCHAR, broken BOOLEAN);
CREATE TABLE expected (passage UBIGINT, label VARCHAR, answer UBIGINT);
CREATE TABLE samples
    (split UTINYINT, passage UBIGINT, input UBIGINT, label VARCHAR, answer UBIGINT, negative BOOLEAN);
CREATE TABLE texts (input UBIGINT, split UTINYINT, passage VARCHAR, beginning VARCHAR);
CREATE TABLE ngrams (hash UBIGINT, passage UBIGINT, split UTINYINT, size INTEGER);
"""
"""Ids, texts and answers are 64-bit hashes. ``passages.document`` is that of the first piece. ``mentions.passage`` is
an id, or the hash of the text where there are only samples. ``expected``: the samples that follow from annotations.
``texts``: the passages of the samples, with their ids and first characters."""


class Database:
    """Tables of one audit. Its temporary files are deleted when the context ends."""

    def __enter__(self) -> Self:
        """Create empty tables.

        Raises:
            RunDirError: the temporary folder cannot be written to.
        """
        with _readable_errors():
            settings: dict[str, str | bool | int | float | list[str]] = {
                "memory_limit": MEMORY,
                "threads": 1,  # each needs memory of its own
                "temp_directory": str(_temporary_folder()),
                "preserve_insertion_order": False,
                "autoload_known_extensions": False,
                "autoinstall_known_extensions": False,
            }
            self._connection = duckdb.connect(config=settings)
            self._connection.execute(_SCHEMA)
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def insert(self, table: str, query: str, batch: pa.RecordBatch | pa.Table) -> None:
        """Append the rows of a query, which selects from ``batch``, to a table."""
        with _readable_errors():
            self._connection.register("batch", batch)
            self._connection.execute(f"INSERT INTO {table} {query}")
            self._connection.unregister("batch")

    def run(self, statement: str) -> None:
        """Execute a statement without a result."""
        with _readable_errors():
            self._connection.execute(statement)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return all rows of a result that is small."""
        with _readable_errors():
            return self._connection.execute(query).fetchall()

    def number(self, query: str) -> int:
        """Return a result of one number; 0 for NULL."""
        return int(self.rows(query)[0][0] or 0)

    def counts(self, query: str) -> dict[Any, int]:
        """Return a result of two columns, values and their numbers."""
        return dict(self.rows(query))


def _temporary_folder() -> Path:
    """Return the folder that all audits of this user on this machine share, and make it if needed.

    DuckDB names its files there by process id, and deletes those of processes that are gone. The empty folder stays,
    since another audit may be about to use it.
    """
    user = 0  # on Windows, where each user has a temporary folder
    if os.name == "posix":
        user = os.getuid()
    folder = Path(tempfile.gettempdir()) / f"vner-audit-{user}-{platform.node()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.lstat().st_uid != user:
        raise PermissionError(13, f"{folder} belongs to another user")
    return folder


@contextmanager
def _readable_errors() -> Iterator[None]:
    try:
        yield
    except (OSError, duckdb.IOException, duckdb.OutOfMemoryException, duckdb.TransactionException) as error:
        cause = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
        raise RunDirError(
            f"the audit cannot write to {tempfile.gettempdir()}: {cause}; free some space, or set TMPDIR to a folder"
            " with more"
        ) from error
