"""What is publicly known of endpoints and models, from ``profiles.toml``: limits by profile, context windows."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any

from annotator.errors import ConfigError


def published_limits(profile: str, model: str) -> tuple[int, int]:
    """Requests and tokens a minute that ``profile`` grants for ``model``.

    Raises:
        ConfigError: there is no such profile, or it does not speak of the model.
    """
    profiles = _facts()["limits"]
    if profile not in profiles:
        raise ConfigError(f"--limits {profile}: known are {', '.join(sorted(profiles))}")
    models = profiles[profile]["models"]
    if model not in models:
        raise ConfigError(
            f"--limits {profile} does not know the model {model!r} (it knows {', '.join(sorted(models))}); "
            "give --rpm and --tpm instead"
        )
    rpm, tpm = models[model]
    return int(rpm), int(tpm)


def context_window(model: str) -> int:
    """Tokens of prompt and answer together that ``model`` can take; 0 where that is not known."""
    return int(_facts()["windows"]["models"].get(model, 0))


@cache
def _facts() -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath("profiles.toml").read_text(encoding="utf-8"))
