"""The command ``update``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from annotator.terminal.exits import exits
from annotator.terminal.flags import AsJson, Batch, Debug, Directory, Quiet
from data_cards.commands.running import conclude


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

        settings |= {"source": source} if source else {}
        progress = make_progress(quiet=quiet)
        with updating(directory, docs, settings, progress, asking="batch" if batch else "now") as outcome:
            report = summary.finish(outcome)
        conclude(outcome, report, batch=batch, as_json=as_json, updated=True)
