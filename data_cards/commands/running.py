"""Run the stages for a command and print the result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from annotator.config.settings import STAGES, Asking
from annotator.terminal.flags import AsJson, Config, Debug, Fresh, Quiet, print_json

if TYPE_CHECKING:
    from annotator.run.runner import Outcome


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


def run(
    out: Path, settings: dict[str, Any], options: RunOptions, *, until: str = STAGES[-1], asking: Asking = "now"
) -> None:
    """Run the stages as far as ``until``, print the result, and exit with 3 where passages are unanswered."""
    from annotator.run.runner import running
    from annotator.terminal.progress import make_progress
    from data_cards import summary

    progress = make_progress(quiet=options.quiet)
    with running(out, settings, progress, until=until, fresh=options.fresh, asking=asking) as outcome:
        report = summary.finish(outcome)
    conclude(outcome, report, batch=asking == "batch", as_json=options.as_json)


def conclude(outcome: Outcome, report: dict[str, Any], *, batch: bool, as_json: bool, updated: bool = False) -> None:
    """Print the report of a run, and exit with 3 where passages are unanswered.

    Args:
        outcome: the run.
        report: what ``summary.finish`` returned.
        batch: whether a Batch API was used.
        as_json: print JSON instead of tables.
        updated: whether articles were added to a finished run.
    """
    from data_cards import summary
    from data_cards.views import batches

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
