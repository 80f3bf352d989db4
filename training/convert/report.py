"""The report of a conversion on the screen. Text of the files is shown as text: it drives no markup and no terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from annotator.terminal.progress import printable

_EXAMPLES: Final = 3
_TYPES: Final = 12


def show(report: Mapping[str, Any]) -> None:
    """Print the funnel, what was left out and where, notes, types, and published sizes beside what was found."""
    console = Console(highlight=False)
    table = _table("stage", "unit", "in", "kept", "left out", "why", title="Funnel")
    for flow in report["funnel"]:
        why = "\n".join(f"{number:,} {reason}" for reason, number in flow["rejected"].items())
        numbers = [f"{number:,}" for number in (flow["in"], flow["out"], flow["in"] - flow["out"])]
        table.add_row(flow["stage"], flow["unit"], *numbers, Text(why))
    console.print(table)
    _examples(console, "Left out", [item for item in report["left_out"] if item["stage"] != "choose"], "reason")
    _examples(console, "Good to know", report["notes"], "what")
    if types := report["types"]:
        shown = [f"{printable(name)} {number:,}" for name, number in list(types.items())[:_TYPES]]
        more = f", and {len(types) - _TYPES:,} more" if len(types) > _TYPES else ""
        console.print(Text(f"\n{_count(len(types), 'type')}, by samples with an answer: {', '.join(shown)}{more}"))
    console.print(Text("\nIn this copy" + (", and as published" if report["published"] else ""), style="bold"))
    console.print(_published(report))
    length = "no limit; --max-sample-tokens N sets one."
    if limit := report["tokenizer"]:
        length = f"input and output of a sample have {limit['max_sample_tokens']:,} tokens at most, counted with "
        length += f"{printable(limit['name'])}."
        if limit["name"] == "llama3":
            length += " For the student's own: --tokenizer hf:bigscience/mt0-base, or its folder."
    console.print(Text(f"Length: {length}"))
    summary = f"{_count(report['samples'], 'sample')} ({report['negative']:,} answered [])"
    console.print(
        Text(f"\n{printable(report['out'])}: {summary} from {_count(report['files'], 'file')}"), soft_wrap=True
    )


def _table(*names: str, title: str | None = None) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for name in names:
        justify: Any = "left" if name in {"", "stage", "unit", "why"} else "right"
        table.add_column(Text(name), justify=justify, header_style="dim")
    return table


def _examples(console: Console, title: str, items: list[Mapping[str, Any]], key: str) -> None:
    if items:
        console.print(Text(f"\n{title}", style="bold"))
    for item in items:
        console.print(Text(f"{item['count']:,} {item[key]}"))
        for example in item["examples"][:_EXAMPLES]:
            line = ": ".join(part for part in (example["where"], example["value"][:80], example["detail"]) if part)
            console.print(Text(f"  {printable(line)}", style="dim"), soft_wrap=True)


def _published(report: Mapping[str, Any]) -> Table:
    found, known = report["found"], report["published"]
    table = _table("", "here", *(f"{part['set']}\n{part['part']}" for part in known))
    for name in found | {name: None for part in known for name in part["counts"]}:
        numbers = [found.get(name), *(part["counts"].get(name) for part in known)]
        table.add_row(name, *("" if number is None else f"{number:,}" for number in numbers))
    if any(part["same"] for part in known):
        table.add_row("", "", *(Text("the same" if part["same"] else "", style="green") for part in known))
    return table


def _count(number: int, unit: str) -> str:
    return f"{number:,} {unit}{'' if number == 1 else 's'}"
