"""Agreement of two teachers in words: for the terminal, the report and the data card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from annotator.terminal.progress import printable

MEANING: Final = {
    "agreed": "the same entity of the same type",
    "grain": "types of different grain, such as company and organization: no error",
    "other type": "the same mention, another type",
    "nested": "one mention lies in the other",
    "overlapping": "the mentions overlap",
    "only first": "the second teacher has nothing there",
    "only second": "the first teacher has nothing there",
}


def agreement_lines(figures: Mapping[str, Any], quality: Mapping[str, Any] | None = None) -> list[str]:
    """Return sentences about teachers, F1 and missed entities.

    Args:
        figures: ``agreement`` of ``audit.json``.
        quality: what people measured, if they did: their recall comes before the bound.
    """
    teacher, f1 = figures["teacher"], figures["f1"]
    name = printable(teacher["model"] or teacher["provider"])
    part = "all passages" if figures["share"] >= 1 else f"{100 * figures['share']:g} % of the passages, drawn at random"
    lines = [
        f"second teacher {name}, asked about {part}",
        f"F1 of one against the other: {f1['strict']:.3f}; {f1['with_grain']:.3f} with types of another grain; "
        f"{f1['span']:.3f} whatever the type",
    ]
    if arbiter := figures.get("arbiter"):
        lines.append(f"arbiter: {arbiter['accepted']:,} candidates accepted, {arbiter['rejected']:,} rejected")
    recall = (quality or {}).get("recall")
    if recall and "value" in recall:
        lines.append(f"missed entities: measured by people, recall {100 * recall['value']:.1f} %")
    if missed := figures["missed_by_both"]:
        lines.append(
            f"missed by both: at least {100 * missed['share']:.1f} % of the entities by capture and recapture "
            "(Chapman), a bound, not a measurement: teachers miss the same ones"
        )
    return lines


def print_agreement(figures: Mapping[str, Any], directory: Path) -> None:
    """Print the verdicts and the types below the sentences."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    for line in agreement_lines(figures):
        console.print(line, markup=False)
    table = Table(title="Verdicts", title_justify="left", box=None, pad_edge=False)
    for column in ("verdict", "entities", "meaning"):
        table.add_column(column, justify="right" if column == "entities" else "left")
    for verdict, number in figures["verdicts"].items():
        table.add_row(verdict, f"{number:,}", MEANING[verdict])
    console.print(table)
    table = Table(title="Types", title_justify="left", box=None, pad_edge=False)
    for column in ("type", "first", "second", "agreed", "F1"):
        table.add_column(column, justify="left" if column == "type" else "right")
    for row in figures["by_type"][:15]:
        numbers = (f"{row[name]:,}" for name in ("first", "second", "agreed"))
        table.add_row(printable(row["label"]).replace("[", r"\["), *numbers, f"{row['f1']:.2f}")
    console.print(table)
    console.print(f"{directory / 'agreement.parquet'} has every entity; kept: {figures['keep']}", markup=False)
