"""Recipes: model, data, stages and benchmarks of a training, as TOML in which unknown names are errors.

A recipe may name a ``base``: it inherits all but ``label`` and ``published``, and its stages follow those of the base.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    model_validator,
)

from annotator.config.toml_files import parse_toml
from annotator.errors import ConfigError, did_you_mean
from training.train.changes import Changes


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class Settings(_Strict):
    """Hyper-parameters of one stage. The defaults are the thesis's settings where it gives them."""

    seed: NonNegativeInt = 0
    """Seed of what is drawn, of the order, of dropout and of the adapter's first weights."""
    learning_rate: NonNegativeFloat = 3e-5
    """Learning rate of AdamW."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """How the learning rate changes."""
    warmup_steps: NonNegativeInt = 0
    """Steps in which the learning rate rises from 0; not with constant."""
    weight_decay: NonNegativeFloat = 0.0
    """AdamW's weight decay."""
    max_grad_norm: NonNegativeFloat = 1.0
    """Gradients are scaled down to this norm."""
    epochs: NonNegativeFloat = 1.0
    """Passes over the data."""
    max_steps: NonNegativeInt = 0
    """Steps at most; 0: as many as the epochs need."""
    batch: PositiveInt = 4
    """Samples per step of the optimiser."""
    micro_batch: NonNegativeInt = 0
    """Samples that are computed at once; 0: the whole batch."""
    window: NonNegativeInt = 64
    """Batches of shuffled samples among which those of similar length are grouped; 0: none."""
    max_tokens: int = Field(default=1024, ge=8)
    """Samples with a longer input or output are left out, in tokens."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """bf16: bfloat16 products and frozen base. fp32: the thesis's. auto: bf16 where the device computes it natively."""
    lora_r: NonNegativeInt = 8
    """Rank of the adapter; 0: no adapter, every weight is trained."""
    lora_alpha: PositiveInt = 8
    """The adapter is scaled by alpha / r."""
    lora_dropout: NonNegativeFloat = 0.0
    """Dropout in the adapter."""
    lora_targets: str = "q,v"
    """Layers that get an adapter, by the end of their names."""
    log_every: PositiveInt = 10
    """Steps between two lines of the loss log."""
    checkpoint_every: PositiveInt = 500
    """Steps between two checkpoints; a multiple of log_every."""

    @model_validator(mode="after")
    def _fit(self) -> Settings:
        if self.checkpoint_every % self.log_every:
            raise ValueError(
                f"checkpoint_every {self.checkpoint_every} must be a multiple of log_every {self.log_every}, "
                "so that a resumed run logs what an unbroken one does"
            )
        if self.micro_batch and self.batch % self.micro_batch:
            raise ValueError(f"batch {self.batch} must be a multiple of micro_batch {self.micro_batch}")
        if self.warmup_steps and self.schedule == "constant":
            raise ValueError("warmup_steps needs schedule linear or cosine")
        if not self.epochs and not self.max_steps:
            raise ValueError("epochs or max_steps must be above 0")
        return self


class DataSet(_Strict):
    """A file of samples."""

    file: str
    """In the folder given with ``--data``, or an absolute path."""
    convert: str
    """The command that writes it, with ``{out}`` for its path."""
    rows: int = 0
    """Rows that the published work reports; 0: none."""


class Portion(_Strict):
    """The part of a data set that a stage uses; a name alone is all of it."""

    set: str
    empty: bool = True
    """Use samples with an empty answer too."""
    share: float = Field(default=1.0, gt=0, le=1)
    passages: NonNegativeInt = 0
    """Use the samples of this many passages; 0: of all."""
    limit: NonNegativeInt = 0
    """Samples at most; 0: all."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, entry: Any) -> Any:
        return {"set": entry} if isinstance(entry, str) else entry


class Stage(_Strict):
    """One training over a mixture of data sets."""

    name: str
    data: list[Portion] = Field(min_length=1)
    settings: Settings


class Recipe(_Strict):
    """Model, data and stages of a training."""

    name: str
    label: str
    """Name in the row of a table."""
    description: str = ""
    model: str
    stages: list[Stage]
    sets: dict[str, DataSet] = {}
    """The data sets of the stages, in order of first use."""
    benchmarks: dict[str, DataSet] = {}
    published: dict[str, float] = {}
    """Micro F1 of the thesis by benchmark, in percent."""


_ENTRIES: Final = {name for model in (Recipe, Stage, Settings, Portion, DataSet) for name in model.model_fields}


def shipped() -> tuple[str, ...]:
    """Return the names of the recipes in the package."""
    names = (entry.name for entry in (resources.files("training") / "recipes").iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


def load_recipe(name: str, changes: Changes | None = None) -> Recipe:
    """Load a recipe by its name in the package or by its path, and change it.

    Raises:
        ConfigError: there is none, it is not TOML, or an entry is unknown or wrong.
    """
    changes, stem = changes or Changes(), Path(name).name.removesuffix(".toml")
    where = f"recipe {stem}"
    try:
        table = {"label": stem, **_read(name), "name": stem}
        table["model"] = changes.model or table.get("model", "")
        shared = table.pop("settings", {})
        overrides = _overrides(changes.sets or (), [stage.get("name") for stage in table["stages"]], where)
        for stage in table["stages"]:
            layers = (shared, stage.get("settings", {}), overrides.get("", {}), overrides.get(stage.get("name"), {}))
            stage["settings"] = {key: value for layer in layers for key, value in layer.items()}
        recipe = Recipe.model_validate(table)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_first_of(error)}") from error
    except (AttributeError, TypeError) as error:
        raise ConfigError(
            f"{where}: stages must be [[stages]]; settings, sets and benchmarks must be tables"
        ) from error
    if not recipe.model:
        raise ConfigError(f'{where} names no model; add model = "...", or give --model')
    used = dict.fromkeys(portion.set for stage in recipe.stages for portion in stage.data)
    if unknown := [one for one in used if one not in recipe.sets]:
        hint = did_you_mean(unknown[0], recipe.sets, listed=True)
        raise ConfigError(f"{where} uses the data set {unknown[0]!r}{hint}")
    stages = [
        stage.model_copy(update={"data": [_limited(portion, changes.limit) for portion in stage.data]})
        for stage in recipe.stages
    ]
    return recipe.model_copy(update={"stages": stages, "sets": {one: recipe.sets[one] for one in used}})


def _read(name: str, above: tuple[str, ...] = ()) -> dict[str, Any]:
    """Read a recipe on top of its bases; ``above`` are the recipes that named it as their base."""
    if name in above:
        raise ConfigError(f"recipes go round in a circle: {' -> '.join((*above, name))}")
    own = name.endswith(".toml")
    if not own and name not in shipped():
        hint = did_you_mean(name, shipped(), listed=True)
        raise ConfigError(f"no recipe {name!r}{hint} (or the path of a .toml file)")
    path = Path(name) if own else resources.files("training") / "recipes" / f"{name}.toml"
    table = {"stages": [], **parse_toml(path, f"recipe {name}")}
    if not (base := table.pop("base", "")):
        return table
    beside = str((Path(name).parent / base).resolve())
    below = _read(beside if own and base.endswith(".toml") else base, (*above, name))
    inherited = {key: value for key, value in below.items() if key not in ("label", "published")}
    tables = {key: below.get(key, {}) | table.get(key, {}) for key in ("settings", "sets", "benchmarks")}
    return {**inherited, **table, **tables, "stages": below["stages"] + table["stages"]}


def _first_of(error: ValidationError) -> str:
    """Return place and fix of the first error in a recipe."""
    first = min(error.errors(include_url=False), key=lambda found: found["type"] != "extra_forbidden")
    place = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        return f"unknown entry {place!r}{did_you_mean(str(first['loc'][-1]), _ENTRIES)}"
    message = first["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return f"{place} {message}"


def _limited(portion: Portion, limit: int) -> Portion:
    """Return the portion with at most ``limit`` samples; 0: as it is."""
    return portion.model_copy(update={"limit": min(limit, portion.limit or limit)}) if limit else portion


def _overrides(assignments: Iterable[str], stages: list[str], where: str) -> dict[str, dict[str, Any]]:
    """Read ``--set``: settings by stage, under ``""`` those of all stages."""
    found: dict[str, dict[str, Any]] = {}
    for assignment in assignments:
        key, equals, text = (part.strip() for part in assignment.partition("="))
        stage, _, name = key.rpartition(".")
        if not equals:
            raise ConfigError(f"--set takes name=value, such as --set learning_rate=1e-4, not {assignment!r}")
        if name not in Settings.model_fields:
            raise ConfigError(
                f"--set: unknown setting {name!r}{did_you_mean(name, Settings.model_fields, listed=True)}"
            )
        if stage and stage not in stages:
            raise ConfigError(f"--set {key}: {where} has no stage {stage!r}{did_you_mean(stage, stages, listed=True)}")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:  # text without quotes
            value = text
        found.setdefault(stage, {})[name] = value
    return found
