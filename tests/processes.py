"""An engine whose processes are there before it begins, so that small work is done by them too."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

from annotator.engines import Item, Result
from annotator.engines.local import LocalEngine


def here(_: int) -> int:
    """Who works."""
    return os.getpid()


class Started(LocalEngine):
    """With ``ALONE`` at 0: it waits for its processes."""

    def spread(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Work with other processes alone."""
        while self._workers > 1 and os.getpid() in set(super().spread(here, range(4))):
            pass
        return super().spread(function, items)
