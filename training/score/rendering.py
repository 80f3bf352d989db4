"""Scores for a person: the same grids as tables on the screen and in Markdown. Figures in percent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotator.terminal.progress import printable
from annotator.terminal.words import plural
from training.score.matching import MATCHINGS, UNIVERSALNER_WARNING
from training.score.metrics import LEVEL

MOST_TYPES = 25
"""Types that the screen shows; the files have all."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table with its heading; the first column is text, the others are figures."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


def of_scores(report: Mapping[str, Any]) -> list[Grid]:
    """The grids of one scored file: micro and macro under each matching, then each type."""
    intervals = report["intervals"]
    rows = []
    for matching in MATCHINGS:
        for average in ("micro", "macro"):
            found, around = report[matching][average], intervals.get(matching, {}).get(average)
            between = _between(around["f1"]) if around else "-"
            rows.append([f"{matching}, {average}", *_percents(found), between])
    title = (
        f"{plural(report['queries'], 'query')}, {plural(report['passages'], 'passage')}, "
        f"{report['unparsable']:,} unparsable"
    )
    overall = Grid(title, ["", "precision", "recall", "F1", f"{LEVEL:.0%} interval"], rows, UNIVERSALNER_WARNING)
    types = sorted(report["strict"]["per_type"].items(), key=lambda item: (-item[1]["support"], item[0]))
    each = [
        [name, f"{found['support']:,}", *_percents(found),
         *(percent(report[matching]["per_type"][name]["f1"]) for matching in MATCHINGS[1:])]
        if found["support"] or found["f1"] < 1
        else [name, "0", *["-"] * 5]  # nothing to find and nothing found
        for name, found in types
    ]  # fmt: skip
    header = ["type", "mentions", "precision", "recall", "F1", "relaxed", "universalner"]
    return [overall, Grid("By type: strict, and the F1 of the others", header, each)]


def of_comparison(report: Mapping[str, Any]) -> list[Grid]:
    """The grid of ``--compare``."""
    rows = []
    for matching in MATCHINGS:
        for average in ("micro", "macro"):
            a, b = (report[side][matching][average]["f1"] for side in ("a", "b"))
            tested = report["comparison"][matching][average]
            between = _between(tested["interval"]["f1"])
            gap = f"{100 * tested['difference']['f1']:+.2f}"
            rows.append([f"{matching}, {average}", percent(a), percent(b), gap, between, f"{tested['p']:.4f}"])
    files = f"A = {report['files'][0]}, B = {report['files'][1]}"
    header = ["F1", "A", "B", "A - B", f"{LEVEL:.0%} interval", "p"]
    note = f"p: approximate randomisation over {report['draws']:,} draws; below 0.05, chance is no good explanation"
    return [Grid(files, header, rows, note)]


def of_variants(report: Mapping[str, Any]) -> list[Grid]:
    """The grid of ``--perturb``: F1 of each variant and what it lost against the original."""
    scored = {name: found for name, found in report["variants"].items() if found}
    base = scored.get("original")
    rows = []
    for name, found in scored.items():
        figures = []
        for matching in ("strict", "relaxed"):
            f1 = found[matching]["micro"]["f1"]
            lost = f"{100 * (f1 - base[matching]['micro']['f1']):+.2f}" if base and name != "original" else ""
            figures += [percent(f1), lost]
        around = found["intervals"].get("strict", {}).get("micro")
        between = "–".join(map(percent, around["f1"])) if around else "-"  # short: the table is for 80 columns
        rows.append([name, f"{found['changed']:.0%}", figures[0], between, *figures[1:], f"{found['unparsable']:,}"])
    header = ["variant", "changed", "strict", f"{LEVEL:.0%}", "lost", "relaxed", "lost", "no list"]
    note = (
        "changed: share of the queries whose text differs from the original's; lost: points of F1 against the original"
    )
    return [Grid("Micro F1 on variants of the benchmark", header, rows, note)]


def show(grids: Iterable[Grid]) -> None:
    """Print grids as tables; text of files is shown as text."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    for grid in grids:
        table = Table(title=Text(printable(grid.title), style="bold"), title_justify="left", box=None,
                      padding=(0, 2, 0, 0), header_style="dim")  # fmt: skip
        for number, name in enumerate(grid.header):
            table.add_column(name, justify="right" if number else "left", overflow="fold")
        for row in grid.rows[:MOST_TYPES]:
            table.add_row(*(Text(printable(cell)) for cell in row))
        console.print(table)
        if (more := len(grid.rows) - MOST_TYPES) > 0:
            console.print(f"... and {more:,} more: --json and --markdown have all", style="dim")
        if grid.note:
            console.print(Text(grid.note, style="yellow"), soft_wrap=True)
        console.print()


def markdown(grids: Iterable[Grid]) -> str:
    """The same as Markdown."""
    parts = []
    for grid in grids:
        lines = [f"**{_cell(grid.title)}**", "", _row(grid.header), _row(["---", *["---:"] * (len(grid.header) - 1)])]
        lines += [_row(row) for row in grid.rows]
        parts.append("\n".join([*lines, *(["", _cell(grid.note)] if grid.note else [])]))
    return "\n\n".join(parts) + "\n"


def percent(share: float) -> str:
    """0.7453 as 74.53."""
    return f"{100 * share:.2f}"


def _percents(found: Mapping[str, float]) -> list[str]:
    return [percent(found[name]) for name in ("precision", "recall", "f1")]


def _between(interval: Sequence[float]) -> str:
    return f"{percent(interval[0])} to {percent(interval[1])}"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    plain = printable(" ".join(text.split()))
    for sign in "\\|*_`<>[]":
        plain = plain.replace(sign, f"\\{sign}")
    return plain
