"""The hyper-parameters of one stage. Each default, bound and meaning stands here and nowhere else."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from annotator.errors import ConfigError, did_you_mean


def _setting(default: Any, text: str, *, low: float | None = None, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"help": text, "low": low, "choices": choices})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Hyper-parameters of one stage. The defaults are the thesis's settings where it gives them."""

    seed: int = _setting(
        0, "Seed of what is drawn, of the order, of dropout and of the adapter's first weights.", low=0
    )
    learning_rate: float = _setting(3e-5, "Learning rate of AdamW.", low=0)
    schedule: str = _setting("constant", "How the learning rate goes on.", choices=("constant", "linear", "cosine"))
    warmup_steps: int = _setting(0, "Steps in which the learning rate rises from 0; not with constant.", low=0)
    weight_decay: float = _setting(0.0, "AdamW's weight decay.", low=0)
    max_grad_norm: float = _setting(1.0, "Gradients are scaled down to this norm.", low=0)
    epochs: float = _setting(1.0, "Times that the data are gone through.", low=0)
    max_steps: int = _setting(0, "Steps at most; 0: as the epochs say.", low=0)
    batch: int = _setting(4, "Samples a step of the optimiser.", low=1)
    micro_batch: int = _setting(0, "Samples that are computed at once; 0: the whole batch.", low=0)
    window: int = _setting(64, "Batches of shuffled samples among which those of like length meet; 0: none.", low=0)
    max_tokens: int = _setting(1024, "Longer inputs and longer outputs are left out, in tokens.", low=8)
    precision: str = _setting("auto", "bf16: bfloat16 products, frozen base in bfloat16. fp32: the thesis's. "
                              "auto: bf16 where the device computes it natively.",
                              choices=("auto", "bf16", "fp32"))  # fmt: skip
    lora_r: int = _setting(8, "Rank of the adapter; 0: no adapter, every weight learns.", low=0)
    lora_alpha: int = _setting(8, "The adapter counts alpha / r times.", low=1)
    lora_dropout: float = _setting(0.0, "Dropout in the adapter.", low=0)
    lora_targets: str = _setting("q,v", "Layers that get an adapter, by the end of their names.")
    log_every: int = _setting(10, "Steps between two lines of the loss log.", low=1)
    checkpoint_every: int = _setting(500, "Steps between two checkpoints; a multiple of log_every.", low=1)

    def __post_init__(self) -> None:
        """Refuse values that cannot work, by the setting's name."""
        for item in dataclasses.fields(self):
            value, low, choices = getattr(self, item.name), item.metadata["low"], item.metadata["choices"]
            kind: Any = type(item.default)
            if kind is float and type(value) is int:
                value = float(value)
                object.__setattr__(self, item.name, value)
            if type(value) is not kind:
                raise ConfigError(f"{item.name} takes {_KINDS[kind]}, not {value!r}")
            if low is not None and not low <= value < float("inf"):
                raise ConfigError(f"{item.name} must be at least {low:g}, not {value}")
            if choices and value not in choices:
                raise ConfigError(f"{item.name} must be one of {', '.join(choices)}, not {value!r}")
        if self.checkpoint_every % self.log_every:
            raise ConfigError(
                f"checkpoint_every {self.checkpoint_every} must be a multiple of log_every {self.log_every}, "
                "so that a resumed run logs what an unbroken one does"
            )
        if self.micro_batch and self.batch % self.micro_batch:
            raise ConfigError(f"batch {self.batch} must be a multiple of micro_batch {self.micro_batch}")
        if self.warmup_steps and self.schedule == "constant":
            raise ConfigError("warmup_steps needs schedule linear or cosine")
        if not self.epochs and not self.max_steps:
            raise ConfigError("epochs or max_steps must be above 0")

    def that_decide(self) -> dict[str, Any]:
        """The settings that change the final weights: all but how often something is written."""
        whole = dataclasses.asdict(self)
        return {name: whole[name] for name in whole if name not in ("log_every", "checkpoint_every")}


_KINDS: Final[Mapping[type, str]] = {int: "a whole number", float: "a number", str: "text"}
_TYPES: Final[Mapping[str, Any]] = {item.name: type(item.default) for item in dataclasses.fields(Settings)}


def make_settings(*layers: Mapping[str, Any], where: str) -> Settings:
    """Make settings from ``layers``, the later winning.

    Raises:
        ConfigError: a name that is no setting, or a value that cannot work.
    """
    merged = {name: value for layer in layers for name, value in layer.items()}
    for name in merged:
        if name not in _TYPES:
            raise ConfigError(f"{where}: unknown setting {name!r}{did_you_mean(name, _TYPES, listed=True)}")
    try:
        return Settings(**merged)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def read_value(name: str, text: str) -> Any:
    """Parse the value of the setting ``name`` from the command line.

    Raises:
        ConfigError: there is no such setting, or the value is not of its kind.
    """
    if name not in _TYPES:
        raise ConfigError(f"--set: unknown setting {name!r}{did_you_mean(name, _TYPES, listed=True)}")
    try:
        return _TYPES[name](text)
    except ValueError:
        raise ConfigError(f"--set {name}={text}: {name} takes {_KINDS[_TYPES[name]]}") from None
