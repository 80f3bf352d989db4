"""``experiment``: train, predict and score all rows of a table or figure of the thesis, beside its figures.

Stages that rows share are trained once, and queries that are answered are not asked again.
"""

from __future__ import annotations

import dataclasses
import statistics
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Final

import numpy as np

from annotator.errors import ConfigError, did_you_mean
from annotator.storage import tables
from annotator.storage.atomic import replacing, write_json
from training.benchmarks import read_benchmark
from training.predict import seq2seq
from training.predict.running import predict
from training.score.evaluating import evaluate
from training.tables import Grid, percent, write_markdown
from training.train.changes import Changes
from training.train.data import find
from training.train.directories import Job, held, register
from training.train.figures import comparison, learning_curve
from training.train.recipes import Recipe, load_recipe
from training.train.stages import STAGES, check, run_stages, stage_record, versions

NAMES: Final = ("table-4.1", "table-4.2", "figure-4.2", "figure-4.3")
MATCHINGS: Final = ("strict", "relaxed")
COMPARED: Final = "relaxed"
"""The matching that is compared with the thesis's figures, which call theirs relaxed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A table or figure of the thesis."""

    title: str
    benchmarks: Sequence[str]
    rows: Sequence[str]
    """Recipes."""
    repeat: str = ""
    """The stage that each seed trains again; empty: all stages."""
    others: Mapping[str, float] = field(default_factory=dict)
    """F1 in percent, by name, of other work that the thesis cites."""
    axis: str = ""
    """What the labels of the rows count, which are drawn as a curve; empty: as bars."""


def load_experiment(name: str) -> Experiment:
    """Load an experiment by its name; a ConfigError lists the names."""
    if name not in NAMES:
        raise ConfigError(f"no experiment {name!r}{did_you_mean(name, NAMES, listed=True)}")
    entry = tomllib.loads((resources.files("training") / "experiments" / f"{name}.toml").read_text(encoding="utf-8"))
    return Experiment(**entry)


def run(name: str, job: Job, changes: Changes, seeds: int = 1) -> dict[str, Any]:
    """Train, predict and score what is not done yet, write ``NAME.md`` and the figure, and return ``NAME.json``.

    Raises:
        ConfigError: there is no such experiment, or a change fits none of its recipes.
        StudentError: data are missing (reported before anything is trained), or a training cannot go on.
    """
    experiment = load_experiment(name)
    rows = [_variants(row, experiment, changes, seeds) for row in experiment.rows]
    recipe = rows[0][0]
    benchmarks = {one: recipe.benchmarks[one] for one in experiment.benchmarks}
    sets = {key: item for row in rows for key, item in row[0].sets.items()}
    job = check(job, sets | benchmarks)
    with held(job.out):
        register(
            job.out, [STAGES, "benchmarks", "predictions", *(f"{name}.{kind}" for kind in ("json", "md", "png", "svg"))]
        )
        paths = {one: _limited(path, changes.limit, job.out) for one, path in find(benchmarks, job.data).items()}
        report = {
            "name": name,
            "title": experiment.title,
            "benchmarks": experiment.benchmarks,
            "model": recipe.model,
            "limit": changes.limit,
            "set": changes.sets or [],
            "seeds": seeds,
            "repeated": experiment.repeat or "all stages",
            "compared": COMPARED,
            "others": experiment.others,
            "rows": [_row(row, paths, job) for row in rows],
            "made_by": versions(),
        }
        write_json(job.out / f"{name}.json", report)
        write_markdown(job.out / f"{name}.md", [grid(report)])
        if experiment.axis:
            learning_curve(job.out / name, report, experiment.axis)
        else:
            comparison(job.out / name, report)
        return report


def _variants(row: str, experiment: Experiment, changes: Changes, seeds: int) -> list[Recipe]:
    """Return the recipe of a row with each seed; ``--set`` of stages that only other rows have is left out."""
    stages = {name: {stage.name for stage in load_recipe(name).stages} for name in experiment.rows}
    elsewhere = set().union(*stages.values()) - stages[row]
    recipes = []
    for seed in range(seeds):
        sets = [*(changes.sets or ()), *([f"{experiment.repeat}.seed={seed}".lstrip(".")] if seeds > 1 else [])]
        own = [one for one in sets if one.partition(".")[0] not in elsewhere]
        recipes.append(load_recipe(row, dataclasses.replace(changes, sets=own)))
    return recipes


def _row(variants: Sequence[Recipe], benchmarks: Mapping[str, Path], job: Job) -> dict[str, Any]:
    """Train, predict and score a row with all its seeds; seeds that give the same student count once."""
    first = variants[0]
    job.progress.say(f"{first.name}: {first.label}")
    trained = {folders[-1]: folders for folders in (run_stages(recipe, job) for recipe in variants)}
    stages = [stage_record(folder) for folder in next(iter(trained.values()))]
    ours: dict[str, Any] = {}
    for name, benchmark in benchmarks.items():
        scores = [_scores(student, benchmark, job) for student in trained]
        ours[name] = {matching: _spread([one[matching] for one in scores]) for matching in MATCHINGS}
    return {
        "recipe": first.name,
        "label": first.label,
        "published": {name: first.published[name] for name in benchmarks if name in first.published},
        "samples": [stage["samples"] for stage in stages],
        "steps": [stage["steps"] for stage in stages],
        "ours": ours,
    }


def _scores(student: Path, benchmark: Path, job: Job) -> dict[str, float]:
    """Predict what is not answered yet, and return the micro F1 by matching, as shares."""
    answers = job.out / "predictions" / f"{benchmark.stem}-{student.name}.jsonl"
    predict(benchmark, seq2seq.make(str(student), device=job.device), answers, job.progress)
    report = evaluate(benchmark, answers, job.progress.say)
    return {matching: float(report[matching]["micro"]["f1"]) for matching in MATCHINGS}


def _limited(benchmark: Path, limit: int, out: Path) -> Path:
    """Return the benchmark, or a copy with ``limit`` of its queries at most, drawn by a fixed seed."""
    if not limit:
        return benchmark
    samples = read_benchmark(benchmark)
    drawn = np.sort(np.random.default_rng(0).permutation(len(samples))[:limit])
    path = out / "benchmarks" / f"{benchmark.stem}-{limit}.parquet"
    with replacing(path) as file:
        tables.write_records(file, tables.SAMPLE, (samples[number] for number in drawn))
    return path


def _spread(values: Sequence[float]) -> dict[str, Any]:
    """Return mean and sample standard deviation over the seeds."""
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.fmean(values), "spread": spread, "values": values}


def grid(report: Mapping[str, Any]) -> Grid:
    """Return the report as a table of F1 in percent: ours under both matchings, and the thesis's."""
    head = ["training data", "samples"]
    for name in report["benchmarks"]:
        head += [f"{name}: ours, strict", f"{name}: ours, relaxed", f"{name}: the thesis"]
    rows = []
    for row in report["rows"]:
        cells = [row["label"], " + ".join(f"{number:,}" for number in row["samples"])]
        for name in report["benchmarks"]:
            for one in (row["ours"][name][matching] for matching in MATCHINGS):
                spread = f" ± {percent(one['spread'])}" if len(one["values"]) > 1 else ""
                cells.append(percent(one["mean"]) + spread)
            published = row["published"].get(name)
            cells.append("not given" if published is None else f"{published:.2f}")
        rows.append(cells)
    notes = [f"Micro F1 in percent; model {report['model']}."]
    if report["seeds"] > 1:
        notes.append(f"Mean ± standard deviation over {report['seeds']} seeds (repeated: {report['repeated']}).")
    if report["limit"] or report["set"]:
        limits = [f"{report['limit']:,} samples of each data set at most"] if report["limit"] else []
        notes.append(f"Scaled down or changed: {'; '.join([*limits, *report['set']])}. Not a reproduction.")
    notes += [f"{name}: {value:g} (as the thesis cites it)." for name, value in report["others"].items()]
    return Grid(report["title"], head, rows, " ".join(notes))
