"""Show the same table on the screen and in Markdown, with text of files escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from annotator.storage.atomic import replacing
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


def write_markdown(path: Path, grids: Iterable[Grid]) -> None:
    """Write grids to ``path`` as Markdown."""
    parts = []
    for grid in grids:
        rows = [grid.header, ["---", *["---:"] * (len(grid.header) - 1)], *grid.rows]
        parts += [f"**{_cell(grid.title)}**", "\n".join(f"| {' | '.join(map(_cell, row))} |" for row in rows)]
        if grid.note:
            parts.append(_cell(grid.note))
    with replacing(path) as file:
        file.write(("\n\n".join(parts) + "\n").encode("utf-8"))


def percent(share: float) -> str:
    """Write 0.7453 as 74.53."""
    return f"{100 * share:.2f}"


def _cell(text: str) -> str:
    """Return text on one line, with control characters and the signs of Markdown escaped."""
    plain = printable(" ".join(text.split()))
    for sign in "\\|*_`<>[]":
        plain = plain.replace(sign, f"\\{sign}")
    return plain
