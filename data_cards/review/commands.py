"""The commands ``review`` and ``quality``."""

from __future__ import annotations

import getpass
import re
import webbrowser
from pathlib import Path
from typing import Annotated, Optional

import typer

from annotator.terminal.exits import exits

app = typer.Typer()

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="A run directory.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
PANEL = "Look at a dataset"


@app.command(rich_help_panel=PANEL)
def review(  # noqa: PLR0913 - the parameters of a command are its flags
    directory: Directory,
    *,
    reviewer: Annotated[
        Optional[str],  # noqa: UP045 - read by typer
        typer.Option("--reviewer", metavar="NAME", help="Name your file of decisions; by default your user name."),
    ] = None,
    mode: Annotated[
        str,
        typer.Option(
            "--mode",
            help="Open the page on verify (precision), blind (recall), correct (fix what is doubtful) or settle "
            "(decide where reviewers differ).",
        ),
    ] = "verify",
    types: Annotated[
        Optional[str],  # noqa: UP045 - read by typer
        typer.Option("--types", metavar="A,B", help="Look for these types only, in the modes blind and correct."),
    ] = None,
    overlap: Annotated[
        float, typer.Option("--overlap", min=0, max=1, help="Share of the sample that every reviewer is shown.")
    ] = 0.0,
    width: Annotated[
        float, typer.Option("--width", min=0.5, max=50, help="Percentage points on either side to aim for.")
    ] = 3.0,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port on 127.0.0.1; 0: any free one.")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in your browser.")] = True,
    debug: Debug = False,
) -> None:
    """Review predicted entities in the browser: measure precision and recall, correct the dataset.

    Example: vner-annotate review runs/demo
    """
    with exits(debug, directory):
        from annotator.storage.rundir import existing
        from data_cards.card import refresh_card
        from data_cards.review.quality import seed_of, write_quality
        from data_cards.review.server import serve
        from data_cards.review.session import Session, Settings
        from data_cards.review.view import summary_lines

        run = existing(directory)
        wanted = tuple(part.strip() for part in (types or "").split(",") if part.strip())
        name = reviewer or re.sub(r"[^A-Za-z0-9._-]+", "-", getpass.getuser()).lstrip(".-") or "reviewer"
        session = Session(
            run, Settings(reviewer=name, mode=mode, types=wanted, overlap=overlap, width=width / 100, seed=seed_of(run))
        )

        def ready(address: str) -> None:
            typer.echo(f"Review page: {address}")
            typer.echo(f"Decisions go to {directory / 'reviews' / name}.jsonl. Press Ctrl-C to end.", err=True)
            if browser:
                webbrowser.open(address)

        serve(session, port, ready)
        typer.echo(err=True)
        for line in summary_lines(write_quality(run)):
            typer.echo(line, err=True)
        refresh_card(run)
        typer.echo(f"To apply your corrections: vner-annotate build --out {directory}", err=True)


@app.command(rich_help_panel=PANEL)
def quality(directory: Directory, *, as_json: AsJson = False, debug: Debug = False) -> None:
    """Print how right a dataset is: precision and recall with intervals, from what people checked.

    Writes DIR/quality.json. Example: vner-annotate quality runs/demo
    """
    with exits(debug, directory):
        from annotator.storage.rundir import existing
        from data_cards.card import refresh_card
        from data_cards.review.quality import write_quality
        from data_cards.review.view import print_quality
        from data_cards.summary import print_json

        run = existing(directory)
        found = write_quality(run)
        refresh_card(run)
        if as_json:
            print_json(found or {"precision": None, "recall": None})
        else:
            print_quality(found, directory)
