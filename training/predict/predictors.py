"""Predictors by ``KIND`` or ``KIND:NAME``, and the options of students and taggers. Heavy imports stand inside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from annotator.errors import ConfigError
from annotator.teachers.registry import CHAT

if TYPE_CHECKING:
    from training.predict.running import Predictor
    from training.predict.taggers import TagMap

TAGGERS: Final = ("underthesea", "token-classification", "gliner")
_MODELS: Final = ", ".join(f"{provider}:MODEL" for provider in CHAT)
KINDS: Final = f"hf:DIR, {_MODELS}, underthesea, token-classification:DIR or gliner:DIR"


def _option(flag: str, metavar: str, text: str, **more: Any) -> Any:
    return typer.Option(flag, metavar=metavar, help=text, rich_help_panel="Student or tagger", **more)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of students and taggers."""

    map_file: Annotated[
        Path | None, _option("--map", "FILE", "Read from this TOML file which types a tagger's tags answer for.")
    ] = None
    batch_size: Annotated[int, _option("--batch-size", "N", "Give a student this many queries at once.", min=1)] = 16
    device: Annotated[
        str | None,
        _option("--device", "NAME", "Run a student on this device: cpu, cuda, cuda:0.",
                show_default="the GPU where there is one"),
    ] = None  # fmt: skip


def make_predictor(spec: str, out: Path, options: Options, settings: Mapping[str, Any]) -> Predictor:
    """Make the predictor that ``spec`` names, which writes to ``out``; ``settings`` are those of an endpoint.

    Raises:
        ConfigError: there is no such kind, something it needs is missing, or it has no table of tags to replace.
        StudentError: a folder holds no such model.
    """
    from training.predict import chat, seq2seq, taggers

    kind, name = _parsed(spec)
    if kind in TAGGERS or options.map_file:
        return taggers.make(kind, name, tag_map(spec, options.map_file))
    if kind == "hf":
        return seq2seq.make(name, batch_size=options.batch_size, device=options.device)
    return chat.make(kind, name, out, settings)


def tag_map(spec: str, map_file: Path | None) -> TagMap:
    """Load the table of tags of the tagger that ``spec`` names; raise a ConfigError if that is no tagger."""
    from training.predict import taggers

    kind, _ = _parsed(spec)
    if kind not in TAGGERS:
        raise ConfigError(f"only {', '.join(TAGGERS)} have a table of tags; {kind} is asked for the types themselves")
    return taggers.load_map(kind, map_file)


def _parsed(spec: str) -> tuple[str, str]:
    """Return kind and name of a predictor."""
    kind, _, name = spec.partition(":")
    if (kind == "underthesea") == bool(name) or kind not in {*TAGGERS, *CHAT, "hf"}:
        raise ConfigError(f"--predictor must be {KINDS}, not {spec!r}")
    return kind, name
