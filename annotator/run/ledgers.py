"""Which ledger a run directory has: the SQLite file in it, or the database that its configuration names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from annotator.ledger import Answers, Ledger
from annotator.storage.rundir import RunDir

COPY: Final = 1000
"""Answers copied in one go."""


@contextmanager
def open_ledger(run: RunDir, address: str, *, alone: bool = True) -> Iterator[Answers]:
    """The ledger of ``run``: at ``address``, or without one the file in the directory; made if need be.

    A directory that began with a file and goes on with a database keeps its answers: they are copied.

    Args:
        run: the run directory, which this process holds.
        address: of a database, without a password.
        alone: nobody else who wants to be alone may use the database: who asks wants that, or questions of two
            directories could be asked twice.

    Raises:
        RunDirError: the ledger cannot be used, or another process works with it.
    """
    if not address:
        with Ledger(run.ledger) as ledger:
            yield ledger
        return
    from annotator.cluster.postgres import PostgresLedger

    with PostgresLedger(address, alone=alone) as database:
        if alone and run.ledger.exists():
            with Ledger(run.ledger) as file:
                for answers in file.batches(COPY):
                    database.append(answers)
            database.flush()
        yield database


@contextmanager
def answers_of(run: RunDir) -> Iterator[Answers | None]:
    """The ledger of ``run`` for reading, None where there is none: reading makes none.

    Raises:
        RunDirError: the ledger cannot be used.
    """
    address = address_of(run)
    if not address and not run.ledger.exists():
        yield None
    elif not address:
        with Ledger(run.ledger) as ledger:
            yield ledger
    else:
        from annotator.cluster.postgres import PostgresLedger

        with PostgresLedger(address) as database:
            yield database


def address_of(run: RunDir) -> str:
    """The database that ``run`` keeps its answers in; empty where it is the file in the directory."""
    return str(run.read_manifest().get("config", {}).get("ledger", ""))
