"""The command ``convert``. Heavy imports stand inside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from annotator.terminal.exits import exits
from annotator.terminal.flags import AsJson, Debug, Quiet, print_json, with_options
from training.convert.names import NAMES
from training.convert.options import Options


@with_options
def convert(  # noqa: PLR0913 - the parameters of a command are its flags
    *,
    name: Annotated[
        str,
        typer.Argument(metavar="FORMAT", help=f"{', '.join(NAMES[:-1])} or {NAMES[-1]} (docs/convert.md)."),
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
        from annotator.terminal.progress import make_progress
        from training.convert import convert as converting
        from training.convert.report import show

        report = converting.convert(name, sources, out, options, make_progress(quiet=quiet))
        print_json(report) if as_json else show(report)
