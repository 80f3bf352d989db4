"""The command ``predict``. Heavy imports stand inside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from annotator.terminal.exits import exits
from annotator.terminal.flags import AsJson, Debug, Quiet, print_json

TAGGERS: Final = ("underthesea", "token-classification", "gliner")
KINDS: Final = "hf:DIR, openai:MODEL, groq:MODEL, underthesea, token-classification:DIR or gliner:DIR"


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
    map_file: Annotated[
        Path | None,
        typer.Option("--map", metavar="FILE", help="Read from this TOML file which types a tagger's tags answer for."),
    ] = None,
    show_map: Annotated[
        bool, typer.Option("--show-map", help="Print the table of a tagger's tags; predict nothing.")
    ] = False,
    batch_size: Annotated[
        int, typer.Option("--batch-size", metavar="N", min=1, help="Give a student this many queries at once.")
    ] = 16,
    device: Annotated[
        str | None,
        typer.Option("--device", metavar="NAME", help="Run a student on this device: cpu, cuda, cuda:0.",
                     show_default="the GPU where there is one"),
    ] = None,
    settings: Mapping[str, Any],
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    """Answer the queries of a benchmark with a student, a model or a tagger (docs/evaluate.md).

    Run it again to continue: it asks only what has no answer yet.

    Examples:
        vner-annotate predict runs/news/samples/test.parquet --predictor underthesea --out baseline.jsonl
        vner-annotate predict test.parquet --predictor hf:students/two-stages/merged --out student.jsonl
    """
    with exits(debug, out):
        from annotator.errors import ConfigError
        from annotator.terminal.progress import make_progress
        from training.predict import chat, running, seq2seq, taggers

        kind, _, name = predictor.partition(":")
        if (kind == "underthesea") == bool(name) or kind not in {*TAGGERS, "hf", "openai", "groq"}:
            raise ConfigError(f"--predictor must be {KINDS}, not {predictor!r}")
        if (map_file or show_map) and kind not in TAGGERS:
            raise ConfigError(
                f"only {', '.join(TAGGERS)} have a table of tags; {kind} is asked for the types themselves"
            )
        if show_map:
            typer.echo(taggers.load_map(kind, map_file).as_toml(), nl=False)
            return
        if out is None:
            raise ConfigError("predict needs --out FILE.jsonl")
        if kind == "hf":
            made = seq2seq.make(name, batch_size=batch_size, device=device)
        elif kind in TAGGERS:
            made = taggers.make(kind, name, taggers.load_map(kind, map_file))
        else:
            made = chat.make(kind, name, out, settings)
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
