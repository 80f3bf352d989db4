"""The command ``check``."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from annotator.config import RunConfig, flag
from annotator.terminal.exits import exits

app = typer.Typer()

Share = Annotated[
    Optional[float],  # noqa: UP045 - read by typer
    typer.Option("--share", metavar="SHARE", help="Ask about this share of the passages, drawn by the seed."),
]


def _with_teacher(command: Callable[..., None]) -> Callable[..., None]:
    """Give ``command`` an option for each setting of a teacher; those that are given arrive as ``settings``."""
    items = [item for item in dataclasses.fields(RunConfig) if item.metadata["panel"] == "Teacher"]

    def call(**given: Any) -> None:
        settings = {item.name: given.pop(item.name) for item in items}
        command(settings={name: value for name, value in settings.items() if value not in (None, [])}, **given)

    own = [param for param in inspect.signature(command, eval_str=True).parameters.values() if param.name != "settings"]
    options = [
        inspect.Parameter(
            item.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                Optional[list[str] if item.default == () else type(item.default)],  # noqa: UP045 - built at run time
                typer.Option(flag(item.name), help=item.metadata["help"], rich_help_panel="Second teacher"),
            ],
        )
        for item in items
    ]
    call.__signature__ = inspect.Signature([*own, *options])  # type: ignore[attr-defined] # read by typer
    call.__annotations__ = {param.name: param.annotation for param in (*own, *options)}
    call.__doc__ = command.__doc__
    return call


def _check(  # noqa: PLR0913 - the parameters of a command are its flags
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A finished run directory.")],
    *,
    settings: dict[str, Any],
    share: Share = None,
    keep: Annotated[
        Optional[str],  # noqa: UP045 - read by typer
        typer.Option(
            "--keep",
            metavar="all|agreed|union|arbiter",
            help="Keep what the first teacher has, both have, either has, or a third question decides.",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Compare the dataset with a second teacher's predictions: where two teachers differ, errors are frequent.

    The first teacher's answers stay as they are. Run it again to continue; --keep alone sends no request, except for
    the arbiter's questions. Example: vner-annotate check runs/news --provider openai --model gpt-4.1-mini --share 0.2
    """
    with exits(debug, directory):
        from annotator.run.check import checking
        from annotator.terminal.progress import make_progress
        from data_cards import summary
        from data_cards.agreement_view import print_agreement

        with checking(directory, settings, make_progress(quiet=quiet), share, keep) as (outcome, missing):
            report = summary.finish(outcome)
        figures = {"unanswered": missing, **report["agreement"]}
        if as_json:
            summary.print_json(figures)
        else:
            print_agreement(figures, directory)
        if missing:
            typer.echo(f"{missing:,} questions have no answer yet; run the same command again", err=True)
            raise typer.Exit(3)


app.command("check", rich_help_panel="Look at a dataset")(_with_teacher(_check))
