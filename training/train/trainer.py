"""transformers' Seq2SeqTrainer with an order of our own, and a loss that does not compute what is thrown away.

Heavy: it imports torch and transformers, and is imported only where something is trained. One device: a second GPU is
left alone.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from transformers import Seq2SeqTrainer, Seq2SeqTrainingArguments, TrainerCallback
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import get_last_checkpoint

from annotator.errors import StudentError
from annotator.terminal.events import Progress
from training.train.data import Order
from training.train.recipes import Settings

_KEPT: Final = 2
"""Checkpoints that are kept: the newest whole one, and the one that is being written."""


class StudentTrainer(Seq2SeqTrainer):
    """Trains on single samples in the order of ``order``, on one device.

    The loss is the mean cross entropy over the target tokens of the whole batch, as ``MT5ForConditionalGeneration``
    computes it for a batch that is not split. Two things differ. The output head, 250,112 words wide, is applied to
    real target tokens alone, not to padding. And a batch in several parts is divided by its tokens once: transformers
    5.23 takes MT5 for a model that does so itself, which it does not, and adds up the means of the parts undivided.
    """

    loss_is_scaled_for_ga = True

    def __init__(self, *, order: Order, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._order = order

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:  # noqa: ARG002 - the trainer's own signature
        return self._order

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the summed cross entropy of this part, divided by the target tokens of the whole batch."""
        whole = model.get_base_model() if hasattr(model, "get_base_model") else model
        labels, mask = inputs["labels"], inputs["attention_mask"]
        real = labels != -100
        with self.accelerator.autocast():
            encoded = whole.encoder(input_ids=inputs["input_ids"], attention_mask=mask)[0]
            shifted = whole.prepare_decoder_input_ids_from_labels(labels=labels)
            decoded = whole.decoder(
                input_ids=shifted, encoder_hidden_states=encoded, encoder_attention_mask=mask, use_cache=False
            )[0]
            logits = whole.get_output_embeddings()(decoded[real])
        loss = torch.nn.functional.cross_entropy(logits.float(), labels[real], reduction="sum")
        loss = loss / (real.sum() if num_items_in_batch is None else num_items_in_batch)
        return (loss, {"logits": logits}) if return_outputs else loss


class TrainingLogger(TrainerCallback):
    """Shows progress; stops where the loss is no number."""

    def __init__(self, stage: str, progress: Progress) -> None:
        self._stage, self._progress = stage, progress

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Begin where the checkpoint stands."""
        self._progress.start(f"train {self._stage}", "steps", state.max_steps)
        self._progress.advance(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Count one step more."""
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


def loss_log(stage: str, history: Sequence[Mapping[str, Any]]) -> str:
    """Return the history of a trainer, which its checkpoints keep, as JSON lines: one for each logged loss."""
    lines = [
        {"stage": stage, "step": entry["step"], "epoch": round(entry["epoch"], 6)}
        | {name: float(entry[name]) for name in ("loss", "learning_rate", "grad_norm")}
        for entry in history
        if "loss" in entry
    ]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def newest_checkpoint(folder: Path) -> str | None:
    """Return the newest whole checkpoint. Those whose state, which is written last, is missing or cut are removed."""
    for path in folder.glob("checkpoint-*"):
        try:
            json.loads((path / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            shutil.rmtree(path, ignore_errors=True)
    found: str | None = get_last_checkpoint(str(folder)) if folder.is_dir() else None
    return found


def training_arguments(settings: Settings, folder: Path, device: str) -> Any:
    """Return the trainer's own settings for ``settings``; checkpoints go to ``folder``."""
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
