"""A recipe and a ledger rebuild a dataset elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import annotator
from annotator.config.settings import make_config
from annotator.config.toml_files import read_toml
from annotator.errors import ConfigError
from tests.commands import fingerprints, must_succeed, vner
from tests.conftest import ROOT
from tests.endpoint import Endpoint

ARTICLES = [
    f"Sáng {day}/3, bà Nguyễn Thị Sen, giám đốc Sở Y tế TP.HCM, làm việc với Bệnh viện Chợ Rẫy về đợt khám thứ {day}. "
    f"Ông Trần Văn Lộc cho biết đoàn có {day} bác sĩ từ Đà Nẵng và Cần Thơ. Buổi làm việc kéo dài {day} giờ. "
    f"Hội Chữ thập đỏ tỉnh Quảng Ngãi trao {day} suất quà cho người dân huyện Lý Sơn sau cơn bão số {day}. "
    f"Chị Phạm Thị Lựu ở Hải Phòng kể lại chuyến đi {day} ngày qua Nha Trang, Phan Thiết và Vũng Tàu của gia đình."
    for day in range(1, 13)
]


def rebuilt(recipe: Path, ledger: Path, out: Path, *more: object) -> subprocess.CompletedProcess[str]:
    """Build from a recipe and a copy of a ledger, in an empty folder and without keys in the environment."""
    out.mkdir(parents=True)
    shutil.copy(ledger, out / "completions.sqlite")
    command = [sys.executable, "-c", "import cli; cli.main()", "build", *more, "--config", recipe, "--out", out]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(out.parent), "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [*map(str, command), "--json"], capture_output=True, text=True, cwd=out, env=environment, check=False
    )


@pytest.fixture
def original(tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Build a run of local articles with label decisions, with a key."""
    place = tmp_path / "first"
    place.mkdir()
    lines = (json.dumps({"id": str(number), "text": text}) for number, text in enumerate(ARTICLES))
    (place / "news.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (place / "labels.toml").write_text('"location" = "place"\n', encoding="utf-8")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
    asking = ("--provider", "openai", "--model", "m", "--labels", place / "labels.toml", "--near-duplicates", 0)
    passages = ("--min-tokens", 20, "--max-tokens", 90, "--negatives", 0.5, "--split", "0.6,0.2,0.2", "--seed", 3)
    must_succeed(vner("build", place / "news.jsonl", "--out", place / "run", *asking, *passages, "--quiet"))
    return place


@pytest.mark.slow
def test_a_recipe_and_a_ledger_rebuild_every_byte(original: Path, endpoint: Endpoint, tmp_path: Path) -> None:
    """A rebuild elsewhere gives every byte without a key or a request, and reports it."""
    asked, expected = len(endpoint.requests), fingerprints(original / "run")
    elsewhere = Path(shutil.move(original, tmp_path / "second"))
    recipe = shutil.copy(elsewhere / "run" / "recipe.toml", tmp_path)
    given = (elsewhere / "news.jsonl", "--labels", elsewhere / "labels.toml")
    made = rebuilt(Path(recipe), elsewhere / "run" / "completions.sqlite", tmp_path / "deep" / "new", *given)
    assert made.returncode == 0, made.stderr
    assert len(endpoint.requests) == asked
    found = fingerprints(tmp_path / "deep" / "new")
    audit = "audit.json"  # it has the path of the source
    assert {**found, audit: ""} == {**expected, audit: ""}
    report = json.loads(made.stdout)["rebuilt"]
    assert len(report) == 8
    assert all(report.values())
    with (tmp_path / "deep" / "new" / "recipe.toml").open("rb") as one, Path(recipe).open("rb") as other:
        assert tomllib.load(one)["recipe"] == tomllib.load(other)["recipe"]


@pytest.mark.slow
def test_the_bundled_sample_rebuilds_its_audit_too(finished: Path, tmp_path: Path) -> None:
    """From Python, the recipe of the bundled sample rebuilds all files."""
    new = tmp_path / "new"
    new.mkdir()
    shutil.copy(finished / "completions.sqlite", new)
    run = annotator.build(config=finished / "recipe.toml", out=new)
    assert run.unanswered == 0
    assert fingerprints(new) == fingerprints(finished)


def test_a_recipe_holds_every_setting_that_changes_the_result(finished: Path) -> None:
    """A recipe has all settings except those of the machine, with source fingerprint and versions."""
    settings = read_toml(finished / "recipe.toml")
    run = annotator.open_run(finished)
    assert make_config(settings) == run.settings
    assert not {"ledger", "workers", "engine", "ray_address"} & set(settings)
    assert settings["recipe"]["source"]["fingerprint"] == run.manifest["source"]["fingerprint"]
    assert settings["recipe"]["versions"] == run.manifest["made_by"]


def test_other_articles_are_refused_before_anything_is_asked(
    original: Path, endpoint: Endpoint, tmp_path: Path
) -> None:
    """A recipe refuses a source with other content before any request."""
    asked = len(endpoint.requests)
    (original / "news.jsonl").write_text(json.dumps({"text": ARTICLES[0]}), encoding="utf-8")
    with pytest.raises(ConfigError, match="does not hold what the recipe was made from"):
        annotator.build(config=original / "run" / "recipe.toml", out=tmp_path / "new")
    assert len(endpoint.requests) == asked
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_a_result_that_differs_is_reported(original: Path, tmp_path: Path) -> None:
    """With other label decisions, the files that differ are reported with the cause."""
    (original / "labels.toml").write_text('"location" = "site"\n', encoding="utf-8")
    ledger = original / "run" / "completions.sqlite"
    made = rebuilt(original / "run" / "recipe.toml", ledger, tmp_path / "new")
    assert made.returncode == 0, made.stderr
    report = json.loads(made.stdout)["rebuilt"]
    assert report["passages.parquet"]
    assert not report["annotations.parquet"]
    assert "annotations.parquet" in made.stderr
    assert "different from the recipe's: labels" in made.stderr
