"""Temporary databases and folders for what would fill memory."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from annotator.errors import RunDirError

_CACHE: Final = 8192
"""KiB that stay in memory; the rest goes to a file without a name, which ends with the process."""


def temporary_database(*tables: str) -> sqlite3.Connection:
    """Open an empty temporary database with these tables, given as ``NAME (COLUMNS)``."""
    database = sqlite3.connect("", isolation_level=None)
    for line in ("PRAGMA journal_mode = OFF", f"PRAGMA cache_size = -{_CACHE}", *map("CREATE TABLE {}".format, tables)):
        database.execute(line)
    return database


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """Make a folder in ``TMPDIR`` and delete it at the end.

    A killed process cannot delete its own. So folders of the same ``prefix`` whose lock nobody holds are deleted first.
    The lock is a file beside the folder, held before the folder is there.
    """
    from filelock import FileLock, Timeout

    parent = Path(tempfile.gettempdir())
    for lock in parent.glob(f"{prefix}*.lock"):
        with suppress(Timeout, OSError), FileLock(lock).acquire(timeout=0):
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink()
    descriptor, name = tempfile.mkstemp(prefix=prefix, suffix=".lock")
    os.close(descriptor)
    lock = Path(name)
    with FileLock(lock):
        folder = lock.with_suffix("")
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            lock.unlink(missing_ok=True)


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
