"""``experiment``: all rows of a table or figure of the thesis, trained, predicted, scored, and beside its figures.

Nothing is done twice: stages that rows share are trained once, and a row that is scored is read from its file.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Final

from annotator.errors import ConfigError, did_you_mean
from annotator.storage import tables
from annotator.storage.atomic import replacing, write_json
from annotator.terminal.events import Progress
from training.students import check_extra, load_tokenizer
from training.tables import Grid, markdown, percent
from training.train import data
from training.train.changes import Changes
from training.train.directories import TrainingDirectories, held, register
from training.train.recipes import Portion, Recipe, load_recipe
from training.train.stages import model_identity, run_stages
from training.train.training import settle_device, versions

NAMES: Final = ("table-4.1", "table-4.2", "figure-4.2", "figure-4.3")
MATCHINGS: Final = ("strict", "relaxed")
COMPARED: Final = "relaxed"
"""The matching that stands beside the thesis's figures, which call theirs relaxed."""


def predict_with(student: str, benchmark: Path, out: Path, device: str, progress: Progress) -> None:
    """Answer the queries of ``benchmark`` with ``student``; ``out`` gets ``{id, output}`` lines, and is continued."""
    from training.predict.predictors import PredictorOptions, make_predictor
    from training.predict.running import predict

    predict(benchmark, make_predictor(f"hf:{student}", out, PredictorOptions(device=device)), out, progress)


def score_of(benchmark: Path, predictions: Path, progress: Progress) -> dict[str, float]:
    """Return the micro F1 of ``predictions`` as shares, by matching."""
    from training.score.evaluating import evaluate

    report = evaluate(benchmark, predictions, progress.say)
    return {matching: float(report[matching]["micro"]["f1"]) for matching in MATCHINGS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A table or figure of the thesis."""

    name: str
    title: str
    kind: str
    """``table`` or ``curve``."""
    benchmarks: Sequence[str]
    rows: Sequence[str]
    """Recipes."""
    repeat: Sequence[str] = ()
    """Stages that other seeds train again; none: all."""
    others: Mapping[str, float] = field(default_factory=dict)
    """Results that the thesis compares with: name -> F1 in percent."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Arguments of ``experiment``."""

    name: str
    data: Path
    out: Path
    changes: Changes
    seeds: int = 1
    device: str = ""


def load_experiment(name: str) -> Experiment:
    """Load an experiment by its name.

    Raises:
        ConfigError: there is none.
    """
    if name not in NAMES:
        raise ConfigError(f"no experiment {name!r}{did_you_mean(name, NAMES, listed=True)}")
    entry = tomllib.loads((resources.files("training") / "experiments" / f"{name}.toml").read_text(encoding="utf-8"))
    return Experiment(name=name, **entry)


def run(plan: Plan, progress: Progress) -> dict[str, Any]:
    """Do what is not done yet, and write ``NAME.md``, ``NAME.json`` and the figure.

    Returns:
        The content of the JSON file.

    Raises:
        ConfigError: there is no such experiment, or a change fits none of its recipes.
        StudentError: data are missing (reported before anything is trained), or a training cannot go on.
    """
    from training.train.figures import Result, bars, curve

    experiment = load_experiment(plan.name)
    plain = [load_recipe(row) for row in experiment.rows]
    variants = [_seeds(recipe, plain, plan, experiment) for recipe in plain]
    recipes = [recipe for row in variants for recipe in row]
    sets = {name: item for recipe in recipes for name, item in recipe.sets.items()}
    sets |= {item.name: item for item in recipes[0].benchmarks if item.name in experiment.benchmarks}
    found = data.find(sets, plan.data)
    check_extra()
    places = TrainingDirectories(plan.data, plan.out, settle_device(plan.device))
    with held(plan.out):
        products = [f"{plan.name}.{kind}" for kind in ("json", "md", "png", "svg")]
        register(plan.out, ["stages", "scores", "predictions", "benchmarks", *products])
        benchmarks = {name: _limited(found[name], plan) for name in experiment.benchmarks}
        rows = []
        for number, row in enumerate(variants, start=1):
            progress.say(f"{plan.name}, row {number} of {len(variants)}: {row[0].label}")
            rows.append(_row(row, benchmarks, plan, places, progress))
        report = {
            "name": plan.name,
            "title": experiment.title,
            "kind": experiment.kind,
            "benchmarks": list(experiment.benchmarks),
            "model": recipes[0].model,
            "limit": plan.changes.limit,
            "set": plan.changes.sets or [],
            "seeds": plan.seeds,
            "repeated": list(experiment.repeat) or "all stages",
            "compared": COMPARED,
            "others": dict(experiment.others),
            "rows": rows,
            "made_by": versions(),
        }
        write_json(plan.out / f"{plan.name}.json", report)
        with replacing(plan.out / f"{plan.name}.md") as file:
            file.write(markdown([grid(report)]).encode("utf-8"))
        results = [
            Result(row["label"], name, 100 * found["mean"], 100 * found["spread"], row["published"].get(name))
            for row in rows
            for name, found in ((name, row["ours"][name][COMPARED]) for name in experiment.benchmarks)
        ]
        if experiment.kind == "curve":
            curve(plan.out / plan.name, experiment.title, results, experiment.others)
        else:
            bars(plan.out / plan.name, experiment.title, results, f"micro F1, {COMPARED} matching, %")
        return report


def _seeds(recipe: Recipe, rows: Sequence[Recipe], plan: Plan, experiment: Experiment) -> list[Recipe]:
    """Return the recipe of a row with each seed, without ``--set`` of stages that only other rows have."""

    def elsewhere(assignment: str) -> bool:
        stage, dot, _ = assignment.partition("=")[0].strip().rpartition(".")
        having = [row.name for row in rows if stage in {one.name for one in row.stages}]
        return bool(dot and having and recipe.name not in having)

    changes = dataclasses.replace(plan.changes, sets=[one for one in plan.changes.sets or () if not elsewhere(one)])
    if plan.seeds == 1:  # the recipe's own seed, or that of --set
        return [load_recipe(recipe.name, changes)]
    return [
        load_recipe(recipe.name, dataclasses.replace(changes, seed=seed, reseeded=tuple(experiment.repeat)))
        for seed in range(plan.seeds)
    ]


def _row(
    variants: Sequence[Recipe], benchmarks: Mapping[str, Path], plan: Plan, places: TrainingDirectories,
    progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """Run one row: all its seeds, those that come to the same student once."""
    scored: dict[str, dict[str, Mapping[str, float]]] = {}
    stages: list[Mapping[str, Any]] = []
    for recipe in variants:
        trained = run_stages(recipe, places, progress)
        student = str(trained[-1].folder) if trained else recipe.model
        identity = trained[-1].identity if trained else model_identity(recipe.model, load_tokenizer(recipe.model))
        stages = [stage.record for stage in trained]
        if identity not in scored:
            scored[identity] = {
                name: _scored(student, identity, path, plan, progress) for name, path in benchmarks.items()
            }
    first = variants[0]
    return {
        "recipe": first.name,
        "label": first.label,
        "published": {name: first.published[name] for name in benchmarks if name in first.published},
        "samples": [stage["samples"] for stage in stages],
        "steps": [stage["steps"] for stage in stages],
        "ours": {
            name: {matching: _spread([one[name][matching] for one in scored.values()]) for matching in MATCHINGS}
            for name in benchmarks
        },
    }


def _scored(student: str, identity: str, benchmark: Path, plan: Plan, progress: Progress) -> Mapping[str, float]:
    """Score a student on a benchmark: from the file of its scores, or predicted and computed."""
    key = f"{benchmark.stem}-{data.file_sha256(benchmark)[:8]}-{identity[:12]}"
    path = plan.out / "scores" / f"{key}.json"
    if path.is_file():
        found: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
        return found
    answers = plan.out / "predictions" / f"{key}.jsonl"
    answers.parent.mkdir(parents=True, exist_ok=True)
    predict_with(student, benchmark, answers, settle_device(plan.device), progress)
    scores = score_of(benchmark, answers, progress)
    write_json(path, scores)
    return scores


def _limited(benchmark: Path, plan: Plan) -> Path:
    """Return the benchmark, or ``--limit`` of its queries, drawn by a fixed seed."""
    if not plan.changes.limit:
        return benchmark
    chosen = set(data.take(Portion(set=benchmark.stem, limit=plan.changes.limit), benchmark, 0).rows.tolist())
    path = plan.out / "benchmarks" / f"{benchmark.stem}-{plan.changes.limit}.parquet"
    with replacing(path) as file:
        samples = (item for row, item in enumerate(tables.read_samples(benchmark)) if row in chosen)
        tables.write_records(file, tables.SAMPLE, samples)
    return path


def _spread(values: Sequence[float]) -> dict[str, Any]:
    """Return mean and standard deviation (of a sample) over the seeds."""
    return {
        "mean": statistics.fmean(values),
        "spread": statistics.stdev(values) if len(values) > 1 else 0.0,
        "values": list(values),
    }


def grid(report: Mapping[str, Any]) -> Grid:
    """Return the report as a table: ours under both matchings beside the thesis's, F1 in percent."""
    head = ["training sentences" if report["kind"] == "curve" else "training data", "samples"]
    for name in report["benchmarks"]:
        head += [f"{name}: ours, strict", f"{name}: ours, relaxed", f"{name}: the thesis"]
    rows = []
    for row in report["rows"]:
        cells = [row["label"], " + ".join(f"{number:,}" for number in row["samples"])]
        for name in report["benchmarks"]:
            published = row["published"].get(name)
            for one in (row["ours"][name][matching] for matching in MATCHINGS):
                spread = f" ± {percent(one['spread'])}" if len(one["values"]) > 1 else ""
                cells.append(percent(one["mean"]) + spread)
            cells.append("not given" if published is None else f"{published:.2f}")
        rows.append(cells)
    notes = [f"Micro F1 in percent; model {report['model']}."]
    if report["seeds"] > 1:
        stages = report["repeated"] if isinstance(report["repeated"], str) else ", ".join(report["repeated"])
        notes.append(f"Mean ± standard deviation over {report['seeds']} seeds (repeated: {stages}).")
    if report["limit"] or report["set"]:
        limits = [f"{report['limit']:,} samples of each data set at most"] if report["limit"] else []
        notes.append(f"Scaled down or changed: {'; '.join([*limits, *report['set']])}. Not a reproduction.")
    notes += [f"{name}: {value:g} (as the thesis cites it)." for name, value in report["others"].items()]
    return Grid(report["title"], head, rows, " ".join(notes))
