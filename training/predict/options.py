"""What a user may say of a predictor on the command line, alike in ``predict`` and in ``evaluate --perturb``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Final, Optional, TypeAlias

import typer

from annotator.config import RunConfig, flag
from training.predict.making import KINDS, Wishes

_SETTINGS: Final = {item.name: item.metadata["help"] for item in dataclasses.fields(RunConfig)}
_LOCAL: Final = "Student or tagger"
_ENDPOINT: Final = "Endpoint (openai, groq)"


def _asking(name: str) -> Any:
    """The option of ``RunConfig`` by that name, for a model behind an endpoint."""
    return typer.Option(flag(name), help=_SETTINGS[name], rich_help_panel=_ENDPOINT)


PREDICTOR: Final = f"{KINDS}."
MapFile: TypeAlias = Annotated[
    Optional[Path],  # noqa: UP045 - read by typer
    typer.Option(
        "--map", metavar="FILE", help="TOML: which types each tag of a tagger answers for.", rich_help_panel=_LOCAL
    ),
]
BatchSize: TypeAlias = Annotated[
    int, typer.Option("--batch-size", min=1, help="Queries a student reads at once.", rich_help_panel=_LOCAL)
]
Device: TypeAlias = Annotated[
    Optional[str],  # noqa: UP045 - read by typer
    typer.Option(
        "--device", help="Such as cpu or cuda:0; by default the GPU where there is one.", rich_help_panel=_LOCAL
    ),
]
Prompt: TypeAlias = Annotated[
    Optional[str],  # noqa: UP045 - read by typer
    typer.Option(
        "--prompt",
        help="Prompt with a slot {query}: a name from prompts/ or a path.",
        show_default="query-ner-vi",
        rich_help_panel=_ENDPOINT,
    ),
]
BaseUrl: TypeAlias = Annotated[Optional[str], _asking("base_url")]  # noqa: UP045
MaxCompletionTokens: TypeAlias = Annotated[Optional[int], _asking("max_completion_tokens")]  # noqa: UP045
Concurrency: TypeAlias = Annotated[Optional[int], _asking("concurrency")]  # noqa: UP045
Rpm: TypeAlias = Annotated[Optional[int], _asking("rpm")]  # noqa: UP045
Tpm: TypeAlias = Annotated[Optional[int], _asking("tpm")]  # noqa: UP045
Limits: TypeAlias = Annotated[Optional[str], _asking("limits")]  # noqa: UP045
MaxRetries: TypeAlias = Annotated[Optional[int], _asking("max_retries")]  # noqa: UP045
Timeout: TypeAlias = Annotated[Optional[float], _asking("timeout")]  # noqa: UP045


def wishes(map_file: Path | None, batch_size: int, device: str | None, **asking: Any) -> Wishes:
    """What was said, as one; of the endpoint only what was said at all."""
    return Wishes(map_file, batch_size, device, {name: said for name, said in asking.items() if said is not None})
