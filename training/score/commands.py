"""The command ``evaluate``. Heavy imports stand inside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from annotator.terminal.exits import exits
from annotator.terminal.flags import AsJson, Debug, Quiet, print_json, with_options
from training.predict.predictors import KINDS, Options, make_predictor


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
        bool, typer.Option("--perturb", help="Score variants of the benchmark: without diacritics, with typos, ...")
    ] = False,
    predictor: Annotated[
        str | None,
        typer.Option("--predictor", "-p", metavar="PREDICTOR", help=f"With --perturb: predict with {KINDS}."),
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
    options: Options,
    draws: Annotated[
        int, typer.Option("--draws", metavar="N", min=0, help="Resample so often for intervals and tests; 0: none.")
    ] = 1000,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed every random choice.")] = 0,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Write the tables as Markdown too.")
    ] = None,
    settings: Mapping[str, Any],
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
    with exits(debug, kept="predictions so far are kept" if predictor else "nothing was written"):
        from annotator.errors import ConfigError
        from annotator.storage.outputs import check_output
        from annotator.terminal.progress import make_progress
        from training import tables
        from training.predict import running
        from training.score import evaluating

        if perturb and compare:
            raise ConfigError("--perturb and --compare do not go together; score one predictor at a time")
        if not perturb and (predictor or out):
            raise ConfigError("--predictor and --out are for --perturb; vner-annotate predict makes predictions")
        if not predictor and (settings or options != Options()):
            raise ConfigError("options of a student, a tagger or an endpoint are for --perturb with --predictor")
        if compare and not draws:
            raise ConfigError("--compare tests by drawing; --draws must be at least 1")
        if markdown:
            check_output(markdown, "--markdown", inputs=[samples, *(compare or ()), *filter(None, [predictions])])
        if perturb:
            folder = out or samples.with_name(f"{samples.stem}-variants")
            files = evaluating.variant_files(samples, folder, predictions)

            def answer(benchmark: Path, answers: Path) -> None:
                if answers != predictions:
                    made = make_predictor(predictor or "", answers, options, settings)
                    running.predict(benchmark, made, answers, make_progress(quiet=quiet))

            found = evaluating.evaluate_variants(files, answer if predictor else None, _say, draws=draws, seed=seed)
            report = {"folder": str(folder), "variants": found}
            grids = evaluating.variant_grids(found)
        elif predictions and not compare:
            report = evaluating.evaluate(samples, predictions, _say, draws=draws, seed=seed)
            grids = evaluating.score_grids(report)
        elif compare and not predictions:
            report = evaluating.evaluate_pair(samples, compare, _say, draws=draws, seed=seed)
            grids = evaluating.comparison_grids(report)
        else:
            raise ConfigError("give PREDICTIONS.jsonl, or two of them with --compare A.jsonl B.jsonl")
        if markdown:
            tables.write_markdown(markdown, grids)
        print_json(report) if as_json else tables.show_grids(grids)
        if perturb and (waiting := [name for name in files if not found[name]]):
            benchmark, answers = files[waiting[0]]
            _say(f"no predictions yet for {', '.join(waiting)}: add --predictor P, or for each of them")
            _say(f"  vner-annotate predict {benchmark} --predictor P --out {answers}")
            raise typer.Exit(3)
        if perturb and predictor and any(scores["missing"] for scores in found.values()):
            _say("some queries have no answer; the same command asks again")
            raise typer.Exit(3)


def _say(line: str) -> None:
    from annotator.terminal.progress import printable

    typer.echo(printable(line), err=True)
