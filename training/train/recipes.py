"""Recipes: which model learns from which data in which stages, and on what it is measured. TOML, strictly read.

A recipe may name a ``base``: it takes everything from there, changes what it names itself, and its stages follow those
of the base.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from annotator.config import parse_toml
from annotator.errors import ConfigError, did_you_mean
from training.train.settings import Settings, make_settings, read_value

_PARTS: Final[dict[str, Any]] = {
    "base": str, "label": str, "description": str, "model": str, "settings": dict, "sets": dict, "benchmarks": dict,
    "stages": list, "published": dict,
}  # fmt: skip
_OWN: Final = ("label", "published")
"""What a recipe does not take from its base."""
_DEEPEST: Final = 8
"""Recipes on top of one another before it is called a circle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """A file of samples that the user has."""

    name: str
    file: str
    """In the folder given with ``--data``, or an absolute path."""
    convert: str
    """What makes it, with ``{out}`` where its path goes."""
    rows: int = 0
    """Rows that the published work reports; 0: none reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """The part of a data set that a stage uses."""

    set: str
    empty: bool = True
    """Whether samples whose answer is empty are taken too."""
    share: float = 1.0
    passages: int = 0
    """Only the samples of so many passages; 0: of all."""
    limit: int = 0
    """So many samples at most; 0: all."""

    def __post_init__(self) -> None:
        """Refuse values that cannot work."""
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if item.name == "share" and type(value) is int:
                object.__setattr__(self, "share", float(value))
            elif type(value) is not {"set": str, "empty": bool, "share": float}.get(item.name, int):
                raise ConfigError(f"{item.name} of a stage's data cannot be {value!r}")
        if not 0 < self.share <= 1:
            raise ConfigError(f"share of {self.set} must be above 0 and at most 1, not {self.share}")
        if self.passages < 0 or self.limit < 0:
            raise ConfigError(f"passages and limit of {self.set} must be 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One pass of training over a mixture."""

    name: str
    data: tuple[Portion, ...]
    settings: Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A whole way from a model to a student."""

    name: str
    label: str
    """Its name in the row of a table."""
    description: str
    model: str
    stages: tuple[Stage, ...]
    sets: Mapping[str, DataSet]
    benchmarks: tuple[DataSet, ...]
    published: Mapping[str, float]
    """Benchmark -> micro F1 of the thesis, in percent."""

    def as_dict(self) -> dict[str, Any]:
        """Everything that it resolves to; sets that no stage uses are left out."""
        whole = dataclasses.asdict(self)
        whole["sets"] = {name: whole["sets"][name] for name in self.used}
        return whole

    @property
    def used(self) -> tuple[str, ...]:
        """The data sets of the stages, in order of first use."""
        return tuple(dict.fromkeys(portion.set for stage in self.stages for portion in stage.data))


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes of a recipe by the command line."""

    model: str = ""
    limit: int = 0
    """Samples of each data set of each stage at most; 0: as the recipe says."""
    sets: tuple[str, ...] = ()
    """``name=value`` for all stages, ``STAGE.name=value`` for one."""
    seed: int | None = None
    """Another seed for the stages in ``reseeded``."""
    reseeded: tuple[str, ...] = ()
    """Names of stages; none: all."""


def shipped() -> tuple[str, ...]:
    """Names of the recipes that come with the package."""
    names = (entry.name for entry in _folder().iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


def load_recipe(name: str, changes: Changes | None = None) -> Recipe:
    """Load a shipped recipe by its name or a recipe of one's own by its path, and change it.

    Raises:
        ConfigError: there is none, it is not TOML, or something in it is unknown or cannot work.
    """
    changes = changes or Changes()
    whole, stem = _read(name, ())
    names = [stage["name"] for stage in whole["stages"]]
    overall, of_stage = _overrides(changes.sets, names, stem)
    stages = []
    for item in whole["stages"]:
        layers = [whole["settings"], item["settings"], overall, of_stage.get(item["name"], {})]
        if changes.seed is not None and item["name"] in (changes.reseeded or names):
            layers.append({"seed": changes.seed})
        settings = make_settings(*layers, where=f"recipe {stem}, stage {item['name']}")
        portions = tuple(_portion(entry, stem, changes.limit) for entry in item["data"])
        stages.append(Stage(name=item["name"], data=portions, settings=settings))
    recipe = Recipe(
        name=stem,
        label=whole.get("label", stem),
        description=whole.get("description", ""),
        model=changes.model or whole.get("model", ""),
        stages=tuple(stages),
        sets={name: _data_set(name, entry, stem) for name, entry in whole["sets"].items()},
        benchmarks=tuple(_data_set(name, entry, stem) for name, entry in whole["benchmarks"].items()),
        published=whole.get("published", {}),
    )
    if not recipe.model:
        raise ConfigError(f'recipe {stem} names no model; add model = "...", or give --model')
    for used in recipe.used:
        if used not in recipe.sets:
            raise ConfigError(f"recipe {stem} uses the data set {used!r}{did_you_mean(used, recipe.sets, listed=True)}")
    if len(set(names)) < len(names):
        raise ConfigError(f"recipe {stem} has two stages of one name: {', '.join(names)}")
    return recipe


def _folder() -> Traversable:
    return resources.files("training") / "recipes"


def _read(name: str, above: tuple[str, ...]) -> tuple[dict[str, Any], str]:
    """The recipe on top of its bases, as one dictionary, and its name."""
    if len(above) > _DEEPEST:
        raise ConfigError(f"recipes go round in a circle: {' -> '.join(above)}")
    own = name.endswith(".toml")
    stem = Path(name).name.removesuffix(".toml")
    if not own and name not in shipped():
        hint = did_you_mean(name, shipped(), listed=True)
        raise ConfigError(f"no recipe {name!r}{hint} (or the path of a .toml file)")
    found = parse_toml(Path(name) if own else _folder() / f"{name}.toml", f"recipe {name}")
    for key, value in found.items():
        if key not in _PARTS:
            raise ConfigError(f"recipe {stem}: unknown entry {key!r}{did_you_mean(key, _PARTS, listed=True)}")
        if type(value) is not _PARTS[key]:
            kind = "table" if _PARTS[key] is dict else _PARTS[key].__name__
            raise ConfigError(f"recipe {stem}: {key} must be a {kind}")
    stages = [_stage(entry, stem) for entry in found.get("stages", [])]
    below: dict[str, Any] = {}
    if base := found.pop("base", ""):
        beside = Path(name).parent / base if own and base.endswith(".toml") else base
        below, _ = _read(str(beside), (*above, stem))
        below = {key: value for key, value in below.items() if key not in _OWN}
    tables = {key: {**below.get(key, {}), **found.get(key, {})} for key in ("settings", "sets", "benchmarks")}
    return {**below, **found, **tables, "stages": [*below.get("stages", []), *stages]}, stem


def _stage(entry: Any, recipe: str) -> dict[str, Any]:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str) or not isinstance(entry.get("data"), list):
        raise ConfigError(f'recipe {recipe}: a stage needs name = "..." and data = [...]')
    if unknown := sorted(entry.keys() - {"name", "data", "settings"}):
        raise ConfigError(f"recipe {recipe}, stage {entry['name']}: unknown entry {unknown[0]!r}")
    if not entry["data"]:
        raise ConfigError(f"recipe {recipe}, stage {entry['name']} has no data")
    return {"settings": {}, **entry}


def _portion(entry: Any, recipe: str, limit: int) -> Portion:
    try:
        portion = Portion(**({"set": entry} if isinstance(entry, str) else entry))
    except TypeError as error:
        known = ", ".join(item.name for item in dataclasses.fields(Portion))
        raise ConfigError(
            f"recipe {recipe}: stage data {entry!r} must be the name of a set, or a table of {known}"
        ) from error
    return dataclasses.replace(portion, limit=min(limit, portion.limit or limit)) if limit > 0 else portion


def _data_set(name: str, entry: Any, recipe: str) -> DataSet:
    try:
        return DataSet(name=name, **entry)
    except TypeError as error:
        raise ConfigError(f"recipe {recipe}: data set {name} needs file, convert and rows, not {entry!r}") from error


def _overrides(
    assignments: Iterable[str], stages: list[str], recipe: str
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """``--set``: the settings of all stages, and those of single stages."""
    overall: dict[str, Any] = {}
    of_stage: dict[str, dict[str, Any]] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        stage, dot, name = key.strip().rpartition(".")
        if not equals:
            raise ConfigError(f"--set takes name=value, such as --set learning_rate=1e-4, not {assignment!r}")
        if dot and stage not in stages:
            hint = did_you_mean(stage, stages, listed=True)
            raise ConfigError(f"--set {key}: recipe {recipe} has no stage {stage!r}{hint}")
        (of_stage.setdefault(stage, {}) if dot else overall)[name] = read_value(name, text.strip())
    return overall, of_stage
