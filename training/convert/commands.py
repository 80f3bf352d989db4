"""The command ``convert``. Heavy imports stand inside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from annotator.terminal.exits import exits
from annotator.terminal.flags import AsJson, Debug, Quiet, print_json, with_options
from training.convert.options import Options


@with_options
def convert(  # noqa: PLR0913 - the parameters of a command are its flags
    *,
    name: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT",
            help="pile-ner, squad, alpaca, parallel, conll, enamex or samples (docs/convert.md).",
        ),
    ],
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE...", help="Files and folders of your copy.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Write this Parquet file.")],
    options: Options,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Convert another dataset to samples: training sets, and benchmarks with a question for each type.

    Examples:
        vner-annotate convert conll test_syllable.conll --set phoner-covid19 --out data/phoner-test.parquet
        vner-annotate convert samples runs/news --split train --out data/news.parquet
    """
    with exits(debug, kept="nothing was written"):
        from annotator.terminal.progress import make_progress, printable
        from training.convert.convert import convert as run
        from training.convert.convert import report_lines

        report = run(name, sources, out, options, make_progress(quiet=quiet))
        if as_json:
            print_json(report)
            return
        for line in report_lines(report):
            typer.echo(printable(line))
