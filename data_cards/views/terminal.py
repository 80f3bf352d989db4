"""Show a run in the terminal: the funnel, the most frequent types, one sample.

Text of the news and of the teacher is shown as text: markup has no effect, control characters are visible.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from annotator.cleaning.clean import NEEDS_REVIEW
from annotator.records import Sample
from annotator.run.backends import address_of
from annotator.storage.funnel import shown_unit
from annotator.storage.rundir import SPLITS, RunDir
from annotator.terminal.progress import printable
from annotator.terminal.tables import text_table
from annotator.terminal.words import plural, prices
from data_cards.audit.problems import negatives_note
from data_cards.pages import output_of
from data_cards.views.quality import quality_lines

BAR: Final = 40
"""Width of the longest bar, in cells."""


def show_summary(console: Console, run: RunDir, figures: Mapping[str, Any], example: Sample | None) -> None:
    """Show the end of a build: funnel, types, one sample, files."""
    console.print(funnel_table(figures["funnel"]))
    console.print(top_types(figures["labels"]))
    if example:
        console.print(titled("One sample", sample_view(example)))
    console.print(titled("Files", files_view(run, figures)))
    console.print()
    for line in quality_lines(run):
        console.print(Text(line), soft_wrap=True)
    if waiting := sum(flow["rejected"].get(NEEDS_REVIEW, 0) for flow in figures["funnel"]):
        unknown = f"{plural(waiting, 'prediction')} left out, since no rule knows the label"
        decide = f"vner-annotate labels review {run.root}"
        console.print(Text(f"Note: {unknown}. Decide about each label: {decide}"), soft_wrap=True)
    for line in negatives_note(figures):
        add = f"vner-annotate build --out {run.root} --negatives 1"
        console.print(Text(f"Note: {line}. Add negatives without a new request: {add}"), soft_wrap=True)


def funnel_table(funnel: Iterable[Mapping[str, Any]]) -> RenderableType:
    """Return a table of the stages: in, kept, rejected, and the reasons."""
    header = ("stage", "unit", "in", "kept", "rejected", "reasons, and output")
    rows = []
    for flow in funnel:
        reasons = "\n".join(f"{number:,} {reason}" for reason, number in flow["rejected"].items())
        outputs = ", ".join(output_of(name, number) for name, number in flow["made"].items() if number)
        note = Text(printable(reasons))
        if outputs:
            note.append(("\n" if reasons else "") + "-> " + outputs, style="green")
        numbers = (f"{number:,}" for number in (flow["in"], flow["out"], flow["in"] - flow["out"]))
        rows.append((flow["stage"], shown_unit(flow["unit"]), *numbers, note))
    return Padding(text_table(rows, header, figures=("in", "kept", "rejected"), title="Funnel"), (1, 0, 0, 0))


def cost_line(cost: Mapping[str, Any]) -> RenderableType:
    """Return the cost of the answers, in tokens and money."""
    answers, read, written = (f"{cost[name]:,}" for name in ("answers", "prompt_tokens", "completion_tokens"))
    money = "price not known"
    if (usd := cost["usd"]) is not None:
        rates = f"{prices(cost['price_in'], cost['price_out'])}; {cost['source']}"
        money = f"${usd:,.{2 if usd >= 1 else 4}f} ({rates})"
    return Text(f"\nCost of {answers} answers: {read} tokens read, {written} written, {printable(money)}", style="bold")


def rebuilt_line(files: Mapping[str, bool]) -> RenderableType:
    """Return whether the files are those of the recipe, in words."""
    differing = [name for name, same in files.items() if not same]
    if not differing:
        return Text(f"\nRebuilt: {len(files)} files are the recipe's, byte for byte", style="bold green")
    return Text(f"\nNot rebuilt: {printable(', '.join(differing))} differ from the recipe's", style="bold yellow")


def top_types(labels: Mapping[str, Any], number: int = 10) -> RenderableType:
    """Return the most frequent types as bars, by samples."""
    top = labels["top"][:number]
    number, types = len(top), plural(labels["distinct"], "type")
    title = f"{types}, by samples" if number == labels["distinct"] else f"{number} most frequent of {types}, by samples"
    longest = max((entry["samples"] for entry in top), default=1)
    rows = [
        (
            entry["label"],
            Text("█" * max(1, round(BAR * entry["samples"] / longest)), style="cyan"),
            f"{entry['samples']:,}",
        )
        for entry in top
    ]
    return Padding(text_table(rows, title=title), (1, 0, 0, 0))


def sample_view(sample: Sample) -> RenderableType:
    """Return an instruction sample as a student sees it."""
    rows = (("instruction", sample.instruction), ("input", sample.input))
    plain = [(Text(name, style="dim"), text) for name, text in rows]
    return text_table([*plain, (Text("output", style="dim"), Text(printable(sample.output), style="green"))])


def files_view(run: RunDir, figures: Mapping[str, Any]) -> RenderableType:
    """Return a table of the files."""
    splits = figures["samples"]["splits"]
    rows = [(str(run.samples(split)), plural(sum(splits[split].values()), "sample")) for split in SPLITS]
    others = (
        (run.annotations, "passages with clean mentions"),
        (run.labels, "what became of each label"),
        (run.rejected, "everything that was left out, and why"),
        (address_of(run) or run.ledger, "every answer of the teacher"),
        (run.audit, "the figures above, and more"),
        (run.card, "the data card"),
        (run.recipe, "rebuilds the dataset elsewhere, with the file of answers"),
    )
    return text_table([*rows, *((str(path), what) for path, what in others)])


def titled(title: str, body: RenderableType) -> RenderableType:
    """Return ``body`` below a title in bold and an empty line."""
    return Group(Text(f"\n{title}", style="bold"), body)
