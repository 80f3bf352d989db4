"""Choose between this machine and a cluster. No other module outside ``annotator.cluster`` imports that package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annotator.config.settings import RunConfig
from annotator.engines import Engine
from annotator.engines.local import LocalEngine

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
