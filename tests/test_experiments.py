"""Experiments: all rows trained, predicted and scored once, and set beside the thesis's figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import cli
from annotator.errors import ConfigError, StudentError
from annotator.storage import tables
from annotator.terminal.events import Progress, Silent
from tests.students import make_student, sample, write_samples
from training.train import experiments
from training.train.changes import Changes
from training.train.experiments import Plan, load_experiment, run
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


class Fakes:
    """A predictor and a scorer in place of the program's that count how often they are asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.predicted: list[tuple[str, int]] = []
        monkeypatch.setattr(experiments, "predict_with", self.predict)
        monkeypatch.setattr(experiments, "score_of", self.score)

    def predict(self, student: str, benchmark: Path, out: Path, device: str, progress: Progress) -> None:
        self.predicted.append((Path(student).name.partition("-")[0], tables.count(benchmark)))
        out.write_text(f"{len(self.predicted)}\n", encoding="utf-8")

    def score(self, benchmark: Path, predictions: Path, progress: Progress) -> dict[str, float]:
        number = int(predictions.read_text(encoding="utf-8"))
        return {"strict": number / 100, "relaxed": number / 50}


def test_a_learning_curve_is_made_once_with_its_spread(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zero-shot once, slices with two seeds; stages before are shared; the second time nothing is asked or trained."""
    fakes = Fakes(monkeypatch)
    changes = Changes(str(data / "base"), 5, ["supervised.max_steps=1"])
    plan = Plan("figure-4.2", data, tmp_path / "out", changes, seeds=2, device="cpu")
    report = run(plan, Silent())

    stages = (path.name for path in (plan.out / "stages").iterdir() if path.is_dir() and path.name[0] != ".")
    names = sorted(name.partition("-")[0] for name in stages)
    assert names == ["mixture", "supervised", "supervised", "supervised", "supervised", "vietnamese"]
    assert fakes.predicted == [("vietnamese", 5), *[("supervised", 5)] * 4]  # slices of 12 sentences come to one
    zero, hundred, *_ = (row["ours"]["phoner-test"]["strict"] for row in report["rows"])
    assert (zero["mean"], zero["spread"], zero["values"]) == (0.01, 0.0, [0.01])
    assert hundred["values"] == [0.02, 0.03]
    assert (hundred["mean"], round(hundred["spread"], 6)) == (0.025, 0.007071)

    table = (plan.out / "figure-4.2.md").read_text(encoding="utf-8")
    assert "| 100 | 15 + 5 + 5 | 2.50 ± 0.71 | 5.00 ± 1.41 | 76.19 |" in table
    assert "5 samples of each data set at most" in table
    assert "Not a reproduction" in table
    assert json.loads((plan.out / "figure-4.2.json").read_text(encoding="utf-8")) == report
    figures = [(plan.out / f"figure-4.2.{kind}").read_bytes() for kind in ("png", "svg")]

    monkeypatch.setattr(experiments, "predict_with", None)
    assert run(plan, Silent()) == report
    assert [(plan.out / f"figure-4.2.{kind}").read_bytes() for kind in ("png", "svg")] == figures


def test_missing_data_are_told_before_anything_is_trained(data: Path, tmp_path: Path) -> None:
    """All that the rows want, benchmarks too, each with its command; no stage is begun."""
    plan = Plan("table-4.1", data, tmp_path / "out", Changes(str(data / "base"), 5), device="cpu")
    with pytest.raises(
        StudentError, match=r"vi-alpaca\.parquet, vlsp2018-dev\.parquet.*convert alpaca.*convert enamex"
    ):
        run(plan, Silent())
    assert not (tmp_path / "out").exists()


def test_rows_are_of_their_experiment() -> None:
    """Each row measures what its table shows; an unknown name is refused."""
    for name in experiments.NAMES:
        experiment = load_experiment(name)
        for row in experiment.rows:
            recipe = load_recipe(row)
            assert row.startswith(name)
            assert set(recipe.published) <= set(experiment.benchmarks) <= {item.name for item in recipe.benchmarks}
    with pytest.raises(ConfigError, match=r"did you mean table-4"):
        load_experiment("table-4.7")


def test_a_table_is_drawn_with_both_figures(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows, two benchmarks, one seed: no spread is pretended; the command prints the table."""
    import shutil

    whole = shutil.copytree(data, tmp_path / "data")
    shutil.copy(data / "phoner-test.parquet", whole / "vlsp2018-dev.parquet")
    Fakes(monkeypatch)
    plan = Plan("table-4.2", whole, tmp_path / "out", Changes(str(data / "base"), 4), device="cpu")
    run(plan, Silent())
    asked = ["experiment", "table-4.2", "--data", str(whole), "--out", str(plan.out), "--device", "cpu"]
    result = CliRunner().invoke(cli.app, [*asked, "--model", str(data / "base"), "--limit", "4", "-q"])
    assert result.exit_code == 0, result.output
    table = (plan.out / "table-4.2.md").read_text(encoding="utf-8")
    assert "then Vietnamese NER | 8 + 4 | 1.00 | 2.00 | 74.38 | 2.00 | 4.00 | 81.79 |" in table
    assert all(figure in result.stdout for figure in ("8 + 4", "74.38", "81.79"))
    assert (plan.out / "table-4.2.svg").stat().st_size > 5000
