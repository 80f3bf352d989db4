"""The commands ``train`` and ``experiment``. Heavy imports stand inside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from annotator.terminal.exits import exits

app = typer.Typer()

_PANEL = "Train and evaluate"
_KEPT = "finished stages and the last checkpoint are kept"

Data = Annotated[
    Optional[Path],  # noqa: UP045 - read by typer
    typer.Option("--data", help="Folder with the converted Parquet files (docs/train.md has their names)."),
]
Model = Annotated[str, typer.Option("--model", help="Another model: a folder, or a name on the Hub.")]
Limit = Annotated[int, typer.Option("--limit", min=0, help="Samples of each data set at most; 0: all.")]
Set = Annotated[
    Optional[list[str]],  # noqa: UP045 - read by typer
    typer.Option("--set", help="Another hyper-parameter: name=value, or STAGE.name=value; may be repeated."),
]
Device = Annotated[str, typer.Option("--device", help="cpu or cuda.", show_default="the GPU where there is one")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Begin again; what a training made in --out is removed.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress display.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Out = Annotated[
    Optional[Path],  # noqa: UP045 - read by typer
    typer.Option("--out", "-o", help="Folder for what is made; the same command goes on there."),
]


@app.command(rich_help_panel=_PANEL)
def train(  # noqa: PLR0913, PLR0917 - the parameters of a command are its flags
    recipe: Annotated[
        str, typer.Argument(metavar="[RECIPE]", help="A recipe of the document by name, or a .toml file.")
    ] = "",
    data: Data = None,
    out: Out = None,
    show: Annotated[bool, typer.Option("--show", help="Print what the recipe resolves to; train nothing.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="List the recipes; train nothing.")] = False,
    model: Model = "",
    limit: Limit = 0,
    settings: Set = None,
    merge: Annotated[bool, typer.Option("--merge", help="Write OUT/merged too: a model without adapter.")] = False,
    device: Device = "",
    fresh: Fresh = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Fine-tune a student by a recipe, stage by stage; after an interruption the same command goes on."""
    with exits(debug, out, kept=_KEPT):
        from annotator.errors import ConfigError
        from training.learning import view
        from training.learning.recipes import Changes, load_recipe, shipped

        if listed:
            view.print_recipes([load_recipe(name) for name in shipped()], as_json=as_json)
            return
        if not recipe:
            raise ConfigError("which recipe? vner-annotate train --list shows them; or give the path of a .toml file")
        resolved = load_recipe(recipe, Changes(model, limit, tuple(settings or ())))
        if show:
            view.print_recipe(resolved, as_json=as_json)
            return
        if out is None or data is None:
            raise ConfigError(
                "train wants --data DIR (the converted files) and --out DIR; --show only shows the recipe"
            )
        from annotator.terminal.progress import make_progress
        from training.learning.training import Job
        from training.learning.training import train as run

        record = run(Job(resolved, data, out, device, merge, fresh), make_progress(quiet=quiet))
        view.print_trained(record, out, merged=merge, as_json=as_json)


@app.command(rich_help_panel=_PANEL)
def experiment(  # noqa: PLR0913, PLR0917 - the parameters of a command are its flags
    name: Annotated[str, typer.Argument(metavar="NAME", help="table-4.1, table-4.2, figure-4.2 or figure-4.3.")],
    data: Annotated[Path, typer.Option("--data", help="Folder with the converted Parquet files.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for what is made; the same command goes on there.")],
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Repeat with so many seeds: mean and spread.")] = 1,
    model: Model = "",
    limit: Annotated[
        int, typer.Option("--limit", min=0, help="Samples of each data set and benchmark at most; 0: all.")
    ] = 0,
    settings: Set = None,
    device: Device = "",
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Train, predict and score all rows of a table or figure of the document, and write ours beside its."""
    with exits(debug, out, kept=_KEPT):
        from annotator.terminal.progress import make_progress
        from training.learning import view
        from training.learning.experiments import Plan, run
        from training.learning.recipes import Changes

        plan = Plan(name, data, out, Changes(model, limit, tuple(settings or ())), seeds, device)
        report = run(plan, make_progress(quiet=quiet))
        if as_json:
            _print_json(report)
        else:
            view.print_experiment(report, out)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))
