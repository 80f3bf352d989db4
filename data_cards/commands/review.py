"""The commands ``review`` and ``quality``. Heavy imports are inside the commands."""

from __future__ import annotations

import getpass
import re
import webbrowser
from typing import Annotated

import typer

from annotator.terminal.exits import exits
from annotator.terminal.flags import AsJson, Debug, Directory, print_json


def review(
    directory: Directory,
    *,
    reviewer: Annotated[
        str | None,
        typer.Option(
            "--reviewer", metavar="NAME", help="Write decisions to reviews/NAME.jsonl. Default: your user name."
        ),
    ] = None,
    mode: Annotated[
        str,
        typer.Option(
            "--mode",
            metavar="verify|blind|correct|settle",
            help="Measure precision (verify) or recall (blind), correct doubtful mentions, "
            "or settle where reviewers differ.",
        ),
    ] = "verify",
    types: Annotated[
        str | None,
        typer.Option("--types", metavar="A,B", help="Look for these types only; for the modes blind and correct."),
    ] = None,
    overlap: Annotated[
        float,
        typer.Option("--overlap", metavar="SHARE", min=0, max=1, help="Show every reviewer this share of the sample."),
    ] = 0.0,
    width: Annotated[
        float,
        typer.Option(
            "--width", metavar="POINTS", min=0.5, max=50, help="Aim for this interval: +/- percentage points."
        ),
    ] = 3.0,
    port: Annotated[
        int,
        typer.Option("--port", metavar="PORT", min=0, max=65535, help="Listen on 127.0.0.1; 0 means any free port."),
    ] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in your browser.")] = True,
    debug: Debug = False,
) -> None:
    """Review predicted entities in the browser: measure precision and recall, correct the dataset.

    Examples:
        vner-annotate review runs/news
        vner-annotate review runs/news --mode correct --types person,location
    """
    with exits(debug, directory):
        from annotator.cleaning.entity_reviews import WHOLE, WRONG, read_reviews
        from annotator.storage.rundir import annotated
        from data_cards.card import refresh_card
        from data_cards.review.predictions import seed_of
        from data_cards.review.quality import write_quality
        from data_cards.review.server import serve
        from data_cards.review.session import Session, Settings
        from data_cards.views.quality import summary_lines

        run = annotated(directory)
        wanted = tuple(part.strip() for part in (types or "").split(",") if part.strip())
        name = reviewer or _user_name()
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
        if any(one.verdict in WRONG or one.mode in WHOLE for one in read_reviews(run.root).decisions):
            typer.echo(f"To apply the corrections: vner-annotate build --out {directory}", err=True)


def _user_name() -> str:
    """Return the user's name as the name of a file; ``reviewer`` where the system has none, as in a container."""
    try:
        name = getpass.getuser()
    except (ImportError, KeyError, OSError):  # Windows without USERNAME, and a number without an account
        name = ""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).lstrip(".-") or "reviewer"


def quality(directory: Directory, *, as_json: AsJson = False, debug: Debug = False) -> None:
    """Print precision and recall with intervals, from what people checked with `review`.

    Writes quality.json.
    """
    with exits(debug, directory):
        from annotator.storage.rundir import existing
        from data_cards.card import refresh_card
        from data_cards.review.quality import write_quality
        from data_cards.views.quality import print_quality

        run = existing(directory)
        found = write_quality(run)
        refresh_card(run)
        if as_json:
            print_json(found or {"precision": None, "recall": None})
        else:
            print_quality(found, directory)
