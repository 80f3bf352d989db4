"""Where work is done: by processes of this machine (``local``), or by a Ray cluster (``ray``).

A stage cuts its input into partitions that depend on nothing but the input, and hands an engine one plain function of
a partition. Results come back in the order of the partitions, so what is written does not depend on the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

from annotator.config import RunConfig

Item = TypeVar("Item")
Result = TypeVar("Result")


class Engine(Protocol):
    """Applies functions to partitions."""

    distributed: bool
    """Whether tasks run on other machines too."""

    def spread(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield ``function(item)`` of each item, in the order of the items; a bounded number is on its way.

        Function, items and results travel between processes: all three can be pickled. ``function`` may be called
        twice for an item when a process dies, so it changes nothing but what it returns.

        Raises:
            AnnotateError: what ``function`` raises, or that a process died again and again.
        """
        ...

    def close(self) -> None:
        """Stop the processes."""
        ...


def make_engine(config: RunConfig) -> Engine:
    """The engine that ``config`` names. Nothing is started before there is something to do."""
    if config.engine == "ray":
        from annotator.cluster.ray import RayEngine

        return RayEngine(config.ray_address, config.workers)
    from annotator.engines.local import LocalEngine

    return LocalEngine(config.processes)
