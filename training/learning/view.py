"""What a person sees of recipes, trainings and experiments in the terminal."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from training.learning.recipes import Portion, Recipe
from training.learning.settings import Settings


def print_recipes(recipes: Sequence[Recipe], *, as_json: bool) -> None:
    """Name and description of each."""
    if as_json:
        print_json({recipe.name: recipe.as_dict() for recipe in recipes})
        return
    width = max(len(recipe.name) for recipe in recipes)
    for recipe in recipes:
        typer.echo(f"{recipe.name:<{width}}  {recipe.description}")


def print_recipe(recipe: Recipe, *, as_json: bool) -> None:
    """Everything that a recipe resolves to; settings that are the same in all stages stand once."""
    if as_json:
        print_json(recipe.as_dict())
        return
    typer.echo(f"{recipe.name}: {recipe.description}")
    typer.echo(f"model  {recipe.model}")
    for number, stage in enumerate(recipe.stages, start=1):
        typer.echo(f"\nstage {number}: {stage.name}")
        for portion in stage.data:
            typer.echo(f"  {recipe.sets[portion.set].file:<26}{_taken(portion, recipe)}")
    if recipe.stages:
        typer.echo("\nsettings" if len(recipe.stages) == 1 else "\nsettings (of all stages, or stage by stage)")
        for item in dataclasses.fields(Settings):
            values = [str(getattr(stage.settings, item.name)) for stage in recipe.stages]
            shown = values[0] if len(set(values)) == 1 else " | ".join(values)
            typer.echo(f"  {item.name:<18}{shown:<12}{item.metadata['help']}")
    typer.echo("\nbenchmarks")
    for benchmark in recipe.benchmarks:
        published = recipe.published.get(benchmark.name)
        typer.echo(f"  {benchmark.file:<26}{'' if published is None else f'the document: F1 {published:.2f}'}".rstrip())
    typer.echo("\ndata that it wants in --data, and what makes them")
    for data_set in (*(recipe.sets[name] for name in recipe.used), *recipe.benchmarks):
        typer.echo(f"  {data_set.convert.format(out='DATA/' + data_set.file)}")


def print_trained(record: Mapping[str, Any], out: Path, *, merged: bool, as_json: bool) -> None:
    """What was learnt from, how it ended, and what to do with it."""
    if as_json:
        print_json({**record, "out": str(out), "merged": str(out / "merged") if merged else None})
        return
    for stage in record["stages"]:
        sets = " + ".join(f"{taken['rows']:,} of {taken['set']}" for taken in stage["data"])
        too_long = f" ({stage['too_long']:,} too long)" if stage["too_long"] else ""
        typer.echo(f"stage {stage['stage']}: {stage['samples']:,} samples{too_long}: {sets}; {stage['steps']:,} steps, "
                   f"mean loss {stage['loss']:.3f}")  # fmt: skip
    last = record["stages"][-1]
    typer.echo(f"{last['trainable']:,} of {last['parameters']:,} parameters learnt "
               f"({100 * last['trainable'] / last['parameters']:.4f} %), in {last['settings']['precision']} "
               f"on {record['device']}")  # fmt: skip
    typer.echo(f"student: {out}; loss: {out / 'loss.png'}; made of: {out / 'training.json'}")
    student = out / "merged" if merged else out
    typer.echo(f"next: vner-annotate predict BENCHMARK.parquet --predictor hf:{student} --out predictions.jsonl")


def print_experiment(report: Mapping[str, Any], out: Path) -> None:
    """The table, and where it lies."""
    typer.echo((out / f"{report['name']}.md").read_text(encoding="utf-8"))
    typer.echo(f"{out / report['name']}.md, .json, .png, .svg", err=True)


def print_json(value: Any) -> None:
    """One JSON object on stdout."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def _taken(portion: Portion, recipe: Recipe) -> str:
    parts = [
        "" if portion.empty else "without empty answers",
        f"{portion.share:.0%} of it" if portion.share < 1 else "",
        f"{portion.passages:,} passages" if portion.passages else "",
        f"{portion.limit:,} samples at most" if portion.limit else "",
    ]
    said = ", ".join(part for part in parts if part) or "all"
    rows = recipe.sets[portion.set].rows
    return said + (f" (the document has {rows:,} samples)" if rows else "")
