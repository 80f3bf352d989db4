"""The command ``evaluate``. Heavy imports stand inside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from annotator.terminal.exits import exits
from annotator.terminal.flags import AsJson, Debug, Quiet, print_json, with_options
from training.predict.predictors import KINDS, PredictorOptions


@with_options
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
    perturb: Annotated[
        bool,
        typer.Option(
            "--perturb", help="Score variants of the benchmark: without tone marks, with typos, teencode, ..."
        ),
    ] = False,
    predictor: Annotated[
        str | None,
        typer.Option(
            "--predictor",
            "-p",
            metavar="PREDICTOR",
            help=f"With --perturb: predict what has no prediction yet, with {KINDS}.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="With --perturb: keep variants and predictions in this folder.",
            show_default="SAMPLES-variants",
        ),
    ] = None,
    options: PredictorOptions,
    draws: Annotated[
        int, typer.Option("--draws", metavar="N", min=0, help="Resample so often for intervals and tests; 0: none.")
    ] = 1000,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed every random choice.")] = 0,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Write the tables as Markdown too.")
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Score predictions: precision, recall and F1 under three matchings, with intervals (docs/evaluate.md).

    Examples:
        vner-annotate evaluate test.parquet predictions.jsonl
        vner-annotate evaluate test.parquet --compare baseline.jsonl student.jsonl
        vner-annotate evaluate test.parquet --perturb --predictor underthesea
    """
    with exits(debug, kept="predictions made so far are kept"):
        from annotator.errors import ConfigError
        from annotator.storage.atomic import replacing
        from annotator.storage.outputs import check_output
        from annotator.terminal.progress import make_progress
        from training import tables
        from training.benchmarks import read_benchmark
        from training.predict.predictors import make_predictor
        from training.predict.running import predict
        from training.score import evaluating, rendering
        from training.score.metrics import Draws

        if markdown:
            read = (samples, predictions, *(compare or ()))
            check_output(markdown, "--markdown", inputs=[path for path in read if path])
        refused = {
            "options of a student, a tagger or an endpoint are for --perturb with --predictor": (
                options != PredictorOptions() and not predictor
            ),
            "--perturb and --compare do not go together; score one predictor at a time": perturb and compare,
            "--predictor and --out are for --perturb; vner-annotate predict makes predictions": (
                not perturb and (predictor or out)
            ),
            "give PREDICTIONS.jsonl, or two of them with --compare A.jsonl B.jsonl": (
                not perturb and (predictions is None) == (compare is None)
            ),
            "--compare tests by drawing; --draws must be at least 1": compare and not draws,
        }
        for message, refuses in refused.items():
            if refuses:
                raise ConfigError(message)
        drawing, unfinished = Draws(draws, seed), []
        if perturb:

            def answer(benchmark: Path, answers: Path) -> None:
                made = make_predictor(predictor or "", answers, options)
                outcome = predict(benchmark, made, answers, make_progress(quiet=quiet))
                if left := outcome.queries - outcome.answered:
                    unfinished.append(f"{left:,} of {answers.stem}")

            place = evaluating.Place(samples, out or samples.with_name(f"{samples.stem}-variants"), predictions)
            report = evaluating.evaluate_variants(place, answer if predictor else None, drawing, _say)
            grids = rendering.of_variants(report)
        elif compare:
            report = evaluating.evaluate_pair(samples, compare, drawing, _say)
            grids = rendering.of_comparison(report)
        elif predictions:
            report = evaluating.evaluate(read_benchmark(samples), predictions, drawing, _say)
            grids = rendering.of_scores(report)
        if markdown:
            with replacing(markdown) as file:
                file.write(tables.markdown(grids).encode("utf-8"))
        print_json(report) if as_json else tables.show_grids(grids)
        if perturb and (waiting := [name for name, found in report["variants"].items() if not found]):
            first = f"{place.samples(waiting[0])} --predictor P --out {place.answers(waiting[0])}"
            _say(f"no predictions yet for {', '.join(waiting)}: add --predictor P, or for each of them")
            _say(f"  vner-annotate predict {first}")
            raise typer.Exit(3)
        if unfinished:
            _say(f"queries without an answer: {', '.join(unfinished)}; they count as [], "
                 "and the same command asks again")  # fmt: skip
            raise typer.Exit(3)


def _say(line: Any) -> None:
    from annotator.terminal.progress import printable

    typer.echo(printable(line), err=True)
