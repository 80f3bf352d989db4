"""The commands that run the method: ``build``, ``plan``, ``update``, and one for each stage."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from annotator.config.settings import STAGES, Asking, RunConfig
from annotator.config.toml_files import with_file
from annotator.errors import ConfigError
from annotator.terminal.exits import exits
from annotator.terminal.flags import (
    AsJson,
    Batch,
    By,
    Config,
    Debug,
    Directory,
    Fresh,
    Keep,
    Quiet,
    Share,
    print_json,
    with_options,
)
from annotator.terminal.progress import make_progress

if TYPE_CHECKING:
    from annotator.run.runner import Outcome

STAGE_HELP: Final = {
    "sample": "Draw articles from the source: documents.parquet.",
    "chunk": "Cut the articles into passages: passages.parquet.",
    "annotate": "Ask the teacher about each passage; the ledger keeps every answer.",
    "clean": "Read the answers, normalise labels, find mentions in their passages: annotations.parquet.",
    "explode": "Make instruction samples from the annotations: samples/.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The options of ``build`` and of the commands of single stages."""

    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Write to this run directory.",
            show_default="runs/ and the name of SOURCE",
        ),
    ] = None
    config: Config = None
    fresh: Fresh = False
    quiet: Quiet = False
    as_json: AsJson = False
    debug: Debug = False


@with_options
def build(*, settings: dict[str, Any], options: RunOptions) -> None:
    """Build a dataset: articles become passages, the teacher annotates them, clean instruction samples come out.

    Run it again to continue, or to apply a changed setting; an answer that was paid for is never asked again.

    Examples:
        vner-annotate build news/ --out runs/news --docs 300
        vner-annotate build news/ --provider openai --model llama-3-70b --base-url http://localhost:8000/v1
    """
    _run_until(STAGES[-1], settings, options)


def stage_command(name: str) -> Callable[..., None]:
    """Return the command that runs the method as far as the stage ``name``; ``annotate`` also has ``--batch``."""

    def stage(*, settings: dict[str, Any], options: RunOptions) -> None:
        _run_until(name, settings, options)

    def annotate(*, settings: dict[str, Any], options: RunOptions, batch: Batch = False) -> None:
        _run_until(name, settings, options, batch=batch)

    command = annotate if name == "annotate" else stage
    command.__doc__ = f"{STAGE_HELP[name]}\n\nRuns the stages before it, too, where they are not done."
    return with_options(command)


def plan(
    *,
    settings: dict[str, Any],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Plan in this run directory; without it, in a temporary one."),
    ] = None,
    config: Config = None,
    fresh: Fresh = False,
    pilot: Annotated[
        int, typer.Option("--pilot", metavar="N", min=0, help="Ask about this many passages now; needs --out.")
    ] = 0,
    latency: Annotated[
        float | None,
        typer.Option(
            "--latency", metavar="SECONDS", min=0, help="Assume this time for an answer, until some were measured."
        ),
    ] = None,
    price_in: Annotated[
        float | None,
        typer.Option("--price-in", metavar="USD", min=0, help="Assume this price for a million prompt tokens."),
    ] = None,
    price_out: Annotated[
        float | None,
        typer.Option("--price-out", metavar="USD", min=0, help="Assume this price for a million completion tokens."),
    ] = None,
    checking: Annotated[
        bool, typer.Option("--check", help="Forecast check: the settings of the teacher are the second one's.")
    ] = False,
    by: By = None,
    share: Share = None,
    keep: Keep = None,
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
        from annotator.run.check import CheckRequest
        from annotator.run.forecast import build as forecast
        from annotator.run.forecast.check import plan_check
        from annotator.run.forecast.plan import Assumed
        from data_cards.views.forecast import print_plan

        assumed = Assumed(latency=latency, price_in=price_in, price_out=price_out)
        merged, progress = with_file(settings, config), make_progress(quiet=quiet)
        request = CheckRequest(by=by, share=share, keep=keep)
        if not checking and request != CheckRequest():
            raise ConfigError("--by, --share and --keep need --check")
        if not checking:
            found = forecast.plan(out, merged, progress, assumed, pilot=pilot, fresh=fresh)
        elif out is None or pilot or fresh:
            raise ConfigError("--check needs --out DIR, a finished run, without --pilot and --fresh")
        else:
            found = plan_check(out, merged, progress, assumed, request)
        print_plan(found, as_json=as_json)


def update(
    directory: Directory,
    source: Annotated[
        str | None,
        typer.Argument(metavar="SOURCE", help="Read the articles here. Default: where the run has them from."),
    ] = None,
    *,
    settings: dict[str, Any],
    docs: Annotated[
        str | None, typer.Option("--docs", metavar="+N|N", help="Add N articles, or as many as make N in all.")
    ] = None,
    batch: Batch = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Add articles to a finished run. What is there stays as it is; only new passages are asked about.

    Run it again to continue: the same command adds nothing twice, and without --docs it finishes the last update.

    Examples:
        vner-annotate update runs/news --docs +100
        vner-annotate update runs/news
    """
    with exits(debug, directory):
        from annotator.run.update import updating

        settings |= {"source": source} if source else {}
        asking: Asking = "batch" if batch else "now"
        running = updating(directory, docs, settings, make_progress(quiet=quiet), asking=asking)
        finish(running, batch=batch, as_json=as_json, updated=True)


def finish(
    running: AbstractContextManager[Outcome], *, as_json: bool, batch: bool = False, updated: bool = False
) -> None:
    """Run the stages, print the result, and exit with 3 where passages are unanswered.

    Args:
        running: the run.
        as_json: print JSON instead of tables.
        batch: whether a Batch API is used.
        updated: whether articles are added to a finished run.
    """
    from data_cards import summary
    from data_cards.views import batches

    with running as outcome:
        report = summary.finish(outcome)
    if batch:
        report["batches"] = batches.report(outcome)
    if as_json:
        print_json(report)
    else:
        summary.print_report(outcome, report)
        if updated:
            summary.print_update(outcome, report)
        if batch:
            batches.show(outcome)
    if outcome.unanswered:
        collect = f"vner-annotate update {outcome.run.root} --batch" if updated else ""
        typer.echo(batches.next_step(outcome, report["funnel"], batch=batch, collect=collect), err=True)
        raise typer.Exit(3)


def _run_until(stage: str, settings: dict[str, Any], options: RunOptions, *, batch: bool = False) -> None:
    out = options.out
    with exits(options.debug):
        merged = with_file(settings, options.config)
        if out is None:
            from annotator.storage.rundir import default_root

            out = default_root(merged.get("source", RunConfig().source))
            typer.echo(f"Run directory: {out}", err=True)
    with exits(options.debug, out):
        from annotator.run.runner import running

        asking: Asking = "batch" if batch else "now"
        progress = make_progress(quiet=options.quiet)
        run = running(out, merged, progress, until=stage, fresh=options.fresh, asking=asking)
        finish(run, as_json=options.as_json, batch=batch)
