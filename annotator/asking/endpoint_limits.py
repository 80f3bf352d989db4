"""Published facts about endpoints and models: rate limits, sizes of batches, context windows, retired models."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any

from annotator.config.settings import RunConfig
from annotator.errors import ConfigError, did_you_mean


@dataclass(frozen=True, slots=True)
class EndpointLimits:
    """Requests and tokens that an account may use in a minute and in a day; 0: no limit, or none that is known."""

    rpm: int = 0
    tpm: int = 0
    rpd: int = 0
    tpd: int = 0


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """The size limits of one batch."""

    requests: int
    size: int
    """Bytes of the request file."""


def limits_of(config: RunConfig) -> EndpointLimits:
    """Return the limits of ``--limits`` for the model; ``--rpm`` and ``--tpm`` replace two of them.

    The limits of a day only serve the forecast: during a run the endpoint reports that they are reached.

    Raises:
        ConfigError: there is no such profile, or it does not list the model.
    """
    limits = published_limits(config.limits, config.teacher_model) if config.limits else EndpointLimits()
    return replace(limits, rpm=config.rpm or limits.rpm, tpm=config.tpm or limits.tpm)


def published_limits(profile: str, model: str) -> EndpointLimits:
    """Return the limits of ``profile`` for ``model``.

    Raises:
        ConfigError: there is no such profile, or it does not list the model.
    """
    profiles = _facts()["limits"]
    if profile not in profiles:
        names = sorted(profiles)
        raise ConfigError(f"--limits {profile}: known are {', '.join(names)}{did_you_mean(profile, names)}")
    models = profiles[profile]["models"]
    if model not in models:
        raise ConfigError(
            f"--limits {profile} has none for the model {model!r}, only for {', '.join(sorted(models))}; "
            "give --rpm and --tpm instead"
        )
    return EndpointLimits(**models[model])


def batch_limits(provider: str) -> BatchLimits:
    """Return the size limits of a batch of ``provider``."""
    entry = _facts()["batches"][provider]
    return BatchLimits(requests=entry["requests"], size=entry["megabytes"] * 1_000_000)


def retirement(config: RunConfig) -> str:
    """Return advice for a model that the provider itself no longer serves; empty for any other model or address."""
    known = _facts()["retired"].get(config.provider, {}).get("models", {}).get(config.teacher_model)
    if not known or config.base_url:
        return ""
    return (
        f"{config.provider} has not served {config.teacher_model} to most accounts since {known['since']}; it suggests "
        f"--model {known['instead']}. The same model elsewhere: --provider openai --base-url URL --model NAME"
    )


def context_window(model: str) -> int:
    """Return how many tokens prompt and answer of ``model`` may have together; 0 where that is not known."""
    return int(_facts()["windows"]["models"].get(model, 0))


@cache
def _facts() -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath("endpoint_limits.toml").read_text(encoding="utf-8"))
