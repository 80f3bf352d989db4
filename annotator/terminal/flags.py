"""Options that several commands share, and an option for each setting of ``RunConfig``."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import json
from collections.abc import Callable, Collection
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias, get_args, get_origin, get_type_hints

import typer

from annotator.config.settings import CHOICES, RunConfig, flag

Directory: TypeAlias = Annotated[Path, typer.Argument(metavar="DIR", help="The run directory.")]
Quiet: TypeAlias = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Debug: TypeAlias = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Config: TypeAlias = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Read settings from this TOML file; flags win.")
]
Batch: TypeAlias = Annotated[
    bool, typer.Option("--batch", help="Use the provider's Batch API: submit, and collect when run again.")
]
Share: TypeAlias = Annotated[
    float | None,
    typer.Option("--share", metavar="SHARE", help="Ask about this share of the passages, drawn by the seed."),
]
By: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--by",
        metavar="passage|query",
        help="Ask for all entities of a passage, or one query for each of its types. Default: passage.",
    ),
]
Keep: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--keep",
        metavar="all|agreed|union|arbiter",
        help="Keep what the first teacher has, both have, either has, or a third question decides.",
    ),
]
Fresh: TypeAlias = Annotated[
    bool, typer.Option("--fresh", help="Run all stages again; paid answers are kept and used.")
]

PLACEHOLDERS: Final = {
    "near_duplicates": "SHARE", "text_field": "COLUMN", "id_field": "COLUMN", "tokenizer": "NAME",
    "decontaminate": "FILE", "model": "NAME", "prompt": "NAME", "base_url": "URL", "option": "NAME=VALUE",
    "limits": "NAME", "timeout": "SECONDS", "labels": "FILE", "negatives": "RATIO", "split": "SHARES",
    "ray_address": "HOST:PORT", "ledger": "URL", "types": "FILE", "added_docs": "N,N",
}  # fmt: skip
"""Placeholders of values on help pages; of all other settings it is N."""


def print_json(value: Any) -> None:
    """Print ``value`` as one JSON object, Vietnamese letters as they are."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give ``command`` an option for each field of the dataclass that its parameter ``options`` has as type.

    Only fields whose annotation has a ``typer.Option`` are options.
    """
    parameters = list(inspect.signature(command, eval_str=True).parameters.values())
    place = next(number for number, parameter in enumerate(parameters) if parameter.name == "options")
    record = parameters[place].annotation
    hints = get_type_hints(record, include_extras=True)
    fields = [item for item in dataclasses.fields(record) if get_origin(hints[item.name]) is Annotated]
    parameters[place : place + 1] = [
        inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=item.default, annotation=hints[item.name])
        for item in fields
    ]

    @wraps(command)
    def call(**given: Any) -> None:
        command(options=record(**{item.name: given.pop(item.name) for item in fields}), **given)

    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # read by typer
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call


def with_settings(
    command: Callable[..., None],
    shown: Collection[str],
    *,
    only: Collection[str] | None = None,
) -> Callable[..., None]:
    """Give ``command`` an option for each setting of ``RunConfig``; it receives the given ones as ``settings``.

    Args:
        command: a function with a parameter ``settings``.
        shown: names of the options that ``--help`` shows, in this order; ``--help-all`` shows the others, too.
        only: names of the settings that the command takes; None: all. With ``only``, help names no defaults, since a
            setting that is not given is that of the run or of a predictor.
    """
    items = [item for item in dataclasses.fields(RunConfig) if only is None or item.name in only]

    def call(**given: Any) -> None:
        settings = {item.name: given.pop(item.name) for item in items}
        command(settings={name: value for name, value in settings.items() if value not in (None, [])}, **given)

    own = [param for param in inspect.signature(command, eval_str=True).parameters.values() if param.name != "settings"]
    every = [*(_parameter(item, defaults=only is None) for item in items), *own]
    parameters = [_in_panel(param, "" if param.name in {"source", *shown} else "Run") for param in every]
    order = {name: number for number, name in enumerate(("source", *shown))}
    parameters.sort(key=lambda param: order.get(param.name, len(order)))
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # read by typer
    call.__annotations__ = {param.name: param.annotation for param in parameters}
    call.__doc__ = command.__doc__
    return call


def _parameter(item: dataclasses.Field[Any], *, defaults: bool) -> inspect.Parameter:
    """Return the option of a setting, with help, default and panel from ``RunConfig``."""
    info: Any
    kind: Any = list[str] if item.default == () else type(item.default)
    if item.name == "source":
        info = typer.Argument(metavar="SOURCE", help=item.metadata["help"])
    else:
        default = f"{item.default:g}" if kind is float else str(item.default)
        info = typer.Option(
            flag(item.name) + (f"/--no-{flag(item.name)[2:]}" if kind is bool else ""),
            help=item.metadata["help"],
            metavar="|".join(CHOICES.get(item.name, ())) or PLACEHOLDERS.get(item.name, "N"),
            rich_help_panel=item.metadata["panel"],
            show_default=default if defaults and item.default not in ("", (), False) else False,
        )
    annotation = Annotated[kind | None, info]
    return inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _in_panel(param: inspect.Parameter, panel: str) -> inspect.Parameter:
    """Return ``param`` in its own panel, else in ``panel``; without any where ``panel`` is empty."""
    kind, info = get_args(param.annotation)
    info = copy.copy(info)
    info.rich_help_panel = (info.rich_help_panel or panel) if panel else None
    return param.replace(annotation=Annotated[kind, info])
