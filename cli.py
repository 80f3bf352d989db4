"""The command line: parse, call one function, render, exit code. Heavy imports stand inside the commands."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, Optional

import typer

from annotator.config import STAGES, Asking, RunConfig
from annotator.terminal.exits import exits
from annotator.terminal.flags import AsJson, Config, Debug, Directory, Fresh, Quiet, print_json, with_settings
from annotator.terminal.help_pages import CONTEXT, Command, Group
from data_cards.commands.audit import audit, report
from data_cards.commands.check import Share, check
from data_cards.commands.exchange import export_command, import_command
from data_cards.commands.labels import app as labels_app
from data_cards.commands.labels import decisions_file
from data_cards.commands.publish import publish
from data_cards.commands.review import quality, review
from training.convert.commands import convert
from training.predict.commands import predict
from training.score.commands import evaluate
from training.train.commands import experiment, train

app = typer.Typer(
    name="vner-annotate",
    cls=Group,
    epilog="Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; "
    "3 finished, some passages unanswered (the same command asks again); 130 interrupted, safe to run again.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=CONTEXT,
)

Out = Annotated[
    Optional[Path],  # noqa: UP045 - read by typer
    typer.Option(
        "--out", "-o", metavar="DIR", help="Write to this run directory.", show_default="runs/ and the name of SOURCE"
    ),
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
    """Build open-domain Vietnamese NER datasets from raw news, with a large language model as the teacher.

    Examples:
        vner-annotate build                        # the bundled sample; no key, no network
        vner-annotate build news/ --docs 300       # your own files
        vner-annotate show runs/news --random      # look at what came out
    """


def _build(
    *,
    settings: dict[str, Any],
    out: Out = None,
    config: Config = None,
    fresh: Fresh = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Build a dataset: articles become passages, the teacher annotates them, clean instruction samples come out.

    Run it again to continue, or to apply a changed setting; an answer that was paid for is never asked again.

    Examples:
        vner-annotate build news/ --out runs/news --docs 300
        vner-annotate build news/ --provider openai --model llama-3-70b --base-url http://localhost:8000/v1
    """
    _run(settings, out, config, fresh=fresh, quiet=quiet, as_json=as_json, debug=debug, until=STAGES[-1])


def _plan(
    *,
    settings: dict[str, Any],
    out: Annotated[
        Optional[Path],  # noqa: UP045 - read by typer
        typer.Option("--out", "-o", metavar="DIR", help="Plan in this run directory; without it, in a temporary one."),
    ] = None,
    config: Config = None,
    fresh: Fresh = False,
    pilot: Annotated[
        int, typer.Option("--pilot", metavar="N", min=0, help="Ask about this many passages now; needs --out.")
    ] = 0,
    latency: Annotated[
        Optional[float],  # noqa: UP045 - read by typer
        typer.Option("--latency", metavar="SECONDS", help="Assume this time for an answer, until some were measured."),
    ] = None,
    price_in: Annotated[
        Optional[float],  # noqa: UP045 - read by typer
        typer.Option("--price-in", metavar="USD", help="Assume this price for a million prompt tokens."),
    ] = None,
    price_out: Annotated[
        Optional[float],  # noqa: UP045 - read by typer
        typer.Option("--price-out", metavar="USD", help="Assume this price for a million completion tokens."),
    ] = None,
    checking: Annotated[
        bool, typer.Option("--check", help="Forecast check: the settings of the teacher are the second one's.")
    ] = False,
    share: Share = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Forecast a build: passages, tokens, money and time. Sends no request without --pilot.

    Examples:
        vner-annotate plan news/ --provider groq --model openai/gpt-oss-120b --limits groq-free
        vner-annotate plan news/ --out runs/news --provider openai --model gpt-4.1-mini --pilot 20
    """
    with exits(debug, out):
        from annotator.errors import ConfigError
        from annotator.run.forecast import Assumed, plan, plan_check
        from annotator.terminal.progress import make_progress
        from data_cards.views.forecast import print_plan

        assumed = Assumed(latency=latency, price_in=price_in, price_out=price_out)
        progress = make_progress(quiet=quiet)
        if checking:
            if out is None or pilot or fresh:
                raise ConfigError("--check needs --out DIR, a finished run, without --pilot and --fresh")
            print_plan(plan_check(out, _merged(settings, config), progress, assumed, share), as_json=as_json)
            return
        if share is not None:
            raise ConfigError("--share needs --check")
        print_plan(plan(out, _merged(settings, config), progress, assumed, pilot=pilot, fresh=fresh), as_json=as_json)


def _stage(name: str, text: str) -> Callable[..., None]:
    """Return the command that runs the method as far as the stage ``name``."""

    def run_stage(
        *,
        settings: dict[str, Any],
        out: Out = None,
        config: Config = None,
        fresh: Fresh = False,
        batch: Annotated[
            bool, typer.Option("--batch", help="Use the provider's Batch API: submit, and collect when run again.")
        ] = False,
        quiet: Quiet = False,
        as_json: AsJson = False,
        debug: Debug = False,
    ) -> None:
        asking: Asking = "batch" if batch else "now"
        _run(settings, out, config, fresh=fresh, quiet=quiet, as_json=as_json, debug=debug, until=name, asking=asking)

    run_stage.__doc__ = f"{text}\n\nRuns the stages before it, too, where they are not done."
    if name != "annotate":
        signature = inspect.signature(run_stage, eval_str=True)
        others = [param for param in signature.parameters.values() if param.name != "batch"]
        run_stage.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined] # read by typer
    return run_stage


def _run(
    settings: dict[str, Any],
    out: Path | None,
    config: Path | None,
    *,
    fresh: bool,
    quiet: bool,
    as_json: bool,
    debug: bool,
    until: str,
    asking: Asking = "now",
) -> None:
    with exits(debug):
        merged = _merged(settings, config)
        if out is None:
            from annotator.storage.rundir import default_root

            out = default_root(merged.get("source", RunConfig().source))
            typer.echo(f"Run directory: {out}", err=True)
    with exits(debug, out):
        from annotator.run.runner import running
        from annotator.terminal.progress import make_progress
        from data_cards import summary
        from data_cards.views import batches

        progress = make_progress(quiet=quiet)
        with running(out, merged, progress, until=until, fresh=fresh, asking=asking) as outcome:
            report = summary.finish(outcome)
        if asking == "batch":
            report["batches"] = batches.report(outcome)
        if as_json:
            print_json(report)
        else:
            summary.print_report(outcome, report)
        if asking == "batch" and not as_json:
            batches.show(outcome)
        if outcome.unanswered:
            typer.echo(batches.next_step(outcome, report["funnel"], batch=asking == "batch"), err=True)
            raise typer.Exit(3)


def _merged(settings: dict[str, Any], config: Path | None) -> dict[str, Any]:
    """Return the settings of the file and of the flags; flags win."""
    from annotator.config import read_toml

    return {**(read_toml(config) if config else {}), **settings}


@labels_app.command("apply", cls=Command)
def _apply_labels(
    directory: Directory,
    labels: Annotated[
        Optional[Path],  # noqa: UP045 - read by typer
        typer.Argument(metavar="FILE", help="Your decisions. Default: those of the run, else DIR/labels.toml."),
    ] = None,
    translate_labels: Annotated[
        bool,
        typer.Option("--translate-labels", help="Ask the teacher to translate the labels that are left undecided."),
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Apply your decisions: clean and explode again. Sends no request without --translate-labels.

    Examples:
        vner-annotate labels apply runs/news
    """
    with exits(debug, directory):
        from annotator.errors import ConfigError
        from annotator.storage.rundir import existing

        path = labels or decisions_file(existing(directory).root)
        if not path.exists() and not translate_labels:
            raise ConfigError(f"no decisions in {path}; make them with: vner-annotate labels review {directory}")
        settings: dict[str, Any] = {} if translate_labels and not path.exists() else {"labels": str(path)}
        settings |= {"translate_labels": True} if translate_labels else {}
        _run(settings, directory, None, fresh=False, quiet=quiet, as_json=as_json, debug=debug, until=STAGES[-1],
             asking="now" if translate_labels else "never")  # fmt: skip


def show(
    directory: Directory,
    passage_id: Annotated[
        Optional[str],  # noqa: UP045 - read by typer
        typer.Argument(
            metavar="PASSAGE", help="Show the passage whose id begins so. Default: the first with entities."
        ),
    ] = None,
    entity_type: Annotated[
        str, typer.Option("--type", metavar="TYPE", help="Choose among the passages with an entity of this type.")
    ] = "",
    drawn: Annotated[bool, typer.Option("--random", help="Choose a passage at random.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show a passage with its entities, the teacher's reply, and what was rejected and why.

    Examples:
        vner-annotate show runs/news
        vner-annotate show runs/news --type person --random
    """
    with exits(debug):
        from data_cards.views.showing import show_passage

        show_passage(directory, passage_id or "", entity_type, drawn=drawn, as_json=as_json)


_STAGE_TEXTS: Final = {
    "sample": "Draw articles from the source: documents.parquet.",
    "chunk": "Cut the articles into passages: passages.parquet.",
    "annotate": "Ask the teacher about each passage; the ledger keeps every answer.",
    "clean": "Read the answers, normalise labels, find mentions in their passages: annotations.parquet.",
    "explode": "Make instruction samples from the annotations: samples/.",
}
_BUILD, _LOOK, _COUNT, _PASS_ON = "Build", "Look and correct", "Count and report", "Exchange and publish"
_STAGES, _TRAIN = "One stage at a time", "Train and evaluate"


def _register() -> None:
    """Register the commands in the order of work; options named here are those that ``--help`` shows."""
    teacher = ("provider", "model", "base_url", "limits")
    often = ("out", "docs", "text_field", *teacher)
    checks, common = ("share", "keep", "batch", "differences"), ("quiet", "as_json", "debug")
    commands: list[tuple[str, str, Callable[..., None]]] = [
        (_BUILD, "build", with_settings(_build, (*often, "negatives", "config", "fresh"))),
        (
            _BUILD,
            "plan",
            with_settings(_plan, (*often, "pilot", "latency", "price_in", "price_out", "checking", "share", "config")),
        ),
        (_LOOK, "show", show),
        (_LOOK, "review", review),
        (_LOOK, "quality", quality),
        (_LOOK, "check", with_settings(check, ("directory", *teacher, *checks, *common), panel="Teacher")),
        (_COUNT, "audit", audit),
        (_COUNT, "report", report),
        (_PASS_ON, "export", export_command),
        (_PASS_ON, "import", import_command),
        (_PASS_ON, "publish", publish),
        *((_STAGES, stage, with_settings(_stage(stage, _STAGE_TEXTS[stage]), _own(stage))) for stage in STAGES),
        (_TRAIN, "convert", convert),
        (_TRAIN, "train", train),
        (_TRAIN, "experiment", experiment),
        (_TRAIN, "predict", predict),
        (_TRAIN, "evaluate", evaluate),
    ]
    for panel, name, command in commands:
        app.command(name, cls=Command, rich_help_panel=panel, context_settings=CONTEXT)(command)


def _own(stage: str) -> list[str]:
    """Return the options of a stage: its settings and where it works."""
    panel = {"sample": "Source", "chunk": "Passages", "annotate": "Teacher"}.get(stage, "Dataset")
    names = [item.name for item in dataclasses.fields(RunConfig) if item.metadata["panel"] == panel
             and (panel != "Dataset" or (item.metadata["stage"] == "explode") == (stage == "explode"))]  # fmt: skip
    return ["out", *names, "batch", "config", "fresh"]


app.add_typer(labels_app, name="labels", rich_help_panel=_LOOK)
_register()


def main() -> None:
    """Entry point of ``vner-annotate``."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # Vietnamese, whatever the locale says
    app()


if __name__ == "__main__":
    main()
