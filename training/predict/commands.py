"""The command ``predict``. Heavy imports stand inside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from annotator.terminal.exits import exits
from annotator.terminal.flags import AsJson, Debug, Quiet, print_json, with_options
from training.predict.predictors import KINDS, Options, make_predictor, tag_map


@with_options
def predict(  # noqa: PLR0913 - the parameters of a command are its flags
    *,
    benchmark: Annotated[
        Path, typer.Argument(metavar="BENCHMARK.parquet", help="Samples, as convert and build write them.")
    ],
    predictor: Annotated[
        str,
        typer.Option("--predictor", "-p", metavar="PREDICTOR", help=f"Predict with {KINDS}."),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE.jsonl", help="Write a line per answer, with id and output."),
    ] = None,
    options: Options,
    show_map: Annotated[
        bool, typer.Option("--show-map", help="Print the table of a tagger's tags; predict nothing.")
    ] = False,
    settings: Mapping[str, Any],
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Answer the queries of a benchmark with a student, a model or a tagger (docs/evaluate.md).

    Run it again to continue: it asks only what has no answer yet.

    Examples:
        vner-annotate predict runs/news/samples/test.parquet --predictor underthesea --out baseline.jsonl
        vner-annotate predict test.parquet --predictor hf:students/two-stages/merged --out student.jsonl
    """
    with exits(debug, out):
        from annotator.errors import ConfigError
        from annotator.terminal.progress import make_progress
        from training.predict import running

        if show_map:
            typer.echo(tag_map(predictor, options.map_file).as_toml(), nl=False)
            return
        if out is None:
            raise ConfigError("predict needs --out FILE.jsonl")
        made = make_predictor(predictor, out, options, settings)
        outcome = running.predict(benchmark, made, out, make_progress(quiet=quiet))
        if as_json:
            print_json(dataclasses.asdict(outcome))
        else:
            typer.echo(
                f"{out}: {outcome.answered:,} of {outcome.queries:,} queries answered, {outcome.new:,} of them now"
            )
        if left := outcome.queries - outcome.answered:
            typer.echo(f"{left:,} of {outcome.queries:,} queries have no answer; the same command asks again",
                       err=True)  # fmt: skip
            raise typer.Exit(3)
