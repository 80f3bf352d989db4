"""``experiment``: all rows of a table or figure of the document, trained, predicted, scored, and beside its figures.

Nothing is done twice: stages that rows share are trained once, and a row that is scored is read from its file.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Final, TypeAlias

from annotator.errors import ConfigError
from annotator.progress import Progress
from annotator.storage import tables
from annotator.storage.rundir import replacing, write_json
from training.learning import joining, mixing
from training.learning.recipes import Changes, Portion, Recipe, load_recipe
from training.learning.settings import near
from training.learning.stages import Workshop, model_identity, run_stages
from training.learning.training import held, settle_device, versions
from training.students import check_extra, load_tokenizer

NAMES: Final = ("table-4.1", "table-4.2", "figure-4.2", "figure-4.3")
MATCHINGS: Final = ("strict", "relaxed")
COMPARED: Final = "relaxed"
"""The matching that stands beside the document's figures: it says that its own is relaxed."""

Predict: TypeAlias = Callable[[str, Path, Path, str, Progress], None]
"""(student, benchmark, out, device, progress): answers the benchmark's queries."""
Score: TypeAlias = Callable[[Path, Path, Progress], Mapping[str, float]]
"""(benchmark, predictions, progress): micro F1 by matching, as shares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A table or figure of the document."""

    name: str
    title: str
    kind: str
    """``table`` or ``curve``."""
    benchmarks: tuple[str, ...]
    rows: tuple[str, ...]
    """Recipes."""
    repeat: tuple[str, ...] = ()
    """Stages that other seeds train again; none: all."""
    others: Mapping[str, float] = field(default_factory=dict)
    """What the document compares with: name -> F1 in percent."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What ``experiment`` is asked for."""

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
        raise ConfigError(f"no experiment {name!r}{near(name, NAMES)}")
    entry = tomllib.loads((resources.files("training") / "experiments" / f"{name}.toml").read_text(encoding="utf-8"))
    lists = {key: tuple(value) for key, value in entry.items() if isinstance(value, list)}
    return Experiment(name=name, **{**entry, **lists})


def run(
    plan: Plan, progress: Progress, predict: Predict = joining.predict, score: Score = joining.score
) -> dict[str, Any]:
    """Do what is not done yet, and write ``NAME.md``, ``NAME.json`` and the figure.

    Returns:
        What stands in the JSON file.

    Raises:
        ConfigError: there is no such experiment, or a change fits none of its recipes.
        StudentError: data are missing (told before anything is trained), or a training cannot go on.
    """
    check_extra()
    experiment = load_experiment(plan.name)
    plain = [load_recipe(row) for row in experiment.rows]
    changes = [_for_row(plan.changes, recipe, plain) for recipe in plain]
    variants = [
        [load_recipe(recipe.name, _seeded(change, plan, experiment, seed)) for seed in range(plan.seeds)]
        for recipe, change in zip(plain, changes, strict=True)
    ]
    recipes = [recipe for row in variants for recipe in row]
    _all_there(recipes, experiment, plan.data)
    shop = Workshop(plan.data, plan.out / "stages", settle_device(plan.device))
    with held(plan.out):
        rows = []
        for number, row in enumerate(variants, start=1):
            progress.say(f"{plan.name}, row {number} of {len(variants)}: {row[0].label}")
            rows.append(_row(row, (plan, experiment, shop), progress, predict, score))
        report = {
            "name": plan.name,
            "title": experiment.title,
            "kind": experiment.kind,
            "benchmarks": list(experiment.benchmarks),
            "model": recipes[0].model,
            "limit": plan.changes.limit,
            "set": list(plan.changes.sets),
            "seeds": plan.seeds,
            "repeated": list(experiment.repeat) or "all stages",
            "compared": COMPARED,
            "others": dict(experiment.others),
            "rows": rows,
            "made_by": versions(),
        }
        write_json(plan.out / f"{plan.name}.json", report)
        with replacing(plan.out / f"{plan.name}.md") as file:
            file.write(markdown(report).encode("utf-8"))
        _draw(report, plan.out / plan.name)
        return report


def _for_row(changes: Changes, recipe: Recipe, rows: Sequence[Recipe]) -> Changes:
    """``changes`` without what is said of stages that only other rows have; a stage of no row is left to be refused."""

    def elsewhere(assignment: str) -> bool:
        stage, dot, _ = assignment.partition("=")[0].strip().rpartition(".")
        having = [row.name for row in rows if stage in {one.name for one in row.stages}]
        return bool(dot and having and recipe.name not in having)

    return dataclasses.replace(changes, sets=tuple(said for said in changes.sets if not elsewhere(said)))


def _seeded(changes: Changes, plan: Plan, experiment: Experiment, seed: int) -> Changes:
    if plan.seeds == 1:
        return changes  # the recipe's own seed, or that of --set
    return dataclasses.replace(changes, seed=seed, reseeded=experiment.repeat)


def _all_there(recipes: Sequence[Recipe], experiment: Experiment, data: Path) -> None:
    sets = {name: item for recipe in recipes for name, item in recipe.sets.items()}
    benchmarks = {item.name: item for recipe in recipes for item in recipe.benchmarks}
    used = tuple(dict.fromkeys(name for recipe in recipes for name in recipe.used))
    mixing.find({**sets, **benchmarks}, (*used, *experiment.benchmarks), data)


def _row(
    variants: Sequence[Recipe],
    means: tuple[Plan, Experiment, Workshop],
    progress: Progress,
    predict: Predict,
    score: Score,
) -> dict[str, Any]:
    """One row: all its seeds, those that come to the same student once."""
    plan, experiment, shop = means
    scored: dict[str, dict[str, Mapping[str, float]]] = {}
    stages: list[Mapping[str, Any]] = []
    for recipe in variants:
        trained = run_stages(recipe, shop, progress)
        student = str(trained[-1].folder) if trained else recipe.model
        identity = trained[-1].identity if trained else model_identity(recipe.model, load_tokenizer(recipe.model))
        stages = [stage.record for stage in trained]
        if identity not in scored:
            benchmarks = {item.name: shop.data / Path(item.file).expanduser() for item in recipe.benchmarks}
            scored[identity] = {
                name: _scored(student, identity, _limited(benchmarks[name], plan), plan, (progress, predict, score))
                for name in experiment.benchmarks
            }
    first = variants[0]
    return {
        "recipe": first.name,
        "label": first.label,
        "published": {name: first.published[name] for name in experiment.benchmarks if name in first.published},
        "samples": [stage["samples"] for stage in stages],
        "steps": [stage["steps"] for stage in stages],
        "ours": {
            name: {matching: _spread([one[name][matching] for one in scored.values()]) for matching in MATCHINGS}
            for name in experiment.benchmarks
        },
    }


def _scored(
    student: str, identity: str, benchmark: Path, plan: Plan, means: tuple[Progress, Predict, Score]
) -> Mapping[str, float]:
    """The scores of a student on a benchmark: from their file, or predicted and computed."""
    progress, predict, score = means
    key = f"{benchmark.stem}-{mixing.file_sha256(benchmark)[:8]}-{identity[:12]}"
    path = plan.out / "scores" / f"{key}.json"
    if path.is_file():
        found: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
        return found
    answers = plan.out / "predictions" / f"{key}.jsonl"
    answers.parent.mkdir(parents=True, exist_ok=True)
    predict(student, benchmark, answers, settle_device(plan.device), progress)
    scores = dict(score(benchmark, answers, progress))
    write_json(path, scores)
    return scores


def _limited(benchmark: Path, plan: Plan) -> Path:
    """The benchmark, or as many of its queries as ``--limit`` says, drawn by a fixed seed."""
    if not plan.changes.limit:
        return benchmark
    taken = mixing.take(Portion(set=benchmark.stem, limit=plan.changes.limit), benchmark, 0)
    path = plan.out / "benchmarks" / f"{benchmark.stem}-{plan.changes.limit}.parquet"
    chosen = set(taken.rows.tolist())
    with replacing(path) as file:
        samples = (item for row, item in enumerate(tables.read_samples(benchmark)) if row in chosen)
        tables.write_records(file, tables.SAMPLE, samples)
    return path


def _spread(values: Sequence[float]) -> dict[str, Any]:
    """Mean and standard deviation (of a sample) over the seeds."""
    return {
        "mean": statistics.fmean(values),
        "spread": statistics.stdev(values) if len(values) > 1 else 0.0,
        "values": list(values),
    }


def markdown(report: Mapping[str, Any]) -> str:
    """The report as a Markdown table: ours under both matchings beside the document's, F1 in percent."""
    head = ["training sentences" if report["kind"] == "curve" else "training data", "samples"]
    for name in report["benchmarks"]:
        head += [f"{name}: ours, strict", f"{name}: ours, relaxed", f"{name}: the document"]
    lines = [f"# {report['title']}", "", _scale(report), "", _line(head), _line(["---", *["---:"] * (len(head) - 1)])]
    for row in report["rows"]:
        cells = [row["label"], " + ".join(f"{number:,}" for number in row["samples"])]
        for name in report["benchmarks"]:
            published = row["published"].get(name)
            cells += [_percent(row["ours"][name][matching]) for matching in MATCHINGS]
            cells.append("not given" if published is None else f"{published:.2f}")
        lines.append(_line(cells))
    lines += ["", *(f"{name}: {value:g} (as the document cites it)." for name, value in report["others"].items())]
    return "\n".join(lines).rstrip() + "\n"


def _scale(report: Mapping[str, Any]) -> str:
    parts = [f"Micro F1 in percent; model {report['model']}."]
    if report["seeds"] > 1:
        stages = report["repeated"] if isinstance(report["repeated"], str) else ", ".join(report["repeated"])
        parts.append(f"Mean ± standard deviation over {report['seeds']} seeds (repeated: {stages}).")
    if report["limit"] or report["set"]:
        said = [f"{report['limit']:,} samples of each data set at most"] if report["limit"] else []
        parts.append(f"Scaled down or changed: {'; '.join([*said, *report['set']])}. Not a reproduction.")
    return " ".join(parts)


def _percent(one: Mapping[str, Any]) -> str:
    spread = f" ± {100 * one['spread']:.2f}" if len(one["values"]) > 1 else ""
    return f"{100 * one['mean']:.2f}{spread}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _draw(report: Mapping[str, Any], stem: Path) -> None:
    from training.learning.figures import bars, curve

    rows = [
        {**row, "ours": {name: row["ours"][name][COMPARED] for name in report["benchmarks"]}} for row in report["rows"]
    ]
    if report["kind"] == "curve":
        curve(stem, rows, report["benchmarks"][0], report["others"])
    else:
        bars(stem, rows, report["benchmarks"], f"micro F1, {COMPARED} matching, %")
