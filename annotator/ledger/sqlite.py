"""Store the ledger in one SQLite file, the default.

SQLite keeps a write-ahead log. Once ``append`` has returned, an answer survives a killed process; once ``flush`` or
``close`` has, it survives a power cut too. Answers are never changed or deleted: a better parser costs nothing.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, fields
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from annotator.errors import RunDirError
from annotator.ledger.rows import SCHEMA_VERSION, Attempt, Failure, Ledger
from annotator.records import Completion
from annotator.storage.rundir import APPLICATION_ID

_SCHEMA: Final = """
CREATE TABLE completions (
    key TEXT PRIMARY KEY, passage_id TEXT NOT NULL, reply TEXT NOT NULL, finish_reason TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, latency REAL NOT NULL, created REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE failures (
    key TEXT PRIMARY KEY, passage_id TEXT NOT NULL, kind TEXT NOT NULL, detail TEXT NOT NULL
) WITHOUT ROWID;
"""
_ATTEMPTS: Final = """
CREATE TABLE IF NOT EXISTS attempts (
    key TEXT NOT NULL, passage_id TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL, created REAL NOT NULL
)
"""  # created with the first attempt: older versions of this program lack it
_LOGPROBS: Final = """
CREATE TABLE IF NOT EXISTS logprobs (key TEXT PRIMARY KEY, tokens TEXT NOT NULL) WITHOUT ROWID
"""  # likewise
_SELECT: Final = "SELECT * FROM completions"
_SELECT_LOGPROBS: Final = (
    "SELECT completions.*, coalesce(tokens, '') FROM completions LEFT JOIN logprobs ON logprobs.key = completions.key"
)
_INSERT: Final = "INSERT OR IGNORE INTO completions VALUES (?,?,?,?,?,?,?,?)"

# Token probabilities have a table of their own. dataclasses.astuple copies deeply, at ten times the cost.
_completion_row = attrgetter(*(column.name for column in fields(Completion) if column.name != "logprobs"))


class SqliteLedger(Ledger):
    """Answers by key, in one SQLite file. Only ``flush`` may run in another thread at the same time."""

    def __init__(self, path: Path) -> None:
        """Open the ledger at ``path``, or create it. In a folder that this user may not write, it can be read.

        Raises:
            RunDirError: the file is damaged, foreign, newer than this program, or cannot be written.
        """
        self.path = path
        self._unflushed = False
        with self._explained():
            self._db = sqlite3.connect(_address(path), uri=True, check_same_thread=False, isolation_level=None)
            try:
                self._open()
            except BaseException:
                self._db.close()
                raise

    def _open(self) -> None:
        (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (application,) = self._db.execute("PRAGMA application_id").fetchone()
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if tables and application != APPLICATION_ID:
            raise RunDirError(f"{self.path} is not a ledger of vner-annotate; move it away or choose another --out")
        if version > SCHEMA_VERSION:
            raise RunDirError(f"{self.path} was written by a newer vner-annotate; upgrade this one")
        (mode,) = self._db.execute("PRAGMA journal_mode=WAL").fetchone()
        # With a write-ahead log NORMAL is never torn, and ``flush`` decides when it is on the disk.
        self._db.execute(f"PRAGMA synchronous={'NORMAL' if mode == 'wal' else 'FULL'}")
        if not tables:
            self._db.executescript(
                f"BEGIN; {_SCHEMA} PRAGMA application_id={APPLICATION_ID};"
                f" PRAGMA user_version={SCHEMA_VERSION}; COMMIT;"
            )
        self._select = _SELECT_LOGPROBS if self._has_table("logprobs") else _SELECT

    def append(self, completions: Sequence[Completion]) -> None:
        """Write answers in one transaction; when this returns they survive the process. A key that is there stays."""
        with self._explained():
            given = [(item.key, item.logprobs) for item in completions if item.logprobs]
            with self._transaction():
                self._db.executemany(_INSERT, map(_completion_row, completions))
                if given:
                    self._db.execute(_LOGPROBS)
                    self._db.executemany("INSERT OR IGNORE INTO logprobs VALUES (?,?)", given)
                    self._select = _SELECT_LOGPROBS
                self._db.executemany("DELETE FROM failures WHERE key=?", [(item.key,) for item in completions])

    def record_failures(self, failures: Sequence[Failure]) -> None:
        """Record why questions have no answer, in place of earlier records."""
        with self._explained(), self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO failures VALUES (?,?,?,?)", map(astuple, failures))

    def keep_attempt(self, attempt: Attempt) -> None:
        """Store a paid response that is not the answer."""
        with self._explained(), self._transaction():
            self._db.execute(_ATTEMPTS)
            self._db.execute("INSERT INTO attempts VALUES (?,?,?,?,?)", astuple(attempt))

    def attempts(self) -> Iterator[Attempt]:
        """Yield all that ``keep_attempt`` has kept."""
        if self._has_table("attempts"):
            with self._explained():
                for row in self._db.execute("SELECT * FROM attempts"):  # one at a time: a body can have megabytes
                    yield Attempt(*row)

    def flush(self) -> None:
        """Flush all writes to the disk. May be called in another thread than the rest."""
        if not self._unflushed:
            return
        self._unflushed = False  # before, so that what is written meanwhile is flushed the next time
        log = self.path.with_name(self.path.name + "-wal")
        with self._explained():
            try:
                descriptor = os.open(log, os.O_RDWR)
            except FileNotFoundError:  # no write-ahead log here: each transaction was flushed
                return
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def find(self, keys: Iterable[str]) -> dict[str, Completion]:
        """Return the answers to those of ``keys`` that have one."""
        query = f"{self._select} WHERE completions.key=?"
        with self._explained():
            return {key: Completion(*row) for key in keys for row in self._db.execute(query, (key,))}

    def batches(self, size: int) -> Iterator[list[Completion]]:
        """Yield all answers, ``size`` at a time, in order of their keys."""
        last, page = "", "WHERE completions.key > ? ORDER BY completions.key LIMIT ?"
        while rows := self._rows(f"{self._select} {page}", last, size):
            yield [Completion(*row) for row in rows]
            last = rows[-1][0]

    def known(self, keys: Sequence[str]) -> set[str]:
        """Return those of ``keys`` (up to some thousands) that have an answer."""
        places = ",".join("?" * len(keys))
        return {key for (key,) in self._rows(f"SELECT key FROM completions WHERE key IN ({places})", *keys)}  # noqa: S608

    def since(self, moment: float) -> list[tuple[float, int]]:
        """Return time and tokens of each answer after ``moment`` (Unix seconds), by time, without those of batches."""
        return self._rows(
            "SELECT created, prompt_tokens + completion_tokens FROM completions"
            " WHERE created > ? AND latency > 0 ORDER BY created",
            moment,
        )

    def failure(self, key: str) -> Failure | None:
        """Return why ``key`` has no answer, or None if it was not asked."""
        rows = self._rows("SELECT * FROM failures WHERE key=?", key)
        return Failure(*rows[0]) if rows else None

    def __len__(self) -> int:
        """Return the number of answers."""
        return int(self._rows("SELECT count(*) FROM completions")[0][0])

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _rows(self, query: str, *values: object) -> list[Any]:
        with self._explained():
            return self._db.execute(query, values).fetchall()

    def _has_table(self, name: str) -> bool:
        return bool(self._rows("SELECT 1 FROM sqlite_master WHERE name = ?", name))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
            self._unflushed = True
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn an error inside into one line with its fix."""
        try:
            yield
        except (sqlite3.OperationalError, OSError) as error:
            is_full = "full" in str(error) or "No space" in str(error)
            fix = "free some space and run the same command again; nothing is lost"
            fix = fix if is_full else "check that the folder is there and writable"
            raise RunDirError(f"cannot use the ledger {self.path}: {error}; {fix}") from error
        except sqlite3.DatabaseError as error:
            raise RunDirError(
                f"the ledger {self.path} is damaged or not a ledger ({error}); move it away, or restore it from a copy"
            ) from error


def _address(path: Path) -> str:
    """Return the URI of the file: without locks where its folder cannot be written and no other process has it open."""
    log = path.with_name(path.name + "-wal")
    read_only = path.exists() and not log.exists() and not os.access(path.parent, os.W_OK)
    return path.absolute().as_uri() + ("?immutable=1" if read_only else "")
