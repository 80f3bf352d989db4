"""Make a predictor from ``KIND`` or ``KIND:NAME`` and the options of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from annotator.errors import ConfigError
from training.predict import Predictor
from training.predict.tags import TagMap, load_map

TAGGERS: Final = ("underthesea", "token-classification", "gliner")
KINDS: Final = "hf:DIR, openai:MODEL, groq:MODEL, underthesea, token-classification:DIR or gliner:DIR"


@dataclass(frozen=True, slots=True)
class PredictorOptions:
    """The options of a predictor."""

    map_file: Path | None = None
    """Table of a tagger's tags."""
    batch_size: int = 16
    """Queries a student reads at once."""
    device: str | None = None
    asking: Mapping[str, Any] = field(default_factory=dict)
    """Settings of endpoint and pace, by their names in ``RunConfig``."""


def make_predictor(spec: str, out: Path, chosen: PredictorOptions) -> Predictor:
    """Make the predictor that ``spec`` names; its answers will be written to ``out``.

    Raises:
        ConfigError: there is no such kind, something it needs is missing, or an option is not for it.
        StudentError: a folder holds no such model.
    """
    kind, _, name = spec.partition(":")
    if (kind == "underthesea") == bool(name) or kind not in {*TAGGERS, "hf", "openai", "groq"}:
        raise ConfigError(f"--predictor must be {KINDS}, not {spec!r}")
    if chosen.map_file and kind not in TAGGERS:
        raise ConfigError(f"--map is for {', '.join(TAGGERS)}; {kind} is asked for the types by their names")
    if kind == "hf":
        from training.predict import seq2seq

        return seq2seq.make(name, batch_size=chosen.batch_size, device=chosen.device)
    if kind in ("openai", "groq"):
        from training.predict import chat

        return chat.make(kind, name, out, chosen.asking)
    from training.predict import taggers

    tags = tag_map(spec, chosen.map_file)
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
