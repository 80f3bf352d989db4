"""The command ``predict``. Heavy imports stand inside it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Optional

import typer

from annotator.terminal.exits import exits
from annotator.terminal.flags import AsJson, Debug, Quiet
from training.predict import options


def predict(  # noqa: PLR0913 - the parameters of a command are its flags
    *,
    benchmark: Annotated[
        Path, typer.Argument(metavar="BENCHMARK.parquet", help="Samples, as convert and build write them.")
    ],
    predictor: Annotated[
        str,
        typer.Option(
            "--predictor",
            "-p",
            metavar="PREDICTOR",
            help=f"Predict with {options.PREDICTOR}",
        ),
    ],
    out: Annotated[
        Optional[Path],  # noqa: UP045 - read by typer
        typer.Option("--out", "-o", metavar="FILE.jsonl", help="Write a line per answer, with id and output."),
    ] = None,
    map_file: options.MapFile = None,
    show_map: Annotated[
        bool, typer.Option("--show-map", help="Print the table of tags, and the types it lacks; predict nothing.")
    ] = False,
    batch_size: options.BatchSize = 16,
    device: options.Device = None,
    base_url: options.BaseUrl = None,
    prompt: options.Prompt = None,
    max_completion_tokens: options.MaxCompletionTokens = None,
    concurrency: options.Concurrency = None,
    rpm: options.Rpm = None,
    tpm: options.Tpm = None,
    limits: options.Limits = None,
    max_retries: options.MaxRetries = None,
    timeout: options.Timeout = None,
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
        import json

        from annotator.errors import ConfigError
        from annotator.terminal.progress import make_progress
        from training.predict import running
        from training.predict.making import make_predictor

        if show_map:
            _show_map(benchmark, predictor, map_file)
            return
        if out is None:
            raise ConfigError("predict needs --out FILE.jsonl")
        chosen = options.given(map_file, batch_size, device, base_url=base_url, prompt=prompt, rpm=rpm, tpm=tpm,
                              max_completion_tokens=max_completion_tokens, concurrency=concurrency, limits=limits,
                              max_retries=max_retries, timeout=timeout)  # fmt: skip
        outcome = running.predict(benchmark, make_predictor(predictor, out, chosen), out, make_progress(quiet=quiet))
        if as_json:
            typer.echo(json.dumps(dataclasses.asdict(outcome), indent=2))
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
    from training.predict.making import tag_map
    from training.predict.tags import fold

    tags = tag_map(predictor, map_file)
    typer.echo(tags.as_toml(), nl=False)
    answered = {kind for tag in tags.types for kind in tags.of(tag)}
    types = sorted({fold(sample.entity_type) for sample in read_benchmark(benchmark)})
    if left := [kind for kind in types if kind not in answered]:
        shown = printable(", ".join(left[:40])) + (f" and {len(left) - 40:,} more" if len(left) > 40 else "")
        typer.echo(f"# types of {benchmark} that only a tag of the same name answers for: {shown}")
