"""A check of a share of the passages: how the share is drawn, and what it estimates for all of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.checking.drawing import Outline, fraction, positions, strata
from annotator.checking.opinions import Opinion
from annotator.storage import tables
from annotator.storage.rundir import RunDir
from data_cards.audit.agreement import whole
from data_cards.report import render
from tests.commands import must_succeed, vner
from tests.endpoint import Answer, Endpoint
from tests.test_second_opinion import check, digests, second_teacher

TYPES = ("person", "location", "law", "spice")
OUTLINES = st.lists(
    st.tuples(st.integers(0, 2), st.none() | st.dictionaries(st.sampled_from(TYPES), st.integers(1, 9)))
).map(lambda found: [Outline(f"p{number}", *one) for number, one in enumerate(found)])


@given(OUTLINES, st.integers(0, 5), st.floats(0.01, 1))
def test_a_share_is_proportional_in_each_stratum(passages: list[Outline], seed: int, share: float) -> None:
    """A share has its part of each stratum, within one passage, independent of the order of passages."""
    drawn = positions(passages, seed)
    assert drawn == positions(passages[::-1], seed)
    assert drawn.keys() == {one.passage_id for one in passages}
    assert all(0 <= place < 1 for place in drawn.values())
    for ids in strata(passages).values():
        assert abs(sum(drawn[one] < share for one in ids) - share * len(ids)) < 1 + 1e-9


def test_each_passage_is_drawn_with_the_same_probability() -> None:
    """Over many seeds each passage is drawn equally often, even the only one of its stratum."""
    passages = [Outline(f"p{number}", 0, {"person": 1}) for number in range(9)] + [Outline("alone", 2, {})]
    draws = [positions(passages, seed) for seed in range(2000)]
    assert mean(draw["alone"] < 0.2 for draw in draws) == pytest.approx(0.2, abs=0.03)
    assert mean(draw["p0"] < 0.2 for draw in draws) == pytest.approx(0.2, abs=0.03)


def test_strata_are_split_number_of_entities_and_rare_types() -> None:
    """Strata divide by split, at the median number of entities, and by the rarest types, at most a tenth."""
    passages = [
        *(Outline(f"p{number}", 0, {"person": 1 + number % 2}) for number in range(10)),
        Outline("rare", 0, {"person": 2, "spice": 1}),
        Outline("empty", 1, {}),
        Outline("unread", 0, None),
    ]
    found = strata(passages)
    assert found[0, "many", True] == ["rare"]
    assert found[1, "none", False] == ["empty"]
    assert found[0, "unread", False] == ["unread"]
    assert len(found[0, "few", False]) == len(found[0, "many", False]) == 5


def opinion(passage: str, verdict: str, teacher: str) -> Opinion:
    return Opinion(passage, "Huế", 0, 3, "city", "", verdict, 0.5, teacher, "")


def test_a_share_estimates_the_agreement_in_all_passages() -> None:
    """Estimates are the figures of the share; intervals narrow as it grows and vanish for all passages."""
    rows = [
        one
        for number in range(30)
        for one in (
            opinion(f"p{number}", "agreed", "both"),
            opinion(f"p{number}", "grain", "first"),
            opinion(f"p{number}", *(("only first", "first") if number % 3 else ("only second", "second"))),
        )
    ]
    found = {share: whole(rows, share) for share in (0.2, 0.8, 1.0)}
    assert found[0.2]["f1"]["value"] == found[1.0]["f1"]["value"] == pytest.approx(30 / (30 + 60 / 2), abs=1e-4)
    assert found[0.2]["confirmed"]["value"] == pytest.approx(60 / 80, abs=1e-4)
    width = {share: one["confirmed"]["high"] - one["confirmed"]["low"] for share, one in found.items()}
    assert width[0.2] > width[0.8] > width[1.0] == 0
    assert whole([], 0.5) == {}


@pytest.mark.slow
def test_estimates_of_a_share_are_shown(tmp_path: Path) -> None:
    """Terminal, audit, report and card show the estimates of a share, but not of a full check."""
    out = tmp_path / "run"
    with Endpoint() as first, Endpoint(second_teacher) as second:
        must_succeed(vner("build", "--out", out, "--provider", "openai", "--model", "m", "--base-url", first.url,
                    "--quiet"))  # fmt: skip
        result = must_succeed(check(second, out, "--share", 0.3, "--keep", "agreed"))
        audit = json.loads((out / "audit.json").read_text())
        assert 0 < audit["agreement"]["whole"]["f1"]["low"] < audit["agreement"]["whole"]["f1"]["high"] < 1
        shown = (" ".join(result.stdout.split()), render(RunDir(out), audit, 0), (out / "README.md").read_text())
        for text in shown:
            assert "estimated for all passages, with 95 % intervals: F1 0." in text
            assert "in all others the dataset has what the first teacher predicted" in text
        assert json.loads((out / "check.json").read_text())["draw"] == "stratified"
        asked = second.asked.total()
        assert asked == pytest.approx(0.3 * len(first.asked), abs=6)
        whole_run = check(second, out, "--share", 1)
        assert "estimated for all passages" not in whole_run.stdout
        assert set(second.asked.values()) == {1}


@pytest.mark.slow
def test_a_check_of_an_older_version_keeps_its_draw(tmp_path: Path) -> None:
    """A check.json without a draw keeps the draw by hash, and no passage is asked about again."""
    out = tmp_path / "run"
    with Endpoint() as first, Endpoint(second_teacher) as second:
        vner("build", "--out", out, "--provider", "openai", "--model", "m", "--base-url", first.url, "--quiet")
        check(second, out, "--share", 0.05)
        settings = json.loads((out / "check.json").read_text())
        del settings["draw"]
        (out / "check.json").write_text(json.dumps(settings))
        second.asked.clear()
        must_succeed(check(second, out, "--share", 0.4))
        texts = {one.id: one.text for one in tables.read_passages(out / "passages.parquet")}
        drawn = {text for identity, text in texts.items() if fraction(0, identity) < 0.4}
        assert set(second.asked) < drawn
        again = tmp_path / "again"
        shutil.copytree(out, again)
        before = second.asked.total()
        must_succeed(vner("check", again, "--quiet"))
        assert second.asked.total() == before
        assert digests(again) == digests(out)
    assert "draw" not in json.loads((out / "check.json").read_text())


@pytest.mark.slow
def test_label_decisions_do_not_change_the_draw(tmp_path: Path) -> None:
    """The same passages are checked after a label is rejected, so that no answer is lost."""
    out, labels = tmp_path / "run", tmp_path / "labels.toml"
    labels.write_text("location = false\n", encoding="utf-8")

    def first_teacher(text: str, attempt: int) -> Answer:
        return Answer(content=json.dumps([["Hà Nội", "LOCATION"], [text.split(maxsplit=1)[0], "PERSON"]]))

    with Endpoint(first_teacher) as first, Endpoint(second_teacher) as second:
        vner("build", "--out", out, "--provider", "openai", "--model", "m", "--base-url", first.url, "--quiet")
        must_succeed(check(second, out, "--share", 0.3))
        asked = second.asked.total()
        must_succeed(vner("labels", "apply", out, labels, "--quiet"))
        must_succeed(vner("check", out, "--quiet"))
        assert second.asked.total() == asked
