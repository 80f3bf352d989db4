"""The commands ``train`` and ``experiment``, and what they print. Heavy imports stand inside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from annotator.terminal.exits import exits
from annotator.terminal.flags import AsJson, Debug, Quiet, print_json, with_options
from annotator.terminal.words import plural
from training.train.changes import Changes

if TYPE_CHECKING:
    from training.train.recipes import Recipe

_KEPT = "finished stages and the last checkpoint are kept"
_DATA = typer.Option("--data", metavar="DIR", help="Read converted Parquet files from this folder (docs/train.md).")
_OUT = typer.Option("--out", "-o", metavar="DIR", help="Write to this folder; the same command continues there.")
Device = Annotated[
    str, typer.Option(metavar="cpu|cuda", help="Train on this device.", show_default="the GPU where there is one")
]


@with_options
def train(  # noqa: PLR0913 - the parameters of a command are its flags
    *,
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A recipe of the thesis by name (--list), or a TOML file.")
    ] = "",
    data: Annotated[Path | None, _DATA] = None,
    out: Annotated[Path | None, _OUT] = None,
    show: Annotated[bool, typer.Option("--show", help="Print the resolved recipe and train nothing.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="List the recipes and train nothing.")] = False,
    options: Changes,
    merge: Annotated[bool, typer.Option("--merge", help="Write DIR/merged too, a model without adapter.")] = False,
    device: Device = "",
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin again; delete what train wrote to DIR.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Fine-tune a student by a recipe, stage by stage.

    After an interruption the same command continues.

    Examples:
        vner-annotate train --list
        vner-annotate train table-4.2.phomt-viquad --data data/ --out students/two-stages --merge
    """
    with exits(debug, out, kept=_KEPT):
        from annotator.errors import ConfigError
        from training.train.recipes import load_recipe, shipped

        if listed:
            recipes = {name: load_recipe(name) for name in shipped()}
            if as_json:
                print_json({name: one.model_dump() for name, one in recipes.items()})
            else:
                typer.echo("\n".join(f"{name:<34}{one.description}" for name, one in recipes.items()))
            return
        if not recipe:
            raise ConfigError("which recipe? vner-annotate train --list shows them; or give the path of a .toml file")
        resolved = load_recipe(recipe, options)
        if show:
            print_json(resolved.model_dump()) if as_json else _print_recipe(resolved)
            return
        if out is None or data is None:
            raise ConfigError(
                "train needs --data DIR (the converted files) and --out DIR; --show only shows the recipe"
            )
        from annotator.terminal.progress import make_progress
        from training.train.directories import Job
        from training.train.stages import train as run

        job = Job(data, out, device, make_progress(quiet=quiet))
        record = run(resolved, job, merged=merge, fresh=fresh)
        if as_json:
            print_json({**record, "out": str(out), "merged": str(out / "merged") if merge else None})
        else:
            _print_trained(record, out, out / "merged" if merge else out)


@with_options
def experiment(  # noqa: PLR0913 - the parameters of a command are its flags
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="table-4.1, table-4.2, figure-4.2 or figure-4.3.")],
    data: Annotated[Path, _DATA],
    out: Annotated[Path, _OUT],
    seeds: Annotated[
        int, typer.Option(metavar="N", min=1, help="Repeat with this many seeds, for mean and spread.")
    ] = 1,
    options: Changes,
    device: Device = "",
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Train, predict and score all rows of a table or figure of the thesis, beside its figures.

    Examples:
        vner-annotate experiment figure-4.2 --data data/ --out experiments --seeds 3
    """
    with exits(debug, out, kept=_KEPT):
        from annotator.terminal.progress import make_progress
        from training.tables import show_grids
        from training.train.directories import Job
        from training.train.experiments import grid, run

        report = run(name, Job(data, out, device, make_progress(quiet=quiet)), options, seeds)
        if as_json:
            print_json(report)
        else:
            show_grids([grid(report)])
            typer.echo(f"{out / name}.md, .json, .png, .svg", err=True)


def _print_recipe(recipe: Recipe) -> None:
    """Print everything that a recipe resolves to; settings that are the same in all stages are printed once."""
    from training.train.recipes import Settings

    typer.echo(f"{recipe.name}: {recipe.description}\nmodel  {recipe.model}")
    for number, stage in enumerate(recipe.stages, start=1):
        typer.echo(f"\nstage {number}: {stage.name}")
        for portion in stage.data:
            options = portion.model_dump(exclude_defaults=True, exclude={"set"})
            listed = ", ".join(f"{name} = {json.dumps(value)}" for name, value in options.items())
            rows = recipe.sets[portion.set].rows
            published = f" (the thesis has {rows:,} samples)" if rows else ""
            typer.echo(f"  {recipe.sets[portion.set].file:<26}{listed or 'all'}{published}")
    typer.echo("\nsettings (of all stages, or stage by stage)")
    for name, setting in Settings.model_fields.items():
        values = [str(getattr(stage.settings, name)) for stage in recipe.stages]
        shown = " | ".join(values if len(set(values)) > 1 else values[:1])
        typer.echo(f"  {name:<18}{shown:<12}{setting.description}")
    typer.echo("\nbenchmarks")
    for name, benchmark in recipe.benchmarks.items():
        published = f"the thesis: F1 {recipe.published[name]:.2f}" if name in recipe.published else ""
        typer.echo(f"  {benchmark.file:<26}{published}".rstrip())
    typer.echo("\nfiles it needs in --data, and the commands that write them")
    for data_set in (*recipe.sets.values(), *recipe.benchmarks.values()):
        typer.echo(f"  {data_set.convert.format(out='DATA/' + data_set.file)}")


def _print_trained(record: Mapping[str, Any], out: Path, student: Path) -> None:
    """Print the data that were used, how the training ended, and the command that comes next."""
    for stage in record["stages"]:
        sets = " + ".join(f"{selected['rows']:,} of {selected['set']}" for selected in stage["data"])
        too_long = f" ({stage['too_long']:,} too long)" if stage["too_long"] else ""
        typer.echo(f"stage {stage['stage']}: {plural(stage['samples'], 'sample')}{too_long}: {sets}; "
                   f"{plural(stage['steps'], 'step')}, mean loss {stage['loss']:.3f}")  # fmt: skip
    last = record["stages"][-1]
    typer.echo(f"{last['trainable']:,} of {last['parameters']:,} parameters trained "
               f"({100 * last['trainable'] / last['parameters']:.4f} %), in {last['settings']['precision']} "
               f"on {record['device']}")  # fmt: skip
    typer.echo(f"student: {out}; loss: {out / 'loss.png'}; record: {out / 'training.json'}")
    typer.echo(f"next: vner-annotate predict BENCHMARK.parquet --predictor hf:{student} --out predictions.jsonl")
