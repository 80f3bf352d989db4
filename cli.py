"""The command line: parse, call one function, render, exit code. Heavy imports stand inside the commands."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from annotator.config import STAGES, Asking, RunConfig, flag
from annotator.labelling.commands import app as labels_app
from annotator.labelling.commands import decisions_file
from annotator.terminal.exits import exits as _errors
from data_cards.agreement_commands import app as check_app
from data_cards.commands import app as data_cards_app
from data_cards.exchange.commands import export_command, import_command
from data_cards.publish_commands import publish
from data_cards.review.commands import app as review_app
from training.convert.commands import app as converting_app
from training.predict.commands import predict
from training.score.commands import evaluate
from training.train.commands import app as learning_app

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

Config = Annotated[
    Optional[Path],  # noqa: UP045 - read by typer
    typer.Option("--config", help="TOML file with the same settings; flags win.", rich_help_panel="Run"),
]
Batch = Annotated[
    bool,
    typer.Option(
        "--batch", help="Ask by the provider's Batch API: submit; run again, collect.", rich_help_panel="Teacher"
    ),
]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Make everything again; paid answers stay and are used.", rich_help_panel="Run")
]


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
            help=f"{text} A file or folder, an address (https://, hf://, s3://), a Hub dataset org/name, or sample.",
            show_default="sample",
        )
    else:
        shown = str(item.default) if item.default not in ("", ()) else False
        spelled = flag(item.name) + (f"/--no-{flag(item.name)[2:]}" if item.default is False else "")
        info = typer.Option(spelled, help=text, rich_help_panel=panel, show_default=shown)
    kind: Any = list[str] if item.default == () else type(item.default)
    annotation = Annotated[Optional[kind], info]  # noqa: UP045 - built at run time
    return inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _build(
    *,
    settings: dict[str, Any],
    out: Annotated[Path, typer.Option("--out", "-o", help="The run directory.", rich_help_panel="Run")],
    config: Config = None,
    fresh: Fresh = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Run the whole method: a source of Vietnamese text becomes a clean instruction dataset."""
    with _errors(debug, out):
        _run(settings, out, config, fresh=fresh, quiet=quiet, as_json=as_json, until=STAGES[-1])


app.command("build")(_with_settings(_build))


def _plan(
    *,
    settings: dict[str, Any],
    out: Annotated[
        Optional[Path],  # noqa: UP045 - read by typer
        typer.Option("--out", "-o", help="The run directory; without it, a temporary one.", rich_help_panel="Run"),
    ] = None,
    config: Config = None,
    fresh: Fresh = False,
    pilot: Annotated[
        int, typer.Option("--pilot", min=0, help="Passages to ask about now; needs --out.", rich_help_panel="Plan")
    ] = 0,
    latency: Annotated[
        Optional[float],  # noqa: UP045 - read by typer
        typer.Option("--latency", help="Seconds an answer takes, until some were seen.", rich_help_panel="Plan"),
    ] = None,
    price_in: Annotated[
        Optional[float],  # noqa: UP045 - read by typer
        typer.Option("--price-in", help="US dollars for a million prompt tokens.", rich_help_panel="Plan"),
    ] = None,
    price_out: Annotated[
        Optional[float],  # noqa: UP045 - read by typer
        typer.Option("--price-out", help="US dollars for a million tokens of answer.", rich_help_panel="Plan"),
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Say what a build would cost: passages, tokens, money and time. Asks nothing of the teacher without --pilot."""
    with _errors(debug, out):
        from annotator.run.forecast import Assumed, plan
        from annotator.terminal.progress import make_progress
        from data_cards.forecast import print_plan

        assumed = Assumed(latency=latency, price_in=price_in, price_out=price_out)
        progress = make_progress(quiet=quiet)
        print_plan(plan(out, _said(settings, config), progress, assumed, pilot=pilot, fresh=fresh), as_json=as_json)


app.command("plan")(_with_settings(_plan))


def _stage_command(stage: str, text: str, *more: inspect.Parameter) -> None:
    def run_stage(**given: Any) -> None:
        debug, out = given.pop("debug"), given.pop("out")
        with _errors(debug, out):
            asking: Asking = "batch" if given.pop("batch", False) else "now"
            _run(given.pop("settings"), out, given.pop("config"), until=stage, asking=asking, **given)

    same = inspect.signature(_build, eval_str=True).parameters.values()
    run_stage.__signature__ = inspect.Signature([*same, *more])  # type: ignore[attr-defined] # read by typer
    run_stage.__doc__ = text
    app.command(stage, rich_help_panel="One stage at a time")(_with_settings(run_stage))


_stage_command("sample", "Source -> documents.")
_stage_command("chunk", "Documents -> passages (and what comes before, if it is not done).")
_stage_command(
    "annotate",
    "Passages -> answers of the teacher (and what comes before).",
    inspect.Parameter("batch", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Batch),
)
_stage_command("clean", "Answers -> annotations: labels normalised, mentions found in their passages.")
_stage_command("explode", "Annotations -> instruction samples, by split.")


def _run(
    settings: dict[str, Any],
    out: Path,
    config: Path | None,
    *,
    fresh: bool,
    quiet: bool,
    as_json: bool,
    until: str,
    asking: Asking = "now",
) -> None:
    from annotator.run.runner import running
    from annotator.terminal.progress import make_progress
    from data_cards import batches, summary

    progress = make_progress(quiet=quiet)
    with running(out, _said(settings, config), progress, until=until, fresh=fresh, asking=asking) as outcome:
        report = summary.finish(outcome)
    if asking == "batch":
        report["batches"] = batches.report(outcome)
    if as_json:
        summary.print_json(report)
    else:
        summary.print_report(outcome, report)
    if asking == "batch" and not as_json:
        batches.show(outcome)
    if outcome.unanswered:
        typer.echo(batches.next_step(outcome, report["funnel"], batch=asking == "batch"), err=True)
        raise typer.Exit(3)


def _said(settings: dict[str, Any], config: Path | None) -> dict[str, Any]:
    """What the user says: the file, and the flags, which win."""
    from annotator.config import read_toml

    return {**(read_toml(config) if config else {}), **{k: v for k, v in settings.items() if v not in (None, [])}}


@labels_app.command("apply")
def _apply_labels(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A run directory.")],
    labels: Annotated[
        Optional[Path],  # noqa: UP045 - read by typer
        typer.Argument(metavar="FILE", help="Your decisions; by default those of the run, else DIR/labels.toml."),
    ] = None,
    translate_labels: Annotated[
        bool,
        typer.Option("--translate-labels", help="Ask the teacher for the English name of what is left undecided."),
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Clean and explode again with your decisions; without --translate-labels nothing is asked of the teacher."""
    with _errors(debug, directory):
        from annotator.storage.rundir import existing

        path = labels or decisions_file(existing(directory).root)
        settings: dict[str, Any] = {} if translate_labels and not path.exists() else {"labels": str(path)}
        settings |= {"translate_labels": True} if translate_labels else {}
        _run(settings, directory, None, fresh=False, quiet=quiet, as_json=as_json, until=STAGES[-1],
             asking="now" if translate_labels else "never")  # fmt: skip


app.add_typer(labels_app, name="labels")


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
        from rich.console import Console

        from annotator import open_run
        from data_cards.summary import print_json

        view = open_run(directory).show(passage_id or "")
        if as_json:
            print_json(view.as_dict())
        else:
            Console(highlight=False).print(view)


app.command("export")(export_command)
app.command("import")(import_command)
app.command()(publish)
app.add_typer(check_app)
app.add_typer(data_cards_app)
app.add_typer(review_app)
app.add_typer(converting_app)
app.add_typer(learning_app)
answering_app = typer.Typer()  # after the others, so that --help tells them in the order of work
for command in (predict, evaluate):
    answering_app.command(rich_help_panel="Train and evaluate")(command)
app.add_typer(answering_app)


def main() -> None:
    """Entry point of ``vner-annotate``."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # Vietnamese, whatever the locale says
    app()


if __name__ == "__main__":
    main()
