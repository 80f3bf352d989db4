"""The command ``convert``. Heavy imports stand inside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from annotator.terminal.exits import exits
from annotator.terminal.flags import AsJson, Debug, Quiet, print_json

_FORMAT = "Options of one format"
_LENGTH = typer.Option(
    "--max-sample-tokens",
    metavar="N",
    help="Drop samples with more tokens of input and output; 0 means no limit.",
    show_default="1024; conll, enamex: 0",
)
_COLUMNS = typer.Option(
    "--columns",
    metavar="N,N",
    help="Read tags from these columns, counted from 1 (conll).",
    show_default="the last",
    rich_help_panel=_FORMAT,
)


def convert(  # noqa: PLR0913, PLR0917 - the parameters of a command are its flags
    name: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT", help="pile-ner, squad, alpaca, parallel, conll, enamex or samples (docs/convert.md)."
        ),
    ],
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE...", help="Files and folders of your copy.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Write this Parquet file.")],
    types: Annotated[
        Optional[Path],  # noqa: UP045 - read by typer
        typer.Option(metavar="FILE", help='Rename types by this TOML file: PER = "person"; "" drops one.'),
    ] = None,
    published_set: Annotated[
        str, typer.Option("--set", metavar="NAME", help="Ask for all types of this published set, and show its sizes.")
    ] = "",
    without_empty: Annotated[
        bool, typer.Option("--without-empty", help="Drop samples whose output is [], as EngNER_01 does.")
    ] = False,
    share: Annotated[
        float, typer.Option(metavar="SHARE", help="Keep this share of the passages, drawn by --seed.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed --share and --direction random.")] = 0,
    tokenizer: Annotated[
        str, typer.Option(metavar="NAME", help="Count tokens with llama3, hf:NAME (hf:bigscience/mt0-base) or a file.")
    ] = "llama3",
    max_sample_tokens: Annotated[Optional[int], _LENGTH] = None,  # noqa: UP045
    columns: Annotated[str, _COLUMNS] = "",
    level: Annotated[
        str,
        typer.Option(
            metavar="auto|syllable|word",
            help="Read syllables, or words such as Hà_Nội (conll).",
            rich_help_panel=_FORMAT,
        ),
    ] = "auto",
    unit: Annotated[
        str,
        typer.Option(
            metavar="sentence|line", help="Ask about each sentence or each line (enamex).", rich_help_panel=_FORMAT
        ),
    ] = "sentence",
    levels: Annotated[
        int, typer.Option(metavar="N", help="Count mentions nested as deep as this (enamex).", rich_help_panel=_FORMAT)
    ] = 3,
    direction: Annotated[
        str,
        typer.Option(
            metavar="both|random|en-vi|vi-en",
            help="Translate this way; random: one way per pair (parallel).",
            rich_help_panel=_FORMAT,
        ),
    ] = "both",
    split: Annotated[
        str,
        typer.Option(
            metavar="all|train|validation|test", help="Convert this split (samples).", rich_help_panel=_FORMAT
        ),
    ] = "all",
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Convert another dataset to samples: training sets, and benchmarks with a question for each type.

    Examples:
        vner-annotate convert conll test_syllable.conll --set phoner-covid19 --out data/phoner-test.parquet
        vner-annotate convert samples runs/news --split train --out data/news.parquet
    """
    with exits(debug, kept="nothing was written"):
        from annotator.errors import ConfigError, did_you_mean
        from annotator.terminal.progress import make_progress
        from training.convert import convert as converting
        from training.convert.options import Options
        from training.convert.report import show

        if name not in converting.FORMATS:
            raise ConfigError(f"no format {name!r}{did_you_mean(name, converting.FORMATS, listed=True)}")
        options = Options(types=types, set=published_set, without_empty=without_empty, share=share, seed=seed,
                          tokenizer=tokenizer, max_sample_tokens=max_sample_tokens, columns=_numbers(columns),
                          level=level, unit=unit, levels=levels, direction=direction, split=split)  # fmt: skip
        report = converting.convert(name, sources, out, options, make_progress(quiet=quiet))
        print_json(report) if as_json else show(report)


def _numbers(columns: str) -> tuple[int, ...]:
    from annotator.errors import ConfigError

    try:
        return tuple(int(column) for column in columns.split(",") if column.strip())
    except ValueError:
        raise ConfigError(f"--columns takes numbers such as 4,5, not {columns!r}") from None
