"""Run tasks on a Ray cluster: an existing one, or a new one on this machine.

Only the driver, the process that the user started, reads and writes the run directory: a task receives its partition
and returns its result. Nodes need no shared storage, only the driver's versions of this program and its packages.
"""

from __future__ import annotations

import logging
import os
import platform
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from typing import Any, Final

from annotator.engines import Item, Result
from annotator.errors import AnnotateError, ClusterError, ConfigError, one_line

RETRIES: Final = 5
"""Retries of a task whose worker or node died."""
AHEAD: Final = 2
"""Partitions in progress for each CPU of the cluster."""
CONNECT: Final = 10.0
"""Seconds to wait for the cluster to answer."""
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
ALIKE: Final = ("vner-annotate", "pyarrow", "tiktoken", "llama-models", "tokenizers", "underthesea")
"""Packages that can change the result of a stage, so that all nodes need the same version."""


class RayEngine:
    """Runs tasks on the Ray cluster at ``address``; without one, on a new cluster of ``workers`` CPUs here."""

    def __init__(self, address: str, workers: int = 0) -> None:
        """Store the settings; the first ``spread`` joins or starts the cluster.

        Raises:
            ConfigError: the extra is not installed, or the address is one of Ray Client.
        """
        host, _, port = address.rpartition(":")
        if not address or host in LOOPBACK:
            # Ray replaces a loopback address unless this variable, whose name is misleading, is 0 before the import.
            os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        try:
            import ray
        except ImportError as error:
            raise ConfigError("--engine ray needs the extra ray: pip install '.[ray]'") from error
        if address.startswith("ray://"):
            raise ConfigError(
                f"--ray-address {address} is an address of Ray Client; run this command on a node of the cluster, "
                "and give host:port or auto"
            )
        self._ray, self._address, self._workers = ray, address, workers
        self._place = (host.strip("[]"), int(port)) if host and port.isdecimal() else None
        self._joined = False

    def spread(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield ``function(item)`` of each item, in order; each is a task, repeated if its worker dies."""
        ahead = AHEAD * self._join()
        run: Any = self._ray.remote(_run).options(max_retries=RETRIES)
        work = self._ray.put((function, versions()))
        waiting: deque[Any] = deque()
        # After an error no task is cancelled: Ray 2.60 can abort a process that cancels a task, and the error would be
        # lost. Tasks end with this process.
        for item in items:
            waiting.append(run.remote(work, item))
            if len(waiting) >= ahead:
                yield self._result(waiting.popleft())
        while waiting:
            yield self._result(waiting.popleft())

    def _join(self) -> int:
        """Join or start the cluster, and return the number of its CPUs.

        Raises:
            ClusterError: it cannot be reached or started.
        """
        ray = self._ray
        if not ray.is_initialized():
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            options: dict[str, Any] = {"address": self._address} if self._address else {
                "address": "local",
                "num_cpus": self._workers or None,
                "include_dashboard": False,
                "_node_ip_address": "127.0.0.1",
            }  # fmt: skip
            try:
                if self._place:  # fails in seconds; Ray tries for ten minutes
                    socket.create_connection(self._place, CONNECT).close()
                ray.init(**options, log_to_driver=False, logging_level=logging.CRITICAL)
            except (OSError, RuntimeError, ValueError) as error:
                what = f"join the Ray cluster at {self._address}" if self._address else "start Ray on this machine"
                raise ClusterError(f"cannot {what}: {one_line(error)}; see docs/scale.md") from error
            self._joined = True
        return max(1, int(ray.cluster_resources().get("CPU", 0)))

    def close(self) -> None:
        """Leave the cluster; stop it if it was started here."""
        if self._joined:
            self._ray.shutdown()
            self._joined = False

    def _result(self, task: Any) -> Any:
        errors = self._ray.exceptions
        try:
            return self._ray.get(task)
        except errors.RayTaskError as error:
            if isinstance(error.cause, errors.RayError):
                raise ClusterError(
                    f"a task was interrupted ({one_line(error.cause)}); run the same command again"
                ) from error
            raise error.cause from (None if isinstance(error.cause, AnnotateError) else error)
        except errors.RayError as error:
            raise ClusterError(
                f"a task was lost {1 + RETRIES} times ({one_line(error)}); see Ray's logs, run the same command again"
            ) from error


def _run(work: tuple[Callable[[Item], Result], dict[str, str]], item: Item) -> Result:
    """Run a task in a worker, if its versions are those of the driver."""
    function, wanted = work
    found = versions()
    if other := [f"{name} {found[name]}, not {wanted[name]}" for name in wanted if found[name] != wanted[name]]:
        raise ClusterError(
            f"node {socket.gethostname()} has {'; '.join(other)}: install the versions of the driver; "
            "others may give other results"
        )
    return function(item)


def versions() -> dict[str, str]:
    """Return the versions that must be the same on all nodes."""
    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for package in ALIKE:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "missing"
    return found
