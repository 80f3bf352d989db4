"""``train``: run the stages of a recipe, and save the student.

A stage is identified by what decides its weights, and is trained once. An interrupted one continues from its last
checkpoint.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
import shutil
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from annotator.errors import ConfigError, StudentError
from annotator.storage.atomic import explained, flush_folder, write_json
from training import students
from training.prompting import TEMPLATE, template
from training.train import data
from training.train.directories import LOG, WORK, Job, forget, held, register
from training.train.figures import loss_figure
from training.train.recipes import DataSet, Recipe, Stage

RECORD: Final = "training.json"
"""The record of a finished student: recipe, data, versions."""
STAGES: Final = "stages"
"""The folder with a folder for each stage; recipes with the same first stages share them."""
STAGE_RECORD: Final = "stage.json"
"""The record of a finished stage, written last."""
MERGED: Final = "merged"
_HOW_OFTEN: Final = {"log_every", "checkpoint_every"}
"""Settings that do not change the final weights."""
_LIBRARIES: Final = ("vner-annotate", "torch", "transformers", "peft", "accelerate", "datasets", "tokenizers")


def train(recipe: Recipe, job: Job, *, merged: bool = False, fresh: bool = False) -> dict[str, Any]:
    """Run the stages of the recipe that are not finished, save the student to ``job.out``, and return its record.

    Args:
        recipe: what to train.
        job: folders and device.
        merged: write a model without adapter too.
        fresh: first delete what an earlier training wrote.

    Raises:
        ConfigError: the recipe has no stage, or the folder holds the student of another recipe.
        RunDirError: the folder holds other files than a training's.
        StudentError: data are missing, or the training cannot go on.
    """
    if not recipe.stages:
        raise ConfigError(f"recipe {recipe.name} has no stage; choose one that has (vner-annotate train --list)")
    job = check(job, recipe.sets)
    with held(job.out):
        if fresh:
            forget(job.out)
        register(job.out, [STAGES])
        if not (job.out / RECORD).is_file():
            _finish(recipe, job, run_stages(recipe, job))
        record: dict[str, Any] = json.loads((job.out / RECORD).read_text(encoding="utf-8"))
        if record["identity"] != identities(recipe, job)[-1]:
            raise ConfigError(
                f"{job.out} holds a student of other data or settings (recipe {record['recipe']['name']}), or of "
                "another version; choose another --out, or add --fresh"
            )
        if merged and not (job.out / MERGED).exists():
            register(job.out, [MERGED, f".{MERGED}"])
            merge(job.out, job.out / MERGED)
        return record


def check(job: Job, sets: Mapping[str, DataSet]) -> Job:
    """Check the data, then the libraries and the device of this machine; return the job with its device.

    Raises:
        ConfigError: there is no such device, or the extra ``train`` is not installed.
        StudentError: data are missing.
    """
    if job.device not in ("", "cpu", "cuda", "cuda:0"):
        raise ConfigError(f"--device must be cpu or cuda, not {job.device!r}; choose a GPU with CUDA_VISIBLE_DEVICES=1")
    data.find(sets, job.data)
    students.check_extra()
    found = students.default_device()
    if job.device.startswith("cuda") and found == "cpu":
        raise ConfigError(f"--device {job.device}: torch sees no GPU here; use --device cpu, or install torch for CUDA")
    return dataclasses.replace(job, device="cpu" if job.device == "cpu" else found)


def identities(recipe: Recipe, job: Job) -> list[str]:
    """Return the identity of each stage: sha256 over what decides its weights, with the stages before it."""
    paths, base = data.find(recipe.sets, job.data), Path(recipe.model).expanduser()
    model = students.fingerprint_models([base]) if base.is_dir() else recipe.model
    found = [_sha256({"model": model, "template": template().sha256})]
    for stage in recipe.stages:
        decisive = stage.model_dump(exclude={"settings": _HOW_OFTEN})
        files = [students.file_sha256(paths[portion.set]) for portion in stage.data]
        found.append(_sha256({"before": found[-1], "stage": decisive, "files": files}))
    return found[1:]


def run_stages(recipe: Recipe, job: Job) -> list[Path]:
    """Run the stages that are not finished, each from the student of the one before.

    Returns:
        The folder of each stage: a student that ``load_student`` loads, the stage's record and its loss log.
    """
    paths, start = data.find(recipe.sets, job.data), recipe.model
    folders: list[Path] = []
    for stage, identity in zip(recipe.stages, identities(recipe, job), strict=True):
        folder = job.out / STAGES / f"{stage.name}-{identity[:12]}"
        with explained(folder):
            if not (folder / STAGE_RECORD).is_file():
                record = {"stage": stage.name, "identity": identity, "start": start}
                record |= _run_stage(stage, start, [paths[portion.set] for portion in stage.data], folder, job)
                flush_folder(folder)  # all that the record lists comes before it
                write_json(folder / STAGE_RECORD, record)
            shutil.rmtree(folder / WORK, ignore_errors=True)  # last: until then nothing is lost by a kill
        folders.append(folder)
        start = str(folder)
    return folders


def _run_stage(stage: Stage, start: str, files: list[Path], folder: Path, job: Job) -> dict[str, Any]:
    """Train a stage from the model ``start``, save the student to ``folder``, and return the rest of its record."""
    import datasets

    from training.train.trainer import best_precision, train_stage

    settings, work = stage.settings, folder / WORK
    if settings.precision == "auto":
        settings = settings.model_copy(update={"precision": best_precision(job.device)})
    parts = [data.select(portion, path, settings.seed, work) for portion, path in zip(stage.data, files, strict=True)]
    rows = datasets.concatenate_datasets([selected for selected, _ in parts])
    tokenizer = students.load_tokenizer(start)
    samples = data.tokenise(rows, tokenizer, settings.max_tokens, work, job.progress) if len(rows) else rows
    if not len(samples):
        names = ", ".join(portion.set for portion in stage.data)
        raise StudentError(f"stage {stage.name} has no samples: {names} gave none")
    stage = stage.model_copy(update={"settings": settings})
    return {
        "settings": settings.model_dump(),
        "data": [
            {**counts, "sha256": students.file_sha256(path)} for (_, counts), path in zip(parts, files, strict=True)
        ],
        "samples": len(samples),
        "too_long": len(rows) - len(samples),
        **train_stage(stage, start, samples, tokenizer, folder, job),
    }


def stage_record(folder: Path) -> dict[str, Any]:
    """Read the record of the finished stage in ``folder``."""
    found: dict[str, Any] = json.loads((folder / STAGE_RECORD).read_text(encoding="utf-8"))
    return found


def merge(student: Path, out: Path) -> None:
    """Write the adapter in ``student`` and its base as one model without adapter, and load that to check it."""
    loaded = students.load_student(student, device="cpu")
    if not hasattr(loaded.model, "merge_and_unload"):
        raise StudentError(f"{student} has no adapter: it needs no merging")
    whole = loaded.model.merge_and_unload(safe_merge=True)
    students.check_output_head(whole, str(student))
    beside = out.with_name(f".{out.name}")
    with explained(out), students.quiet_transformers():
        whole.save_pretrained(beside)
        loaded.tokenizer.save_pretrained(beside)
        again = students.load_model(beside)
        if (
            students.has_own_head(again) != students.has_own_head(whole)
            or again.num_parameters() != whole.num_parameters()
        ):
            raise StudentError(f"merging {student} lost the output head; the adapter itself is as it was")
        beside.rename(out)


def versions() -> dict[str, str]:
    """Return the versions of Python and the libraries that decide results."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in _LIBRARIES}}


def _finish(recipe: Recipe, job: Job, folders: list[Path]) -> None:
    """Copy the last stage's student to ``job.out``, write the whole loss log and its figure, and the record last."""
    student = [path for path in folders[-1].iterdir() if path.name not in {STAGE_RECORD, LOG}]
    register(job.out, [*(path.name for path in student), RECORD, LOG, "loss.png", "loss.svg"])
    with explained(job.out):
        for path in student:
            shutil.copy2(path, job.out)
        (job.out / LOG).write_bytes(b"".join((folder / LOG).read_bytes() for folder in folders))
    loss_figure(job.out / LOG, job.out)
    record = {
        "identity": stage_record(folders[-1])["identity"],
        "recipe": recipe.model_dump(),
        "stages": [stage_record(folder) for folder in folders],
        "template": {"file": TEMPLATE, "sha256": template().sha256},
        "device": job.device,
        "made_by": versions(),
    }
    write_json(job.out / RECORD, record)


def _sha256(value: Any) -> str:
    """Return the sha256 of canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode("utf-8")).hexdigest()
