"""A local engine that starts its processes before it begins, and tasks for it; this module must be fast to import."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from annotator.engines import Item, Result
from annotator.engines.local import LocalEngine
from annotator.errors import RunDirError, SourceError


def here(_: int) -> int:
    """Return the id of the process that runs the task."""
    return os.getpid()


class Started(LocalEngine):
    """The local engine with ``ALONE`` at 0, which waits for its processes."""

    def spread(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Run the tasks in other processes only."""
        if self._workers > 1:
            while self._ready is None:
                list(super().spread(here, range(2)))
            self._ready.result()
        return super().spread(function, items)


def square_or_fail(number: int) -> int:
    """Square ``number``; 7 and 8 raise errors of two kinds."""
    if number == 7:
        raise RunDirError("seven")
    if number == 8:
        raise SourceError("eight")
    return number * number


def die_once(marker: str) -> str:
    """Kill this process, unless ``marker`` shows that this has happened before."""
    path = Path(marker)
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def die(_: int) -> None:
    """Kill this process."""
    os.kill(os.getpid(), signal.SIGKILL)
