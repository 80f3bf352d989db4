"""``experiment``: each row is trained, predicted and scored once, beside the thesis's figures."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from annotator.errors import ConfigError, StudentError
from annotator.terminal.events import Progress
from tests.commands import must_succeed, vner
from tests.students import make_student, sample, write_samples
from training.predict import seq2seq
from training.score.evaluating import evaluate
from training.train import figures
from training.train.changes import Changes
from training.train.directories import Job
from training.train.experiments import NAMES, grid, load_experiment, run
from training.train.figures import comparison, learning_curve
from training.train.recipes import load_recipe

pytestmark = pytest.mark.slow

FILES = ("pile-ner", "phomt", "viquad", "vietnamese-ner", "phoner-train", "phoner-test")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a few samples for each data set of figure 4.2, and a tiny student."""
    folder = tmp_path_factory.mktemp("data")
    rows = [sample(n, "What describes location in the text?", f"Đi Huế {n}.", '["Huế"]', "location") for n in range(12)]
    for name in FILES:
        write_samples(folder / f"{name}.parquet", rows)
    make_student(folder / "base", [*(row.input for row in rows), "What describes location in the text"], vocabulary=60)
    return folder


def scores(out: Path, student: str) -> list[float]:
    """Return the F1 that ``evaluate`` computes for each student whose last stage has this name."""
    found = []
    for answers in sorted((out / "predictions").glob(f"phoner-test-5-{student}-*.jsonl")):
        report = evaluate(out / "benchmarks" / "phoner-test-5.parquet", answers, print)
        found.append(report["relaxed"]["micro"]["f1"])
    return found


def test_a_learning_curve_is_computed_once_with_its_spread(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stages are shared, slices have two seeds, and a second run trains and predicts nothing."""
    monkeypatch.setattr(seq2seq, "MAX_ANSWER", 8)  # an untrained student would write 256 tokens
    out = tmp_path / "out"
    command = ["experiment", "figure-4.2", "--data", str(data), "--out", str(out), "--device", "cpu", "-q",
               "--model", str(data / "base"), "--limit", "5", "--set", "max_steps=1", "--seeds", "2"]  # fmt: skip
    printed = must_succeed(vner(*command))
    report = json.loads((out / "figure-4.2.json").read_text(encoding="utf-8"))

    names = sorted(path.name.partition("-")[0] for path in (out / "stages").iterdir())
    assert names == ["mixture", *["supervised"] * 8, "vietnamese"]
    zero, *slices = (row["ours"]["phoner-test"]["relaxed"] for row in report["rows"])
    assert (zero["values"], zero["spread"]) == (scores(out, "vietnamese"), 0.0)
    assert [len(one["values"]) for one in slices] == [2] * 4
    assert sorted(value for one in slices for value in one["values"]) == sorted(scores(out, "supervised"))

    table = (out / "figure-4.2.md").read_text(encoding="utf-8")
    assert re.search(r"\| 100 \| 15 \+ 5 \+ 5 \| [\d.]+ ± [\d.]+ \| [\d.]+ ± [\d.]+ \| 76\.19 \|", table)
    assert "5 samples of each data set at most" in table
    assert "Not a reproduction" in table
    assert "76.19" in printed.stdout

    trained = {path: path.stat().st_mtime_ns for path in (out / "stages").rglob("*")}
    written = {path: path.read_bytes() for path in (*out.glob("figure-4.2.*"), *(out / "predictions").iterdir())}
    assert json.loads(vner(*command, "--json").stdout) == report
    assert trained == {path: path.stat().st_mtime_ns for path in (out / "stages").rglob("*")}
    assert written == {path: path.read_bytes() for path in written}


def test_missing_data_are_reported_before_anything_is_trained(data: Path, tmp_path: Path) -> None:
    """All missing data sets and benchmarks are reported with their commands before any stage."""
    job = Job(data, tmp_path / "out", "cpu", Progress())
    with pytest.raises(
        StudentError, match=r"vi-alpaca\.parquet, vlsp2018-dev\.parquet.*convert alpaca.*convert enamex"
    ):
        run("table-4.1", job, Changes(str(data / "base"), 5))
    assert not (tmp_path / "out").exists()


def test_rows_match_their_experiment() -> None:
    """Each row measures what its table shows; an unknown experiment is refused."""
    for name in NAMES:
        experiment = load_experiment(name)
        for row in experiment.rows:
            recipe = load_recipe(row)
            assert row.startswith(name)
            assert set(recipe.published) <= set(experiment.benchmarks) <= recipe.benchmarks.keys()
    with pytest.raises(ConfigError, match=r"did you mean table-4"):
        load_experiment("table-4.7")


def test_a_table_has_both_benchmarks(tmp_path: Path) -> None:
    """A table has both matchings beside the published figures; a missing figure is "not given"."""
    one = {"mean": 0.5, "spread": 0.0, "values": [0.5]}
    row = {"label": "Row", "samples": [1200, 4], "published": {"a": 74.38},
           "ours": {name: {"strict": one, "relaxed": one} for name in ("a", "b")}}  # fmt: skip
    report = {"title": "T", "benchmarks": ["a", "b"], "rows": [row], "model": "m", "limit": 0, "set": [], "seeds": 1,
              "compared": "relaxed", "others": {"PhoBERT": 94.5}}  # fmt: skip
    table = grid(report)
    assert table.rows == [["Row", "1,200 + 4", "50.00", "50.00", "74.38", "50.00", "50.00", "not given"]]
    assert table.note == "Micro F1 in percent; model m. PhoBERT: 94.5 (as the thesis cites it)."
    comparison(tmp_path / "figure-4.2", report)
    assert (tmp_path / "figure-4.2.svg").stat().st_size > 5000


def test_a_figure_is_a_curve_over_growing_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A figure has our curve over all slices, the thesis's points, and a line for each result of other work."""
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    monkeypatch.setattr(figures, "save", lambda stem, title, size, draw: draw(axes))
    rows = [{"label": label, "published": {"a": published} if published else {},
             "ours": {"a": {"relaxed": {"mean": mean, "spread": 0.01, "values": [mean]}}}}
            for label, mean, published in (("0", 0.5, 85.78), ("40", 0.6, None), ("all", 0.75, 87.11))]  # fmt: skip
    report = {"title": "T", "benchmarks": ["a"], "rows": rows, "compared": "relaxed", "others": {"CRF": 84.17}}
    learning_curve(Path("figure"), report, "sentences")
    lines = [(line.get_label(), line.get_xydata().tolist()) for line in axes.get_lines()]
    assert [[0, 50], [1, 60], [2, 75]] in [points for _, points in lines]
    assert dict(lines)["the thesis"] == [[0, 85.78], [2, 87.11]]
    assert dict(lines)["CRF: 84.17"] == [[0, 84.17], [1, 84.17]]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "40", "all"]
    assert axes.get_xlabel() == "sentences"
