"""The command ``predict``. Heavy imports stand inside it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from annotator.config import RunConfig, flag
from annotator.exits import exits

_SETTINGS = {item.name: item.metadata["help"] for item in dataclasses.fields(RunConfig)}


def _asking(name: str) -> Any:
    """The option of ``RunConfig`` by that name, for a model behind an endpoint."""
    return typer.Option(flag(name), help=_SETTINGS[name], rich_help_panel="Endpoint (openai, groq)")


def predict(  # noqa: PLR0913 - the parameters of a command are its flags
    *,
    benchmark: Annotated[Path, typer.Argument(metavar="BENCHMARK.parquet", help="Samples, as convert writes them.")],
    predictor: Annotated[
        str,
        typer.Option(
            "--predictor",
            "-p",
            metavar="P",
            help="hf:DIR, openai:MODEL, groq:MODEL, underthesea, token-classification:DIR or gliner:DIR.",
        ),
    ],
    out: Annotated[
        Optional[Path],  # noqa: UP045 - read by typer
        typer.Option("--out", "-o", metavar="FILE.jsonl", help="The answers: a line each, with id and output."),
    ] = None,
    map_file: Annotated[
        Optional[Path],  # noqa: UP045 - read by typer
        typer.Option("--map", metavar="FILE", help="TOML: which types each tag of a tagger answers for."),
    ] = None,
    show_map: Annotated[
        bool, typer.Option("--show-map", help="Print the table of tags in use, and what it leaves out; ask nothing.")
    ] = False,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Queries a student reads at once.")] = 16,
    device: Annotated[
        Optional[str],  # noqa: UP045 - read by typer
        typer.Option("--device", help="Such as cpu or cuda:0; by default the GPU where there is one."),
    ] = None,
    base_url: Annotated[Optional[str], _asking("base_url")] = None,  # noqa: UP045
    prompt: Annotated[
        Optional[str],  # noqa: UP045 - read by typer
        typer.Option(
            "--prompt",
            help="Prompt with a slot {query}: a name from prompts/ or a path.",
            show_default="query-ner-vi",
            rich_help_panel="Endpoint (openai, groq)",
        ),
    ] = None,
    max_completion_tokens: Annotated[Optional[int], _asking("max_completion_tokens")] = None,  # noqa: UP045
    concurrency: Annotated[Optional[int], _asking("concurrency")] = None,  # noqa: UP045
    rpm: Annotated[Optional[int], _asking("rpm")] = None,  # noqa: UP045
    tpm: Annotated[Optional[int], _asking("tpm")] = None,  # noqa: UP045
    limits: Annotated[Optional[str], _asking("limits")] = None,  # noqa: UP045
    max_retries: Annotated[Optional[int], _asking("max_retries")] = None,  # noqa: UP045
    timeout: Annotated[Optional[float], _asking("timeout")] = None,  # noqa: UP045
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress display.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Answer the queries of a benchmark; run again, it asks only what is not answered yet. See docs/evaluate.md."""
    with exits(debug, out):
        import json

        from annotator.display import make_progress
        from annotator.errors import ConfigError
        from training.predicting import running
        from training.predicting.making import Wishes, make_predictor

        if show_map:
            _show_map(benchmark, predictor, map_file)
            return
        if out is None:
            raise ConfigError("predict needs --out FILE.jsonl")
        asking = {"base_url": base_url, "prompt": prompt, "max_completion_tokens": max_completion_tokens, "rpm": rpm,
                  "concurrency": concurrency, "tpm": tpm, "limits": limits, "max_retries": max_retries,
                  "timeout": timeout}  # fmt: skip
        wishes = Wishes(map_file, batch_size, device, {name: said for name, said in asking.items() if said is not None})
        outcome = running.predict(benchmark, make_predictor(predictor, out, wishes), out, make_progress(quiet=quiet))
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
    from annotator.display import printable
    from training.benchmarks import read_benchmark
    from training.predicting.making import tag_map
    from training.predicting.tags import fold

    tags = tag_map(predictor, map_file)
    typer.echo(tags.as_toml(), nl=False)
    answered = {kind for tag in tags.types for kind in tags.of(tag)}
    types = sorted({fold(sample.entity_type) for sample in read_benchmark(benchmark)})
    if left := [kind for kind in types if kind not in answered]:
        shown = printable(", ".join(left[:40])) + (f" and {len(left) - 40:,} more" if len(left) > 40 else "")
        typer.echo(f"# types of {benchmark} that only a tag of the same name answers for: {shown}")
