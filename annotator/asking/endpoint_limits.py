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
    """Requests and tokens that an account may use; 0: no limit, or none that is known."""

    rpm: int = 0
    """Requests a minute."""
    tpm: int = 0
    """Tokens a minute."""
    rpd: int = 0
    """Requests a day."""
    tpd: int = 0
    """Tokens a day."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """The size limits of one batch."""

    requests: int
    size: int
    """Bytes of the request file."""


def limits_of(config: RunConfig) -> EndpointLimits:
    """Return the limits of ``--limits`` for the model, where ``--rpm`` and ``--tpm`` do not say otherwise.

    The limits a day only serve the forecast: while a run goes on, the endpoint says when they are reached.

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
            f"--limits {profile} does not know the model {model!r} (it knows {', '.join(sorted(models))}); "
            "give --rpm and --tpm instead"
        )
    return EndpointLimits(**models[model])


def batch_limits(provider: str) -> BatchLimits:
    """Return the size limits of a batch of ``provider``."""
    entry = _facts()["batches"][provider]
    return BatchLimits(requests=entry["requests"], size=entry["megabytes"] * 1_000_000)


def retirement(config: RunConfig) -> str:
    """Return what to do when the provider itself no longer serves the model; empty where nothing is known."""
    if config.base_url:
        return ""
    known = _facts()["retired"].get(config.provider, {}).get("models", {}).get(config.teacher_model)
    if not known:
        return ""
    return (
        f"{config.provider} has not served {config.teacher_model} to most accounts since {known['since']}; it suggests "
        f"--model {known['instead']}. The same model elsewhere: --provider openai --base-url URL --model NAME"
    )


def context_window(model: str) -> int:
    """Return the tokens of prompt and answer together that ``model`` can take; 0 where that is not known."""
    return int(_facts()["windows"]["models"].get(model, 0))


@cache
def _facts() -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath("endpoint_limits.toml").read_text(encoding="utf-8"))
