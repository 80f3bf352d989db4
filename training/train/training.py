"""``train``: the stages of a recipe, and the student that comes out of them with all that it was made of."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from annotator.errors import ConfigError, RunDirError, StudentError
from annotator.storage.atomic import explained, replacing, write_json
from annotator.terminal.events import Progress
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
from training.train.data import find
from training.train.directories import TrainingDirectories, forget, held, register
from training.train.recipes import Recipe
from training.train.stages import LOG, Trained, run_stages
from training.train.stages import RECORD as STAGE_RECORD

RECORD: Final = "training.json"
"""Of a finished student: what it was made of."""
MERGED: Final = "merged"
_VERSIONS: Final = ("vner-annotate", "torch", "transformers", "peft", "accelerate", "datasets", "tokenizers")


@dataclass(frozen=True, slots=True)
class Job:
    """Arguments of ``train``."""

    recipe: Recipe
    data: Path
    out: Path
    device: str = ""
    merge: bool = False
    fresh: bool = False


def train(job: Job, progress: Progress) -> dict[str, Any]:
    """Run the stages of the recipe and save the student to ``job.out``; finished stages are not run again.

    Returns:
        The content of ``training.json``.

    Raises:
        ConfigError: the recipe has no stage, or the folder holds the student of another recipe.
        RunDirError: the folder holds other things than a training.
        StudentError: data are missing, or the training cannot go on.
    """
    if not job.recipe.stages:
        raise ConfigError(f"recipe {job.recipe.name} has no stage; choose one that has (vner-annotate train --list)")
    check_device(job.device)
    find(job.recipe.sets, job.data)  # before torch is imported
    check_extra()
    places = TrainingDirectories(job.data, job.out, settle_device(job.device))
    with held(job.out):
        if job.fresh:
            forget(job.out)
        before = read_record(job.out)
        register(job.out, [places.stages.name])
        done = run_stages(job.recipe, places, progress)
        if before and before["identity"] != done[-1].identity:
            raise ConfigError(
                f"{job.out} holds a student of other data or settings (recipe {before['recipe']['name']}); "
                "choose another --out, or add --fresh"
            )
        record = before or _finish(job, places, done)
        if job.merge and not (job.out / MERGED / "config.json").is_file():
            register(job.out, [MERGED, f".{MERGED}"])
            merge(job.out, job.out / MERGED)
        return record


def read_record(folder: Path) -> dict[str, Any]:
    """Read what a finished student was trained from; empty where there is none."""
    try:
        found: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise RunDirError(f"cannot read {folder / RECORD}: {error}; run with --fresh") from error
    return found


def merge(student: Path, out: Path) -> None:
    """Write the adapter in ``student`` and its base as one model that stands alone, and read it once more.

    Raises:
        StudentError: the folder has a whole model already, or the merged one has lost its output head.
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


def check_device(device: str) -> None:
    """Refuse a name that is no device of the trainer, without importing torch."""
    if device not in ("", "cpu", "cuda", "cuda:0"):
        raise ConfigError(f"--device must be cpu or cuda, not {device!r}; choose a GPU with CUDA_VISIBLE_DEVICES=1")


def settle_device(device: str) -> str:
    """Return the device to train on: ``device``, or the GPU where there is one.

    Raises:
        ConfigError: a device that the trainer cannot use.
    """
    check_device(device)
    found = default_device()
    if device.startswith("cuda") and found == "cpu":
        raise ConfigError(f"--device {device}: torch sees no GPU here; use --device cpu, or install torch for CUDA")
    return "cpu" if device == "cpu" else found


def versions() -> dict[str, str]:
    """Return the versions of Python and the libraries that decide results."""
    found = {"python": platform.python_version()}
    for name in _VERSIONS:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _finish(job: Job, places: TrainingDirectories, done: Sequence[Trained]) -> dict[str, Any]:
    """Put the last stage's student, the whole loss log and its figure into ``job.out``, and the record last."""
    from training.train.figures import loss_figure

    last = done[-1]
    with explained(job.out):
        student = [path for path in last.folder.iterdir() if path.is_file() and path.name not in {STAGE_RECORD, LOG}]
        register(job.out, [*(path.name for path in student), RECORD, LOG, "loss.png", "loss.svg"])
        for path in student:
            shutil.copy2(path, job.out / path.name)
        with replacing(job.out / LOG) as file:
            file.writelines((stage.folder / LOG).read_bytes() for stage in done)
    loss_figure(job.out / LOG, job.out)
    record = {
        "identity": last.identity,
        "recipe": job.recipe.model_dump(),
        "stages": [dict(stage.record) for stage in done],
        "template": {"file": TEMPLATE, "sha256": template().sha256},
        "device": places.device,
        "made_by": versions(),
    }
    write_json(job.out / RECORD, record)
    return read_record(job.out)
