"""The run directory: names of its files, atomic writes, one process at a time, and the manifest.

A file appears under its name only when it is whole: it is written beside, flushed to the disk and renamed. The
manifest is written after what it speaks of, so a stage that it names is complete.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any, Final

from annotator.config import STAGES
from annotator.errors import RunDirError

SPLITS: Final = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class RunDir:
    """Where a run keeps its things. Only paths: making and reading them is the business of others."""

    root: Path

    @property
    def manifest(self) -> Path:
        """Configuration, versions, fingerprints of the stages, times."""
        return self.root / "manifest.json"

    @property
    def documents(self) -> Path:
        """The sampled documents."""
        return self.root / "documents.parquet"

    @property
    def passages(self) -> Path:
        """What the teacher is asked about."""
        return self.root / "passages.parquet"

    @property
    def ledger(self) -> Path:
        """Every answer of the teacher."""
        return self.root / "completions.sqlite"

    @property
    def batches(self) -> Path:
        """What was submitted to a Batch API, and how it stands."""
        return self.root / "batches.json"

    def asked_in(self, mark: str) -> Path:
        """Which questions are in one batch: a line each, key, tab, passage id."""
        return self.root / ".batches" / f"{mark}.tsv"

    @property
    def annotations(self) -> Path:
        """Answered passages with clean mentions."""
        return self.root / "annotations.parquet"

    @property
    def labels(self) -> Path:
        """The merge log: what became of each label."""
        return self.root / "labels.parquet"

    @property
    def corrections(self) -> Path:
        """What people corrected; no stage makes or removes it."""
        return self.root / "corrections.parquet"

    @property
    def rejected(self) -> Path:
        """Everything any stage left out."""
        return self.root / "rejected.parquet"

    @property
    def audit(self) -> Path:
        """The figures."""
        return self.root / "audit.json"

    @property
    def card(self) -> Path:
        """The data card."""
        return self.root / "README.md"

    @property
    def report(self) -> Path:
        """The report for a person."""
        return self.root / "report.html"

    def samples(self, split: str) -> Path:
        """The samples of ``train``, ``validation`` or ``test``."""
        return self.root / "samples" / f"{split}.parquet"

    def rejected_by(self, stage: str) -> Path:
        """What one stage left out; ``rejected`` is all of these in order."""
        return self.root / ".stages" / f"rejected-{stage}.parquet"

    def made_by(self, stage: str) -> tuple[Path, ...]:
        """What a stage makes and can make again: everything but the ledger."""
        own = {
            "sample": (self.documents,),
            "chunk": (self.passages,),
            "annotate": (),
            "clean": (self.annotations, self.labels),
            "explode": tuple(self.samples(split) for split in SPLITS),
        }[stage]
        return (*own, self.rejected_by(stage))

    def forget(self, first: str) -> None:
        """Remove what the stages from ``first`` on made. The ledger stays: its answers are paid for."""
        stages = STAGES[STAGES.index(first) :]
        with explained(self.root):
            for path in (
                self.rejected,
                self.audit,
                self.card,
                self.report,
                *(path for stage in stages for path in self.made_by(stage)),
            ):
                path.unlink(missing_ok=True)

    def read_manifest(self) -> dict[str, Any]:
        """The manifest, or an empty one where there is none.

        Raises:
            RunDirError: it is there and cannot be read.
        """
        try:
            found = json.loads(self.manifest.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError) as error:
            raise RunDirError(f"cannot read {self.manifest}: {error}; run with --fresh (paid answers stay)") from error
        if not isinstance(found, dict):
            raise RunDirError(f"{self.manifest} is no manifest; choose another --out")
        return found


@contextmanager
def opened(root: Path) -> Iterator[RunDir]:
    """Make ``root`` if need be, and hold it for this process alone.

    Raises:
        RunDirError: it is no folder, holds something else, cannot be written, or another process holds it.
    """
    from filelock import FileLock, Timeout

    with explained(root):
        if root.exists() and not root.is_dir():
            raise RunDirError(f"{root} is a file; --out wants a folder")
        root.mkdir(parents=True, exist_ok=True)
        run = RunDir(root)
        strangers = [entry.name for entry in root.iterdir() if not entry.name.startswith(".")]
        if strangers and not (run.manifest.exists() or run.ledger.exists()):
            raise RunDirError(
                f"{root} is not empty and no run directory (it holds {strangers[0]}); choose another --out"
            )
        lock = FileLock(root / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise RunDirError(f"another process is working on {root}; wait for it, or choose another --out") from None
    try:
        for unfinished in root.rglob(".*.part"):  # of a process that was killed; we hold the lock
            unfinished.unlink(missing_ok=True)
        yield run
    finally:
        lock.release()


def existing(root: Path) -> RunDir:
    """The run directory ``root``, for reading.

    Raises:
        RunDirError: there is none.
    """
    run = RunDir(root)
    if not run.manifest.exists():
        raise RunDirError(f"{root} is no run directory; make one with: vner-annotate build --out {root}")
    return run


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the file system says into one line with a mend."""
    try:
        yield
    except OSError as error:
        mend = {
            28: "free some space and run the same command again; nothing is lost",  # ENOSPC
            13: "check its permissions, or choose another --out",  # EACCES
            30: "it is read-only; choose another --out",  # EROFS
        }.get(error.errno or 0, "check the path and run the same command again")
        raise RunDirError(f"cannot write {error.filename or path}: {error.strerror or error}; {mend}") from error


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Write ``path`` whole or not at all: a file beside it, flushed to the disk, then renamed."""
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-", suffix=".part")
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, 0o644)
                yield file
                file.flush()
                os.fsync(descriptor)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        _flush(path.parent)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write ``value`` as readable JSON, Vietnamese letters as they are."""
    with replacing(path) as file:
        file.write((json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode("utf-8"))


def merge_rejected(run: RunDir) -> None:
    """Make ``rejected.parquet`` of what each stage left out, in the order of the stages."""
    from annotator.storage import tables

    parts = [run.rejected_by(stage) for stage in STAGES if run.rejected_by(stage).exists()]
    with replacing(run.rejected) as file:
        tables.write_records(file, tables.REJECTED, chain.from_iterable(map(tables.read_rejected, parts)))


def flush_folder(folder: Path) -> None:
    """Flush all files below ``folder`` to the disk, and nothing else: ``os.sync`` waits for every program's."""
    for path in (folder, *folder.rglob("*")):
        _flush(path)


def _flush(path: Path) -> None:
    if os.name == "posix":  # elsewhere a folder cannot be opened, and need not be
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
