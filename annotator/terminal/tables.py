"""Tables on the terminal. Text is shown as it is: markup in it is ignored, control characters are escaped."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TypeAlias

from rich.table import Table
from rich.text import Text

from annotator.terminal.progress import printable

Cell: TypeAlias = str | Text


def text_table(
    rows: Iterable[Sequence[Cell]], header: Sequence[str] = (), *, figures: Collection[str] = (), title: str = ""
) -> Table:
    """Return a table without lines.

    Args:
        rows: cells; those that are ``Text`` keep their style.
        header: names of the columns; without it there is no line for them.
        figures: the columns that are aligned right.
        title: a line above the table, in bold.
    """
    table = Table(
        title=Text(printable(title), style="bold") if title else None,
        title_justify="left",
        box=None,
        padding=(0, 2, 0, 0),
        header_style="dim",
        show_header=bool(header),
    )
    for name in header:
        table.add_column(Text(name), justify="right" if name in figures else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(printable(cell)) for cell in row))
    return table
