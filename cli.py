"""The command line: parse, call one function, render, exit code. Heavy imports stand inside the commands."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from annotator.config import STAGES, RunConfig, flag
from annotator.exits import exits as _errors
from data_cards.commands import app as data_cards_app

app = typer.Typer(
    name="vner-annotate",
    help="Build open-domain Vietnamese NER datasets from raw news, with a large language model as the teacher.",
    epilog="Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; "
    "3 finished, some passages unanswered (the same command asks again); 130 interrupted, safe to run again.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel="Run")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.", rich_help_panel="Run")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress display.", rich_help_panel="Run")]


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        typer.echo(metadata.version("vner-annotate"))
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Build open-domain Vietnamese NER datasets from raw news."""


def _with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give ``command`` an option for each setting of ``RunConfig``; what the user says arrives as ``settings``.

    Defaults, help and types stand in ``RunConfig`` alone; an option that is not given says nothing.
    """

    def call(**given: Any) -> None:
        settings = {item.name: given.pop(item.name) for item in dataclasses.fields(RunConfig)}
        command(settings=settings, **given)

    own = [param for param in inspect.signature(command, eval_str=True).parameters.values() if param.name != "settings"]
    made = [_parameter(item) for item in dataclasses.fields(RunConfig)]
    parameters = sorted([*made, *own], key=lambda param: param.name != "source")
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # read by typer
    call.__annotations__ = {param.name: param.annotation for param in parameters}
    call.__doc__ = command.__doc__
    return call


def _parameter(item: dataclasses.Field[Any]) -> inspect.Parameter:
    panel, text = item.metadata["panel"], item.metadata["help"]
    info: Any
    if item.name == "source":
        info = typer.Argument(
            help=f"{text} A file or folder, a Hub dataset org/name, or sample.", show_default="sample"
        )
    else:
        shown = str(item.default) if item.default != "" else False
        info = typer.Option(flag(item.name), help=text, rich_help_panel=panel, show_default=shown)
    kind: Any = type(item.default)
    annotation = Annotated[Optional[kind], info]  # noqa: UP045 - built at run time
    return inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _build(
    *,
    settings: dict[str, Any],
    out: Annotated[Path, typer.Option("--out", "-o", help="The run directory.", rich_help_panel="Run")],
    config: Annotated[
        Optional[Path],  # noqa: UP045 - read by typer
        typer.Option("--config", help="TOML file with the same settings; flags win.", rich_help_panel="Run"),
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Make everything again; paid answers stay and are used.", rich_help_panel="Run"),
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Run the whole method: a source of Vietnamese text becomes a clean instruction dataset."""
    with _errors(debug, out):
        _run(settings, out, config, fresh=fresh, quiet=quiet, as_json=as_json, until=STAGES[-1])


app.command("build")(_with_settings(_build))


def _stage_command(stage: str, text: str) -> None:
    def run_stage(**given: Any) -> None:
        debug, out = given.pop("debug"), given.pop("out")
        with _errors(debug, out):
            _run(given.pop("settings"), out, given.pop("config"), until=stage, **given)

    run_stage.__signature__ = inspect.signature(_build, eval_str=True)  # type: ignore[attr-defined] # the same flags
    run_stage.__doc__ = text
    app.command(stage, rich_help_panel="One stage at a time")(_with_settings(run_stage))


_stage_command("sample", "Source -> documents.")
_stage_command("chunk", "Documents -> passages (and what comes before, if it is not done).")
_stage_command("annotate", "Passages -> answers of the teacher (and what comes before).")
_stage_command("clean", "Answers -> annotations: labels normalised, mentions found in their passages.")
_stage_command("explode", "Annotations -> instruction samples, by split.")


def _run(
    settings: dict[str, Any], out: Path, config: Path | None, *, fresh: bool, quiet: bool, as_json: bool, until: str
) -> None:
    from annotator.config import read_toml
    from annotator.display import make_progress
    from annotator.runner import run
    from data_cards import summary

    said = {**(read_toml(config) if config else {}), **{k: v for k, v in settings.items() if v is not None}}
    outcome = run(out, said, make_progress(quiet=quiet), until=until, fresh=fresh)
    report = summary.finish(outcome)
    if as_json:
        summary.print_json(report)
    else:
        summary.print_report(outcome, report)
    if outcome.unanswered:
        typer.echo(
            f"{outcome.unanswered:,} passages have no answer yet; the same command asks for them again", err=True
        )
        raise typer.Exit(3)


@app.command()
def show(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A run directory.")],
    passage_id: Annotated[
        Optional[str],  # noqa: UP045 - read by typer
        typer.Argument(help="Id of a passage, or the beginning of one; without it, the first with entities."),
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Print a passage with its entities, what the teacher said of it, and what was rejected and why."""
    with _errors(debug):
        from data_cards import summary

        summary.show_passage(directory, passage_id, as_json=as_json)


app.add_typer(data_cards_app)


def main() -> None:
    """Entry point of ``vner-annotate``."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # Vietnamese, whatever the locale says
    app()


if __name__ == "__main__":
    main()
