"""Options of a predictor on the command line, alike in ``predict`` and in ``evaluate --perturb``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Final, Optional, TypeAlias

import typer

from annotator.config import PLACEHOLDERS, RunConfig, flag
from training.predict.making import KINDS, PredictorOptions

_SETTINGS: Final = {item.name: item.metadata["help"] for item in dataclasses.fields(RunConfig)}


def _local(name: str, text: str, **more: Any) -> Any:
    return typer.Option(name, help=text, rich_help_panel="Student or tagger", **{"metavar": "N", **more})


def _asking(name: str, text: str = "", **more: Any) -> Any:
    """The option for the setting ``name`` of ``RunConfig``, for a model behind an endpoint."""
    panel = "Endpoint (openai, groq)"
    metavar = PLACEHOLDERS.get(name, "N")
    return typer.Option(flag(name), metavar=metavar, help=text or _SETTINGS[name], rich_help_panel=panel, **more)


_PROMPT: Final = "Ask with this prompt, which has a slot {query}: a bundled one by name, or a file."
PREDICTOR: Final = f"{KINDS}."
_MAP: Final = _local("--map", "Read from this TOML file which types each tag of a tagger answers for.", metavar="FILE")
_DEVICE: Final = _local(
    "--device", "Run on this device: cpu, cuda, cuda:0.", metavar="NAME", show_default="the GPU where there is one"
)
MapFile: TypeAlias = Annotated[Optional[Path], _MAP]  # noqa: UP045
BatchSize: TypeAlias = Annotated[int, _local("--batch-size", "Give a student this many queries at once.", min=1)]
Device: TypeAlias = Annotated[Optional[str], _DEVICE]  # noqa: UP045
Prompt: TypeAlias = Annotated[Optional[str], _asking("prompt", _PROMPT, show_default="query-ner-vi")]  # noqa: UP045
BaseUrl: TypeAlias = Annotated[Optional[str], _asking("base_url")]  # noqa: UP045
MaxCompletionTokens: TypeAlias = Annotated[Optional[int], _asking("max_completion_tokens")]  # noqa: UP045
Concurrency: TypeAlias = Annotated[Optional[int], _asking("concurrency")]  # noqa: UP045
Rpm: TypeAlias = Annotated[Optional[int], _asking("rpm")]  # noqa: UP045
Tpm: TypeAlias = Annotated[Optional[int], _asking("tpm")]  # noqa: UP045
Limits: TypeAlias = Annotated[Optional[str], _asking("limits")]  # noqa: UP045
MaxRetries: TypeAlias = Annotated[Optional[int], _asking("max_retries")]  # noqa: UP045
Timeout: TypeAlias = Annotated[Optional[float], _asking("timeout")]  # noqa: UP045


def given(map_file: Path | None, batch_size: int, device: str | None, **asking: Any) -> PredictorOptions:
    """The given options as one; of the endpoint only those that were given."""
    return PredictorOptions(
        map_file, batch_size, device, {name: value for name, value in asking.items() if value is not None}
    )
