"""Sizes and type names of published sets, from ``published.toml`` and ``types.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from annotator.config import parse_toml
from annotator.errors import ConfigError
from normalizers.text import nfc


def published(format_name: str, only: str = "") -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """``set``, ``part`` and ``counts`` of the published sets of a format, or of the set ``only``, and its types.

    Raises:
        ConfigError: no set of this format is called ``only``.
    """
    sets = {name: entry for name, entry in _shipped("published.toml").items() if entry["format"] == format_name}
    if only and only not in sets:
        raise ConfigError(f"--set {only}: no known set of the format {format_name}; known: {', '.join(sets) or 'none'}")
    chosen = {only: sets[only]} if only else sets
    parts = [
        {"set": name, "part": part, "counts": counts}
        for name, entry in chosen.items()
        for part, counts in entry["parts"].items()
    ]
    return parts, tuple(sets[only].get("types", ())) if only else ()


class TypeNames:
    """How questions call a type: by the user's name for it, or the shipped one, whatever the case of the raw type."""

    def __init__(self, given: Path | None, *, shipped: bool = True) -> None:
        names = {**(_shipped("types.toml") if shipped else {}), **_read(given)}
        self._names = {nfc(raw).lower(): " ".join(nfc(name).lower().split()) for raw, name in names.items()}

    def readable(self, raw: str) -> str:
        """``SYMPTOM_AND_DISEASE`` -> ``symptom and disease``; empty when the type is to be left out."""
        return self._names.get(raw.lower(), " ".join(raw.lower().replace("_", " ").split()))

    def lowered(self, raw: str) -> str:
        """The name of a type that is words already: lower case, and nothing else unless it has a name here."""
        return self._names.get(raw.lower(), raw.lower())


def _shipped(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath(name).read_text(encoding="utf-8"))


def _read(path: Path | None) -> Mapping[str, str]:
    if path is None:
        return {}
    names = parse_toml(path, f"--types {path}")
    for raw, name in names.items():
        if not isinstance(name, str):
            raise ConfigError(f'{path}: the name of {raw} is no text; write {raw} = "readable name"')
    return names
