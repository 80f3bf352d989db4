"""Open temporary databases for data that would fill memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from annotator.errors import RunDirError

_CACHE: Final = 8192
"""KiB that stay in memory; the rest is in a file without a name, which is deleted when the process ends."""


def temporary_database(*tables: str) -> sqlite3.Connection:
    """Open an empty temporary database with these tables, given as ``NAME (COLUMNS)``."""
    database = sqlite3.connect("", isolation_level=None)
    for line in ("PRAGMA journal_mode = OFF", f"PRAGMA cache_size = -{_CACHE}", *map("CREATE TABLE {}".format, tables)):
        database.execute(line)
    return database


@contextmanager
def full_disk_explained() -> Iterator[None]:
    """Turn an error of writing to a temporary database into one line.

    Raises:
        RunDirError: the temporary folder is full, or cannot be written to.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        raise RunDirError(
            f"cannot write to the temporary folder: {error}; free some space, or set TMPDIR to a folder with more"
        ) from error
