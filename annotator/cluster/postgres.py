"""Store the ledger in a PostgreSQL database, for run directories on several machines.

The rows are those of the SQLite ledger. A commit does not wait for the server's disk (``synchronous_commit`` is off):
an answer survives a crash of this program after ``append``, and a crash of the server after ``flush``. After a lost
connection the ledger reconnects and repeats the statement, so a statement may run twice without harm.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final, TypeVar

from annotator.config.addresses import LEDGER_VARIABLE, without_password
from annotator.errors import ConfigError, RunDirError
from annotator.ledger.rows import SCHEMA_VERSION, Attempt, Failure, Ledger
from annotator.records import Completion

if TYPE_CHECKING:
    import psycopg

Value = TypeVar("Value")

RECONNECT = 60.0
"""Seconds to try to reconnect, and to get the lock back."""
LOCK_TIMEOUT = 5.0
"""Seconds to wait for the lock of another run; a killed process loses its lock after a moment."""
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS vner_completions (
    key text PRIMARY KEY, passage_id text NOT NULL, reply bytea NOT NULL, finish_reason text NOT NULL,
    prompt_tokens bigint NOT NULL, completion_tokens bigint NOT NULL,
    latency double precision NOT NULL, created double precision NOT NULL
);
CREATE TABLE IF NOT EXISTS vner_failures (
    key text PRIMARY KEY, passage_id text NOT NULL, kind text NOT NULL, detail text NOT NULL
);
CREATE TABLE IF NOT EXISTS vner_ledger (version integer NOT NULL);
CREATE TABLE IF NOT EXISTS vner_attempts (
    key text NOT NULL, passage_id text NOT NULL, kind text NOT NULL, body text NOT NULL,
    created double precision NOT NULL
);
CREATE TABLE IF NOT EXISTS vner_logprobs (key text PRIMARY KEY, tokens text NOT NULL);
"""  # bytea, since a reply may hold a NUL character, which a column of type text cannot
_NEWEST: Final = ("vner_attempts", "vner_logprobs")
"""Tables that ledgers of older versions lack, and that older versions ignore."""
_ANSWER: Final = """
WITH answered AS (DELETE FROM vner_failures WHERE key = %(key)s),
     probable AS (
         INSERT INTO vner_logprobs SELECT %(key)s, %(logprobs)s WHERE %(logprobs)s <> '' ON CONFLICT DO NOTHING
     )
INSERT INTO vner_completions VALUES (
    %(key)s, %(passage_id)s, %(reply)s, %(finish_reason)s, %(prompt_tokens)s, %(completion_tokens)s, %(latency)s,
    %(created)s
) ON CONFLICT DO NOTHING
"""
_FIND: Final = """
SELECT vner_completions.*, coalesce(tokens, '') FROM vner_completions LEFT JOIN vner_logprobs USING (key)
WHERE key = ANY(%s)
"""
_FAILURE: Final = """
INSERT INTO vner_failures VALUES (%(key)s, %(passage_id)s, %(kind)s, %(detail)s)
ON CONFLICT (key) DO UPDATE SET passage_id = excluded.passage_id, kind = excluded.kind, detail = excluded.detail
"""
_ATTEMPT: Final = "INSERT INTO vner_attempts VALUES (%(key)s, %(passage_id)s, %(kind)s, %(body)s, %(created)s)"


class PostgresLedger(Ledger):
    """Answers by key, in one database. Threads may share it; its methods run one at a time."""

    def __init__(self, address: str, *, alone: bool = False) -> None:
        """Open the ledger at ``address``; create its tables if needed.

        Args:
            address: ``postgresql://...`` without a password, which comes from the environment or libpq's password file.
            alone: lock the ledger against other processes that open it with ``alone``.

        Raises:
            ConfigError: the extra is not installed.
            RunDirError: no connection, no permission, a foreign or newer ledger, or another process has locked it.
        """
        try:
            import psycopg
        except ImportError as error:
            raise ConfigError("--ledger postgresql://... needs the extra ray: pip install '.[ray]'") from error
        self._pg, self._address, self._alone = psycopg, address, alone
        self._unflushed = self._closed = False
        self._one_at_a_time = threading.RLock()  # the worker pool flushes in another thread
        with self._explained():
            self._db = self._connected()
            try:
                self._open()
                if alone:
                    self._lock(LOCK_TIMEOUT)
            except BaseException:
                self._db.close()
                raise

    def _connected(self) -> psycopg.Connection[Any]:
        address = self._pg.conninfo.make_conninfo(
            _with_password(self._address), connect_timeout=10, client_encoding="UTF8", application_name="vner-annotate"
        )
        db = self._pg.connect(address, autocommit=True)
        # With these keepalives the server notices within a minute that this machine is gone, and releases its locks.
        settings = {"synchronous_commit": "off", "tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10",
                    "tcp_keepalives_count": "3"}  # fmt: skip
        for name, value in settings.items():
            db.execute("SELECT set_config(%s, %s, false)", [name, value])
        return db

    def _open(self) -> None:
        execute = self._db.execute
        (encoding,) = execute("SHOW server_encoding").fetchone() or ("",)
        if encoding != "UTF8":
            raise RunDirError(
                f"the database of {self._address} has the encoding {encoding}; create a database with ENCODING 'UTF8'"
            )
        if any(execute("SELECT to_regclass(%s)", [name]).fetchone() == (None,) for name in _NEWEST):
            with self._db.transaction():
                execute("SELECT pg_advisory_xact_lock(%s)", [self._number("tables")])
                execute(_TABLES)
                execute(
                    "INSERT INTO vner_ledger SELECT %s WHERE NOT EXISTS (SELECT 1 FROM vner_ledger)", [SCHEMA_VERSION]
                )
        (version,) = execute("SELECT max(version) FROM vner_ledger").fetchone() or (None,)
        if version is None or version > SCHEMA_VERSION:
            raise RunDirError(f"the ledger {self._address} was written by a newer vner-annotate; upgrade this one")

    def append(self, completions: Sequence[Completion]) -> None:
        """Write answers, all or none; when this returns they survive the process. A key that is there stays."""
        self._write(_ANSWER, [_storable(item) | {"reply": item.reply.encode("utf-8")} for item in completions])

    def record_failures(self, failures: Sequence[Failure]) -> None:
        """Record why questions have no answer, in place of earlier records."""
        self._write(_FAILURE, [_storable(item) for item in failures])

    def keep_attempt(self, attempt: Attempt) -> None:
        """Store a paid reply that is not the answer."""
        self._write(_ATTEMPT, [_storable(attempt)])

    def attempts(self) -> Iterator[Attempt]:
        """Yield the replies that ``keep_attempt`` has stored."""
        return (Attempt(*row) for row in self._rows("SELECT * FROM vner_attempts"))

    def flush(self) -> None:
        """Flush all writes to the server's disk."""

        def flush(db: psycopg.Connection[Any]) -> None:
            with db.transaction():
                db.execute("SET LOCAL synchronous_commit = on")
                # A commit waits for the disk only if it wrote something; this writes to the write-ahead log.
                db.execute("SELECT pg_logical_emit_message(true, 'vner-annotate', '')")

        with self._one_at_a_time:
            if self._unflushed:
                self._do(flush)
                self._unflushed = False

    def find(self, keys: Iterable[str]) -> dict[str, Completion]:
        """Return the answers to those of ``keys`` that have one."""
        return {row[0]: _completion(*row) for row in self._rows(_FIND, list(keys))}

    def known(self, keys: Sequence[str]) -> set[str]:
        """Return those of ``keys`` (up to some thousands) that have an answer."""
        return {key for (key,) in self._rows("SELECT key FROM vner_completions WHERE key = ANY(%s)", list(keys))}

    def since(self, moment: float) -> list[tuple[float, int]]:
        """Return time and tokens of each answer after ``moment`` (Unix seconds), by time, without those of batches."""
        find = (
            "SELECT created, prompt_tokens + completion_tokens FROM vner_completions"
            " WHERE created > %s AND latency > 0 ORDER BY created"
        )
        return [(float(when), int(tokens)) for when, tokens in self._rows(find, moment)]

    def failure(self, key: str) -> Failure | None:
        """Return why ``key`` has no answer, or None if it was not asked."""
        rows = self._rows("SELECT * FROM vner_failures WHERE key = %s", key)
        return Failure(*rows[0]) if rows else None

    def __len__(self) -> int:
        """Return the number of answers."""
        return int(self._rows("SELECT count(*) FROM vner_completions")[0][0])

    def close(self) -> None:
        """Close the connection, which releases every lock."""
        with self._one_at_a_time:
            self._closed = True
            self._db.close()

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._do(lambda db: db.execute(query, values, binary=True).fetchall())

    def _write(self, statement: str, rows: list[dict[str, Any]]) -> None:
        def write(db: psycopg.Connection[Any]) -> None:
            if len(rows) == 1:
                db.execute(statement, rows[0])  # its own transaction
                return
            with db.transaction(), db.cursor() as cursor:
                cursor.executemany(statement, rows)

        if rows:
            with self._one_at_a_time:
                self._do(write)
                self._unflushed = True

    def _do(self, work: Callable[[psycopg.Connection[Any]], Value]) -> Value:
        """Run ``work``; if the connection is lost, reconnect and run it again."""
        from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

        def again() -> Value:
            if self._db.closed:
                self._db = self._connected()
                if self._alone:
                    self._lock(RECONNECT)
            return work(self._db)

        with self._one_at_a_time, self._explained():
            try:
                return work(self._db)
            except self._pg.OperationalError:
                if self._closed or not self._db.closed:  # after close() nothing would close a new connection
                    raise
            waits = wait_exponential(0.1, max=5.0)
            errors = retry_if_exception_type(self._pg.OperationalError)
            return Retrying(stop=stop_after_delay(RECONNECT), wait=waits, retry=errors, reraise=True)(again)

    def _lock(self, seconds: float) -> None:
        """Wait for the lock of processes that open the ledger with ``alone``; it ends with the connection."""
        try:
            with self._db.transaction():
                self._db.execute("SELECT set_config('lock_timeout', %s, true)", [f"{round(seconds * 1000)}ms"])
                self._db.execute("SELECT pg_advisory_lock(%s)", [self._number("alone")])
        except self._pg.errors.LockNotAvailable as error:
            raise RunDirError(
                f"another run is using the ledger {self._address}; wait for it to end, or use another database"
            ) from error

    def _number(self, name: str) -> int:
        """Return PostgreSQL's number of a lock, which depends on the schema of the ledger."""
        (schema,) = self._db.execute("SELECT current_schema()").fetchone() or ("",)
        digest = hashlib.sha256(f"vner-annotate {schema} {name}".encode()).digest()
        return int.from_bytes(digest[:8], "big", signed=True)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except self._pg.Error as error:
            cause = " ".join((error.diag.message_primary or str(error)).split())[:300]
            fix = "check that the server runs, that the role may create and write tables, and PGPASSWORD"
            if isinstance(error, self._pg.errors.DiskFull):
                fix = "free some space there"
            raise RunDirError(
                f"cannot use the ledger {self._address}: {cause}; {fix}; the same command continues"
            ) from error


def _with_password(address: str) -> str:
    """Return ``VNER_LEDGER`` if that is the same address with a password, else ``address``."""
    whole = os.environ.get(LEDGER_VARIABLE, "")
    return whole if whole and without_password(whole) == without_password(address) else address


def _storable(record: Completion | Failure | Attempt) -> dict[str, Any]:
    """Return the fields of a record, without NUL characters, which a column of type text cannot hold."""
    return {
        field.name: value.replace("\0", "\ufffd") if isinstance(value := getattr(record, field.name), str) else value
        for field in fields(record)
    }


def _completion(key: str, passage_id: str, reply: bytes, *rest: Any) -> Completion:
    return Completion(key, passage_id, reply.decode("utf-8"), *rest)
