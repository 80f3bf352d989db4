"""Experiments: all rows trained, predicted and scored once, and set beside the thesis's figures."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import cli
from annotator.errors import ConfigError, StudentError
from annotator.terminal.events import Progress
from tests.students import make_student, sample, write_samples
from training.score.evaluating import evaluate
from training.train.changes import Changes
from training.train.directories import Job
from training.train.experiments import NAMES, load_experiment, run
from training.train.recipes import load_recipe

pytestmark = pytest.mark.slow

FILES = ("pile-ner", "phomt", "viquad", "vietnamese-ner", "phoner-train", "phoner-test")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few samples under each name that figure 4.2 wants, and a tiny student."""
    folder = tmp_path_factory.mktemp("data")
    rows = [sample(n, "What describes location in the text?", f"Đi Huế {n}.", '["Huế"]', "location") for n in range(12)]
    for name in FILES:
        write_samples(folder / f"{name}.parquet", rows)
    make_student(folder / "base", [*(row.input for row in rows), "What describes location in the text"], vocabulary=60)
    return folder


def scores(out: Path, benchmark: str, student: str) -> list[float]:
    """What ``evaluate`` says of the answers of each student that ends with a stage of this name."""
    found = []
    for answers in sorted((out / "predictions").glob(f"{benchmark}-5-{student}-*.jsonl")):
        report = evaluate(out / "benchmarks" / f"{benchmark}-5.parquet", answers, print)
        found.append(report["relaxed"]["micro"]["f1"])
    return found


def test_a_learning_curve_is_computed_once_with_its_spread(data: Path, tmp_path: Path) -> None:
    """Zero-shot once, slices with two seeds; stages before are shared; the second time nothing is trained or asked."""
    out = tmp_path / "out"
    changes = Changes(str(data / "base"), 5, ["max_steps=1", "learning_rate=1e-3", "supervised.epochs=0.5"])
    report = run("figure-4.2", Job(data, out, "cpu", Progress()), changes, seeds=2)

    names = sorted(path.name.partition("-")[0] for path in (out / "stages").iterdir())
    assert names == ["mixture", *["supervised"] * 8, "vietnamese"]
    zero, *slices = (row["ours"]["phoner-test"]["relaxed"] for row in report["rows"])
    assert (zero["values"], zero["spread"]) == (scores(out, "phoner-test", "vietnamese"), 0.0)
    found = [value for one in slices for value in one["values"]]
    assert len(found) == 8
    assert sorted(found) == sorted(scores(out, "phoner-test", "supervised"))
    assert slices[0]["mean"] == sum(slices[0]["values"]) / 2

    table = (out / "figure-4.2.md").read_text(encoding="utf-8")
    assert re.search(r"\| 100 \| 15 \+ 5 \+ 5 \| [\d.]+ ± [\d.]+ \| [\d.]+ ± [\d.]+ \| 76\.19 \|", table)
    assert "5 samples of each data set at most" in table
    assert "Not a reproduction" in table
    assert json.loads((out / "figure-4.2.json").read_text(encoding="utf-8")) == report
    written = {path: path.stat().st_mtime_ns for path in (out / "stages").rglob("*")}
    figures = [(out / f"figure-4.2.{kind}").read_bytes() for kind in ("png", "svg")]
    assert run("figure-4.2", Job(data, out, "cpu", Progress()), changes, seeds=2) == report
    assert written == {path: path.stat().st_mtime_ns for path in (out / "stages").rglob("*")}
    assert [(out / f"figure-4.2.{kind}").read_bytes() for kind in ("png", "svg")] == figures


def test_missing_data_are_reported_before_anything_is_trained(data: Path, tmp_path: Path) -> None:
    """All that the rows need, benchmarks too, each with its command; no stage is begun."""
    job = Job(data, tmp_path / "out", "cpu", Progress())
    with pytest.raises(
        StudentError, match=r"vi-alpaca\.parquet, vlsp2018-dev\.parquet.*convert alpaca.*convert enamex"
    ):
        run("table-4.1", job, Changes(str(data / "base"), 5))
    assert not (tmp_path / "out").exists()


def test_rows_are_of_their_experiment() -> None:
    """Each row measures what its table shows; an unknown name is refused."""
    for name in NAMES:
        experiment = load_experiment(name)
        for row in experiment.rows:
            recipe = load_recipe(row)
            assert row.startswith(name)
            assert set(recipe.published) <= set(experiment.benchmarks) <= recipe.benchmarks.keys()
    with pytest.raises(ConfigError, match=r"did you mean table-4"):
        load_experiment("table-4.7")


def test_a_table_is_drawn_with_both_figures(data: Path, tmp_path: Path) -> None:
    """Two rows, two benchmarks, one seed, so no spread; the command prints the table."""
    whole, out = shutil.copytree(data, tmp_path / "data"), tmp_path / "out"
    shutil.copy(data / "phoner-test.parquet", whole / "vlsp2018-dev.parquet")
    command = ["experiment", "table-4.2", "--data", str(whole), "--out", str(out), "--device", "cpu", "-q"]
    result = CliRunner().invoke(cli.app, [*command, "--model", str(data / "base"), "--limit", "4"])
    assert result.exit_code == 0, result.output
    table = (out / "table-4.2.md").read_text(encoding="utf-8")
    assert re.search(
        r"then Vietnamese NER \| 8 \+ 4 \| [\d.]+ \| [\d.]+ \| 74\.38 \| [\d.]+ \| [\d.]+ \| 81\.79", table
    )
    assert all(figure in result.stdout for figure in ("8 + 4", "74.38", "81.79"))
    assert (out / "table-4.2.svg").stat().st_size > 5000
