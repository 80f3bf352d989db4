"""The folder of a training or an experiment. Only files that its record lists are replaced or deleted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from annotator.errors import RunDirError
from annotator.storage.atomic import explained, locked, write_json
from annotator.terminal.events import Progress

MARK: Final = ".training.json"
"""The record: ``{"files": [...]}``, the names that ``train`` or ``experiment`` wrote."""
LOG: Final = "loss.jsonl"
WORK: Final = "work"
"""In the folder of a stage: its checkpoints and tokens, until it is finished."""


@dataclass(frozen=True, slots=True)
class Job:
    """The folders and the device of a training."""

    data: Path
    out: Path
    device: str
    """``cpu``, ``cuda``, or empty for the GPU where there is one."""
    progress: Progress


@contextmanager
def held(out: Path) -> Iterator[None]:
    """Create ``out`` where it is missing, and lock it for this process alone.

    Raises:
        RunDirError: it cannot be written, holds other files than a training's, or another process works on it.
    """
    with explained(out):
        out.mkdir(parents=True, exist_ok=True)
        strangers = sorted(path.name for path in out.iterdir() if not path.name.startswith("."))
    if strangers and not (out / MARK).is_file():
        raise RunDirError(
            f"{out} is not empty and was not written by train (it holds {strangers[0]}); choose another --out"
        )
    with locked(out / ".lock", out):
        yield


def register(out: Path, names: Iterable[str]) -> None:
    """Add names that will be written to the record of ``out``; raise a RunDirError if a file of another has one."""
    listed = _listed(out)
    new = sorted(set(names) - set(listed))
    if foreign := [name for name in new if (out / name).exists()]:
        raise RunDirError(f"{out / foreign[0]} was not written by train; move it away, or choose another --out")
    write_json(out / MARK, {"files": sorted([*listed, *new])})


def forget(out: Path) -> None:
    """Delete the files that the record of ``out`` lists."""
    with explained(out):
        for name in _listed(out):
            shutil.rmtree(out / name) if (out / name).is_dir() else (out / name).unlink(missing_ok=True)
    write_json(out / MARK, {"files": []})


def _listed(out: Path) -> list[str]:
    """Return the names in the record, without those that lead out of the folder."""
    if not (out / MARK).is_file():
        return []
    names = json.loads((out / MARK).read_text(encoding="utf-8"))["files"]
    return [name for name in names if Path(name).name == name and name not in ("", "..")]
