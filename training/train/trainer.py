"""transformers' Seq2SeqTrainer on one device, with an order and a loss of our own.

It imports torch and transformers, so it is imported only to train.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from peft import LoraConfig, TaskType, get_peft_model
from transformers import DataCollatorForSeq2Seq, Seq2SeqTrainer, Seq2SeqTrainingArguments, TrainerCallback, set_seed
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import PrinterCallback
from transformers.trainer_utils import get_last_checkpoint

from annotator.errors import StudentError
from annotator.terminal.events import Progress
from training.students import adapter_base, load_adapter, load_model, quiet_transformers
from training.train.data import Order
from training.train.directories import LOG, WORK, Job
from training.train.recipes import Settings, Stage

_KEPT: Final = 2
"""Checkpoints on the disk: the newest complete one, and one that is being written."""
_NATIVE: Final = ("avx512_bf16", "amx_bf16")
"""Instructions of a CPU for products of bfloat16; without them bf16 is slower than fp32."""


class StudentTrainer(Seq2SeqTrainer):
    """Trains on samples in the order of ``order``, with the loss of ``token_loss``."""

    def __init__(self, *, order: Order, **kwargs: Any) -> None:
        super().__init__(compute_loss_func=token_loss, **kwargs)
        self._order = order

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:  # noqa: ARG002 - the trainer's own signature
        return self._order


def token_loss(outputs: Any, labels: Any, num_items_in_batch: Any) -> Any:
    """Return the summed cross entropy of a part of a batch, divided by the target tokens of the whole batch.

    The parts add up to the loss of ``MT5ForConditionalGeneration`` for the whole batch. transformers 5.23 adds up the
    means of the parts: it assumes that MT5 divides by the tokens of the whole batch, which it does not.
    """
    real = labels != -100
    loss = torch.nn.functional.cross_entropy(outputs.logits[real].float(), labels[real], reduction="sum")
    return loss / num_items_in_batch


class TrainingLogger(TrainerCallback):
    """Shows progress; stops when the loss is no number."""

    def __init__(self, stage: str, progress: Progress) -> None:
        self._stage, self._progress = stage, progress

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Start the display at the step of the checkpoint."""
        self._progress.start(f"train {self._stage}", "steps", state.max_steps)
        self._progress.advance(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Count a step."""
        self._progress.advance()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ARG002
        """Show the loss."""
        loss = float((logs or {}).get("loss", 0))
        if not math.isfinite(loss):
            raise StudentError(
                f"the loss is {loss} at step {state.global_step} of stage {self._stage} (learning rate "
                f"{args.learning_rate:g}); lower it with --set learning_rate, or use --set precision=fp32"
            )
        self._progress.show(f"loss {loss:.3f}")


def train_stage(stage: Stage, start: str, samples: Any, tokenizer: Any, folder: Path, job: Job) -> dict[str, Any]:
    """Train the model ``start``, from the newest checkpoint on; save it to ``folder`` and return its record.

    Raises:
        StudentError: the model cannot be loaded, the memory does not suffice, or the loss is no number.
    """
    settings, checkpoints = stage.settings, folder / WORK / "checkpoints"
    set_seed(settings.seed)
    model = prepare(start, settings)
    lengths = samples.with_format("numpy")["length"][:]
    with quiet_transformers():
        trainer = StudentTrainer(
            order=Order(lengths, batch=settings.batch, window=settings.window, seed=settings.seed),
            model=model,
            args=training_arguments(settings, checkpoints, job.device),
            train_dataset=samples.select_columns(["input_ids", "labels"]),
            data_collator=DataCollatorForSeq2Seq(tokenizer, model),
            processing_class=tokenizer,
            callbacks=[TrainingLogger(stage.name, job.progress)],
        )
        trainer.remove_callback(PrinterCallback)
        checkpoint = newest_checkpoint(checkpoints)
        if checkpoint:
            job.progress.say(f"stage {stage.name} continues from {Path(checkpoint).name}")
        try:
            result = trainer.train(resume_from_checkpoint=checkpoint)
        except torch.OutOfMemoryError as error:
            raise StudentError(
                f"stage {stage.name} needs more memory than {job.device} has; the same command with "
                f"--set micro_batch={max(1, (settings.micro_batch or settings.batch) // 2)} gives the same with less"
            ) from error
        finally:
            job.progress.finish()
        for adapter in getattr(model, "peft_config", {}).values():
            if isinstance(adapter.target_modules, set):  # each process would save it in another order
                adapter.target_modules = sorted(adapter.target_modules)
        model.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)  # peft's empty model card
        tokenizer.save_pretrained(folder)
    (folder / LOG).write_bytes(loss_log(stage.name, trainer.state.log_history).encode("utf-8"))
    return {
        "steps": result.global_step,
        "loss": round(mean_loss(result, trainer.state.log_history, checkpoint, settings.log_every), 6),
        "trainable": sum(value.numel() for value in model.parameters() if value.requires_grad),
        "parameters": sum(value.numel() for value in model.parameters()),
        "seconds_since_last_start": round(result.metrics["train_runtime"], 1),
    }


def prepare(start: str, settings: Settings) -> Any:
    """Load the model ``start`` to train its adapter, a new adapter, or every weight."""
    folder, base = Path(start).expanduser(), adapter_base(start)
    if base and not settings.lora_r:
        raise StudentError(f"{start} has an adapter, so lora_r cannot be 0; train all stages with one lora_r")
    model = load_model(base or start)
    if folder.is_dir() and not base:
        model.name_or_path = str(folder.resolve())  # the base that the adapter names
    if not settings.lora_r:
        return model
    if settings.precision == "bf16":
        model = model.to(torch.bfloat16)  # the frozen part; the adapter stays in float32
    if base:
        return load_adapter(model, start, trainable=True)
    lora = LoraConfig(
        task_type=TaskType.SEQ_2_SEQ_LM,
        r=settings.lora_r,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=[name.strip() for name in settings.lora_targets.split(",")],
    )
    with quiet_transformers():
        return get_peft_model(model, lora)


def best_precision(device: str) -> str:
    """Return ``bf16`` where ``device`` computes products of bfloat16 natively, else ``fp32``."""
    if device != "cpu":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return "fp32"
    able: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older versions of torch lack it
    return "bf16" if any(able.get(name) for name in _NATIVE) else "fp32"


def loss_log(stage: str, history: Sequence[Mapping[str, Any]]) -> str:
    """Return the logged losses in the history of a trainer, which its checkpoints keep, as JSON lines."""
    lines = [
        {"stage": stage, "step": entry["step"], "epoch": round(entry["epoch"], 6)}
        | {name: float(entry[name]) for name in ("loss", "learning_rate", "grad_norm")}
        for entry in history
        if "loss" in entry
    ]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def mean_loss(result: Any, history: Sequence[Mapping[str, Any]], checkpoint: str | None, log_every: int) -> float:
    """Return the mean loss of all steps; ``result`` has that of the steps after ``checkpoint``.

    All steps before a checkpoint are in the history, which has the mean of every ``log_every`` steps.
    """
    if not checkpoint:
        return float(result.training_loss)
    begun = int(checkpoint.rpartition("-")[2])
    before = log_every * sum(entry["loss"] for entry in history if "loss" in entry and entry["step"] <= begun)
    return float((before + result.training_loss * (result.global_step - begun)) / result.global_step)


def newest_checkpoint(folder: Path) -> str | None:
    """Return the newest complete checkpoint; remove those whose state, which is written last, cannot be read."""
    for path in folder.glob("checkpoint-*"):
        try:
            json.loads((path / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            shutil.rmtree(path, ignore_errors=True)
    found: str | None = get_last_checkpoint(str(folder)) if folder.is_dir() else None
    return found


def training_arguments(settings: Settings, folder: Path, device: str) -> Any:
    """Return ``settings`` as the trainer has them; checkpoints go to ``folder``."""
    together = settings.micro_batch or settings.batch
    arguments = Seq2SeqTrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=together,
        gradient_accumulation_steps=settings.batch // together,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup_steps,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        num_train_epochs=settings.epochs or 10**6,
        max_steps=settings.max_steps or -1,
        bf16=settings.precision == "bf16",
        seed=settings.seed,
        use_cpu=device == "cpu",
        logging_steps=settings.log_every,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=settings.checkpoint_every,
        save_total_limit=_KEPT,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=device != "cpu",
    )
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments
