"""Options of a conversion, as the command line has them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer


def _of_format(metavar: str, text: str, **more: Any) -> Any:
    return typer.Option(metavar=metavar, help=text, rich_help_panel="Options of one format", **more)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Settings of one conversion; a format takes some of them."""

    types: Annotated[
        Path | None, typer.Option(metavar="FILE", help='Rename types by this TOML file: PER = "person"; "" drops one.')
    ] = None
    set: Annotated[
        str, typer.Option(metavar="NAME", help="Ask for all types of this published set, and show its sizes.")
    ] = ""
    without_empty: Annotated[
        bool, typer.Option("--without-empty", help="Drop samples whose output is [], as EngNER_01 does.")
    ] = False
    share: Annotated[
        float, typer.Option(metavar="SHARE", help="Keep this share of the passages, drawn by --seed.", min=0, max=1)
    ] = 1.0
    seed: Annotated[int, typer.Option(metavar="N", help="Seed --share and --direction random.", min=0)] = 0
    tokenizer: Annotated[
        str, typer.Option(metavar="NAME", help="Count tokens with llama3, hf:NAME (hf:bigscience/mt0-base) or a file.")
    ] = "llama3"
    max_sample_tokens: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Drop samples with more tokens of input and output; 0 means no limit.",
            show_default="1024; conll, enamex: 0",
            min=0,
        ),
    ] = None
    columns: Annotated[
        str,
        _of_format("N,N", "Read tags from these columns, counted from 1 (conll).", show_default="the last"),
    ] = ""
    level: Annotated[
        Literal["auto", "syllable", "word"],
        _of_format("auto|syllable|word", "Read syllables, or words such as Hà_Nội (conll)."),
    ] = "auto"
    unit: Annotated[
        Literal["sentence", "line"], _of_format("sentence|line", "Ask about each sentence or each line (enamex).")
    ] = "sentence"
    levels: Annotated[int, _of_format("N", "Count mentions nested as deep as this (enamex).", min=1)] = 3
    direction: Annotated[
        Literal["both", "random", "en-vi", "vi-en"],
        _of_format("both|random|en-vi|vi-en", "Translate this way; random: one way per pair (parallel)."),
    ] = "both"
    split: Annotated[
        Literal["all", "train", "validation", "test"],
        _of_format("all|train|validation|test", "Convert this split (samples)."),
    ] = "all"
