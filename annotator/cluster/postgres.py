"""The ledger in a PostgreSQL database, for workers on several machines.

The rows are those of the SQLite ledger. A commit does not wait for the server's disk (``synchronous_commit`` is off):
once ``append`` has returned, an answer survives the death of any process of ours; once ``flush`` has, the server's too.
A lost connection is made again, and what was under way repeated: every statement may run twice.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from annotator.config import LEDGER_VARIABLE, without_password
from annotator.errors import ConfigError, RunDirError
from annotator.ledger.rows import SCHEMA_VERSION, Attempt, Failure, attempt_row, completion_row, failure_row
from annotator.records import Completion

if TYPE_CHECKING:
    import psycopg

Value = TypeVar("Value")

PATIENCE = 60.0
"""Seconds to wait for a database that was there before."""
TURN: Final = 5
"""Seconds to wait for the lock of another process: a process that was killed holds its own for a moment."""
_TABLES: Final = """
CREATE TABLE vner_completions (
    key text PRIMARY KEY, passage_id text NOT NULL, reply bytea NOT NULL, finish_reason text NOT NULL,
    prompt_tokens bigint NOT NULL, completion_tokens bigint NOT NULL,
    latency double precision NOT NULL, created double precision NOT NULL
);
CREATE TABLE vner_failures (key text PRIMARY KEY, passage_id text NOT NULL, kind text NOT NULL, detail text NOT NULL);
CREATE TABLE vner_ledger (version integer NOT NULL);
"""  # a reply may hold a NUL character, which no column of type text can
_ATTEMPTS: Final = """
CREATE TABLE IF NOT EXISTS vner_attempts (
    key text NOT NULL, passage_id text NOT NULL, kind text NOT NULL, body text NOT NULL,
    created double precision NOT NULL
)
"""  # made when there is one: older versions of this program do without
_ANSWER: Final = """
WITH answered AS (DELETE FROM vner_failures WHERE key = %s)
INSERT INTO vner_completions VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
_FAILURE: Final = """
INSERT INTO vner_failures VALUES (%s, %s, %s, %s)
ON CONFLICT (key) DO UPDATE SET passage_id = excluded.passage_id, kind = excluded.kind, detail = excluded.detail
"""


class PostgresLedger:
    """Answers by key, in one database. Threads may share it; they take turns."""

    def __init__(self, address: str, *, alone: bool = False) -> None:
        """Open the ledger at ``address``, or make it.

        Args:
            address: ``postgresql://...`` without a password; that comes from the environment or a file of libpq's.
            alone: keep every other process out that wants to be alone.

        Raises:
            ConfigError: the extra is not installed.
            RunDirError: no connection, no permission, or a foreign or newer ledger; or another process is alone.
        """
        try:
            import psycopg
        except ImportError as error:
            raise ConfigError("--ledger postgresql://... needs the extra ray: pip install '.[ray]'") from error
        self._pg, self._address = psycopg, address
        self._locks: list[str] = []
        self._unflushed = self._closed = False
        self._one_at_a_time = threading.RLock()  # an engine flushes in a thread of its own
        with self._explained():
            self._db = self._connected()
            try:
                self._open()
                if alone:
                    self._lock("alone", TURN)
            except BaseException:
                self._db.close()
                raise

    def _connected(self) -> psycopg.Connection[Any]:
        address = self._pg.conninfo.make_conninfo(
            _with_password(self._address), connect_timeout=10, client_encoding="UTF8", application_name="vner-annotate"
        )
        db = self._pg.connect(address, autocommit=True)
        # The server notices within a minute that this machine is gone, and gives up its locks.
        settings = {"synchronous_commit": "off", "tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10",
                    "tcp_keepalives_count": "3"}  # fmt: skip
        for name, value in settings.items():
            db.execute("SELECT set_config(%s, %s, false)", [name, value])
        return db

    def _open(self) -> None:
        execute = self._db.execute
        (encoding,) = execute("SHOW server_encoding").fetchone() or ("",)
        if encoding != "UTF8":
            raise RunDirError(f"the database of {self._address} is in {encoding}; make one with ENCODING 'UTF8'")
        if not self._is_there():
            with self._db.transaction():
                execute("SELECT pg_advisory_xact_lock(%s)", [self._number("tables")])
                if not self._is_there():
                    execute(_TABLES)
                    execute("INSERT INTO vner_ledger VALUES (%s)", [SCHEMA_VERSION])
        (version,) = execute("SELECT max(version) FROM vner_ledger").fetchone() or (None,)
        if version is None or version > SCHEMA_VERSION:
            raise RunDirError(f"the ledger {self._address} was written by a newer vner-annotate; upgrade this one")

    def _is_there(self) -> bool:
        names = ("vner_ledger", "vner_completions", "vner_failures")
        found = self._db.execute("SELECT to_regclass(%s), to_regclass(%s), to_regclass(%s)", names).fetchone() or ()
        missing = [name for name, there in zip(names, found, strict=True) if there is None]
        if 0 < len(missing) < len(names):
            raise RunDirError(
                f"{self._address} holds tables of vner-annotate's names but no {missing[0]}; take another database"
            )
        return not missing

    def append(self, completions: Sequence[Completion]) -> None:
        """Write answers, all or none; when this returns they survive the process. A key that is there stays."""
        rows = [_answer(completion_row(item)) for item in completions]
        self._write(_ANSWER, [(row[0], *row) for row in rows])

    def record_failures(self, failures: Sequence[Failure]) -> None:
        """Remember why questions went unanswered, replacing what was known of them."""
        self._write(_FAILURE, [tuple(map(_clean, failure_row(item))) for item in failures])

    def keep_attempt(self, attempt: Attempt) -> None:
        """Keep what came of a try that is not the answer."""

        def write(db: psycopg.Connection[Any]) -> None:
            with db.transaction():
                db.execute("SELECT pg_advisory_xact_lock(%s)", [self._number("tables")])
                db.execute(_ATTEMPTS)
                row = [_clean(value) if isinstance(value, str) else value for value in attempt_row(attempt)]
                db.execute("INSERT INTO vner_attempts VALUES (%s, %s, %s, %s, %s)", row)

        with self._one_at_a_time:
            self._do(write)
            self._unflushed = True

    def flush(self) -> None:
        """Bring all that was written to the server's disk."""

        def flush(db: psycopg.Connection[Any]) -> None:
            with db.transaction():
                db.execute("SET LOCAL synchronous_commit = on")
                # A commit waits for the disk only if it wrote something; this writes a few bytes to the log alone.
                db.execute("SELECT pg_logical_emit_message(true, 'vner-annotate', '')")

        with self._one_at_a_time:  # who comes while another flushes returns when that is done
            if self._unflushed:
                self._do(flush)
                self._unflushed = False

    def get(self, key: str) -> Completion | None:
        """The answer to ``key``, if there is one."""
        return self.find([key]).get(key)

    def find(self, keys: Iterable[str]) -> dict[str, Completion]:
        """The answers to those of ``keys`` that have one."""
        wanted = list(keys)
        rows = self._do(lambda db: db.execute(
            "SELECT * FROM vner_completions WHERE key = ANY(%s)", [wanted], binary=True).fetchall())  # fmt: skip
        return {row[0]: _completion(*row) for row in rows}

    def known(self, keys: Sequence[str]) -> set[str]:
        """Those of ``keys``, of which there may be some thousands, that are answered."""
        find = "SELECT key FROM vner_completions WHERE key = ANY(%s)"
        return {key for (key,) in self._do(lambda db: db.execute(find, [list(keys)]).fetchall())}

    def has(self, key: str) -> bool:
        """Whether ``key`` is answered."""
        found = self._do(lambda db: db.execute("SELECT 1 FROM vner_completions WHERE key = %s", [key]).fetchone())
        return found is not None

    def since(self, moment: float) -> list[tuple[float, int]]:
        """Time and tokens of each answer after ``moment`` (seconds since the epoch), by time; none of a batch."""
        find = (
            "SELECT created, prompt_tokens + completion_tokens FROM vner_completions"
            " WHERE created > %s AND latency > 0 ORDER BY created"
        )
        return [
            (float(when), int(tokens)) for when, tokens in self._do(lambda db: db.execute(find, [moment]).fetchall())
        ]

    def failure(self, key: str) -> Failure | None:
        """Why ``key`` is unanswered, if it was asked."""
        row = self._do(lambda db: db.execute("SELECT * FROM vner_failures WHERE key = %s", [key]).fetchone())
        return Failure(*row) if row else None

    def __len__(self) -> int:
        """Number of answers."""
        row = self._do(lambda db: db.execute("SELECT count(*) FROM vner_completions").fetchone())
        return int(row[0]) if row else 0

    @contextmanager
    def claim(self, name: str) -> Iterator[None]:
        """Hold ``name`` for this process alone, as long as it lives; waits for one that died a moment ago.

        Raises:
            RunDirError: another process keeps it.
        """
        with self._one_at_a_time, self._explained():  # nobody else's statements in the transaction that waits
            self._lock(name, PATIENCE)
        try:
            yield
        finally:
            with self._one_at_a_time:
                self._locks.remove(name)
                self._do(lambda db: db.execute("SELECT pg_advisory_unlock(%s)", [self._number(name)]))

    def close(self) -> None:
        """Close the connection, and with it give up every lock."""
        with self._one_at_a_time:
            self._closed = True
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _write(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
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
        """Do ``work``; if the connection is lost over it, do it again over a new one."""
        from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

        with self._one_at_a_time, self._explained():
            try:
                return work(self._db)
            except self._pg.OperationalError:
                if self._closed or not self._db.closed:  # closed by us: nobody would close a new one
                    raise
            waits = wait_exponential(0.1, max=5.0)
            errors = retry_if_exception_type(self._pg.OperationalError)
            for attempt in Retrying(stop=stop_after_delay(PATIENCE), wait=waits, retry=errors, reraise=True):
                with attempt:
                    if self._db.closed:
                        self._connect_again()
                    return work(self._db)
            raise AssertionError("unreachable")

    def _connect_again(self) -> None:
        self._db = self._connected()
        for name in self._locks:
            self._wait_for(name, PATIENCE)

    def _lock(self, name: str, seconds: float) -> None:
        self._wait_for(name, seconds)
        self._locks.append(name)

    def _wait_for(self, name: str, seconds: float) -> None:
        try:
            with self._db.transaction():
                self._db.execute("SELECT set_config('lock_timeout', %s, true)", [f"{round(seconds * 1000)}ms"])
                self._db.execute("SELECT pg_advisory_lock(%s)", [self._number(name)])
        except self._pg.errors.LockNotAvailable as error:
            raise RunDirError(
                f"another run is working with the ledger {self._address}; wait for it, or take another database"
            ) from error

    def _number(self, name: str) -> int:
        """What PostgreSQL knows a lock by; ledgers in two schemas of a database have their own."""
        (schema,) = self._db.execute("SELECT current_schema()").fetchone() or ("",)
        digest = hashlib.sha256(f"vner-annotate {schema} {name}".encode()).digest()
        return int.from_bytes(digest[:8], "big", signed=True)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except self._pg.Error as error:
            said = " ".join((error.diag.message_primary or str(error)).split())[:300]
            full = isinstance(error, self._pg.errors.DiskFull)
            mend = (
                "free some space there"
                if full
                else "see that the server runs, that the role may create and write tables, and PGPASSWORD"
            )
            raise RunDirError(
                f"cannot use the ledger {self._address}: {said}; {mend}; the same command goes on from there"
            ) from error


def _with_password(address: str) -> str:
    """The address with the password of the environment, where that speaks of the same ledger."""
    whole = os.environ.get(LEDGER_VARIABLE, "")
    return whole if whole and without_password(whole) == without_password(address) else address


def _answer(row: tuple[Any, ...]) -> tuple[Any, ...]:
    key, passage_id, reply, finish_reason, *numbers = row
    return (key, _clean(passage_id), reply.encode("utf-8"), _clean(finish_reason), *numbers)


def _completion(key: str, passage_id: str, reply: bytes, *rest: Any) -> Completion:
    return Completion(key, passage_id, reply.decode("utf-8"), *rest)


def _clean(text: str) -> str:
    return text.replace("\0", "\ufffd")
