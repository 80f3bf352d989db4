"""What a person sees of a conversion. Text of the files is shown as text: it drives neither markup nor the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from annotator.terminal.progress import printable

_EXAMPLES: Final = 3
_TYPES: Final = 12


def show(report: Mapping[str, Any], console: Console | None = None) -> None:
    """Funnel, what was left out and where, what was mended, types, and published sizes beside ours."""
    console = console or Console(highlight=False)
    console.print(_funnel(report))
    _examples(console, "Left out", [item for item in report["left_out"] if item["stage"] != "choose"], "reason")
    _examples(console, "Good to know", report["notes"], "what")
    if report["types"]:
        console.print(_types(report["types"]))
    console.print(Text("\nIn this copy" + (", and as published" if report["published"] else ""), style="bold"))
    console.print(_published(report))
    limit = report["tokenizer"]
    if limit:
        console.print(f"Length: input and output of a sample have {limit['max_sample_tokens']:,} tokens at most, "
                      f"counted with {printable(limit['name'])}." + _advice(limit["name"]), markup=False)  # fmt: skip
    else:
        console.print("Length: no limit; --max-sample-tokens N sets one.")
    console.print(
        f"\n{printable(report['out'])}: {_count(report['samples'], 'sample')} "
        f"({report['negative']:,} answered []) from {_count(report['files'], 'file')}",
        markup=False,
        soft_wrap=True,
    )


def _funnel(report: Mapping[str, Any]) -> Table:
    table = Table(title="Funnel", title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for name in ("stage", "unit", "in", "kept", "left out", "why"):
        table.add_column(name, justify="right" if name in {"in", "kept", "left out"} else "left", header_style="dim")
    for flow in report["funnel"]:
        why = "\n".join(f"{number:,} {reason}" for reason, number in flow["rejected"].items())
        lost = flow["in"] - flow["out"]
        table.add_row(flow["stage"], flow["unit"], f"{flow['in']:,}", f"{flow['out']:,}", f"{lost:,}", Text(why))
    return table


def _examples(console: Console, title: str, items: list[Mapping[str, Any]], key: str) -> None:
    if not items:
        return
    console.print(Text(f"\n{title}", style="bold"))
    for item in items:
        console.print(Text(f"{item['count']:,} {item[key]}"))
        for example in item["examples"][:_EXAMPLES]:
            said = ": ".join(part for part in (example["where"], example["value"][:80], example["detail"]) if part)
            console.print(Text(f"  {printable(said)}", style="dim"), soft_wrap=True)


def _types(types: Mapping[str, int]) -> Text:
    shown = [f"{printable(name)} {number:,}" for name, number in list(types.items())[:_TYPES]]
    more = f", and {len(types) - _TYPES:,} more" if len(types) > _TYPES else ""
    return Text(f"\n{_count(len(types), 'type')}, by samples with an answer: {', '.join(shown)}{more}")


def _published(report: Mapping[str, Any]) -> Table:
    found, known = report["found"], report["published"]
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("", "here", *(f"{part['set']}\n{part['part']}" for part in known)):
        table.add_column(Text(heading), justify="right" if heading else "left", header_style="dim")
    for name in found | {name: None for part in known for name in part["counts"]}:
        numbers = [found.get(name), *(part["counts"].get(name) for part in known)]
        table.add_row(name, *("" if number is None else f"{number:,}" for number in numbers))
    if any(part["same"] for part in known):
        table.add_row("", "", *(Text("the same" if part["same"] else "", style="green") for part in known))
    return table


def _advice(tokenizer: str) -> str:
    return "" if tokenizer != "llama3" else " For the student's own: --tokenizer hf:bigscience/mt0-base, or its folder."


def _count(number: int, unit: str) -> str:
    return f"{number:,} {unit}{'' if number == 1 else 's'}"
