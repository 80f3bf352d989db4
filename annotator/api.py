"""Build datasets from Python, and read what was built.

No other module of ``annotator`` imports ``data_cards``: this one is the Python API of both packages.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from annotator.config.settings import RunConfig
from annotator.config.toml_files import with_file
from annotator.errors import RunDirError
from annotator.records import Annotation, Sample
from annotator.storage import tables
from annotator.storage.rundir import SPLITS, RunDir, existing
from annotator.terminal.progress import make_progress

if TYPE_CHECKING:
    from datasets import DatasetDict

    from annotator.run.runner import Outcome
    from data_cards.views.passage import PassageView

Split: TypeAlias = Literal["train", "validation", "test"]
PathLike: TypeAlias = str | os.PathLike[str]
Setting: TypeAlias = str | int | float | bool | os.PathLike[str] | Sequence[PathLike] | dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Run:
    """A run directory: the dataset, and everything it was made from."""

    path: Path

    @property
    def manifest(self) -> dict[str, Any]:
        """Return the content of ``manifest.json``: settings, versions, and what each stage did."""
        return self._directory.read_manifest()

    @property
    def settings(self) -> RunConfig:
        """Return the settings of the run."""
        from annotator.run.manifest.stored_settings import settings_of

        return settings_of(self._directory)

    @property
    def unanswered(self) -> int:
        """Return the number of passages without an answer; building again with the same ``out`` asks for them."""
        return int(self.manifest.get("stages", {}).get("annotate", {}).get("unanswered", 0))

    def samples(self, split: Split = "train") -> list[Sample]:
        """Return the instruction samples of a split.

        Raises:
            RunDirError: there is no such split, the run is not finished, or the file is damaged.
        """
        if split not in SPLITS:
            raise RunDirError(f"no split {split!r}; give one of {', '.join(SPLITS)}")
        return list(tables.read_samples(self._made(self._directory.samples(split))))

    def annotations(self) -> list[Annotation]:
        """Return the answered passages with their mentions; offsets are code points.

        Raises:
            RunDirError: the run is not finished, or the file is damaged.
        """
        return list(tables.read_annotations(self._made(self._directory.annotations)))

    def audit(self) -> dict[str, Any]:
        """Return the figures of ``audit.json`` (docs/audit.md).

        Raises:
            RunDirError: the run is not finished, or the file is damaged.
        """
        path = self._made(self._directory.audit)
        try:
            figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunDirError(
                f"cannot read {path}: {error}; write it again: vner-annotate audit {self.path}"
            ) from error
        return figures

    def show(self, passage_id: str = "") -> PassageView:
        """Return a passage with its entities, the teacher's reply and the rejected records; Jupyter displays it.

        Args:
            passage_id: the id of a passage or its beginning; without it, the first passage with entities.

        Raises:
            RunDirError: there is no such passage, or several begin with ``passage_id``.
        """
        from data_cards.views.passage import find_passage

        return find_passage(self._directory, passage_id)

    def to_datasets(self) -> DatasetDict:
        """Return train, validation and test as a ``DatasetDict`` in memory, with the columns of the files.

        The cache of ``datasets`` is not used. ``load_dataset("parquet", ...)`` suits samples larger than memory.

        Raises:
            RunDirError: the run is not finished.
        """
        import pyarrow.parquet as pq
        from datasets import Dataset, DatasetDict, NamedSplit

        files = {split: self._made(self._directory.samples(split)) for split in SPLITS}
        return DatasetDict(
            {split: Dataset(pq.read_table(path), split=NamedSplit(split)) for split, path in files.items()}
        )

    @property
    def _directory(self) -> RunDir:
        return existing(self.path)

    def _made(self, path: Path) -> Path:
        if not path.is_file():
            raise RunDirError(f"{path} is not there: finish the run with vner-annotate build --out {self.path}")
        return path


def open_run(path: PathLike) -> Run:
    """Open a run directory for reading.

    Raises:
        RunDirError: it is not one.
    """
    return Run(existing(Path(path)).root)


def build(
    source: PathLike | None = None,
    *,
    out: PathLike,
    config: PathLike | None = None,
    fresh: bool = False,
    quiet: bool = True,
    **settings: Setting,
) -> Run:
    """Run the method, or continue a run: what is current is skipped, and no answer is paid for twice.

    Works in a running event loop too, such as that of Jupyter. Interrupting it is safe; the same call continues.

    Args:
        source: ``sample`` (the bundled articles), a file, a folder, an address, or a Hub dataset ``org/name``; None:
            the source of the run in ``out``, else ``sample``.
        out: the run directory; created if needed.
        config: a TOML file with settings, such as ``recipe.toml`` of another run; arguments win.
        fresh: run all stages again; answers in the ledger are used.
        quiet: display no progress.
        settings: the settings of ``vner-annotate build``, with underscores: ``docs=300``, ``provider="groq"``.
            Others come from the run directory, then from the defaults (``annotator.config.settings.RunConfig``).

    Returns:
        The run; ``unanswered`` is not 0 where the teacher did not answer every passage.

    Raises:
        AnnotateError: the message says what is wrong and how to fix it. Paid answers are on the disk.
    """
    from annotator.run.runner import running

    wanted = with_file(_given({**settings, "source": source}), Path(config) if config else None)
    return _finished(running(Path(out), wanted, make_progress(quiet=quiet), fresh=fresh), Path(out))


def update(path: PathLike, docs: int | str | None = None, *, quiet: bool = True, **settings: Setting) -> Run:
    """Add articles to a finished run, or continue an update: only new passages are asked about.

    Args:
        path: the run directory.
        docs: articles in all, or as text ``"+100"``, articles to add; None: continue the last update.
        quiet: display no progress.
        settings: ``source``, where the articles are now, and how to ask: ``base_url``, ``concurrency`` and the like
            (``annotator.config.settings.EXECUTION``).

    Returns:
        The run; ``unanswered`` is not 0 where the teacher did not answer every passage.

    Raises:
        AnnotateError: the message says what is wrong and how to fix it. Paid answers are on the disk.
    """
    from annotator.run.update import updating

    wanted = None if docs is None else str(docs)
    return _finished(updating(Path(path), wanted, _given(settings), make_progress(quiet=quiet)), Path(path))


def _given(settings: Mapping[str, Setting]) -> dict[str, Any]:
    """Return the settings that have a value, with paths as text."""
    return {name: _plain(value) for name, value in settings.items() if value is not None}


def _plain(value: Setting) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value


def _finished(running: AbstractContextManager[Outcome], root: Path) -> Run:
    """Run the stages, write audit and card: in another thread where an event loop runs in this one.

    Ctrl-C reaches only the main thread; it is passed on, and this waits until the other thread has cleaned up.
    """
    from data_cards.summary import finish

    worker: list[int] = []

    def work() -> None:
        worker.append(threading.get_ident())
        with running as outcome:
            finish(outcome)

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        work()
        return Run(root)
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(work)
        try:
            future.result()
        except KeyboardInterrupt:
            if worker and not future.done():
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(worker[0]), ctypes.py_object(KeyboardInterrupt)
                )
            raise
    return Run(root)
