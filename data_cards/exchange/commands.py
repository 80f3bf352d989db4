"""The commands ``export`` and ``import``. Heavy imports stand inside the commands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from annotator.terminal.exits import exits

NAMES = "conll, conll-words, spacy, gliner, labelstudio, argilla, doccano, alpaca, universalner, jsonl"

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="A run directory.")]
FormatName = Annotated[str, typer.Option("--format", "-f", metavar="FORMAT", help=f"One of: {NAMES}.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def export_command(
    directory: Directory,
    name: FormatName,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write.")],
    split: Annotated[str, typer.Option("--split", help="Only passages of train, validation or test.")] = "all",
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Export the annotations to another tool, and report what its format cannot hold."""
    with exits(debug):
        from data_cards.exchange.exporting import export

        report = export(directory, name, out, split)
        if as_json:
            typer.echo(json.dumps(report, ensure_ascii=False, indent=2))
            return
        typer.echo(f"{report['passages']:,} passages with {report['carried']:,} of {report['spans']:,} spans, "
                   f"{report['types']:,} types: {', '.join(report['files'])}")  # fmt: skip
        for reason, number in report["left_out"].items():
            typer.echo(f"  left out: {number:,} {reason}, such as {_shown(report['examples'][reason])}")


def import_command(
    directory: Directory,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="What the other tool exported.")],
    name: FormatName,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress display.")] = False,
    debug: Debug = False,
) -> None:
    """Import corrections, which replace the teacher's mentions; samples and audit follow, the teacher is not asked."""
    with exits(debug, directory):
        from annotator.run.runner import running
        from annotator.terminal.progress import make_progress
        from data_cards import summary
        from data_cards.exchange.importing import bring_back

        report = bring_back(directory, name, files)
        with running(directory, {}, make_progress(quiet=quiet), asking="never") as outcome:
            built = summary.finish(outcome)
        if as_json:
            typer.echo(json.dumps({**report, "build": built}, ensure_ascii=False, indent=2))
            return
        _show(report)
        typer.echo(f"now: {built['samples']['count']:,} samples of {built['labels']['distinct']:,} types, "
                   f"{built['mentions']['count']:,} mentions")  # fmt: skip


def _show(report: Mapping[str, Any]) -> None:
    from data_cards.exchange.importing import KINDS

    counted = ", ".join(f"{report[kind]:,} {kind}" for kind in KINDS if report[kind])
    typer.echo(f"{report['read']:,} passages read: {counted or 'none'}; {report['reviewed_in_all']:,} reviewed in all")
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


def _shown(text: str) -> str:
    """Text of a file, on one line and harmless to a terminal."""
    from annotator.terminal.progress import printable

    return printable(" ".join(text.split()))
