"""The command ``publish``. Light to import: what it needs comes with the call."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from annotator.terminal.exits import exits
from annotator.terminal.flags import AsJson, Debug, Directory, Quiet, print_json


def publish(
    directory: Directory,
    name: Annotated[str, typer.Argument(metavar="ORG/NAME", help="The dataset on the Hub; it is created if needed.")],
    *,
    private: Annotated[bool, typer.Option("--private", help="Create a private dataset.")] = False,
    licence: Annotated[
        str,
        typer.Option("--licence", "--license", metavar="NAME", help="State this licence, such as cc-by-4.0."),
    ] = "unknown",
    revision: Annotated[
        str, typer.Option(metavar="BRANCH", help="Commit to this branch; it is created if needed.")
    ] = "main",
    message: Annotated[
        str, typer.Option(metavar="TEXT", help="Set the message of the commit.")
    ] = "Publish with vner-annotate",
    include: Annotated[
        list[str],
        typer.Option(metavar="documents|passages|rejected|ledger", help="Publish this file, too. Repeatable."),
    ] = [],  # noqa: B006 - read by typer, never changed
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Publish in spite of audit problems and unanswered passages.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the files and send nothing.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Publish samples, annotations, figures and data card on the Hugging Face Hub, in one commit.

    The token comes from HF_TOKEN or from `hf auth login`.

    Examples:
        vner-annotate publish runs/news ORG/NAME --private --dry-run
        vner-annotate publish runs/news ORG/NAME --private --licence cc-by-4.0
    """
    with exits(debug, directory):
        from annotator.storage.rundir import existing, opened
        from data_cards.publication import Target
        from data_cards.publish import prepare, refuse, send
        from data_cards.views.publication import print_plan, print_receipt

        existing(directory)
        with opened(directory) as run:
            plan = prepare(run, Target(name, private, revision, message, licence), include)
            if not as_json:
                print_plan(plan)
            if not anyway:
                refuse(plan)
            receipt = None
            if not dry_run:
                _settle_output(quiet=quiet)
                receipt = send(plan)
        if as_json:
            print_json(plan.as_dict(receipt))
        elif receipt:
            print_receipt(receipt)
        else:
            typer.echo("\nNothing was sent (--dry-run).")


def _settle_output(*, quiet: bool) -> None:
    """Show the client's bars on a terminal only, and no warnings: they are in the errors."""
    from huggingface_hub.utils import disable_progress_bars, logging  # type: ignore[attr-defined] # lazily exported

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    if quiet or not sys.stderr.isatty():
        disable_progress_bars()
