"""Print the figures of an audit, and the differences of two."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich.console import Console, RenderableType
from rich.text import Text

from annotator.storage.funnel import shown_unit
from annotator.terminal.progress import printable
from annotator.terminal.tables import text_table
from annotator.terminal.words import plural
from data_cards.views.changelog import added_line
from data_cards.views.terminal import funnel_table, titled, top_types

MANY_TYPES: Final = 100
"""Types from which on the share of the most frequent 1 % is shown."""


def show_audit(console: Console, figures: Mapping[str, Any], quality: Sequence[str] = ()) -> None:
    """Print the figures, and the structural checks last.

    Args:
        console: where to.
        figures: the content of ``audit.json``.
        quality: lines about precision and recall, or that they were not measured, and about a second teacher.
    """
    if figures.get("funnel"):
        console.print(funnel_table(figures["funnel"]))
    console.print(top_types(figures["labels"]))
    shares, mentions = figures["labels"]["share_of_mentions"], figures["mentions"]
    head = [
        ("top 1 % of types", _percent(shares["top_1_percent"]), "of all mentions"),
        ("next 9 %", _percent(shares["next_9_percent"]), f"the rest {_percent(shares['rest'])}"),
    ]
    console.print(
        _table(
            "Figures",
            [
                ("samples", f"{figures['samples']['count']:,}", f"{figures['duplicates']:,} of them duplicates"),
                ("types", f"{figures['labels']['distinct']:,}", f"{figures['labels']['only_once']:,} occur once"),
                *(head if figures["labels"]["distinct"] >= MANY_TYPES else ()),
                ("mentions", f"{mentions['count']:,}", _spread(mentions["per_passage"], "a passage")),
                ("types a passage", _mean(mentions["types_per_passage"]), _spread(mentions["types_per_passage"], "")),
                ("syllables a mention", _mean(mentions["syllables"]), _spread(mentions["syllables"], "")),
                ("without entities", f"{mentions['passages_without']:,}",
                 f"{_percent(mentions['share_of_passages_without'])} of passages"),
                ("overlapping passages", f"{figures['leaks']['near_duplicates']:,}",
                 f"pairs across splits; {figures['leaks']['identical_passages']:,} passages are in several splits"),
            ],
        )
    )  # fmt: skip
    console.print(
        _table(
            "Splits",
            [
                (split, f"{row['samples']:,}", f"{plural(row['passages'], 'passage')}, {plural(row['types'], 'type')},"
                 f" {row['types_only_here']:,} only here")
                for split, row in figures["balance"]["splits"].items()
            ],
        )
    )  # fmt: skip
    together = [(f"{entry['passages']:,}", " + ".join(entry["labels"])) for entry in figures["labels"]["together"][:5]]
    console.print(_table("Types that occur together most, by passages", together))
    alike = figures["labels"]["alike"]
    if alike["count"]:
        rows = [(" / ".join(entry["labels"]), "; ".join(entry["evidence"])) for entry in alike["pairs"][:10]]
        console.print(_table(f"Types that look alike ({alike['count']:,})", rows))
    if versions := figures.get("changelog"):
        added = [(f"version {version['version']}", added_line(version)) for version in versions]
        console.print(_table("Versions, and what each added", added))
    if figures["problems"]:
        console.print(Text("\nProblems", style="bold red"))
        for line in figures["problems"]:
            console.print(Text(f"  {printable(line)}", style="red"))
    else:
        console.print(Text("\nStructural checks: no problems.", style="green"))
    for line in figures.get("notes", ()):
        console.print(Text(f"Note: {printable(line)}", style="yellow"), soft_wrap=True)
    for line in quality:
        console.print(Text(line), soft_wrap=True)


def show_comparison(console: Console, changes: Mapping[str, Any], before: str, after: str) -> None:
    """Print what differs between the datasets of these names."""
    both = f"{before}, {after}"
    numbers = [(name, _shown(row["before"]), _shown(row["after"]))
               for part in ("numbers", "splits") for name, row in changes[part].items()]  # fmt: skip
    console.print(_table(f"Numbers that differ: {both}", numbers or [("none", "", "")]))
    for stage in changes["funnel"]:
        counts = {**{name: stage[name] for name in ("in", "out") if name in stage}, **stage.get("rejected", {})}
        rows = [(name, _shown(row["before"]), _shown(row["after"])) for name, row in counts.items()]
        console.print(_table(f"{stage['stage']} ({shown_unit(stage['unit'])}s): {both}", rows))
    types = changes["types"]
    for name, owner in (("came", after), ("went", before)):
        if types[name]:
            listed = [(row["label"], _shown(row["mentions"])) for row in types[f"{name}_most_frequent"][:10]]
            console.print(_table(f"{plural(types[name], 'type')} only in {owner}, by mentions", listed))
    if types["changed"]:
        changed = [
            (row["label"], _shown(row["before"]["mentions"]), _shown(row["after"]["mentions"]))
            for row in types["changed_most"][:10]
        ]
        console.print(
            _table(f"{plural(types['changed'], 'type')} in both with other figures, mentions: {both}", changed)
        )
    for name in changes["settings"]:
        console.print(Text(f"\nThe {name} differs."))
    for name, owner, style in (("came", after, "red"), ("went", before, "green")):
        for line in changes["problems"][name]:
            console.print(Text(f"problem only in {owner}: {printable(line)}", style=style))


def _table(title: str, rows: Iterable[tuple[str, ...]]) -> RenderableType:
    return titled(title, text_table(rows))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _mean(distribution: Mapping[str, float]) -> str:
    return f"{distribution.get('mean', 0):.2f}"


def _spread(distribution: Mapping[str, float], of: str) -> str:
    if not distribution:
        return ""
    return (
        f"mean {distribution['mean']:.1f}, median {distribution['median']}, at most {distribution['max']} {of}".strip()
    )


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else "-"
