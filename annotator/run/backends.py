"""Choose engine and ledger: this machine or a cluster, the SQLite file of a run directory or a database.

No other module outside ``annotator.cluster`` imports that package.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from annotator.config.settings import RunConfig
from annotator.engines import Engine
from annotator.engines.local import LocalEngine
from annotator.ledger import Ledger, SqliteLedger
from annotator.storage.rundir import RunDir

COPY: Final = 1000
"""Answers in one transaction."""


def make_engine(config: RunConfig) -> Engine:
    """Return the engine that ``config`` names. Processes and clusters start at the first task."""
    if config.engine == "ray":
        from annotator.cluster.ray import RayEngine

        return RayEngine(config.ray_address, config.workers)
    return LocalEngine(config.processes)


@contextmanager
def open_ledger(run: RunDir, address: str, *, alone: bool = True) -> Iterator[Ledger]:
    """Open the ledger of ``run``: the database at ``address``, or without one the file in the directory.

    The ledger is created if needed. Answers of the file are copied to the database, so that a directory can change
    from one to the other.

    Args:
        run: the run directory, locked by this process.
        address: of a database, without a password.
        alone: refuse to work beside another process that opened it so. A process that asks the teacher needs that: two
            of them could ask the same question.

    Raises:
        ConfigError: the extra for databases is not installed.
        RunDirError: the ledger cannot be used, or another process works with it.
    """
    if not address:
        with SqliteLedger(run.ledger) as ledger:
            yield ledger
        return
    from annotator.cluster.postgres import PostgresLedger

    with PostgresLedger(address, alone=alone) as database:
        if alone and run.ledger.exists():
            with SqliteLedger(run.ledger) as file:
                for answers in file.batches(COPY):
                    database.append(answers)
            database.flush()
        yield database


@contextmanager
def answers_of(run: RunDir) -> Iterator[Ledger | None]:
    """Open the ledger of ``run`` for reading; yield None where there is none.

    Raises:
        RunDirError: the ledger cannot be used.
    """
    address = address_of(run)
    if not address and not run.ledger.exists():
        yield None
        return
    with open_ledger(run, address, alone=False) as ledger:
        yield ledger


def address_of(run: RunDir) -> str:
    """Return the address of the database with the answers of ``run``; empty where it is the file in the directory."""
    return str(run.read_manifest().get("config", {}).get("ledger", ""))
