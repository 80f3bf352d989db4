"""The report of a conversion on the screen. Text of the files is shown as text: it drives no markup and no terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import typer

from annotator.terminal.progress import printable
from annotator.terminal.words import plural
from training.tables import Grid, show_grids

_EXAMPLES: Final = 3
_TYPES: Final = 12


def show(report: Mapping[str, Any]) -> None:
    """Print the funnel, what was left out and where, notes, types, and published sizes beside what was found."""
    funnel = []
    for flow in report["funnel"]:
        numbers = [f"{number:,}" for number in (flow["in"], flow["out"], flow["in"] - flow["out"])]
        why = "; ".join(f"{number:,} {reason}" for reason, number in flow["rejected"].items())
        funnel.append([flow["stage"], flow["unit"], *numbers, why])
    header = ["stage", "unit", "in", "kept", "left out", "why"]
    show_grids([Grid("Funnel", header, funnel, text=("unit", "why"))])
    for line in _lines(report):
        typer.echo(printable(line))
    typer.echo()
    show_grids([_published(report)])
    summary = f"{plural(report['samples'], 'sample')} ({report['negative']:,} answered [])"
    typer.echo(printable(f"{report['out']}: {summary} from {plural(report['files'], 'file')}"))


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    left_out = [item for item in report["left_out"] if item["stage"] != "choose"]
    for title, items, key in (("Left out", left_out, "reason"), ("Good to know", report["notes"], "what")):
        if items:
            yield f"{title}:"
        for item in items:
            yield f"  {item['count']:,} {item[key]}"
            for example in item["examples"][:_EXAMPLES]:
                parts = (example["where"], example["value"][:80], example["detail"])
                yield f"    {': '.join(filter(None, parts))}"
    if types := report["types"]:
        shown = ", ".join(f"{name} {number:,}" for name, number in list(types.items())[:_TYPES])
        more = f", and {len(types) - _TYPES:,} more" if len(types) > _TYPES else ""
        yield f"{plural(len(types), 'type')}, by samples with an answer: {shown}{more}"
    if limit := report["tokenizer"]:
        yield (f"Length: input and output of a sample have {limit['max_sample_tokens']:,} tokens at most, counted with "
               f"{limit['name']}.")  # fmt: skip
        if limit["name"] == "llama3":
            yield "  For the student's own: --tokenizer hf:bigscience/mt0-base, or its folder."
    else:
        yield "Length: no limit; --max-sample-tokens N sets one."


def _published(report: Mapping[str, Any]) -> Grid:
    found, parts = report["found"], report["published"]
    rows = []
    for name in found | {name: None for part in parts for name in part["counts"]}:
        numbers = [found.get(name), *(part["counts"].get(name) for part in parts)]
        rows.append([name, *("" if number is None else f"{number:,}" for number in numbers)])
    if any(part["same"] for part in parts):
        rows.append(["", "", *("the same" if part["same"] else "" for part in parts)])
    title = "In this copy" + (", and as published" if parts else "")
    return Grid(title, ["", "here", *(f"{part['set']} {part['part']}" for part in parts)], rows)
