"""The commands ``export`` and ``import``. Heavy imports stand inside the commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from annotator.terminal.exits import exits
from annotator.terminal.flags import AsJson, Debug, Directory, Quiet, print_json
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
        from data_cards.views.exchange import print_export

        report = export(directory, name, out, split)
        if as_json:
            print_json(report)
            return
        print_export(report)


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
        from annotator.terminal.progress import make_progress
        from data_cards import summary
        from data_cards.exchange.importing import bring_back
        from data_cards.views.exchange import print_import

        report = bring_back(directory, name, files)
        with running(directory, {}, make_progress(quiet=quiet), asking="never") as outcome:
            built = summary.finish(outcome)
        if as_json:
            print_json({**report, "build": built})
            return
        print_import(report, built)
