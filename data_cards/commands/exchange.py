"""The commands ``export`` and ``import``. Heavy imports are inside the commands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from annotator.terminal.exits import exits
from annotator.terminal.flags import AsJson, Debug, Directory, Quiet, print_json
from annotator.terminal.progress import make_progress, printable
from annotator.terminal.words import plural
from data_cards.exchange import NAMES

_NAMES = ", ".join(NAMES)

ExportFormat = Annotated[
    str, typer.Option("--format", "-f", metavar="FORMAT", help=f"Write this format: {_NAMES} (docs/export.md).")
]
ImportFormat = Annotated[
    str, typer.Option("--format", "-f", metavar="FORMAT", help=f"Read this format: {_NAMES} (docs/export.md).")
]


def export_command(
    directory: Directory,
    name: ExportFormat,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Write this file.")],
    split: Annotated[
        str, typer.Option("--split", metavar="all|train|validation|test", help="Write the passages of this split.")
    ] = "all",
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write the annotations for another tool, and list what its format cannot hold.

    Examples:
        vner-annotate export runs/news --format labelstudio --out tasks.json
    """
    with exits(debug):
        from data_cards.exchange.exporting import export

        report = export(directory, name, out, split)
        if as_json:
            print_json(report)
        else:
            _print_export(report)


def import_command(
    directory: Directory,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files that the other tool exported.")],
    name: ImportFormat,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Read corrections from another tool, and make samples and audit again. Sends no request.

    Examples:
        vner-annotate import runs/news --format labelstudio corrected.json
    """
    with exits(debug, directory):
        from annotator.run.runner import running
        from data_cards import summary
        from data_cards.exchange.importing import bring_back

        report = bring_back(directory, name, files)
        with running(directory, {}, make_progress(quiet=quiet), asking="never") as outcome:
            built = summary.finish(outcome)
        if as_json:
            print_json({**report, "build": built})
        else:
            _print_import(report, built)


def _print_export(report: Mapping[str, Any]) -> None:
    """Print what was written, and what the format cannot hold."""
    typer.echo(
        f"{plural(report['passages'], 'passage')} with {report['carried']:,} of {plural(report['spans'], 'span')}, "
        f"{plural(report['types'], 'type')}: {', '.join(report['files'])}"
    )
    for reason, number in report["left_out"].items():
        typer.echo(f"  left out: {number:,} {reason}, such as {_shown(report['examples'][reason])}")


def _print_import(report: Mapping[str, Any], built: Mapping[str, Any]) -> None:
    """Print what was read and left out, the new labels, and the figures of the run ``built`` with it."""
    from data_cards.exchange.importing import KINDS

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
