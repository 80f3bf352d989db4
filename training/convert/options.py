"""Settings of a conversion, and which formats each is for."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from annotator.config import flag
from annotator.errors import ConfigError

MAX_TOKENS: Final = 1024
"""Longest sample of a training set, input and output together."""
BENCHMARKS: Final = ("conll", "enamex")
"""Sets that are scored: nothing is left out for its length unless a limit is given."""
_CHOICES: Final = {
    "level": ("auto", "syllable", "word"),
    "unit": ("sentence", "line"),
    "direction": ("both", "random", "en-vi", "vi-en"),
    "split": ("all", "train", "validation", "test"),
}
_ONLY_FOR: Final = {
    "types": ("pile-ner", "conll", "enamex"),
    "columns": ("conll",),
    "level": ("conll",),
    "unit": ("enamex",),
    "levels": ("enamex",),
    "direction": ("parallel",),
    "split": ("samples",),
    "without_empty": ("pile-ner", "conll", "enamex", "samples"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Settings of one conversion; ``convert --help`` explains each."""

    types: Path | None = None
    set: str = ""
    columns: tuple[int, ...] = ()
    """Columns of a CoNLL file that hold tags, from 1; none: the last."""
    level: str = "auto"
    unit: str = "sentence"
    levels: int = 3
    """How deep nested mentions count; 1: the outermost alone."""
    direction: str = "both"
    split: str = "all"
    without_empty: bool = False
    share: float = 1.0
    seed: int = 0
    tokenizer: str = "llama3"
    max_sample_tokens: int | None = None
    """0: no limit; None: ``MAX_TOKENS`` for a training set, no limit for a benchmark."""

    def __post_init__(self) -> None:
        """Refuse values that cannot work, by the name of their flag."""
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ConfigError(f"--{name} must be one of {', '.join(choices)}, not {getattr(self, name)!r}")
        for name, low in (("levels", 1), ("seed", 0), ("max_sample_tokens", 0)):
            if getattr(self, name) is not None and getattr(self, name) < low:
                raise ConfigError(f"{flag(name)} must be at least {low}, not {getattr(self, name)}")
        if any(column < 1 for column in self.columns):
            raise ConfigError("--columns count from 1")
        if not 0 < self.share <= 1:
            raise ConfigError(f"--share must be above 0 and at most 1, not {self.share:g}")

    def check(self, format_name: str) -> None:
        """Refuse a setting that means nothing to a format.

        Raises:
            ConfigError: naming the flag and the formats it is for.
        """
        for item in dataclasses.fields(self):
            given: Any = getattr(self, item.name)
            formats = _ONLY_FOR.get(item.name, (format_name,))
            if given != item.default and format_name not in formats:
                raise ConfigError(f"{flag(item.name)} is for {', '.join(formats)}, not for {format_name}; leave it out")

    def limit(self, format_name: str) -> int:
        """Tokens of a sample at most; 0: no limit."""
        if self.max_sample_tokens is None:
            return 0 if format_name in BENCHMARKS else MAX_TOKENS
        return self.max_sample_tokens
