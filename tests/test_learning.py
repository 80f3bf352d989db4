"""From a build to a score, by commands alone: a trained student beats the untrained one on unseen passages."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from annotator.storage import tables
from tests.commands import must_succeed, vner
from tests.endpoint import Answer, Endpoint
from tests.students import LEARNING, make_student
from training.prompting import student_input

pytestmark = pytest.mark.slow

NUMBER = re.compile(r"\d+(?:[.,/]\d+)*")
RECIPE = """
model = "base"
[sets.news]
file = "train.parquet"
convert = "vner-annotate convert samples run/samples/train.parquet --out {out}"
[[stages]]
name = "news"
data = ["news"]
"""


def news() -> Iterator[dict[str, str]]:
    """Yield sixty short texts with two-digit numbers, which a small vocabulary holds whole."""
    rng = random.Random(0)
    who, verbs = ("Bà Lan", "Ông Hùng", "Chị Mai", "Anh Tuấn", "Cô Hạnh"), ("mua", "bán", "có")
    things = ("quả cam", "cân gạo", "quyển vở", "con gà", "bông hoa")
    places = ("ở chợ", "trong làng", "bên sông", "ngoài phố")
    for number in range(60):
        words = [map(rng.choice, (who, verbs, range(11, 100, 4), things, places)) for _ in range(8)]
        yield {"id": str(number), "text": " ".join(" ".join(map(str, sentence)) + "." for sentence in words)}


def succeed(*arguments: object) -> Any:
    """Run a command that must succeed, and return its JSON."""
    result = must_succeed(vner(*arguments))
    return json.loads(result.stdout) if "--json" in arguments else None


def numbers(passage: str, attempt: int) -> Answer:
    """Predict numbers, which a small student can learn to find."""
    return Answer(content=json.dumps([[number, "quantity"] for number in dict.fromkeys(NUMBER.findall(passage))]))


def test_a_student_learns_from_the_answers_of_a_teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The student learns through build, convert, train, predict and evaluate; the untrained one has its wiring."""
    monkeypatch.chdir(tmp_path)
    Path("news.jsonl").write_text("\n".join(map(json.dumps, news())), encoding="utf-8")
    with Endpoint(numbers) as teacher:
        asking = ("--provider", "openai", "--model", "m", "--base-url", teacher.url)
        shape = ("--min-tokens", 12, "--max-tokens", 40, "--negatives", 0.5, "--split", "0.75,0.05,0.2")
        succeed("build", "news.jsonl", "--out", "run", *asking, *shape, "--quiet")
    for split in ("train", "test"):
        succeed("convert", "samples", f"run/samples/{split}.parquet", "--out", f"{split}.parquet", "--quiet")

    rows = list(tables.read_samples(Path("train.parquet")))
    texts = sorted({student_input(row.instruction, row.input) for row in rows} | {row.output for row in rows})
    make_student(Path("base"), texts, width=64, vocabulary=250, copies=True)
    Path("news.toml").write_text(RECIPE, encoding="utf-8")
    settings = [part for name, value in LEARNING.items() for part in ("--set", f"{name}={value}")]
    succeed("train", "news.toml", "--data", ".", "--out", "student", "--quiet", *settings)
    losses = [json.loads(line)["loss"] for line in Path("student/loss.jsonl").read_text().splitlines()]
    tenth = len(losses) // 10
    assert sum(losses[-tenth:]) < sum(losses[:tenth]) / 2

    for predictor, answers in (("hf:student", "trained.jsonl"), ("hf:base", "untrained.jsonl")):
        succeed("predict", "test.parquet", "--predictor", predictor, "--out", answers, "--quiet")
    both = succeed("evaluate", "test.parquet", "--compare", "trained.jsonl", "untrained.jsonl", "--json")
    assert both["a"]["queries"] > 30
    assert both["a"]["strict"]["micro"]["f1"] > both["b"]["strict"]["micro"]["f1"]
    assert both["comparison"]["strict"]["micro"]["p"] < 0.05
