"""Agreement of two teachers in words: for the terminal, the report and the data card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from annotator.checking.compare import DIFFERENT
from annotator.checking.opinions import read_opinions
from annotator.records import Mention
from annotator.storage import tables
from annotator.storage.rundir import RunDir
from annotator.terminal.progress import printable
from data_cards.review.quality import measure_run
from data_cards.views.highlighting import highlighted
from data_cards.views.quality import measured_line, summary_lines, type_rows

PASSAGES: Final = 10
"""Passages on which the teachers differ most that are shown."""

MEANING: Final = {
    "agreed": "the same entity of the same type",
    "grain": "types of different grain, such as company and organization: no error",
    "other type": "the same mention, another type",
    "nested": "one mention lies in the other",
    "overlapping": "the mentions overlap",
    "only first": "the second teacher has nothing there, or only what has a pair already",
    "only second": "the first teacher has nothing there, or only what has a pair already",
    "not asked": "the second teacher gave no answer about this type",
}


def quality_values(run: RunDir, figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values for a template about measured quality and the agreement of two teachers."""
    quality = measure_run(run)
    return {
        "quality": quality,
        "quality_lines": summary_lines(quality),
        "quality_types": type_rows(quality) if quality else [],
        "agreement_lines": agreement_lines(figures["agreement"], quality) if "agreement" in figures else [],
    }


def agreement_lines(figures: Mapping[str, Any], quality: Mapping[str, Any] | None = None) -> list[str]:
    """Return sentences about teachers, F1 and missed entities.

    Args:
        figures: ``agreement`` of ``audit.json``.
        quality: ``quality.json``, if people measured it: it adds their recall, and the measured share that both
            teachers missed replaces the bound.
    """
    teacher, f1 = figures["teacher"], figures["f1"]
    name = printable(teacher["model"] or teacher["provider"])
    part = "all passages" if figures["share"] >= 1 else f"{100 * figures['share']:g} % of the passages, drawn at random"
    queries = figures.get("queries")
    how = "asked" if queries is None else f"asked {queries.get('found', 0) + queries.get('absent', 0):,} queries"
    lines = [
        f"second teacher {name}, {how} about {part}",
        f"F1 of one against the other: {f1['strict']:.3f}; {f1['with_grain']:.3f} with types of another grain; "
        f"{f1['span']:.3f} whatever the type",
    ]
    lines += [*_of_queries(queries or {}), *_of_a_part(figures)]
    if arbiter := figures.get("arbiter"):
        lines.append(f"arbiter: {arbiter['accepted']:,} candidates accepted, {arbiter['rejected']:,} rejected")
    recall = (quality or {}).get("recall")
    if recall and "value" in recall:
        lines.append(f"missed entities: measured by people, recall {100 * recall['value']:.1f} %")
    if measured := (quality or {}).get("missed_by_both"):
        lines.append(measured_line(measured))
    elif missed := figures["missed_by_both"]:
        share = (
            f"{100 * missed['share']:.1f} % of the entities by capture and recapture (Chapman; 95 % interval of chance "
            f"alone {100 * missed['low']:.1f} to {100 * missed['high']:.1f})"
        )
        lines.append(
            f"missed by both: at least {share}; a bound, no measurement, since teachers miss the same ones"
            if missed["bound"] == "lower"
            else f"missed by both: about {share}; a rough bound, no measurement: teachers miss the same ones, which "
            "makes it too low, and wrong entities of one of them raise it"
        )
    return lines


def _of_queries(queries: Mapping[str, Any]) -> list[str]:
    """Return what queries about types that the first teacher did not find show, and what they do not."""
    if not queries:
        return []
    lines = ["missed by both: no estimate, since queries are about types that the first teacher found and a few others"]
    if share := queries.get("absent_share"):
        lines.insert(
            0,
            f"types that the first teacher did not find, drawn by frequency: the second has entities of "
            f"{queries['absent_with_entities']:,} of {queries['absent']:,} ({100 * share['value']:.1f} %, "
            f"{100 * share['low']:.1f} to {100 * share['high']:.1f} %)",
        )
    return lines


def _of_a_part(figures: Mapping[str, Any]) -> list[str]:
    """Return what a check of a part of the passages shows about all of them, and what it changed."""
    if figures["share"] >= 1:
        return []
    lines, whole = [], figures.get("whole", {})
    found = [(name, whole[key]) for name, key in (("F1", "f1"), ("entities confirmed", "confirmed")) if key in whole]
    if found:
        shown = "; ".join(f"{name} {one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})" for name, one in found)
        lines.append(f"estimated for all passages, with 95 % intervals: {shown}")
    if figures["keep"] != "all":
        lines.append(
            f"kept: {figures['keep']}, in the passages that were checked; in all others the dataset has what the first "
            "teacher predicted"
        )
    return lines


def differing_passages(run: RunDir, figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the passages on which two teachers differ most: id, differences, and ``html`` with the differences marked.

    A mark names the teacher that has the entity, ``first`` (number 0) or ``second`` (number 1), and its type.

    Raises:
        RunDirError: a file is missing or damaged.
    """
    wanted = {one["passage_id"]: one["differences"] for one in figures["differ_most"][:PASSAGES]}
    marks: dict[str, list[Mention]] = {identity: [] for identity in wanted}
    for one in read_opinions(run.agreement):
        if one.passage_id in marks and one.verdict in DIFFERENT:
            what = f"{one.teacher}:\u00a0{one.label}"
            marks[one.passage_id].append(Mention(one.mention, what, one.label, one.start, one.end, ""))
    labels = dict.fromkeys(mention.label for own in marks.values() for mention in own)
    numbers = {label: int(label.startswith("second:")) for label in labels}
    texts = {one.passage_id: one.text for one in tables.read_annotations(run.annotations) if one.passage_id in wanted}
    return [
        {"id": identity, "differences": number, "html": highlighted(texts[identity], marks[identity], numbers)}
        for identity, number in wanted.items()
        if identity in texts
    ]


def print_agreement(figures: Mapping[str, Any], directory: Path, quality: Mapping[str, Any] | None = None) -> None:
    """Print the sentences, the verdicts and the types."""
    from rich.console import Console

    from annotator.terminal.tables import text_table

    console = Console(highlight=False)
    for line in agreement_lines(figures, quality):
        console.print(line, markup=False)
    verdicts = [(verdict, f"{number:,}", MEANING[verdict]) for verdict, number in figures["verdicts"].items()]
    header = ("verdict", "entities", "meaning")
    console.print()
    console.print(text_table(verdicts, header, figures=("entities",), title="Verdicts"))
    types = [
        (row["label"], *(f"{row[name]:,}" for name in ("first", "second", "agreed")), f"{row['f1']:.2f}")
        for row in figures["by_type"][:15]
    ]
    columns = ("type", "first", "second", "agreed", "F1")
    console.print()
    console.print(text_table(types, columns, figures=columns[1:], title="Types"))
    console.print(f"\n{directory / 'agreement.parquet'} has every entity; kept: {figures['keep']}", markup=False)
