"""Show what is published, and what came of it."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.text import Text

from annotator.terminal.progress import printable
from annotator.terminal.tables import Cell, text_table
from annotator.terminal.words import plural
from data_cards.publication import Plan, Receipt


def print_plan(plan: Plan) -> None:
    """Print where the files go, a table of them, notes and problems."""
    console = Console(highlight=False)
    target = plan.target
    seen = "private" if target.private else "public"
    console.print(Text(f"To {target.url} ({seen} dataset, licence {target.licence})", style="bold"), soft_wrap=True)
    rows: list[tuple[Cell, Cell]] = [(item.path, _size(item.size)) for item in plan.items]
    rows.append((Text(plural(len(rows), "file"), style="bold"), _size(sum(item.size for item in plan.items))))
    console.print(text_table(rows, ("file", "size"), figures=("size",)))
    for warning in plan.warnings:
        console.print(Text(f"note: {warning}", style="yellow"), soft_wrap=True)
    for problem in plan.problems:
        console.print(Text(f"problem: {printable(problem)}", style="red"), soft_wrap=True)


def print_receipt(receipt: Receipt) -> None:
    """Print what was removed there, and the commit."""
    for path in receipt.removed:
        typer.echo(f"removed there, since it is no longer part of the dataset: {path}")
    what = f"Published as commit {receipt.commit[:10]}" if receipt.changed else "Nothing new: the Hub had all of it"
    typer.echo(f"\n{what} ({'private' if receipt.private else 'public'}):\n{receipt.url}")


def _size(number: int) -> str:
    """Return bytes for a person, such as ``1.2 MB``."""
    value = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
