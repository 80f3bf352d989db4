"""Options of a predictor on the command line: those of ``predict``, and of ``evaluate --perturb --predictor``."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Final, Optional

import typer

from annotator.config import PLACEHOLDERS, RunConfig, flag
from training.predict.making import KINDS, PredictorOptions

PREDICTOR: Final = f"{KINDS}."
_SETTINGS: Final = {item.name: item for item in dataclasses.fields(RunConfig)}
_DEFAULTS: Final = {item.name: item.default for item in dataclasses.fields(PredictorOptions)}


def _local(name: str, kind: Any, metavar: str, text: str, **more: Any) -> Any:
    return Annotated[kind, typer.Option(name, metavar=metavar, help=text, rich_help_panel="Student or tagger", **more)]


def _asking(name: str, text: str = "", **more: Any) -> Any:
    """The option for the setting ``name`` of ``RunConfig``, for a model behind an endpoint."""
    setting, metavar, panel = _SETTINGS[name], PLACEHOLDERS.get(name, "N"), "Endpoint (openai, groq)"
    text = text or setting.metadata["help"]
    kind: Any = type(setting.default)
    return Annotated[
        Optional[kind],  # noqa: UP045 - read by typer
        typer.Option(flag(name), metavar=metavar, help=text, rich_help_panel=panel, **more),
    ]


_OPTIONS: Final = {
    "map_file": _local(
        "--map", Optional[Path], "FILE", "Read from this TOML file which types each tag of a tagger answers for."  # noqa: UP045
    ),
    "batch_size": _local("--batch-size", int, "N", "Give a student this many queries at once.", min=1),
    "device": _local(
        "--device", Optional[str], "NAME", "Run on this device: cpu, cuda, cuda:0.",  # noqa: UP045
        show_default="the GPU where there is one",
    ),
    "base_url": _asking("base_url"),
    "prompt": _asking(
        "prompt", "Ask with this prompt, which has a slot {query}: a bundled one by name, or a file.",
        show_default="query-ner-vi",
    ),
    **{
        name: _asking(name)
        for name in ("max_completion_tokens", "concurrency", "rpm", "tpm", "limits", "max_retries", "timeout")
    },
}  # fmt: skip


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give ``command`` these options in place of its parameter ``chosen``, which receives them."""

    @wraps(command)
    def call(**given: Any) -> None:
        options = {name: given.pop(name) for name in _OPTIONS}
        own = {name: options.pop(name) for name in list(options) if name in _DEFAULTS}
        asking = {name: value for name, value in options.items() if value is not None}
        command(chosen=PredictorOptions(**own, asking=asking), **given)

    parameters = list(inspect.signature(command, eval_str=True).parameters.values())
    place = next(number for number, parameter in enumerate(parameters) if parameter.name == "chosen")
    parameters[place : place + 1] = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=_DEFAULTS.get(name), annotation=kind)
        for name, kind in _OPTIONS.items()
    ]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # read by typer
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call
