"""Stages in sequence. A stage is identified by what decides its weights: trained once, and resumed where it stopped."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from annotator.errors import RunDirError, StudentError
from annotator.storage.atomic import explained, flush_folder, replacing, write_json
from annotator.terminal.events import Progress
from training.prompting import template
from training.students import ADAPTER, adapter_base, load_model, load_tokenizer, quiet_transformers
from training.train import data
from training.train.directories import TrainingDirectories
from training.train.recipes import Recipe, Settings, Stage

RECORD: Final = "stage.json"
"""Written last: a folder that has it is a finished stage."""
LOG: Final = "loss.jsonl"
AUTO: Final = "auto"
CHOSEN: Final = "precision.txt"
"""Keeps the precision chosen for ``auto``, so that a training that continues on another machine does not begin anew."""
_NATIVE: Final = ("avx512_bf16", "amx_bf16")
"""Instructions of a CPU for products of bfloat16; without them they are computed by detours, slower than fp32."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished stage."""

    name: str
    folder: Path
    """A student that ``load_student`` loads, with the stage's record and loss log."""
    identity: str
    """sha256 over everything that decides the weights: model, data, settings, and the stages before."""
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Run:
    """Shared inputs of the stages of one recipe."""

    places: TrainingDirectories
    tokenizer: Any
    progress: Progress


def run_stages(recipe: Recipe, places: TrainingDirectories, progress: Progress) -> list[Trained]:
    """Run all stages of ``recipe``, each from the student of the one before; finished ones are not run again.

    Raises:
        StudentError: data are missing or empty, or the training cannot go on.
    """
    paths = data.find(recipe.sets, places.data)
    run = _Run(places, load_tokenizer(recipe.model), progress)
    start, before = recipe.model, model_identity(recipe.model, run.tokenizer)
    done: list[Trained] = []
    for written in recipe.stages:
        stage = _with_precision(written, run)
        chosen = [data.take(portion, paths[portion.set], stage.settings.seed) for portion in stage.data]
        done.append(_run_stage(stage, chosen, (start, before), run))
        start, before = str(done[-1].folder), done[-1].identity
    return done


def model_identity(name: str, tokenizer: Any) -> str:
    """Hash what a model is: its weights where it is a folder, else its name; its tokenizer, and the template."""
    folder = Path(name).expanduser()
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    weights = {path.name: data.file_sha256(path) for path in files} if folder.is_dir() else name
    return data.digest({"model": weights, "tokenizer": data.tokenizer_sha256(tokenizer), "template": template().sha256})


def _with_precision(stage: Stage, run: _Run) -> Stage:
    """Put a precision in place of ``auto``: the one that this training began with, or that suits the device.

    Raises:
        RunDirError: the choice cannot be kept, or the file that keeps it is damaged.
    """
    if stage.settings.precision != AUTO:
        return stage
    path, suits = run.places.stages / CHOSEN, best_precision(run.places.device)
    with explained(path):
        if not path.is_file():
            with replacing(path) as file:
                file.write(f"{suits}\n".encode())
        chosen = path.read_text(encoding="utf-8").strip()
    if chosen not in ("bf16", "fp32"):
        raise RunDirError(f"{path} says {chosen[:20]!r}, which is no precision; remove it, or add --set precision=fp32")
    if chosen != suits:
        run.progress.say(
            f"stage {stage.name}: precision {chosen}, as this training began "
            f"({suits} would suit {run.places.device} better)"
        )
    return stage.model_copy(update={"settings": stage.settings.model_copy(update={"precision": chosen})})


def best_precision(device: str) -> str:
    """Return ``bf16`` where ``device`` computes products of bfloat16 natively, else ``fp32``."""
    import torch

    if device != "cpu":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return "fp32"
    able: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older torch cannot tell
    return "bf16" if any(able.get(name) for name in _NATIVE) else "fp32"


def _run_stage(stage: Stage, chosen: Sequence[data.Taken], start: tuple[str, str], run: _Run) -> Trained:
    """Train one stage from the student ``start`` (its folder or name, and its identity)."""
    prints = [taken.fingerprint() for taken in chosen]
    identity = data.digest({"before": start[1], "settings": stage.settings.that_decide(), "data": prints})
    folder = run.places.stages / f"{stage.name}-{identity[:12]}"
    work = run.places.stages / f".{folder.name}"
    with explained(work):
        if (work / RECORD).is_file():  # killed between the record and the name
            work.rename(folder)
        if (folder / RECORD).is_file():
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
            return Trained(stage.name, folder, identity, json.loads((folder / RECORD).read_text(encoding="utf-8")))
        limit = stage.settings.max_tokens
        files = [data.tokenised(taken, run.tokenizer, limit, run.places.tokens, run.progress) for taken in chosen]
        samples = data.mixed(files)
        if not len(samples):
            names = ", ".join(taken.name for taken in chosen)
            raise StudentError(f"stage {stage.name} has no samples: {names} gave none")
        work.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        record = {
            "stage": stage.name,
            "identity": identity,
            "start": start[0],
            "settings": stage.settings.model_dump(),
            "data": [taken.as_dict() for taken in chosen],
            "samples": len(samples),
            "too_long": sum(len(taken.rows) for taken in chosen) - len(samples),
            **_learn(stage, samples, start[0], work, run),
            "seconds_since_last_start": round(time.monotonic() - began, 1),
        }
        (work / "README.md").unlink(missing_ok=True)  # peft's empty model card
        flush_folder(work)  # everything that the record speaks of comes before it
        write_json(work / RECORD, record)
        work.rename(folder)
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)  # last: until then nothing is lost by a kill
    return Trained(stage.name, folder, identity, record)


def _learn(stage: Stage, samples: Any, start: str, work: Path, run: _Run) -> dict[str, Any]:
    """Train from the newest checkpoint, or from the beginning; the student is saved to ``work``."""
    import numpy as np
    import torch
    from transformers import DataCollatorForSeq2Seq, set_seed
    from transformers.trainer_callback import PrinterCallback

    from training.train.trainer import (
        StudentTrainer,
        TrainingLogger,
        loss_log,
        newest_checkpoint,
        training_arguments,
    )

    settings = stage.settings
    set_seed(settings.seed)
    model = prepare(start, settings)
    lengths = np.asarray(samples.with_format("numpy")["length"][:], np.int64)
    with quiet_transformers():
        trainer = StudentTrainer(
            order=data.Order(lengths, batch=settings.batch, window=settings.window, seed=settings.seed),
            model=model,
            args=training_arguments(settings, work / "checkpoints", run.places.device),
            train_dataset=samples.select_columns(["input_ids", "labels"]),
            data_collator=DataCollatorForSeq2Seq(run.tokenizer),
            processing_class=run.tokenizer,
            callbacks=[TrainingLogger(stage.name, run.progress)],
        )
        trainer.remove_callback(PrinterCallback)
        checkpoint = newest_checkpoint(work / "checkpoints")
        if checkpoint:
            run.progress.say(f"stage {stage.name} continues from {Path(checkpoint).name}")
        try:
            result = trainer.train(resume_from_checkpoint=checkpoint)
        except torch.OutOfMemoryError as error:
            raise StudentError(
                f"stage {stage.name} needs more memory than {run.places.device} has; the same command with "
                f"--set micro_batch={max(1, (settings.micro_batch or settings.batch) // 2)} learns the same with less"
            ) from error
        finally:
            run.progress.finish()
        (work / LOG).write_bytes(loss_log(stage.name, trainer.state.log_history).encode("utf-8"))
        model.save_pretrained(work)
        run.tokenizer.save_pretrained(work)
    return {
        "steps": result.global_step,
        "loss": round(float(result.training_loss), 6),
        "trainable": sum(value.numel() for value in model.parameters() if value.requires_grad),
        "parameters": sum(value.numel() for value in model.parameters()),
    }


def prepare(start: str, settings: Settings) -> Any:
    """Prepare the model that learns: ``start`` with its adapter, with a new adapter, or with every weight free.

    Raises:
        StudentError: it cannot be loaded, or it has an adapter and every weight is to learn.
    """
    import torch
    from peft import LoraConfig, PeftModel, TaskType, get_peft_model

    folder = Path(start).expanduser()
    adapted = (folder / ADAPTER).is_file()
    model = load_model(adapter_base(folder) if adapted else start)
    if folder.is_dir() and not adapted:
        model.name_or_path = str(folder.resolve())
    if not settings.lora_r:
        if adapted:
            raise StudentError(f"{start} has an adapter, so lora_r cannot be 0; train all stages with one lora_r")
        return model
    if settings.precision == "bf16":
        model = model.to(torch.bfloat16)  # the frozen part; the adapter stays in float32
    lora = LoraConfig(
        task_type=TaskType.SEQ_2_SEQ_LM,
        r=settings.lora_r,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=[name.strip() for name in settings.lora_targets.split(",")],
    )
    with quiet_transformers():
        if adapted:
            return PeftModel.from_pretrained(model, str(folder), is_trainable=True)
        return get_peft_model(model, lora)
