"""croissant.json is valid, and mlcroissant, the tool of its specification, can read it."""

from __future__ import annotations

import json
import logging
import sys
from itertools import islice
from pathlib import Path

import absl.logging
import mlcroissant
import pyarrow.parquet as pq
import pytest

from annotator.storage.rundir import RunDir
from data_cards.audit.compute import audit
from data_cards.card import write_card
from data_cards.publication import Target
from tests.rundirs import Item, make_run

# mlcroissant brings absl, whose log handler keeps pytest's captured stderr and closes it when another library (such as
# underthesea) sets up logging while stderr is replaced. It never closes the real one.
absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__

TEXT = "Bà Lê Thị Sen ở Đà Lạt làm việc tại Sở Y tế TP.HCM."
ENTITIES = (("Lê Thị Sen", "person"), ("Đà Lạt", "location"), ("Sở Y tế TP.HCM", "organization"))


def described(run: RunDir) -> mlcroissant.Dataset:
    return mlcroissant.Dataset(jsonld=str(run.croissant))


@pytest.mark.slow
def test_it_is_valid(finished: Path) -> None:
    """There is no error, and no warning except about licence, citation and address of an unnamed dataset."""
    issues = described(RunDir(finished)).metadata.ctx.issues
    assert not issues.errors
    words = " ".join(issues.warnings)
    assert not [name for name in ("recordSet", "field", "sha256", "datePublished", "description") if name in words]


def test_records_equal_those_of_the_files(finished: Path) -> None:
    """Samples and annotations read through croissant.json equal those of the files."""
    dataset = described(RunDir(finished))
    expected = pq.read_table(finished / "samples" / "validation.parquet").to_pylist()
    found = list(dataset.records("validation"))
    assert [record["validation/output"].decode() for record in found] == [row["output"] for row in expected]
    assert [bool(record["validation/negative"]) for record in found] == [row["negative"] for row in expected]
    rows = pq.read_table(finished / "annotations.parquet").to_pylist()
    for record, row in zip(islice(dataset.records("annotations"), 20), rows, strict=False):
        assert record["annotations/text"].decode() == row["text"]
        mentions = record["annotations/mentions"]
        assert [part["annotations/mentions/text"].decode() for part in mentions] == [m["text"] for m in row["mentions"]]
        assert [int(part["annotations/mentions/start"]) for part in mentions] == [m["start"] for m in row["mentions"]]


def test_it_describes_the_run(finished: Path) -> None:
    """It names teacher, prompt and source, and states that the quality is not measured."""
    found = json.loads((finished / "croissant.json").read_text(encoding="utf-8"))
    assert "llama3-70b-8192" in found["rai:machineAnnotationTools"]
    assert "open-ner-vi" in found["rai:dataAnnotationProtocol"][0]
    assert "sample" in found["rai:dataCollection"]
    assert any("not measured" in line for line in found["rai:dataAnnotationAnalysis"])
    assert {file["@id"] for file in found["distribution"]} >= {"samples/train.parquet", "annotations.parquet"}


def test_a_published_dataset_has_no_local_path(tmp_path: Path) -> None:
    """Name, licence, address and citation are those of the publication; there is no local path."""
    run = make_run(tmp_path / "run", [Item("p1", TEXT, ENTITIES)], source="/home/someone/news")
    write_card(run, audit(run), Target("org/name", licence="cc-by-4.0", url="https://hub.invalid/datasets/org/name"))
    text = run.croissant.read_text(encoding="utf-8")
    found = json.loads(text)
    assert (found["name"], found["license"]) == ("org/name", "cc-by-4.0")
    assert found["url"].endswith("org/name")
    assert "@misc" in found["citeAs"]
    assert "/home/someone" not in text
    assert "1 mentions of the type person" in found["rai:personalSensitiveInformation"]
    assert not described(run).metadata.ctx.issues.errors


@pytest.fixture(autouse=True)
def no_logs() -> None:
    """Silence the library, which logs to the terminal."""
    logging.getLogger("absl").setLevel(logging.ERROR)
