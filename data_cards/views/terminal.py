"""Show a run in the terminal: the funnel, the most frequent types, one sample, one passage.

Text of the news and of the teacher is shown as text: no markup in it is obeyed, control characters are made visible.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from annotator.cleaning.clean import NEEDS_REVIEW
from annotator.records import Annotation, Completion, Passage, Rejected, Sample
from annotator.run.backends import address_of
from annotator.storage.funnel import shown_unit
from annotator.storage.rundir import SPLITS, RunDir
from annotator.terminal.progress import printable
from annotator.terminal.tables import Cell, text_table
from annotator.terminal.words import plural, prices
from data_cards.audit.problems import negatives_note
from data_cards.views.quality import quality_lines

_STYLES: Final = ("black on bright_cyan", "black on bright_yellow", "black on bright_green", "black on bright_magenta",
                  "black on bright_blue", "black on orange1", "black on bright_red", "black on white")  # fmt: skip
BAR: Final = 40
"""Width of the longest bar, in cells."""
LONGEST_REPLY: Final = 4000
"""Characters of a reply that are shown."""


def show_summary(console: Console, run: RunDir, figures: Mapping[str, Any], example: Sample | None) -> None:
    """Show the end of a build: funnel, types, one sample, files."""
    console.print(funnel_table(figures["funnel"]))
    console.print(top_types(figures["labels"]))
    if example:
        console.print(_titled("One sample", sample_view(example)))
    console.print(_titled("Files", files_view(run, figures)))
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
    """Show stage by stage: in, kept, rejected, and for what reasons."""
    header = ("stage", "unit", "in", "kept", "rejected", "reasons, and output")
    rows = []
    for flow in funnel:
        reasons = "\n".join(f"{number:,} {reason}" for reason, number in flow["rejected"].items())
        outputs = ", ".join(made(name, number) for name, number in flow["made"].items() if number)
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
    """Say whether the files are those of the recipe."""
    differing = [name for name, same in files.items() if not same]
    if not differing:
        return Text(f"\nRebuilt: {len(files)} files are the recipe's, byte for byte", style="bold green")
    return Text(f"\nNot rebuilt: {printable(', '.join(differing))} differ from the recipe's", style="bold yellow")


def top_types(labels: Mapping[str, Any], number: int = 10) -> RenderableType:
    """Show the most frequent types as bars, by samples."""
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
    """Show an instruction sample as a student will see it."""
    rows = (("instruction", sample.instruction), ("input", sample.input))
    plain = [(Text(name, style="dim"), text) for name, text in rows]
    return text_table([*plain, (Text("output", style="dim"), Text(printable(sample.output), style="green"))])


def files_view(run: RunDir, figures: Mapping[str, Any]) -> RenderableType:
    """Show where everything is."""
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


def passage_view(
    passage: Passage, annotation: Annotation | None, completion: Completion | None, rejected: Sequence[Rejected]
) -> RenderableType:
    """Show a passage with its entities highlighted, the reply, and what was rejected."""
    parts: list[RenderableType] = [_passage_panel(passage, annotation)]
    if annotation and annotation.mentions:
        parts.append(_titled("Entities", _entities(annotation)))
    if completion:
        reply = printable(completion.reply)
        if len(reply) > LONGEST_REPLY:
            reply = f"{reply[:LONGEST_REPLY]} ... ({len(reply):,} characters)"
        how = f" ({annotation.reply_status})" if annotation else " (could not be read)"
        parts.append(_titled(f"The teacher's reply{how}", Text(reply)))
    else:
        parts.append(Text("\nThe teacher has not answered yet.", style="yellow"))
    if rejected:
        parts.append(
            _titled("Left out", text_table(map(_left_out, rejected), ("stage", "rejected", "reason", "detail")))
        )
    return Group(*parts)


def _passage_panel(passage: Passage, annotation: Annotation | None) -> RenderableType:
    styles = _type_styles(annotation)
    text = Text()
    position = 0
    for mention in annotation.mentions if annotation else ():
        if mention.start < position:
            continue  # nested in what is highlighted already; the table below lists it
        text.append(printable(passage.text[position : mention.start]))
        text.append(printable(mention.text), style=styles[mention.label])
        position = mention.end
    text.append(printable(passage.text[position:]))
    came_from = ", ".join(f"{piece.document_id} [{piece.start}:{piece.end}]" for piece in passage.pieces)
    title = f"passage {passage.id}, {passage.n_tokens} tokens"
    return Panel(
        text, title=Text(title), subtitle=Text(printable(came_from)), title_align="left", subtitle_align="left"
    )


def _entities(annotation: Annotation) -> RenderableType:
    styles = _type_styles(annotation)
    rows = []
    for label, style in styles.items():
        group = [mention for mention in annotation.mentions if mention.label == label]
        texts, raw, rules = (
            dict.fromkeys(getattr(mention, name) for mention in group) for name in ("text", "raw_label", "match")
        )
        rows.append((Text(f" {printable(label)} ", style=style), "; ".join(texts), ", ".join(raw), ", ".join(rules)))
    return text_table(rows, ("type", "mentions", "raw label", "match"))


def _left_out(item: Rejected) -> tuple[Cell, ...]:
    value = item.value if item.stage == "clean" else item.value[:80]
    value += f" [{item.label}]" if item.label else ""
    return item.stage, Text(printable(value), style="red"), item.reason, item.detail


def _type_styles(annotation: Annotation | None) -> dict[str, str]:
    labels = dict.fromkeys(mention.label for mention in annotation.mentions) if annotation else {}
    return {label: _STYLES[number % len(_STYLES)] for number, label in enumerate(labels)}


def _titled(title: str, body: RenderableType) -> RenderableType:
    return Group(Text(f"\n{title}", style="bold"), body)


def made(name: str, number: int) -> str:
    """Return ``1 passage`` or ``2 passages``; the names of splits stay as they are."""
    return f"{number:,} {name}" if name in {*SPLITS, "negative"} else plural(number, name)
