"""Show the same table on the screen and in Markdown, with text of files escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from annotator.terminal.progress import printable
from annotator.terminal.tables import text_table

MOST_ROWS = 25
"""Rows on the screen; files have all."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table with its title; all columns but the first are figures."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


def show_grids(grids: Iterable[Grid]) -> None:
    """Print grids as tables."""
    console = Console(highlight=False)
    for grid in grids:
        console.print(text_table(grid.rows[:MOST_ROWS], grid.header, figures=grid.header[1:], title=grid.title))
        if (more := len(grid.rows) - MOST_ROWS) > 0:
            console.print(f"... and {more:,} more: --json and --markdown have all", style="dim")
        if grid.note:
            console.print(Text(grid.note, style="yellow"), soft_wrap=True)
        console.print()


def markdown(grids: Iterable[Grid]) -> str:
    """Return grids as Markdown."""
    parts = []
    for grid in grids:
        lines = [f"**{_cell(grid.title)}**", "", _row(grid.header), _row(["---", *["---:"] * (len(grid.header) - 1)])]
        lines += [_row(row) for row in grid.rows]
        parts.append("\n".join([*lines, *(["", _cell(grid.note)] if grid.note else [])]))
    return "\n\n".join(parts) + "\n"


def percent(share: float) -> str:
    """Write 0.7453 as 74.53."""
    return f"{100 * share:.2f}"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    plain = printable(" ".join(text.split()))
    for sign in "\\|*_`<>[]":
        plain = plain.replace(sign, f"\\{sign}")
    return plain
