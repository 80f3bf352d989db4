"""The command ``publish``. Its heavy imports are inside."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from annotator.terminal.exits import exits
from annotator.terminal.flags import AsJson, Debug, Directory, Quiet, print_json
from annotator.terminal.progress import printable
from annotator.terminal.words import plural

if TYPE_CHECKING:
    from data_cards.publication import Plan, Receipt


def publish(
    directory: Directory,
    name: Annotated[str, typer.Argument(metavar="ORG/NAME", help="The dataset on the Hub; it is created if needed.")],
    *,
    private: Annotated[bool, typer.Option("--private", help="Create a private dataset.")] = False,
    licence: Annotated[
        str, typer.Option("--licence", "--license", metavar="NAME", help="State this licence, such as cc-by-4.0.")
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

        existing(directory)
        with opened(directory) as run:
            plan = prepare(run, Target(name, private, revision, message, licence), include)
            if not as_json:
                _print_plan(plan)
            if not anyway:
                refuse(plan)
            receipt = None
            if not dry_run:
                _settle_output(quiet=quiet)
                receipt = send(plan)
        if as_json:
            print_json(plan.as_dict(receipt))
        elif receipt:
            _print_receipt(receipt)
        else:
            typer.echo("\nNothing was sent (--dry-run).")


def _settle_output(*, quiet: bool) -> None:
    """Show the client's bars on a terminal only, and no warnings: they are in the errors."""
    from huggingface_hub.utils import disable_progress_bars, logging  # type: ignore[attr-defined] # lazily exported

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    if quiet or not sys.stderr.isatty():
        disable_progress_bars()


def _print_plan(plan: Plan) -> None:
    """Print where the files go, a table of them, notes and problems."""
    from rich.console import Console
    from rich.filesize import decimal
    from rich.text import Text

    from annotator.terminal.tables import Cell, text_table

    console = Console(highlight=False)
    target = plan.target
    seen = "private" if target.private else "public"
    console.print(Text(f"To {target.url} ({seen} dataset, licence {target.licence})", style="bold"), soft_wrap=True)
    rows: list[tuple[Cell, Cell]] = [(item.path, decimal(item.size)) for item in plan.items]
    rows.append((Text(plural(len(rows), "file"), style="bold"), decimal(sum(item.size for item in plan.items))))
    console.print(text_table(rows, ("file", "size"), figures=("size",)))
    for warning in plan.warnings:
        console.print(Text(f"note: {warning}", style="yellow"), soft_wrap=True)
    for problem in plan.problems:
        console.print(Text(f"problem: {printable(problem)}", style="red"), soft_wrap=True)


def _print_receipt(receipt: Receipt) -> None:
    """Print what was removed there, and the commit."""
    for path in receipt.removed:
        typer.echo(f"removed there, since it is no longer part of the dataset: {path}")
    what = f"Published as commit {receipt.commit[:10]}" if receipt.changed else "Nothing new: the Hub had all of it"
    typer.echo(f"\n{what} ({'private' if receipt.private else 'public'}):\n{receipt.url}")
