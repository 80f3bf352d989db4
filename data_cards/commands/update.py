"""The command ``update``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from annotator.config import Asking
from annotator.terminal.exits import exits
from annotator.terminal.flags import AsJson, Batch, Debug, Directory, Quiet, print_json


def update(
    directory: Directory,
    source: Annotated[
        str | None,
        typer.Argument(metavar="SOURCE", help="Read the articles here. Default: where the run has them from."),
    ] = None,
    *,
    settings: dict[str, Any],
    docs: Annotated[
        str | None,
        typer.Option("--docs", metavar="+N|N", help="Add N articles, or as many as make N in all."),
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
        from annotator.terminal.progress import make_progress
        from data_cards import summary
        from data_cards.views import batches

        asking: Asking = "batch" if batch else "now"
        settings |= {"source": source} if source else {}
        with updating(directory, docs, settings, make_progress(quiet=quiet), asking=asking) as outcome:
            report = summary.finish(outcome)
        if batch:
            report["batches"] = batches.report(outcome)
        if as_json:
            print_json(report)
        else:
            summary.print_report(outcome, report)
            summary.print_update(outcome, report)
        if batch and not as_json:
            batches.show(outcome)
        if outcome.unanswered:
            collect = f"vner-annotate update {directory} --batch"
            typer.echo(batches.next_step(outcome, report["funnel"], batch=batch, collect=collect), err=True)
            raise typer.Exit(3)
