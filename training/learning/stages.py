"""Stages in sequence. A stage is known by what decides its weights: trained once, and resumed where it stopped."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from annotator.errors import StudentError
from annotator.progress import Progress
from annotator.storage.rundir import explained, flush_folder, write_json
from training.learning import mixing
from training.learning.precision import settled
from training.learning.recipes import Recipe, Stage
from training.learning.settings import Settings
from training.prompting import template
from training.students import ADAPTER, adapter_base, load_model, load_tokenizer, quiet_transformers

RECORD: Final = "stage.json"
"""Written last: a folder that has it is a finished stage."""
LOG: Final = "loss.jsonl"


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where a training takes place."""

    data: Path
    stages: Path
    """Has a folder for each stage; recipes that begin alike share them."""
    device: str

    @property
    def tokens(self) -> Path:
        """Tokenised data, by what they are made of."""
        return self.stages / ".tokens"


@dataclass(frozen=True, slots=True)
class Trained:
    """What a stage made."""

    name: str
    folder: Path
    """A student that ``load_student`` loads, with the stage's record and loss log."""
    identity: str
    """sha256 over everything that decides the weights: model, data, settings, and the stages before."""
    record: Mapping[str, Any]


def run_stages(recipe: Recipe, shop: Workshop, progress: Progress) -> list[Trained]:
    """Run all stages of ``recipe``, each on what the one before made; those that are done are not run again.

    A precision that the recipe leaves open is settled here; each stage's record has what was chosen.

    Raises:
        StudentError: data are missing or empty, or the training cannot go on.
    """
    paths = mixing.find(recipe.sets, recipe.used, shop.data)
    tokenizer = load_tokenizer(recipe.model)
    start, before = recipe.model, model_identity(recipe.model, tokenizer)
    done: list[Trained] = []
    recipe = settled(recipe, shop.stages, shop.device, progress)
    for stage in recipe.stages:
        chosen = [mixing.take(portion, paths[portion.set], stage.settings.seed) for portion in stage.data]
        made = _run_stage(stage, chosen, start, before, (shop, tokenizer, progress))
        start, before = str(made.folder), made.identity
        done.append(made)
    return done


def model_identity(name: str, tokenizer: Any) -> str:
    """What a model is, as a hash: its weights where it is a folder, else its name; its tokenizer, and the template."""
    folder = Path(name).expanduser()
    weights = (
        {path.name: mixing.file_sha256(path) for path in sorted(folder.glob("*.safetensors"))}
        if folder.is_dir()
        else name
    )
    return mixing.digest(
        {"model": weights, "tokenizer": mixing.tokenizer_sha256(tokenizer), "template": template().sha256}
    )


def _run_stage(
    stage: Stage,
    chosen: Sequence[mixing.Taken],
    start: str,
    before: str,
    means: tuple[Workshop, Any, Progress],
) -> Trained:
    shop, tokenizer, progress = means
    prints = [taken.fingerprint() for taken in chosen]
    decides = {"before": before, "settings": stage.settings.that_decide(), "data": prints}
    identity = mixing.digest(decides)
    folder = shop.stages / f"{stage.name}-{identity[:12]}"
    work = shop.stages / f".{folder.name}"
    if (work / RECORD).is_file():  # killed between the record and the name
        work.rename(folder)
    if (folder / RECORD).is_file():
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        return Trained(stage.name, folder, identity, json.loads((folder / RECORD).read_text(encoding="utf-8")))
    limit = stage.settings.max_tokens
    files = [mixing.tokenised(taken, tokenizer, limit, shop.tokens, progress) for taken in chosen]
    samples = mixing.mixed(files)
    if not len(samples):
        raise StudentError(f"stage {stage.name} has no samples: {', '.join(taken.name for taken in chosen)} gave none")
    with explained(work):
        work.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        learnt = _learn(stage, samples, start, work, means)
        record = {
            "stage": stage.name,
            "identity": identity,
            "start": start,
            "settings": {name: getattr(stage.settings, name) for name in stage.settings.__slots__},
            "data": [
                {**shown, "file": taken.path.name, "in_file": taken.in_file, "without_answer": taken.without_answer}
                for shown, taken in zip(prints, chosen, strict=True)
            ],
            "samples": len(samples),
            "too_long": sum(len(taken.rows) for taken in chosen) - len(samples),
            **learnt,
            "seconds_since_last_start": round(time.monotonic() - began, 1),
        }
        (work / "README.md").unlink(missing_ok=True)  # peft's empty model card
        flush_folder(work)  # all that it speaks of before the record
        write_json(work / RECORD, record)
        work.rename(folder)
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)  # last: until then nothing is lost by a kill
    return Trained(stage.name, folder, identity, record)


def _learn(stage: Stage, samples: Any, start: str, work: Path, means: tuple[Workshop, Any, Progress]) -> dict[str, Any]:
    """Train from the newest checkpoint, or from the beginning; the student is saved to ``work``."""
    import numpy as np
    import torch
    from transformers import DataCollatorForSeq2Seq, set_seed
    from transformers.trainer_callback import PrinterCallback

    from training.learning.trainer import StudentTrainer, Teller, newest_checkpoint, training_arguments

    (shop, tokenizer, progress), settings = means, stage.settings
    set_seed(settings.seed)
    model = prepare(start, settings)
    order = mixing.Order(np.asarray(samples.with_format("numpy")["length"][:], np.int64), batch=settings.batch,
                         window=settings.window, seed=settings.seed)  # fmt: skip
    teller = Teller(stage.name, work / LOG, progress)
    with quiet_transformers():
        trainer = StudentTrainer(
            order=order,
            model=model,
            args=training_arguments(settings, work / "checkpoints", shop.device),
            train_dataset=samples.select_columns(["input_ids", "labels"]),
            data_collator=DataCollatorForSeq2Seq(tokenizer),
            processing_class=tokenizer,
            callbacks=[teller],
        )
        trainer.remove_callback(PrinterCallback)
        checkpoint = newest_checkpoint(work / "checkpoints")
        if checkpoint:
            progress.say(f"stage {stage.name} goes on from {checkpoint.name}")
        try:
            result = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        except torch.OutOfMemoryError as error:
            raise StudentError(
                f"stage {stage.name} needs more memory than {shop.device} has; the same command with "
                f"--set micro_batch={max(1, (settings.micro_batch or settings.batch) // 2)} learns the same with less"
            ) from error
        finally:
            teller.close()
        model.save_pretrained(work)
        tokenizer.save_pretrained(work)
    trainable = sum(value.numel() for value in model.parameters() if value.requires_grad)
    return {
        "steps": result.global_step,
        "loss": round(float(result.training_loss), 6),
        "trainable": trainable,
        "parameters": sum(value.numel() for value in model.parameters()),
    }


def prepare(start: str, settings: Settings) -> Any:
    """The model that learns: ``start`` with its adapter, with a new adapter, or with every weight free.

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
    if adapted:
        with quiet_transformers():
            return PeftModel.from_pretrained(model, str(folder), is_trainable=True)
    with quiet_transformers():
        return get_peft_model(model, LoraConfig(
        task_type=TaskType.SEQ_2_SEQ_LM,
        r=settings.lora_r,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=[name.strip() for name in settings.lora_targets.split(",")],
    ))  # fmt: skip
