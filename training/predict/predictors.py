"""Predictors by ``KIND`` or ``KIND:NAME``, and their options on the command line."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from annotator.config.settings import PLACEHOLDERS, RunConfig, flag
from annotator.errors import ConfigError
from training.predict import Predictor
from training.predict.tags import TagMap, load_map

TAGGERS: Final = ("underthesea", "token-classification", "gliner")
KINDS: Final = "hf:DIR, openai:MODEL, groq:MODEL, underthesea, token-classification:DIR or gliner:DIR"
_SETTINGS: Final = {item.name: item for item in dataclasses.fields(RunConfig)}


def _local(name: str, metavar: str, text: str, **more: Any) -> Any:
    return typer.Option(name, metavar=metavar, help=text, rich_help_panel="Student or tagger", **more)


def _asking(name: str, text: str = "", **more: Any) -> Any:
    """Return the option for the setting ``name`` of ``RunConfig``, for a model behind an endpoint."""
    metavar, text = PLACEHOLDERS.get(name, "N"), text or _SETTINGS[name].metadata["help"]
    return typer.Option(flag(name), metavar=metavar, help=text, rich_help_panel="Endpoint (openai, groq)", **more)


@dataclass(frozen=True, slots=True)
class PredictorOptions:
    """The options of a predictor; None where the default of ``RunConfig`` holds."""

    map_file: Annotated[
        Path | None, _local("--map", "FILE", "Read from this TOML file which types each tag of a tagger answers for.")
    ] = None
    batch_size: Annotated[int, _local("--batch-size", "N", "Give a student this many queries at once.", min=1)] = 16
    device: Annotated[
        str | None,
        _local("--device", "NAME", "Run on this device: cpu, cuda, cuda:0.", show_default="the GPU where there is one"),
    ] = None
    base_url: Annotated[str | None, _asking("base_url")] = None
    prompt: Annotated[
        str | None,
        _asking(
            "prompt",
            "Ask with this prompt, which has a slot {query}: a bundled one by name, or a file.",
            show_default="query-ner-vi",
        ),
    ] = None
    max_completion_tokens: Annotated[int | None, _asking("max_completion_tokens")] = None
    concurrency: Annotated[int | None, _asking("concurrency")] = None
    rpm: Annotated[int | None, _asking("rpm")] = None
    tpm: Annotated[int | None, _asking("tpm")] = None
    limits: Annotated[str | None, _asking("limits")] = None
    max_retries: Annotated[int | None, _asking("max_retries")] = None
    timeout: Annotated[float | None, _asking("timeout")] = None

    @property
    def asking(self) -> dict[str, Any]:
        """Return the settings of endpoint and pace that are given, by their names in ``RunConfig``."""
        given = {name: getattr(self, name) for name in _SETTINGS if hasattr(self, name)}
        return {name: value for name, value in given.items() if value is not None}


def make_predictor(spec: str, out: Path, options: PredictorOptions) -> Predictor:
    """Make the predictor that ``spec`` names; its answers will be written to ``out``.

    Raises:
        ConfigError: there is no such kind, something it needs is missing, or an option is not for it.
        StudentError: a folder holds no such model.
    """
    kind, _, name = spec.partition(":")
    if (kind == "underthesea") == bool(name) or kind not in {*TAGGERS, "hf", "openai", "groq"}:
        raise ConfigError(f"--predictor must be {KINDS}, not {spec!r}")
    if options.map_file and kind not in TAGGERS:
        raise ConfigError(f"--map is for {', '.join(TAGGERS)}; {kind} is asked for the types by their names")
    if kind == "hf":
        from training.predict import seq2seq

        return seq2seq.make(name, batch_size=options.batch_size, device=options.device)
    if kind in ("openai", "groq"):
        from training.predict import chat

        return chat.make(kind, name, out, options.asking)
    from training.predict import taggers

    tags = tag_map(spec, options.map_file)
    if kind == "underthesea":
        return taggers.underthesea(tags)
    return taggers.gliner(name, tags) if kind == "gliner" else taggers.token_classification(name, tags)


def tag_map(spec: str, map_file: Path | None) -> TagMap:
    """Load the table in use for a tagger.

    Raises:
        ConfigError: ``spec`` is no tagger, or the file is no table.
    """
    kind = spec.partition(":")[0]
    if kind not in TAGGERS:
        raise ConfigError(f"only {', '.join(TAGGERS)} have a table of tags, not {spec!r}")
    return load_map(kind, map_file)
