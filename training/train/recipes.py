"""Recipes: which model learns from which data in which stages, and on what it is measured. TOML, strictly read.

A recipe may name a ``base``: it takes everything from there, changes what it names itself, and its stages follow those
of the base.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from annotator.config.toml_files import parse_toml
from annotator.errors import ConfigError, did_you_mean
from training.train.changes import Changes

_OWN: Final = ("label", "published")
"""What a recipe does not take from its base."""
_DEEPEST: Final = 8
"""Recipes on top of one another before it is called a circle."""
Model = TypeVar("Model", bound=BaseModel)


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
    """How the learning rate goes on."""
    warmup_steps: NonNegativeInt = 0
    """Steps in which the learning rate rises from 0; not with constant."""
    weight_decay: NonNegativeFloat = 0.0
    """AdamW's weight decay."""
    max_grad_norm: NonNegativeFloat = 1.0
    """Gradients are scaled down to this norm."""
    epochs: NonNegativeFloat = 1.0
    """Times that the data are gone through."""
    max_steps: NonNegativeInt = 0
    """Steps at most; 0: as the epochs say."""
    batch: PositiveInt = 4
    """Samples a step of the optimiser."""
    micro_batch: NonNegativeInt = 0
    """Samples that are computed at once; 0: the whole batch."""
    window: NonNegativeInt = 64
    """Batches of shuffled samples among which those of like length meet; 0: none."""
    max_tokens: int = Field(default=1024, ge=8)
    """Longer inputs and longer outputs are left out, in tokens."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """bf16: bfloat16 products and frozen base. fp32: the thesis's. auto: bf16 where the device computes it natively."""
    lora_r: NonNegativeInt = 8
    """Rank of the adapter; 0: no adapter, every weight learns."""
    lora_alpha: PositiveInt = 8
    """The adapter counts alpha / r times."""
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

    def that_decide(self) -> dict[str, Any]:
        """Return the settings that change the final weights: all but how often something is written."""
        return self.model_dump(exclude={"log_every", "checkpoint_every"})


class DataSet(_Strict):
    """A file of samples that the user has."""

    name: str
    file: str
    """In the folder given with ``--data``, or an absolute path."""
    convert: str
    """What makes it, with ``{out}`` where its path goes."""
    rows: int = 0
    """Rows that the published work reports; 0: none reported."""


class Portion(_Strict):
    """The part of a data set that a stage uses; a name alone is the whole of it."""

    set: str
    empty: bool = True
    """Whether samples whose answer is empty are taken too."""
    share: float = Field(default=1.0, gt=0, le=1)
    passages: NonNegativeInt = 0
    """Only the samples of so many passages; 0: of all."""
    limit: NonNegativeInt = 0
    """So many samples at most; 0: all."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, entry: Any) -> Any:
        return {"set": entry} if isinstance(entry, str) else entry


class Stage(_Strict):
    """One pass of training over a mixture."""

    name: str
    data: list[Portion]
    settings: Settings


class Recipe(_Strict):
    """A whole way from a model to a student."""

    name: str
    label: str
    """Its name in the row of a table."""
    description: str
    model: str
    stages: list[Stage]
    sets: dict[str, DataSet]
    """Those that the stages use, in order of first use."""
    benchmarks: list[DataSet]
    published: dict[str, float]
    """Benchmark -> micro F1 of the thesis, in percent."""


class _StageTable(_Strict):
    """A stage as it is written in a recipe."""

    name: str
    data: list[Portion] = Field(min_length=1)
    settings: dict[str, Any] = {}


class _Table(_Strict):
    """A recipe as it is written."""

    base: str = ""
    label: str = ""
    description: str = ""
    model: str = ""
    settings: dict[str, Any] = {}
    sets: dict[str, DataSet] = {}
    benchmarks: dict[str, DataSet] = {}
    stages: list[_StageTable] = []
    published: dict[str, float] = {}

    @field_validator("sets", "benchmarks", mode="before")
    @classmethod
    def _named(cls, entries: Any) -> Any:
        return {name: {"name": name, **entry} for name, entry in entries.items()}


def shipped() -> tuple[str, ...]:
    """Return the names of the recipes that come with the package."""
    names = (entry.name for entry in _folder().iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


def load_recipe(name: str, changes: Changes | None = None) -> Recipe:
    """Load a shipped recipe by its name or a recipe of one's own by its path, and change it.

    Raises:
        ConfigError: there is none, it is not TOML, or something in it is unknown or cannot work.
    """
    changes = changes or Changes()
    whole, stem = _read(name, ())
    where = f"recipe {stem}"
    table = _checked(_Table, whole, where)
    names = [stage.name for stage in table.stages]
    if len(set(names)) < len(names):
        raise ConfigError(f"{where} has two stages of one name: {', '.join(names)}")
    if not (model := changes.model or table.model):
        raise ConfigError(f'{where} names no model; add model = "...", or give --model')
    overall, of_stage = _overrides(changes.sets or (), names, stem)
    stages = []
    for stage in table.stages:
        layers = {**table.settings, **stage.settings, **overall, **of_stage.get(stage.name, {})}
        if changes.seed is not None and stage.name in (changes.reseeded or names):
            layers["seed"] = changes.seed
        settings = _checked(Settings, layers, f"{where}, stage {stage.name}")
        data = [_limited(portion, changes.limit) for portion in stage.data]
        stages.append(Stage(name=stage.name, data=data, settings=settings))
    used = dict.fromkeys(portion.set for stage in stages for portion in stage.data)
    for one in used:
        if one not in table.sets:
            raise ConfigError(f"{where} uses the data set {one!r}{did_you_mean(one, table.sets, listed=True)}")
    return Recipe(
        name=stem,
        label=table.label or stem,
        description=table.description,
        model=model,
        stages=stages,
        sets={one: table.sets[one] for one in used},
        benchmarks=list(table.benchmarks.values()),
        published=table.published,
    )


def _folder() -> Traversable:
    return resources.files("training") / "recipes"


def _read(name: str, above: tuple[str, ...]) -> tuple[dict[str, Any], str]:
    """Return the recipe on top of its bases, as one table, and its name."""
    if len(above) > _DEEPEST:
        raise ConfigError(f"recipes go round in a circle: {' -> '.join(above)}")
    own = name.endswith(".toml")
    stem = Path(name).name.removesuffix(".toml")
    if not own and name not in shipped():
        hint = did_you_mean(name, shipped(), listed=True)
        raise ConfigError(f"no recipe {name!r}{hint} (or the path of a .toml file)")
    found = parse_toml(Path(name) if own else _folder() / f"{name}.toml", f"recipe {name}")
    _checked(_Table, found, f"recipe {stem}")
    if not (base := found.pop("base", "")):
        return found, stem
    beside = Path(name).parent / base if own and base.endswith(".toml") else base
    below, _ = _read(str(beside), (*above, stem))
    below = {key: value for key, value in below.items() if key not in _OWN}
    tables = {key: {**below.get(key, {}), **found.get(key, {})} for key in ("settings", "sets", "benchmarks")}
    return {**below, **found, **tables, "stages": [*below.get("stages", []), *found.get("stages", [])]}, stem


def _checked(model: type[Model], values: Mapping[str, Any], where: str) -> Model:
    """Make a record of what somebody wrote.

    Raises:
        ConfigError: a name that the record does not have, or a value that cannot work.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            known = model.model_fields if len(first["loc"]) == 1 else ()
            raise ConfigError(f"{where}: unknown entry {place!r}{did_you_mean(place, known, listed=True)}") from error
        message = first["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
        raise ConfigError(f"{where}: {place} {message}".replace(":  ", ": ")) from error


def _limited(portion: Portion, limit: int) -> Portion:
    """Take at most ``limit`` samples of the portion; 0: as it is."""
    return portion.model_copy(update={"limit": min(limit, portion.limit or limit)}) if limit else portion


def _overrides(
    assignments: Iterable[str], stages: list[str], recipe: str
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Read ``--set``: the settings of all stages, and those of single stages."""
    overall: dict[str, Any] = {}
    of_stage: dict[str, dict[str, Any]] = {}
    for assignment in assignments:
        key, equals, text = (part.strip() for part in assignment.partition("="))
        stage, dot, name = key.rpartition(".")
        if not equals:
            raise ConfigError(f"--set takes name=value, such as --set learning_rate=1e-4, not {assignment!r}")
        if name not in Settings.model_fields:
            raise ConfigError(
                f"--set: unknown setting {name!r}{did_you_mean(name, Settings.model_fields, listed=True)}"
            )
        if dot and stage not in stages:
            hint = did_you_mean(stage, stages, listed=True)
            raise ConfigError(f"--set {key}: recipe {recipe} has no stage {stage!r}{hint}")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:  # text without quotes
            value = text
        (of_stage.setdefault(stage, {}) if dot else overall)[name] = value
    return overall, of_stage
