"""The command ``convert``. Heavy imports stand inside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from annotator.terminal.exits import exits

app = typer.Typer()

_PANEL = "Train and evaluate"


@app.command(rich_help_panel=_PANEL)
def convert(  # noqa: PLR0913, PLR0917 - the parameters of a command are its flags
    name: Annotated[
        str,
        typer.Argument(metavar="FORMAT", help="pile-ner, squad, alpaca, parallel, conll, enamex or samples."),
    ],
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE...", help="Files and folders of your copy.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The Parquet file to write.")],
    types: Annotated[
        Optional[Path],  # noqa: UP045 - read by typer
        typer.Option("--types", help='TOML file with names for types: PER = "person"; "" leaves one out.'),
    ] = None,
    published_set: Annotated[
        str, typer.Option("--set", help="The published set this is: its types are all asked for, its sizes shown.")
    ] = "",
    without_empty: Annotated[
        bool, typer.Option("--without-empty", help="Leave out samples whose answer is []: EngNER_01.")
    ] = False,
    share: Annotated[float, typer.Option("--share", help="Keep this share of the passages, drawn by seed.")] = 1.0,
    seed: Annotated[int, typer.Option("--seed", help="Seed of --share and --direction random.")] = 0,
    tokenizer: Annotated[
        str,
        typer.Option("--tokenizer", help="llama3, hf:NAME (the student's: hf:bigscience/mt0-base) or a path."),
    ] = "llama3",
    max_sample_tokens: Annotated[
        Optional[int],  # noqa: UP045 - read by typer
        typer.Option(
            "--max-sample-tokens",
            help="Longest input and output together; 0: no limit.",
            show_default="1024; conll, enamex: 0",
        ),
    ] = None,
    columns: Annotated[
        str, typer.Option("--columns", help="conll: columns with tags, from 1, such as 4,5.", show_default="the last")
    ] = "",
    level: Annotated[str, typer.Option("--level", help="conll: syllable or word (Hà_Nội), or auto.")] = "auto",
    unit: Annotated[str, typer.Option("--unit", help="enamex: ask about each sentence or each line.")] = "sentence",
    levels: Annotated[int, typer.Option("--levels", help="enamex: how deep nested mentions count.")] = 3,
    direction: Annotated[
        str, typer.Option("--direction", help="parallel: both, random (one a pair), en-vi or vi-en.")
    ] = "both",
    split: Annotated[str, typer.Option("--split", help="samples: train, validation, test or all.")] = "all",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress display.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Turn another data set into samples: training sets, and benchmarks with a question for each type."""
    with exits(debug, kept="nothing was written"):
        from annotator.errors import ConfigError
        from annotator.terminal.progress import make_progress
        from training.converting import converting
        from training.converting.options import Options
        from training.converting.view import show

        if name not in converting.FORMATS:
            raise ConfigError(f"no format {name!r}; formats: {', '.join(converting.FORMATS)}")
        options = Options(
            types=types,
            set=published_set,
            without_empty=without_empty,
            share=share,
            seed=seed,
            tokenizer=tokenizer,
            max_sample_tokens=max_sample_tokens,
            columns=_numbers(columns),
            level=level,
            unit=unit,
            levels=levels,
            direction=direction,
            split=split,
        )
        report: dict[str, Any] = converting.convert(name, sources, out, options, make_progress(quiet=quiet))
        if as_json:
            typer.echo(json.dumps(report, ensure_ascii=False, indent=2))
        else:
            show(report)


def _numbers(columns: str) -> tuple[int, ...]:
    from annotator.errors import ConfigError

    try:
        return tuple(int(column) for column in columns.split(",") if column.strip())
    except ValueError:
        raise ConfigError(f"--columns wants numbers such as 4,5, not {columns!r}") from None
