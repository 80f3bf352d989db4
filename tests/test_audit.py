"""The figures of the audit are computed from the files alone, and equal those counted by hand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.records import Annotation, LabelUse, Mention, Passage, Piece, Sample
from annotator.storage import tables
from annotator.storage.atomic import replacing, write_json
from annotator.storage.rundir import SPLITS, RunDir
from data_cards.audit.compute import audit
from data_cards.audit.mentions import distribution

TEXT = "Bà Hoà ở Đại học Hà Nội."


def mention(text: str, label: str, match: str = "exact") -> Mention:
    start = TEXT.index(text)
    return Mention(text, label, label.upper(), start, start + len(text), match)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """Write a run with two passages, four mentions and three samples."""
    directory = RunDir(tmp_path)
    found = (
        mention("Hoà", "person", "tone"),
        mention("Đại học Hà Nội", "university"),
        mention("Đại học Hà Nội", "school"),
        mention("Hà Nội", "city"),
    )
    flow = {"stage": "clean", "unit": "claim", "in": 6, "out": 4, "made": {}, "rejected": {"a | b <i>": 2}}
    write_json(
        directory.manifest,
        {
            "config": {"min_tokens": 150, "max_tokens": 256},
            "stages": {"clean": {"funnel": [flow]}},
            "source": {"name": "tin_tức | <b>"},
            "tokenizer": {"name": "llama3"},
            "teacher": {"provider": "openai", "model": "m", "temperature": 0,
                        "prompt": {"name": "p", "version": 1, "sha256": "0"}},
            "lexicon": {"sha256": "0"},
            "made_by": {"vner-annotate": "0.1.0"},
        },
    )  # fmt: skip
    contents: dict[Path, tuple[Any, list[Any]]] = {
        directory.passages: (
            tables.PASSAGE,
            [
                Passage("p1", TEXT, 151, (Piece("d", 0, 9),), 1),
                Passage("p2", "x", 99, (Piece("d", 9, 10), Piece("e", 0, 1)), 1, "space"),
            ],
        ),
        directory.annotations: (
            tables.ANNOTATION,
            [Annotation("p1", TEXT, found, "ok"), Annotation("p2", "x", (), "truncated")],
        ),
        directory.labels: (tables.LABEL, [LabelUse("PER", "person", "changed", "abbreviation", 1, 1)]),
        directory.samples("train"): (
            tables.SAMPLE,
            [Sample(label, "q", TEXT, "[]", label, label == "law", "p1") for label in ("person", "city", "law")],
        ),
        directory.samples("validation"): (tables.SAMPLE, []),
        directory.samples("test"): (tables.SAMPLE, []),
    }
    for path, (schema, records) in contents.items():
        with replacing(path) as file:
            tables.write_records(file, schema, records)
    return directory


def test_figures_that_can_be_counted_by_hand(run: RunDir) -> None:
    """All figures equal those counted by hand, and audit.json has them."""
    figures = audit(run)
    assert figures["passages"] == {
        "count": 2,
        "tokens": {"min": 99, "median": 99, "mean": 125.0, "p95": 151, "max": 151},
        "bounds": [150, 256],
        "below": 1,
        "above": 0,
        "cut_sentences": {"none": 1, "space": 1},
        "joined_from_several_documents": 1,
    }
    assert figures["mentions"]["count"] == 4
    assert figures["mentions"]["match"] == {"exact": 3, "tone": 1}
    assert figures["mentions"]["passages_without"] == 1
    assert figures["mentions"]["spans_nested"] == 1
    assert figures["mentions"]["spans_with_several_labels"] == 1
    assert figures["replies"] == {"ok": 1, "truncated": 1}
    assert figures["labels"]["distinct"] == 4
    assert figures["labels"]["only_once"] == 4
    assert figures["labels"]["share_of_mentions"] == {"top_1_percent": 0.25, "next_9_percent": 0.0, "rest": 0.75}
    assert figures["samples"] == {
        "count": 3,
        "splits": {"train": {"positive": 2, "negative": 1}, **{s: {"positive": 0, "negative": 0} for s in SPLITS[1:]}},
    }
    before = run.audit.read_bytes()
    audit(run)
    assert run.audit.read_bytes() == before


@given(st.lists(st.integers(0, 30), min_size=1, max_size=50))
def test_a_distribution_equals_that_of_the_numbers(numbers: list[int]) -> None:
    """A distribution computed from frequencies equals that of the numbers."""
    found = distribution(Counter(numbers))
    ordered = sorted(numbers)
    assert (found["min"], found["max"]) == (ordered[0], ordered[-1])
    assert found["median"] == ordered[(len(ordered) - 1) // 2]
    assert found["mean"] == pytest.approx(sum(numbers) / len(numbers), abs=0.001)


def test_a_distribution_of_nothing_is_empty() -> None:
    """The distribution of no numbers is empty, not an error."""
    assert distribution({}) == {}
