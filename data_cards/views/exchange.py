"""Show what was exported to another tool, and what came back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from annotator.terminal.progress import printable
from annotator.terminal.words import plural
from data_cards.exchange.importing import KINDS


def print_export(report: Mapping[str, Any]) -> None:
    """Print what was written, and what the format cannot hold."""
    typer.echo(
        f"{plural(report['passages'], 'passage')} with {report['carried']:,} of {plural(report['spans'], 'span')}, "
        f"{plural(report['types'], 'type')}: {', '.join(report['files'])}"
    )
    for reason, number in report["left_out"].items():
        typer.echo(f"  left out: {number:,} {reason}, such as {_shown(report['examples'][reason])}")


def print_import(report: Mapping[str, Any], built: Mapping[str, Any]) -> None:
    """Print what was read and left out, the new labels, and the figures of the run ``built`` with it."""
    counted = ", ".join(f"{report[kind]:,} {kind}" for kind in KINDS if report[kind])
    read, reviewed = plural(report["read"], "passage"), report["reviewed_in_all"]
    typer.echo(f"{read} read: {counted or 'none'}; {reviewed:,} reviewed in all")
    for kind, items in report["left_out"].items():
        for item in items[:5]:
            typer.echo(f"  {kind}: {_shown(item['passage_id']) or '(no id)'}: {_shown(item['detail'])}")
        if report[kind] > 5:
            typer.echo(f"  {kind}: and {report[kind] - 5:,} more (--json lists {len(items)})")
    for item in report["labels"]:
        becomes = "left out" if item["label"] is None else f"-> {_shown(item['label'])}"
        typer.echo(
            f"  label {_shown(item['raw'])} ({item['mentions']:,}): {becomes} ({item['status']}, {item['rule']})"
        )
    typer.echo(
        f"now: {plural(built['samples']['count'], 'sample')} of {plural(built['labels']['distinct'], 'type')}, "
        f"{plural(built['mentions']['count'], 'mention')}"
    )


def _shown(text: str) -> str:
    """Return text of a file, on one line and harmless to a terminal."""
    return printable(" ".join(text.split()))
