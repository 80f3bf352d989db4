"""The commands ``audit`` and ``report``. Heavy imports are inside the commands."""

from __future__ import annotations

from typing import Annotated

import typer

from annotator.terminal.exits import exits
from annotator.terminal.flags import AsJson, Debug, Directory, print_json


def audit(
    target: Annotated[
        str, typer.Argument(metavar="DATASET", help="A run directory, a folder of samples, or a Hub dataset ORG/NAME.")
    ],
    *,
    compare: Annotated[
        str | None,
        typer.Option("--compare", metavar="DATASET", help="Compare with this dataset and show the differences."),
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Count everything in a dataset, check its structure and find leaks between splits.

    Writes audit.json where DATASET is a run directory.

    Examples:
        vner-annotate audit runs/news
        vner-annotate audit runs/news --compare runs/groq
    """
    with exits(debug):
        from rich.console import Console

        from annotator.storage.atomic import write_json
        from data_cards.audit import comparing
        from data_cards.audit.compute import audit_dataset
        from data_cards.audit.dataset import find
        from data_cards.review.quality import measure_run
        from data_cards.views import audit as auditview
        from data_cards.views.agreement import agreement_lines
        from data_cards.views.quality import quality_lines

        console = Console(highlight=False)
        dataset = find(target)
        found = audit_dataset(dataset)
        if compare is not None:
            changes = comparing.compare(found, audit_dataset(find(compare)))
            if as_json:
                print_json(changes)
            else:
                auditview.show_comparison(console, changes, target, compare)
            return
        if dataset.run:
            write_json(dataset.run.audit, found.figures)
        if as_json:
            print_json(found.figures)
        else:
            lines = quality_lines(dataset.run) if dataset.run else []
            if dataset.run and "agreement" in found.figures:
                lines += agreement_lines(found.figures["agreement"], measure_run(dataset.run))
            auditview.show_audit(console, found.figures, lines)


def report(
    directory: Directory,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Draw other passages to show.")] = 0,
    debug: Debug = False,
) -> None:
    """Write report.html, one page to read in any browser, and figures/ as PNG and SVG."""
    with exits(debug, directory):
        from annotator.storage.rundir import existing
        from data_cards.report import write_report

        run = existing(directory)
        for path in write_report(run, seed):
            typer.echo(path)
