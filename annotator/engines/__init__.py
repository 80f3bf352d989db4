"""Run tasks: in processes of this machine (``local``), or on a Ray cluster (``annotator.cluster.ray``).

A stage splits its input into partitions that depend only on the input, and gives an engine a function of one partition.
Results come in the order of the partitions, so the files do not depend on the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Engine(Protocol):
    """Applies a function to partitions."""

    def spread(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield ``function(item)`` of each item, in the order of the items; a bounded number is in progress.

        Function, items and results are pickled. If a process dies, ``function`` may be called twice for an item, so it
        has no side effects.

        Raises:
            AnnotateError: the error of ``function``, or a process died repeatedly.
        """
        ...

    def close(self) -> None:
        """Stop the processes."""
        ...
