"""Quality in words: for the terminal, the report and the data card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from annotator.storage.rundir import RunDir
from annotator.terminal.words import plural
from data_cards.pages import share
from data_cards.review.quality import measure_run

NOT_MEASURED = "quality: not measured"
ENOUGH_PASSAGES = 30
"""With fewer passages read blind, recall is called rough: their bootstrap covers too little of the spread."""
VERDICTS = {"type": "wrong type", "span": "wrong span", "none": "no entity"}
"""Words for the verdicts of ``quality.json``."""
ROWS = 12
"""Types in the figure of the report and the table of the card."""


def summary_lines(quality: Mapping[str, Any] | None) -> list[str]:
    """Return a line for precision and one for recall, with interval and n; or that nothing was measured."""
    if not quality or not (quality["precision"] or quality["recall"]):
        return [NOT_MEASURED]
    people = f"{quality['reviewers']} {'person' if quality['reviewers'] == 1 else 'people'}"
    lines = []
    if precision := quality["precision"]:
        lines.append(f"precision {share(precision)}; {plural(precision['n'], 'entity')} checked by {people}")
    if recall := quality["recall"]:
        looked = recall["types_looked_for"]
        only = f", only {', '.join(looked)}" if looked else ""
        found = f"recall {share(recall)}; " if "value" in recall else "recall: no entity found; "
        rough = "; few passages, a rough figure" if recall["passages"] < ENOUGH_PASSAGES else ""
        lines.append(f"{found}{plural(recall['passages'], 'passage')} read blind{only}{rough}")
    if since := quality.get("about", {}).get("passages_added_since"):
        lines.append(f"an update added {plural(since, 'passage')} after these checks; they are not in the sample yet")
    return lines


def quality_lines(run: RunDir) -> list[str]:
    """Return the summary of a run; if nothing was measured, with the command that measures it."""
    found = measure_run(run)
    lines = summary_lines(found)
    return lines if lines != [NOT_MEASURED] else [f"{NOT_MEASURED}; measure it: vner-annotate review {run.root}"]


def measured_line(missed: Mapping[str, Any]) -> str:
    """Return a line about what both teachers missed, from ``missed_by_both`` of ``quality.json``."""
    rough = "; few passages, a rough figure" if missed["n"] < ENOUGH_PASSAGES else ""
    bound = f"; the bound by capture and recapture is {100 * missed['bound']:.1f} % there" if missed["bound"] else ""
    return (
        f"missed by both: measured, {share(missed)} of {missed['entities']:,} entities in "
        f"{plural(missed['n'], 'passage')} read blind{bound}{rough}"
    )


def print_quality(quality: Mapping[str, Any] | None, directory: Path) -> None:
    """Print the summary, tables of types, and the agreement of reviewers."""
    from rich.console import Console

    from annotator.terminal.tables import text_table

    console = Console(highlight=False)
    for line in summary_lines(quality):
        console.print(line, markup=False)
    if quality and "missed_by_both" in quality:
        console.print(measured_line(quality["missed_by_both"]))
    if not quality or not (quality["precision"] or quality["recall"]):
        console.print(f"Measure it: vner-annotate review {directory}", markup=False)
        return
    for name, title in (("precision", "Precision by type"), ("recall", "Recall by type")):
        found = quality[name]
        if not found or not found["types"]:
            continue
        numbers = "checked" if name == "precision" else "entities"
        header = ("type", "share", "95 % interval", numbers)
        rows = [
            (
                one["label"] + (" (pooled)" if one.get("pooled") else ""),
                f"{100 * one['value']:.1f} %",
                f"{100 * one['low']:.1f} to {100 * one['high']:.1f}",
                f"{one['n' if name == 'precision' else 'entities']:,}",
            )
            for one in found["types"]
        ]
        console.print()
        console.print(text_table(rows, header, figures=header[1:], title=title))
    if precision := quality["precision"]:
        counts = precision["verdicts"].items()
        verdicts = ", ".join(f"{VERDICTS.get(name, name)} {number:,}" for name, number in counts if number)
        console.print(f"\nverdicts: {verdicts}; span alone right: {share(precision['span'])}")
    if agreement := quality["agreement"]:
        parts = []
        if agreement.get("alpha") is not None:
            parts.append(f"Krippendorff's alpha {agreement['alpha']:.2f} over {agreement['entities']:,} entities")
        if agreement.get("span_f1") is not None:
            parts.append(f"span F1 {agreement['span_f1']:.2f} over {agreement['passages']:,} passages")
        if parts:
            console.print(f"agreement of reviewers: {'; '.join(parts)}")
    console.print(f"about: {quality['about']['dataset']}, measured {quality['measured']}; {directory / 'quality.json'}",
                  markup=False)  # fmt: skip


def type_rows(quality: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return for each of the most frequent checked types its precision and recall, where they were measured."""
    precisions, recalls = (
        {one["label"]: one for one in (quality[name] or {"types": ()})["types"]} for name in ("precision", "recall")
    )
    labels = list(precisions | recalls)[:ROWS]
    return [{"label": label, "precision": precisions.get(label), "recall": recalls.get(label)} for label in labels]
