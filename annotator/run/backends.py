"""Choose between this machine and a cluster. No other module outside ``annotator.cluster`` imports that package."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from annotator.config.settings import RunConfig
from annotator.engines import Engine
from annotator.engines.environment import carried
from annotator.engines.local import LocalEngine
from annotator.ledger import Answers
from annotator.teachers import Asked
from annotator.terminal.events import Progress

if TYPE_CHECKING:
    from annotator.cluster.postgres import PostgresLedger


def make_engine(config: RunConfig) -> Engine:
    """Return the engine that ``config`` names. Processes and clusters start at the first task."""
    if config.engine == "ray":
        from annotator.cluster.ray import RayEngine

        return RayEngine(config.ray_address, config.workers)
    return LocalEngine(config.processes)


def database(address: str, *, alone: bool = False) -> PostgresLedger:
    """Open the ledger in the database at ``address``; ``alone``: keep out every other process that wants to be alone.

    Raises:
        ConfigError: the extra is not installed.
        RunDirError: the database cannot be used.
    """
    from annotator.cluster.postgres import PostgresLedger

    return PostgresLedger(address, alone=alone)


def ask_on_cluster(
    questions: Iterable[Asked],
    ledger: Answers,
    engine: Engine,
    config: RunConfig,
    overhead: int,
    progress: Progress,
) -> bool:
    """Ask ``questions`` by tasks on the cluster of ``engine``; return False where this process has to ask.

    The workers need a ledger that they can reach: a database.
    """
    if not engine.distributed:
        return False
    if not config.ledger:
        if config.ray_address:
            progress.say("the ledger is a file, so this process asks; with --ledger postgresql://... all workers do")
        return False
    from annotator.asking.pool import pace_of
    from annotator.cluster.ray import RayEngine
    from annotator.cluster.sharing import CARRIED, Job, annotate_shared

    assert isinstance(engine, RayEngine)  # noqa: S101 - the only distributed engine
    job = Job(config, pace_of(config), overhead, carried(*CARRIED))
    annotate_shared(questions, ledger, job, engine, progress)
    return True
