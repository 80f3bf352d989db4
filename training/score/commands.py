"""The command ``evaluate``. Heavy imports stand inside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from annotator.terminal.exits import exits
from annotator.terminal.flags import AsJson, Debug, print_json


def evaluate(  # noqa: PLR0913 - the parameters of a command are its flags
    *,
    samples: Annotated[
        Path, typer.Argument(metavar="SAMPLES.parquet", help="The benchmark: samples with gold outputs.")
    ],
    predictions: Annotated[
        Path | None,
        typer.Argument(metavar="PREDICTIONS.jsonl", help="Predictions: a line each, with id and output."),
    ] = None,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--compare", metavar="A.jsonl B.jsonl", help="Score both and test whether they differ."),
    ] = None,
    draws: Annotated[
        int, typer.Option("--draws", metavar="N", min=0, help="Resample so often for intervals and tests; 0: none.")
    ] = 1000,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed every random choice.")] = 0,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Write the tables as Markdown too.")
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Score predictions: precision, recall and F1 under three matchings, with intervals (docs/evaluate.md).

    Examples:
        vner-annotate evaluate test.parquet predictions.jsonl
        vner-annotate evaluate test.parquet --compare baseline.jsonl student.jsonl
    """
    with exits(debug, kept="nothing was written"):
        from annotator.errors import ConfigError
        from annotator.storage.atomic import replacing
        from annotator.storage.outputs import check_output
        from annotator.terminal.progress import printable
        from training import tables
        from training.score import evaluating

        def say(line: str) -> None:
            typer.echo(printable(line), err=True)

        if compare and not draws:
            raise ConfigError("--compare tests by drawing; --draws must be at least 1")
        if markdown:
            check_output(markdown, "--markdown", inputs=[samples, *(compare or ()), *filter(None, [predictions])])
        if predictions and not compare:
            report = evaluating.evaluate(samples, predictions, say, draws=draws, seed=seed)
            grids = evaluating.score_grids(report)
        elif compare and not predictions:
            report = evaluating.evaluate_pair(samples, compare, say, draws=draws, seed=seed)
            grids = evaluating.comparison_grids(report)
        else:
            raise ConfigError("give PREDICTIONS.jsonl, or two of them with --compare A.jsonl B.jsonl")
        if markdown:
            with replacing(markdown) as file:
                file.write(tables.markdown(grids).encode("utf-8"))
        print_json(report) if as_json else tables.show_grids(grids)
