"""The command ``check``. Its heavy imports are inside."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from annotator.config.settings import Asking
from annotator.terminal.exits import exits
from annotator.terminal.flags import AsJson, Batch, By, Debug, Directory, Keep, Quiet, Share, print_json
from annotator.terminal.progress import make_progress
from annotator.terminal.words import have


def check(
    directory: Directory,
    *,
    settings: dict[str, Any],
    by: By = None,
    share: Share = None,
    keep: Keep = None,
    batch: Batch = False,
    differences: Annotated[
        bool, typer.Option("--differences", help="Print what they differ about, as a draft for a better prompt.")
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Compare the dataset with a second teacher's predictions: where two teachers differ, errors are frequent.

    The first teacher's answers stay as they are. Run it again to continue; --keep alone sends no request, except for
    the arbiter's questions.

    Examples:
        vner-annotate check runs/news --provider openai --model gpt-4.1-mini --share 0.2
        vner-annotate check runs/news --keep agreed
        vner-annotate check runs/news --by query --share 0.1
        vner-annotate check runs/news --differences > guideline.md
    """
    with exits(debug, directory):
        from annotator.checking.opinions import read_opinions
        from annotator.run.check import CheckRequest, checking
        from data_cards import summary
        from data_cards.review.quality import measure_run
        from data_cards.views.agreement import print_agreement
        from data_cards.views.differences import draft, grouped

        progress = make_progress(quiet=quiet)
        request = CheckRequest(by=by, share=share, keep=keep)
        asking: Asking = "batch" if batch else "now"
        with checking(directory, settings, progress, request, asking=asking) as (outcome, missing):
            report = summary.finish(outcome)
        figures = {"unanswered": missing, **report["agreement"]}
        if differences:
            figures["differences"] = grouped(read_opinions(outcome.run.agreement))
        if as_json:
            print_json(figures)
        elif differences:
            typer.echo(draft(figures["differences"]))
        else:
            print_agreement(figures, directory, measure_run(outcome.run))
        if missing:
            typer.echo(f"{have(missing, 'question')} no answer yet; run the same command again", err=True)
            raise typer.Exit(3)
