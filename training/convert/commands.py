"""The command ``convert``. Heavy imports stand inside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from annotator.terminal.exits import exits
from training.flags import PANEL, AsJson, Debug, Quiet, print_json

app = typer.Typer()
_LENGTH = typer.Option(
    "--max-sample-tokens", help="Longest input and output together; 0: no limit.", show_default="1024; conll, enamex: 0"
)
_COLUMNS = typer.Option("--columns", help="conll: columns with tags, from 1, such as 4,5.", show_default="the last")


@app.command(rich_help_panel=PANEL)
def convert(  # noqa: PLR0913, PLR0917 - the parameters of a command are its flags
    name: Annotated[
        str, typer.Argument(metavar="FORMAT", help="pile-ner, squad, alpaca, parallel, conll, enamex or samples.")
    ],
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE...", help="Files and folders of your copy.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Write this Parquet file.")],
    types: Annotated[
        Optional[Path],  # noqa: UP045 - read by typer
        typer.Option(help='Read names of types from TOML: PER = "person"; "" leaves one out.'),
    ] = None,
    published_set: Annotated[
        str, typer.Option("--set", help="Ask for all types of this published set, and show its sizes.")
    ] = "",
    without_empty: Annotated[
        bool, typer.Option("--without-empty", help="Leave out samples whose answer is []: EngNER_01.")
    ] = False,
    share: Annotated[float, typer.Option(help="Keep this share of the passages, drawn by seed.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of --share and --direction random.")] = 0,
    tokenizer: Annotated[
        str, typer.Option(help="Count with llama3, hf:NAME (hf:bigscience/mt0-base) or a path.")
    ] = "llama3",
    max_sample_tokens: Annotated[Optional[int], _LENGTH] = None,  # noqa: UP045
    columns: Annotated[str, _COLUMNS] = "",
    level: Annotated[str, typer.Option(help="conll: syllable or word (Hà_Nội), or auto.")] = "auto",
    unit: Annotated[str, typer.Option(help="enamex: ask about each sentence or each line.")] = "sentence",
    levels: Annotated[int, typer.Option(help="enamex: how deep nested mentions count.")] = 3,
    direction: Annotated[str, typer.Option(help="parallel: both, random (one a pair), en-vi or vi-en.")] = "both",
    split: Annotated[str, typer.Option(help="samples: train, validation, test or all.")] = "all",
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Convert another data set to samples: training sets, and benchmarks with a question for each type."""
    with exits(debug, kept="nothing was written"):
        from annotator.errors import ConfigError
        from annotator.terminal.progress import make_progress
        from training.convert import convert as converting
        from training.convert.options import Options
        from training.convert.report import show

        if name not in converting.FORMATS:
            raise ConfigError(f"no format {name!r}; formats: {', '.join(converting.FORMATS)}")
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
        raise ConfigError(f"--columns wants numbers such as 4,5, not {columns!r}") from None
