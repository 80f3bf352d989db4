"""A temporary DuckDB database: the audit joins, groups and sorts there what may be larger than memory."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeVar

import duckdb
import pyarrow as pa

from annotator.engines import Engine
from annotator.errors import RunDirError

Item = TypeVar("Item")
Counts = Mapping[str, Counter[Any]]
"""Numbers by what they count, by name."""

MEMORY: Final = "128MB"
"""What DuckDB holds in memory; the rest goes to a folder in ``TMPDIR``."""
_WAITING: Final = 1 << 18
"""Rows that wait to be inserted together."""
_SCHEMA: Final = """
CREATE TABLE documents (id UBIGINT, source VARCHAR);
CREATE TABLE passages (id UBIGINT, text UBIGINT, document UBIGINT);
CREATE TABLE pieces (passage UBIGINT, document UBIGINT);
CREATE TABLE annotations (passage UBIGINT, text UBIGINT);
CREATE TABLE mentions (passage UBIGINT, label VARCHAR, text UBIGINT, syllables INTEGER, characters INTEGER);
CREATE TABLE expected (passage UBIGINT, label VARCHAR, answer UBIGINT);
CREATE TABLE samples
    (split UTINYINT, passage UBIGINT, input UBIGINT, label VARCHAR, answer UBIGINT, negative BOOLEAN);
CREATE TABLE ngrams (hash UBIGINT, passage UBIGINT, split UTINYINT, size INTEGER);
"""
"""Ids, texts and answers are 64-bit hashes. ``passages.document`` is that of the first piece. ``mentions.passage`` is
an id, or the hash of the text where there are only samples. ``expected``: the samples that follow from annotations."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one batch of a file holds."""

    tables: Mapping[str, pa.Table]
    """Rows for the tables of the database."""
    counts: Counts = field(default_factory=dict)


class Database:
    """Tables of one audit. Close it, or use it as a context manager, to delete its temporary files."""

    def __init__(self) -> None:
        """Create empty tables.

        Raises:
            RunDirError: the temporary folder cannot be written to.
        """
        self._waiting: dict[str, list[pa.Table]] = {}
        self._rows: dict[str, int] = {}
        self._open = ExitStack()
        with _readable_errors():
            folder = self._open.enter_context(tempfile.TemporaryDirectory(prefix="vner-audit-"))
            self._connection = duckdb.connect(
                config={
                    "memory_limit": MEMORY,
                    "threads": 1,  # each needs memory of its own, and reading takes most of the time
                    "temp_directory": folder,
                    "preserve_insertion_order": False,
                    "autoload_known_extensions": False,
                    "autoinstall_known_extensions": False,
                }
            )
            self._connection.execute(_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Delete the tables."""
        self._connection.close()
        self._open.close()

    def add(self, tables: Mapping[str, pa.Table]) -> None:
        """Append rows to tables; columns are matched by position."""
        for name, rows in tables.items():
            self._waiting.setdefault(name, []).append(rows)
            self._rows[name] = self._rows.get(name, 0) + len(rows)
            if self._rows[name] >= _WAITING:
                self._insert(name)

    def run(self, statement: str) -> None:
        """Execute a statement without a result."""
        self._flush()
        with _readable_errors():
            self._connection.execute(statement)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return all rows of a result that is small."""
        self.run(query)
        with _readable_errors():
            return self._connection.fetchall()

    def columns(self, query: str) -> dict[str, Any]:
        """Return a result as NumPy arrays."""
        self.run(query)
        with _readable_errors():
            return self._connection.fetchnumpy()

    def number(self, query: str) -> int:
        """Return a result of one number; 0 for NULL."""
        return int(self.rows(query)[0][0] or 0)

    def _flush(self) -> None:
        for name in list(self._waiting):
            self._insert(name)

    def _insert(self, name: str) -> None:
        batch = pa.concat_tables(self._waiting.pop(name))
        self._rows[name] = 0
        with _readable_errors():
            self._connection.register("batch", batch)
            self._connection.execute(f"INSERT INTO {name} SELECT * FROM batch")  # noqa: S608 - a name of the schema
            self._connection.unregister("batch")


@contextmanager
def _readable_errors() -> Iterator[None]:
    try:
        yield
    except (OSError, duckdb.IOException, duckdb.OutOfMemoryException) as error:
        cause = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
        raise RunDirError(
            f"the audit cannot write to {tempfile.gettempdir()}: {cause}; free some space, or set TMPDIR to a folder"
            " with more"
        ) from error


def load(
    database: Database, engine: Engine, read: Callable[[Item], Part], batches: Iterable[Item]
) -> defaultdict[str, Counter[Any]]:
    """Read batches into the database, and return the sums of what they count."""
    counts: defaultdict[str, Counter[Any]] = defaultdict(Counter)
    for part in engine.spread(read, batches):
        database.add(part.tables)
        for name, counted in part.counts.items():
            counts[name].update(counted)
    return counts
