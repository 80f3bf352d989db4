"""Run tasks in processes of this machine."""

from __future__ import annotations

import gc
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, Final

from annotator.engines import Item, Result
from annotator.errors import AnnotateError

ALONE = 1.0
"""Seconds of CPU time after which this process starts others; it continues until they are ready."""
AHEAD = 2
"""Partitions for each process: one in progress, one waiting."""

_END: Final[Any] = object()


class LocalEngine:
    """Runs tasks in this process, and once there is enough work in ``workers`` others."""

    def __init__(self, workers: int = 1) -> None:
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None
        self._ready: Future[int] | None = None

    def spread(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield ``function(item)`` of each item, in order."""
        stream, began = iter(items), time.process_time()
        while self._pool is None or self._ready is None or not self._ready.done():
            item = next(stream, _END)
            if item is _END:
                return
            result = function(item)
            del item  # frees its memory while the result is used
            yield result
            del result  # frees its memory while the next one is computed
            if self._pool is None and self._workers > 1 and time.process_time() - began >= ALONE:
                # "spawn" is the same on every platform and inherits no locks from the threads of this process.
                self._pool = ProcessPoolExecutor(self._workers, get_context("spawn"), _settle, (function,))
                self._ready = self._pool.submit(int)
        waiting: deque[Future[Result]] = deque()
        try:
            for item in stream:
                waiting.append(self._pool.submit(function, item))
                if len(waiting) >= AHEAD * self._workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            self.close()
            raise AnnotateError("a worker process died (out of memory?); run again with fewer --workers") from error
        finally:
            for future in waiting:
                future.cancel()

    def close(self) -> None:
        """Stop the processes and drop waiting tasks."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = self._ready = None


def _settle(function: Callable[..., Any]) -> None:  # noqa: ARG001 - unpickling it loads the modules that it needs
    """Prepare a new process: the garbage collector skips what the loaded modules have created."""
    gc.collect()
    gc.freeze()
