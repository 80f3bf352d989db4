"""``train``: the stages of a recipe, and the student that comes out of them with all that it was made of."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from annotator.errors import ConfigError, RunDirError, StudentError
from annotator.progress import Progress
from annotator.storage.rundir import explained, replacing, write_json
from training.learning.recipes import Recipe
from training.learning.stages import LOG, Trained, Workshop, run_stages
from training.prompting import TEMPLATE, template
from training.students import (
    check_extra,
    default_device,
    has_own_head,
    load_model,
    load_student,
    quiet_transformers,
    settle_head,
)

RECORD: Final = "training.json"
"""Written last: what the student was made of."""
MERGED: Final = "merged"
_VERSIONS: Final = ("vner-annotate", "torch", "transformers", "peft", "accelerate", "datasets", "tokenizers")
_STUDENT: Final = ("*.safetensors", "*.safetensors.index.json", "*config.json", "tokenizer*", "special_tokens_map.json",
                   "*.model")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Job:
    """What ``train`` is asked for."""

    recipe: Recipe
    data: Path
    out: Path
    device: str = ""
    merge: bool = False
    fresh: bool = False


def train(job: Job, progress: Progress) -> dict[str, Any]:
    """Run the stages of the recipe and save the student to ``job.out``; what is done already is not done again.

    Returns:
        What stands in ``training.json``.

    Raises:
        ConfigError: the recipe has no stage, or the folder holds the student of another recipe.
        StudentError: data are missing, or the training cannot go on.
    """
    check_extra()
    if not job.recipe.stages:
        raise ConfigError(f"recipe {job.recipe.name} has no stage; take one that has (vner-annotate train --list)")
    with held(job.out):
        if job.fresh:
            forget(job.out)
        before = read_record(job.out)
        shop = Workshop(job.data, job.out / "stages", settle_device(job.device))
        done = run_stages(job.recipe, shop, progress)
        if before and before["identity"] != done[-1].identity:
            raise ConfigError(
                f"{job.out} holds a student of other data or settings (recipe {before['recipe']['name']}); "
                "choose another --out, or add --fresh"
            )
        record = before or _finish(job, shop, done)
        if job.merge and not (job.out / MERGED / "config.json").is_file():
            merge(job.out, job.out / MERGED)
        return record


def read_record(folder: Path) -> dict[str, Any]:
    """What a finished student was made of; empty where there is none."""
    try:
        found: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise RunDirError(f"cannot read {folder / RECORD}: {error}; run with --fresh") from error
    return found


def merge(student: Path, out: Path) -> None:
    """Write the adapter in ``student`` and its base as one model that stands alone, and look at it once more.

    Raises:
        StudentError: the folder has a whole model already, or the merged one is not what it should be.
    """
    loaded = load_student(student, device="cpu")
    if not hasattr(loaded.model, "merge_and_unload"):
        raise StudentError(f"{student} has no adapter: it stands alone already")
    whole = loaded.model.merge_and_unload(safe_merge=True)
    settle_head(whole, str(student))
    beside = out.with_name(f".{out.name}")
    with explained(out), quiet_transformers():
        shutil.rmtree(beside, ignore_errors=True)
        whole.save_pretrained(beside)
        loaded.tokenizer.save_pretrained(beside)
        again = load_model(beside)
        if has_own_head(again) != has_own_head(whole) or again.num_parameters() != whole.num_parameters():
            raise StudentError(f"merging {student} lost the output head; the adapter itself is as it was")
        shutil.rmtree(out, ignore_errors=True)
        beside.rename(out)


@contextmanager
def held(out: Path) -> Iterator[None]:
    """Make ``out`` if need be, and hold it for this process alone.

    Raises:
        RunDirError: it cannot be written, holds something else, or another process holds it.
    """
    from filelock import FileLock, Timeout

    with explained(out):
        if out.exists() and not out.is_dir():
            raise RunDirError(f"{out} is a file; --out wants a folder")
        if (out / "manifest.json").exists() or (out / "completions.sqlite").exists():
            raise RunDirError(f"{out} is the run directory of a dataset; choose another --out")
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise RunDirError(f"another process is working on {out}; wait for it, or choose another --out") from None
    try:
        for unfinished in out.rglob(".*.part"):  # of a process that was killed; we hold the lock
            unfinished.unlink(missing_ok=True)
        yield
    finally:
        lock.release()


def settle_device(device: str) -> str:
    """Where to train: as the user says, or the GPU where there is one.

    Raises:
        ConfigError: a device that the trainer would not take.
    """
    if device not in ("", "cpu", "cuda", "cuda:0"):
        raise ConfigError(f"--device must be cpu or cuda, not {device!r}; choose a GPU with CUDA_VISIBLE_DEVICES=1")
    found = default_device()
    if device.startswith("cuda") and found == "cpu":
        raise ConfigError(f"--device {device}: torch sees no GPU here; take --device cpu, or install torch for CUDA")
    return "cpu" if device == "cpu" else found


def forget(out: Path) -> None:
    """Remove what a training made in ``out``: stages, student, figures. Nothing else."""
    with explained(out):
        for name in ("stages", MERGED):
            shutil.rmtree(out / name, ignore_errors=True)
        for pattern in (*_STUDENT, RECORD, LOG, "loss.png", "loss.svg"):
            for path in out.glob(pattern):
                path.unlink()


def versions() -> dict[str, str]:
    """What computed it."""
    found = {name: metadata.version(name) for name in _VERSIONS if _installed(name)}
    return {"python": platform.python_version(), **found}


def _finish(job: Job, shop: Workshop, done: Sequence[Trained]) -> dict[str, Any]:
    """Put the last stage's student, the whole loss log and its figure into ``job.out``, and the record last."""
    from training.learning.figures import loss_figure

    last = done[-1]
    with explained(job.out):
        for pattern in _STUDENT:
            for path in last.folder.glob(pattern):
                shutil.copy2(path, job.out / path.name)
        with replacing(job.out / LOG) as file:
            for stage in done:
                file.write((stage.folder / LOG).read_bytes())
    loss_figure(job.out / LOG, job.out)
    record = {
        "identity": last.identity,
        "recipe": job.recipe.as_dict(),
        "stages": [dict(stage.record) for stage in done],
        "template": {"file": TEMPLATE, "sha256": template().sha256},
        "device": shop.device,
        "made_by": versions(),
    }
    write_json(job.out / RECORD, record)
    return read_record(job.out)


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
