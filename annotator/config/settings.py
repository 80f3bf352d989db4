"""Define and validate all settings of a run. A flag, a line of a TOML file and a field below have the same name.

Defaults, help texts and bounds are defined here only; the command line is generated from these fields.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal, TypeAlias

from annotator.config.addresses import LEDGER_VARIABLE, check_endpoint, check_ledger, without_password
from annotator.config.request_options import canonical_options
from annotator.errors import ConfigError, did_you_mean
from annotator.teachers.registry import PROVIDERS, chat_providers

STAGES: Final = ("sample", "chunk", "annotate", "clean", "explode")
"""Stages of the method in order. A setting belongs to the first stage whose result it changes, or to none."""

Asking: TypeAlias = Literal["now", "batch", "never"]
"""How to ask the teacher: request by request, by its Batch API, or not at all."""

OPEN_PROMPT: Final = "open-ner-vi"
"""The default prompt; with ``--types`` it is ``typed-ner-vi``."""
CHOICES: Final = {"provider": tuple(PROVIDERS), "response_format": ("text", "json", "auto"),
                  "engine": ("local", "ray"), "instruction": ("type", "definition")}  # fmt: skip
"""The values of settings that have a fixed set of them."""
EXECUTION: Final = (
    "source", "base_url", "concurrency", "rpm", "tpm", "limits", "max_retries", "timeout", "workers", "engine",
    "ray_address",
)  # fmt: skip
"""Settings that change no result: where the articles are now, and how work is done. An update accepts no others."""
_KINDS: Final = {int: "a whole number", float: "a number", str: "text", bool: "true or false", tuple: "a list of texts"}
RECIPE: Final = "recipe"
"""Table of ``recipe.toml`` that holds no settings: it describes the dataset that the recipe rebuilds."""


def _setting(
    default: Any, text: str, *, panel: str, stage: str = "", low: float | None = None, added: bool = False
) -> Any:
    # ``added``: older runs lack the setting, so it is left out of fingerprints while it has its default.
    return field(default=default, metadata={"panel": panel, "help": text, "stage": stage, "low": low, "added": added})


_source = partial(_setting, panel="Source", stage="sample")
_passages = partial(_setting, panel="Passages")
_teacher = partial(_setting, panel="Teacher")
_dataset = partial(_setting, panel="Dataset")
_run = partial(_setting, panel="Run")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """All settings of a run."""

    source: str = _source(
        "sample",
        "Read articles from a file or folder, an address (https://, hf://, s3://), a Hub dataset ORG/NAME, "
        "or the bundled sample. Default: sample.",
    )
    docs: int = _source(6600, "Draw this many articles.", low=1)
    added_docs: str = _source(
        "", "Then draw this many more in each later step, such as 100,50; `update` sets it.", added=True
    )
    seed: int = _source(0, "Seed every random choice.", low=0)
    text_field: str = _source("text", "Read the text from this column.")
    id_field: str = _source("id", "Read the id from this column.")
    near_duplicates: float = _source(
        0.8, "Drop articles this similar to another, by Jaccard index; 0 keeps all, repeated passages too.", low=0
    )
    repair_encoding: bool = _source(
        False, "Repair UTF-8 that was decoded as Latin-1 or cp1252, where the original is certain.", added=True
    )

    tokenizer: str = _passages(
        "llama3",
        "Count tokens with llama3, words (between white space), cl100k_base, o200k_base, hf:NAME or a tokenizer file.",
        stage="chunk",
    )
    min_tokens: int = _passages(150, "Make passages of at least this many tokens.", stage="chunk", low=1)
    max_tokens: int = _passages(256, "Make passages of at most this many tokens.", stage="chunk", low=8)
    pack: bool = _passages(
        False,
        "Fill passages to --max-tokens: fewer of them, and more that join articles (docs/method.md).",
        stage="chunk",
        added=True,
    )
    decontaminate: tuple[str, ...] = _passages(
        (), "Keep the texts of this benchmark file out of the dataset. Repeatable."
    )

    provider: str = _teacher(
        "local",
        "Ask this provider: " + ", ".join(f"{name} ({provider.help})" for name, provider in PROVIDERS.items()) + ".",
        stage="annotate",
    )
    model: str = _teacher(
        "",
        "Ask this model, by its name at the endpoint. Default: "
        + ", ".join(f"{provider.model} ({name})" for name, provider in PROVIDERS.items() if provider.model)
        + ".",
        stage="annotate",
    )
    prompt: str = _teacher(
        OPEN_PROMPT, "Ask with this prompt: a bundled one by name, or a TOML file.", stage="annotate"
    )
    max_completion_tokens: int = _teacher(1024, "Limit each answer to this many tokens.", stage="annotate", low=1)
    response_format: str = _teacher(
        "text", "Request text, json (by a schema), or auto: json where the endpoint accepts a schema."
    )
    base_url: str = _teacher("", "Send requests to this endpoint, such as http://localhost:8000/v1.")
    option: tuple[str, ...] = _teacher(
        (), "Send this parameter with each request, such as reasoning_effort=low. Repeatable."
    )
    concurrency: int = _teacher(16, "Keep at most this many requests in flight.", low=1)
    rpm: int = _teacher(0, "Send at most this many requests a minute; 0 means no limit.", low=0)
    tpm: int = _teacher(0, "Use at most this many tokens a minute; 0 means no limit.", low=0)
    limits: str = _teacher("", "Keep to published rate limits: groq-free or openai-tier1. --rpm and --tpm win.")
    max_retries: int = _teacher(6, "Retry a failed request this many times.", low=0)
    timeout: float = _teacher(120.0, "Wait this many seconds for an answer.", low=0.001)

    types: str = _dataset("", "Ask for the entity types of this file and no others (docs/build.md).")
    labels: str = _dataset("", "Apply the decisions about labels in this file (docs/labels.md).")
    translate_labels: bool = _dataset(
        False, "Ask the teacher to translate Vietnamese labels that no rule knows.", stage="clean"
    )
    max_sample_tokens: int = _dataset(
        1024, "Drop samples whose input or output has more tokens than this.", stage="explode", low=1
    )
    negatives: float = _dataset(
        0.0,
        "Add this many samples with the output [] for each other sample. "
        "UniversalNER reports F1 31.5 without, 53.4 with.",
        stage="explode",
        low=0,
    )
    instruction: str = _dataset(
        "type",
        "Name in each instruction the type, or with --types the type and its definition.",
        stage="explode",
        added=True,
    )
    split: str = _dataset("0.9,0.05,0.05", "Split into train, validation and test by these shares.", stage="explode")

    workers: int = _run(0, "Use this many processes; 0 means one per core.", low=0)
    engine: str = _run("local", "Run tasks on this machine or on a Ray cluster (docs/scale.md).")
    ray_address: str = _run("", "Join this Ray cluster, or auto; without it, start one here.")
    ledger: str = _run("", "Keep answers in postgresql://HOST/DATABASE. Default: SQLite in the run directory.")

    def __post_init__(self) -> None:
        """Refuse invalid values, by the name of the flag."""
        for item in dataclasses.fields(self):
            value, low = getattr(self, item.name), item.metadata["low"]
            kind: Any = type(item.default)
            if item.name == "option":
                value = canonical_options(value)
            elif kind is float and type(value) is int:
                value = float(value)
            elif kind is tuple and type(value) is list and all(type(part) is str for part in value):
                value = tuple(value)
            if type(value) is not kind:
                raise ConfigError(f"{flag(item.name)} needs {_KINDS[kind]}, not {value!r}")
            if low is not None and not low <= value < float("inf"):
                raise ConfigError(f"{flag(item.name)} must be at least {low:g}, not {value}")
            object.__setattr__(self, item.name, value)
        for name, choices in CHOICES.items():
            if (wrong := getattr(self, name)) not in choices:
                hint = did_you_mean(wrong, choices)
                raise ConfigError(f"{flag(name)} must be one of {', '.join(choices)}, not {wrong!r}{hint}")
        if self.near_duplicates > 1 or 0 < self.near_duplicates < 0.3:
            raise ConfigError(f"--near-duplicates must be 0, or from 0.3 to 1, not {self.near_duplicates:g}")
        if self.max_tokens < self.min_tokens:
            raise ConfigError(f"--max-tokens {self.max_tokens} is below --min-tokens {self.min_tokens}")
        self._refuse_foreign_flags()
        check_endpoint(self.base_url, "--base-url")
        check_ledger(self.ledger)
        _ = self.split_shares
        object.__setattr__(self, "added_docs", ",".join(map(str, self.steps[1:])))

    def _refuse_foreign_flags(self) -> None:
        """Refuse flags that the teacher or the engine does not have."""
        if self.ray_address and self.engine != "ray":
            raise ConfigError("--ray-address needs --engine ray")
        if self.instruction == "definition" and not self.types:
            raise ConfigError("--instruction definition needs --types FILE, which has the definitions")
        if self.types and self.translate_labels:
            raise ConfigError("--translate-labels has no use with --types: write Vietnamese labels into it as synonyms")
        if not PROVIDERS[self.provider].chat:
            foreign = {"types", "model", "base_url", "translate_labels", "response_format", "option"}
            for item in dataclasses.fields(self):
                if item.name in foreign and getattr(self, item.name) != item.default:
                    own = "the local teacher has its own types and answers"
                    raise ConfigError(f"{flag(item.name)} needs --provider {chat_providers()}; {own}")
        elif not self.teacher_model:
            raise ConfigError(f"--provider {self.provider} needs --model NAME")

    @property
    def teacher_model(self) -> str:
        """Return the model to ask: ``--model``, or the provider's default."""
        return self.model or PROVIDERS[self.provider].model

    @property
    def options(self) -> dict[str, Any]:
        """Return the parameters that ``--option`` adds to each request."""
        return {name: json.loads(value) for name, _, value in (item.partition("=") for item in self.option)}

    @property
    def split_shares(self) -> tuple[float, float, float]:
        """Return the shares of train, validation and test; they sum to 1."""
        try:
            train, validation, test = (float(part) for part in self.split.split(","))
        except ValueError:
            raise ConfigError(f"--split needs three shares such as 0.9,0.05,0.05, not {self.split!r}") from None
        if min(train, validation, test) < 0 or abs(train + validation + test - 1) > 1e-6:
            raise ConfigError(f"--split shares must be between 0 and 1 and sum to 1, not {self.split}")
        return train, validation, test

    @property
    def steps(self) -> tuple[int, ...]:
        """Return the articles of the first build, then those that each update adds."""
        added = self.added_docs.split(",") if self.added_docs else []
        if not all(part.strip().isdecimal() and int(part) for part in added):
            raise ConfigError(f"--added-docs needs numbers of articles such as 100,50, not {self.added_docs!r}")
        return (self.docs, *map(int, added))

    @property
    def processes(self) -> int:
        """Return ``--workers``, or the number of cores."""
        return self.workers or os.cpu_count() or 1

    def stage_settings(self, stage: str) -> dict[str, Any]:
        """Return the settings that change the result of ``stage`` and of no stage before it."""
        return {
            name: getattr(self, name)
            for name in names_of([stage])
            if name not in ADDED or getattr(self, name) != ADDED[name]
        }

    def as_dict(self) -> dict[str, Any]:
        """Return all settings by name. API keys are not among them: they come from the environment only."""
        return dataclasses.asdict(self)


ADDED: Final = {item.name: item.default for item in dataclasses.fields(RunConfig) if item.metadata["added"]}
"""Settings that runs of earlier versions lack: they ran with these defaults."""


def names_of(stages: Collection[str]) -> list[str]:
    """Return the names of the settings that belong to ``stages``."""
    return [item.name for item in dataclasses.fields(RunConfig) if item.metadata["stage"] in stages]


def make_config(*layers: Mapping[str, Any]) -> RunConfig:
    """Return the configuration of ``layers``; later ones win, and a value of None is no value.

    The ledger in the environment is the first layer.

    Raises:
        ConfigError: an unknown name, or an invalid value.
    """
    known = {item.name for item in dataclasses.fields(RunConfig)}
    merged: dict[str, Any] = {"ledger": without_password(os.environ.get(LEDGER_VARIABLE, ""))}
    for layer in layers:
        for name, value in layer.items():
            if name == RECIPE:
                continue
            if name not in known:
                raise ConfigError(f"unknown setting {name!r}{did_you_mean(name, sorted(known), listed=True)}")
            if value is not None:
                merged[name] = value
    return RunConfig(**merged)


def flag(name: str) -> str:
    """Return the command-line spelling of a setting."""
    return "SOURCE" if name == "source" else "--" + name.replace("_", "-")
