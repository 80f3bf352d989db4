"""Open the ledger of a run directory: the SQLite file in it, or the database that its settings name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from annotator.ledger import Answers, Ledger
from annotator.run.backends import database
from annotator.storage.rundir import RunDir

COPY: Final = 1000
"""Answers a transaction."""


@contextmanager
def open_ledger(run: RunDir, address: str, *, alone: bool = True) -> Iterator[Answers]:
    """Open the ledger of ``run``: the database at ``address``, or without one the file in the directory.

    The ledger is created if needed. Answers of the file are copied to the database, so that a directory can change
    from one to the other.

    Args:
        run: the run directory, which this process holds.
        address: of a database, without a password.
        alone: keep out other processes that want to be alone. A process that asks the teacher needs that: two of them
            could ask the same question.

    Raises:
        RunDirError: the ledger cannot be used, or another process works with it.
    """
    if not address:
        with Ledger(run.ledger) as ledger:
            yield ledger
        return
    with database(address, alone=alone) as ledger:
        if alone and run.ledger.exists():
            with Ledger(run.ledger) as file:
                for answers in file.batches(COPY):
                    ledger.append(answers)
            ledger.flush()
        yield ledger


@contextmanager
def answers_of(run: RunDir) -> Iterator[Answers | None]:
    """Open the ledger of ``run`` for reading; yield None where there is none.

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
        with database(address) as ledger:
            yield ledger


def address_of(run: RunDir) -> str:
    """Return the address of the database with the answers of ``run``; empty where it is the file in the directory."""
    return str(run.read_manifest().get("config", {}).get("ledger", ""))
