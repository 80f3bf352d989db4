"""The commands that look at a dataset: ``audit`` and ``report``."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated, Optional

import typer

from annotator.config import make_config
from annotator.terminal.exits import exits

app = typer.Typer()

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


@app.command(rich_help_panel="Look at a dataset")
def audit(  # noqa: PLR0913 - the parameters of a command are its flags
    target: Annotated[
        str, typer.Argument(metavar="DIR", help="A run directory, a folder of samples, or a Hub dataset org/name.")
    ],
    *,
    compare: Annotated[
        Optional[str],  # noqa: UP045 - read by typer
        typer.Option("--compare", metavar="B", help="Compare with dataset B and show the differences."),
    ] = None,
    engine: Annotated[
        str,
        typer.Option("--engine", help="Run tasks on this machine (local) or on a Ray cluster (ray; docs/scale.md)."),
    ] = "local",
    ray_address: Annotated[str, typer.Option("--ray-address", help="Join this Ray cluster: HOST:PORT, or auto.")] = "",
    workers: Annotated[int, typer.Option("--workers", min=0, help="Use this many processes; 0: one a core.")] = 0,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Count everything in a dataset, check what must hold, and find leaks; a run directory gets a new audit.json."""
    with exits(debug):
        from rich.console import Console

        from annotator.run.backends import make_engine
        from annotator.storage.atomic import write_json
        from data_cards import auditview, comparing
        from data_cards.audit.building import audit_dataset
        from data_cards.audit.dataset import find
        from data_cards.review.view import quality_lines
        from data_cards.summary import print_json

        console = Console(highlight=False)
        dataset = find(target)
        config = make_config({"engine": engine, "ray_address": ray_address, "workers": workers})
        with closing(make_engine(config)) as working:
            found = audit_dataset(dataset, working)
            other = audit_dataset(find(compare), working) if compare is not None else None
        if other:
            changes = comparing.compare(found, other)
            if as_json:
                print_json(changes)
            else:
                auditview.show_comparison(console, changes)
            return
        if dataset.run:
            write_json(dataset.run.audit, found.figures)
        if as_json:
            print_json(found.figures)
        else:
            auditview.show_audit(console, found.figures, quality_lines(dataset.run) if dataset.run else ())


@app.command(rich_help_panel="Look at a dataset")
def report(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A run directory.")],
    seed: Annotated[int, typer.Option("--seed", help="Draw other passages to show.")] = 0,
    debug: Debug = False,
) -> None:
    """Write report.html, one file to read in any browser, and figures/ as PNG and SVG."""
    with exits(debug, directory):
        from annotator.storage.rundir import existing
        from data_cards.report import write_report

        run = existing(directory)
        for path in write_report(run, seed):
            typer.echo(path)
