"""Read TOML files of users: settings, recipes, maps of types."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from annotator.errors import ConfigError


def read_toml(path: Path) -> dict[str, Any]:
    """Read settings from a TOML file; ``max-tokens`` and ``max_tokens`` are the same name.

    Raises:
        ConfigError: the file is missing or is not TOML.
    """
    settings = parse_toml(path, f"--config {path}")
    return {name.replace("-", "_"): value for name, value in settings.items()}


def with_file(given: Mapping[str, Any], path: Path | None) -> dict[str, Any]:
    """Return the settings of the TOML file ``path``, if there is one, and those ``given``, which win."""
    return {**(read_toml(path) if path else {}), **given}


def parse_toml(path: Path | Traversable, shown: str) -> dict[str, Any]:
    """Read a TOML file, with or without a byte order mark; messages call it ``shown``.

    Raises:
        ConfigError: it is missing, or is not TOML in UTF-8.
    """
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"cannot read {shown}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{shown} is not valid TOML: {error}") from error
