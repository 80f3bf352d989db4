"""The command ``predict``. Heavy imports stand inside it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from annotator.terminal.exits import exits
from annotator.terminal.flags import AsJson, Debug, Quiet, print_json, with_options
from training.predict.predictors import KINDS, PredictorOptions


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
    show_map: Annotated[
        bool, typer.Option("--show-map", help="Print the table of tags, and the types it lacks; predict nothing.")
    ] = False,
    options: PredictorOptions,
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
        from training.predict.predictors import make_predictor

        if show_map:
            _show_map(benchmark, predictor, options.map_file)
            return
        if out is None:
            raise ConfigError("predict needs --out FILE.jsonl")
        outcome = running.predict(benchmark, make_predictor(predictor, out, options), out, make_progress(quiet=quiet))
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


def _show_map(benchmark: Path, predictor: str, map_file: Path | None) -> None:
    from annotator.terminal.progress import printable
    from training.benchmarks import read_benchmark
    from training.predict.predictors import tag_map
    from training.predict.tags import fold

    tags = tag_map(predictor, map_file)
    typer.echo(tags.as_toml(), nl=False)
    answered = {kind for tag in tags.types for kind in tags.of(tag)}
    types = sorted({fold(sample.entity_type) for sample in read_benchmark(benchmark)})
    if left := [kind for kind in types if kind not in answered]:
        shown = printable(", ".join(left[:40])) + (f" and {len(left) - 40:,} more" if len(left) > 40 else "")
        typer.echo(f"# types of {benchmark} that only a tag of the same name answers for: {shown}")
