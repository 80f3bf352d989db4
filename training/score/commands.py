"""The command ``evaluate``. Heavy imports stand inside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from annotator.terminal.exits import exits
from annotator.terminal.flags import AsJson, Debug, Quiet, print_json
from training.predict.making import PredictorOptions
from training.predict.options import PREDICTOR, with_options

if TYPE_CHECKING:
    from training.score.metrics import Draws
    from training.score.rendering import Grid
    from training.score.robustness import Place


@with_options
def evaluate(  # noqa: PLR0913 - the parameters of a command are its flags
    *,
    samples: Annotated[
        Path, typer.Argument(metavar="SAMPLES.parquet", help="The benchmark: samples with gold outputs.")
    ],
    predictions: Annotated[
        Optional[Path],  # noqa: UP045 - read by typer
        typer.Argument(metavar="PREDICTIONS.jsonl", help="Predictions: a line each, with id and output."),
    ] = None,
    compare: Annotated[
        Optional[tuple[Path, Path]],  # noqa: UP045 - read by typer
        typer.Option("--compare", metavar="A.jsonl B.jsonl", help="Score both and test whether they differ."),
    ] = None,
    perturb: Annotated[
        bool,
        typer.Option(
            "--perturb", help="Score variants of the benchmark: without tone marks, with typos, teencode, ..."
        ),
    ] = False,
    predictor: Annotated[
        Optional[str],  # noqa: UP045 - read by typer
        typer.Option(
            "--predictor",
            "-p",
            metavar="PREDICTOR",
            help=f"With --perturb: predict what has no prediction yet, with {PREDICTOR}",
        ),
    ] = None,
    out: Annotated[
        Optional[Path],  # noqa: UP045 - read by typer
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="With --perturb: keep variants and predictions in this folder.",
            show_default="SAMPLES-variants",
        ),
    ] = None,
    chosen: PredictorOptions,
    draws: Annotated[
        int, typer.Option("--draws", metavar="N", min=0, help="Resample so often for intervals and tests; 0: none.")
    ] = 1000,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed every random choice.")] = 0,
    markdown: Annotated[
        Optional[Path],  # noqa: UP045 - read by typer
        typer.Option("--markdown", metavar="FILE", help="Write the tables as Markdown too."),
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
        from annotator.storage.outputs import check_output
        from training.benchmarks import read_benchmark
        from training.score import rendering
        from training.score.evaluating import evaluate as score
        from training.score.evaluating import evaluate_pair
        from training.score.metrics import Draws
        from training.score.robustness import Place

        if markdown:
            read = (samples, predictions, *(compare or ()))
            check_output(markdown, "--markdown", inputs=[path for path in read if path])
        if chosen != PredictorOptions() and not predictor:
            raise ConfigError("options of a student, a tagger or an endpoint are for --perturb with --predictor")
        if perturb:
            if compare:
                raise ConfigError("--perturb and --compare do not go together; score one predictor at a time")
            place = Place(samples, out or samples.with_name(f"{samples.stem}-variants"), predictions)
            wanted = (predictor, chosen) if predictor else None
            _robustness(place, wanted, Draws(draws, seed), markdown, quiet=quiet, as_json=as_json)
            return
        if predictor or out:
            raise ConfigError("--predictor and --out are for --perturb; vner-annotate predict makes predictions")
        if (predictions is None) == (compare is None):
            raise ConfigError("give PREDICTIONS.jsonl, or two of them with --compare A.jsonl B.jsonl")
        if compare:
            if not draws:
                raise ConfigError("--compare tests by drawing; --draws must be at least 1")
            report = evaluate_pair(samples, compare, Draws(draws, seed), _say)
            _print(report, rendering.of_comparison(report), markdown, as_json=as_json)
        elif predictions:
            report = score(read_benchmark(samples), predictions, Draws(draws, seed), _say)
            _print(report, rendering.of_scores(report), markdown, as_json=as_json)


def _robustness(
    place: Place,
    wanted: tuple[str, PredictorOptions] | None,
    draws: Draws,
    markdown: Path | None,
    *,
    quiet: bool,
    as_json: bool,
) -> None:
    from annotator.terminal.progress import make_progress
    from training.predict.making import make_predictor
    from training.predict.running import predict
    from training.score import rendering
    from training.score.robustness import score_variants

    left: dict[str, int] = {}

    def by_predictor(benchmark: Path, answers: Path) -> None:
        assert wanted  # noqa: S101 - it is called only then
        outcome = predict(benchmark, make_predictor(wanted[0], answers, wanted[1]), answers, make_progress(quiet=quiet))
        left[answers.stem] = outcome.queries - outcome.answered

    report = score_variants(place, by_predictor if wanted else None, draws, _say)
    _print(report, rendering.of_variants(report), markdown, as_json=as_json)
    if waiting := [name for name, found in report["variants"].items() if not found]:
        _say(f"no predictions yet for {', '.join(waiting)}: add --predictor P, or for each of them")
        _say(f"  vner-annotate predict {place.parquet(waiting[0])} --predictor P --out {place.answers(waiting[0])}")
        raise typer.Exit(3)
    if unanswered := {name: number for name, number in left.items() if number}:
        shown = ", ".join(f"{number:,} of {name}" for name, number in unanswered.items())
        _say(f"queries without an answer: {shown}; they count as [], and the same command asks again")
        raise typer.Exit(3)


def _print(report: dict[str, Any], grids: Sequence[Grid], markdown: Path | None, *, as_json: bool) -> None:
    from annotator.storage.atomic import replacing
    from training.score import rendering

    if markdown:
        with replacing(markdown) as file:
            file.write(rendering.markdown(grids).encode("utf-8"))
    print_json(report) if as_json else rendering.show(grids)


def _say(line: str) -> None:
    from annotator.terminal.progress import printable

    typer.echo(printable(line), err=True)
