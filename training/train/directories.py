"""The folder of a training or an experiment. Only what its record lists is replaced or deleted there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from annotator.errors import RunDirError
from annotator.storage.atomic import explained, locked, write_json

MARK: Final = ".training.json"
"""The record: ``{"files": [...]}``, the names in the folder that were written by ``train`` or ``experiment``."""


@dataclass(frozen=True, slots=True)
class TrainingDirectories:
    """Where a training reads and writes, and on which device it runs."""

    data: Path
    out: Path
    device: str

    @property
    def stages(self) -> Path:
        """Return the directory with a folder for each stage; recipes that begin alike share them."""
        return self.out / "stages"

    @property
    def tokens(self) -> Path:
        """Return the directory of tokenised data, by what they are made of."""
        return self.stages / ".tokens"


@contextmanager
def held(out: Path) -> Iterator[None]:
    """Make ``out`` if need be, and lock it for this process alone; an error removes it again if nothing was written.

    Raises:
        RunDirError: it cannot be written, holds anything but a training, or another process works on it.
    """
    with explained(out):
        if out.exists() and not out.is_dir():
            raise RunDirError(f"{out} is a file; --out takes a folder")
        created = [folder for folder in (out, *out.parents) if not folder.exists()]
        out.mkdir(parents=True, exist_ok=True)
        strangers = sorted(path.name for path in out.iterdir() if not path.name.startswith("."))
        if strangers and not (out / MARK).is_file():
            raise RunDirError(
                f"{out} is not empty and was not made by train (it holds {strangers[0]}); choose another --out"
            )
    with locked(out / ".lock", out):
        if not (out / MARK).is_file():
            write_json(out / MARK, {"files": []})
        for folder in (out, *(out / name for name in _files(out) if (out / name).is_dir())):
            for unfinished in folder.rglob(".*.part") if folder != out else folder.glob(".*.part"):
                unfinished.unlink(missing_ok=True)  # of a process that was killed; we hold the lock
        try:
            yield
        except BaseException:
            with suppress(OSError):
                if created and {path.name for path in out.iterdir()} <= {".lock", MARK}:
                    shutil.rmtree(out)
                    for folder in created[1:]:
                        folder.rmdir()
            raise


def register(out: Path, names: Iterable[str]) -> None:
    """Enter ``names``, about to be written, in the record of ``out``.

    Raises:
        RunDirError: a file of such a name is there and not in the record: somebody else's.
    """
    known = _files(out)
    new = [name for name in dict.fromkeys(names) if name not in known]
    if foreign := [name for name in new if (out / name).exists()]:
        raise RunDirError(f"{out / foreign[0]} was not made by train; move it away, or choose another --out")
    if new:
        write_json(out / MARK, {"files": sorted([*known, *new])})


def forget(out: Path) -> None:
    """Delete what the record of ``out`` lists, and nothing else."""
    with explained(out):
        for name in _files(out):
            shutil.rmtree(out / name) if (out / name).is_dir() else (out / name).unlink(missing_ok=True)
        write_json(out / MARK, {"files": []})


def _files(out: Path) -> list[str]:
    try:
        names = json.loads((out / MARK).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunDirError(f"cannot read {out / MARK} ({error!r}); choose another --out") from error
    return [name for name in names if isinstance(name, str) and Path(name).name == name and name not in ("", "..")]
