"""``check`` with a second teacher and an arbiter: its effect on the dataset; no answer is paid for twice."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from annotator.checking.compare import SAME
from annotator.checking.opinions import read_opinions
from annotator.cleaning.corrections import text_sha256
from annotator.storage import tables
from annotator.storage.rundir import RunDir
from data_cards.card import make_card
from data_cards.publication import Target
from data_cards.report import render
from data_cards.review.predictions import read_predictions
from data_cards.review.quality import measure_run, write_quality
from data_cards.review.session import Session, Settings
from tests.batch_endpoint import BatchEndpoint
from tests.commands import (
    FILES,
    answers_in_ledger,
    asking,
    build,
    fingerprints,
    must_succeed,
    vner,
    vner_process,
    wait_for,
)
from tests.endpoint import CAPITALS, Answer, Endpoint, delayed, echo_entities

pytestmark = pytest.mark.slow

ARBITER = ("Excerpts of a Vietnamese text", "Which [number type: candidate]")
"""The beginning of the questions to an arbiter, by version of the prompt."""


def second_teacher(text: str, attempt: int) -> Answer:
    """Predict other types and fewer names than the first teacher; as the arbiter, accept candidate 1."""
    if text.startswith(ARBITER):
        return Answer(content="[1]")
    found = list(dict.fromkeys(CAPITALS.findall(text)))
    return Answer(content=json.dumps([[name, "PERSON" if len(name) % 3 else "LOCATION"] for name in found[1:]]))


def check(endpoint: Endpoint, out: Path, *more: object) -> Any:
    return vner("check", out, "--provider", "openai", "--model", "m2", "--base-url", endpoint.url, "--quiet", *more)


def digests(out: Path) -> dict[str, str]:
    own = hashlib.sha256((out / "agreement.parquet").read_bytes()).hexdigest()
    return {**fingerprints(out), "agreement.parquet": own}


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str], dict[str, str]]:
    """Return a checked run of the bundled sample, with an arbiter, and its fingerprints before and after."""
    out = tmp_path_factory.mktemp("checked") / "run"
    with Endpoint() as first, Endpoint(second_teacher) as second:
        must_succeed(build(first, out, "--quiet", "--negatives", "0.5"))
        before = fingerprints(out)
        asked = first.asked.total()
        must_succeed(check(second, out, "--keep", "arbiter"))
        assert first.asked.total() == asked
    return out, before, digests(out)


def test_a_killed_check_continues(checked: tuple[Path, dict[str, str], dict[str, str]], tmp_path: Path) -> None:
    """A check killed during both teachers' questions repeats only those in flight and gives the same files."""
    out = tmp_path / "run"
    with Endpoint() as first, Endpoint(delayed(0.02, second_teacher)) as second:
        must_succeed(build(first, out, "--quiet", "--negatives", "0.5"))
        flags = ["--provider", "openai", "--model", "m2", "--base-url", second.url, "--keep", "arbiter"]
        passages = tables.count(out / "passages.parquet")
        for moment in (passages // 3, passages + 20):
            process = vner_process("check", out, *flags, "--concurrency", 3)
            wait_for(lambda moment=moment: second.asked.total() > moment)  # type: ignore[misc]
            process.send_signal(signal.SIGKILL)
            process.wait()
            assert not (out / "check.json").exists()
        must_succeed(vner("check", out, *flags, "--quiet", "--concurrency", 7))
        # Only the requests that were in flight at a kill are repeated.
        assert sum(number - 1 for number in second.asked.values()) <= 2 * 3
        assert answers_in_ledger(out) == len(first.asked) + len(second.asked)
        asked = second.asked.total()
        must_succeed(vner("check", out, "--quiet"))
        assert second.asked.total() == asked
    assert digests(out) == checked[2]


def test_entities_that_the_arbiter_rejects_are_left_out(
    checked: tuple[Path, dict[str, str], dict[str, str]],
) -> None:
    """Entities that the arbiter rejects are in rejected.parquet and in no sample; the audit finds no problem."""
    out = checked[0]
    reasons = {one.reason for one in tables.read_rejected(out / "rejected.parquet")}
    audit = json.loads((out / "audit.json").read_text())
    assert reasons >= {"second teacher: other type"}
    assert audit["problems"] == []
    assert audit["agreement"]["verdicts"]["other type"] > 0
    kept = {(one.passage_id, m.text, m.label) for one in tables.read_annotations(out / "annotations.parquet")
            for m in one.mentions}  # fmt: skip
    for one in read_opinions(out / "agreement.parquet"):
        expected = one.arbiter == "accepted" if one.arbiter else one.teacher != "second"
        assert ((one.passage_id, one.mention, one.label) in kept) == expected


def test_keep_all_restores_the_dataset(
    checked: tuple[Path, dict[str, str], dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--keep needs no request; with ``all``, only the audit differs from the run before the check."""
    out = tmp_path / "run"
    shutil.copytree(checked[0], out)
    sizes = {}
    for keep in ("union", "agreed", "all"):
        result = must_succeed(vner("check", out, "--keep", keep, "--quiet", "--json"))
        sizes[keep] = sum(len(one.mentions) for one in tables.read_annotations(out / "annotations.parquet"))
        assert json.loads(result.stdout)["keep"] == keep
    assert vner("check", out, "--differences", "--quiet").stdout.startswith("# What two teachers differ about")
    assert sizes["agreed"] < sizes["all"] < sizes["union"]
    after = fingerprints(out)
    assert {name for name in after if after[name] != checked[1][name]} == {"audit.json"}
    (out / "check.json").unlink()
    must_succeed(vner("build", "--out", out, "--quiet"))
    assert fingerprints(out) == checked[1]
    assert not (out / "agreement.parquet").exists()


def test_a_run_keeps_its_version_of_the_arbiter(
    checked: tuple[Path, dict[str, str], dict[str, str]], tmp_path: Path
) -> None:
    """A check.json without an arbiter prompt uses the first version, and its answers are found again."""
    out = tmp_path / "run"
    shutil.copytree(checked[0], out)
    settings = json.loads((out / "check.json").read_text())
    assert settings.pop("arbiter") == "arbiter.2"
    (out / "check.json").write_text(json.dumps(settings))
    with Endpoint(second_teacher) as second:
        flags = ["check", out, "--base-url", second.url, "--quiet"]
        must_succeed(vner(*flags))
        assert {text.startswith(ARBITER[0]) for text in second.asked} == {True}
        asked = second.asked.total()
        for keep in ("all", "arbiter"):
            must_succeed(vner(*flags, "--keep", keep))
        assert second.asked.total() == asked
    assert "arbiter" not in json.loads((out / "check.json").read_text())


def test_a_share_is_part_of_a_larger_share(tmp_path: Path) -> None:
    """The passages of --share 0.2 are among those of 0.6; the other passages are not changed."""
    out = tmp_path / "run"
    with Endpoint() as first, Endpoint(second_teacher) as second:
        build(first, out, "--quiet")
        asked = []
        for share in (0.2, 0.6):
            must_succeed(check(second, out, "--share", share))
            asked.append(set(second.asked))
        assert asked[0] < asked[1] < set(first.asked)
        assert set(second.asked.values()) == {1}
        must_succeed(check(second, out, "--share", 0.2, "--keep", "agreed"))
    passages = {row["passage_id"] for row in pq.read_table(out / "agreement.parquet").to_pylist()}
    rejected = {one.record_id for one in tables.read_rejected(out / "rejected.parquet")
                if one.reason.startswith("second teacher")}  # fmt: skip
    assert rejected <= passages


def test_unanswered_questions_are_asked_again(tmp_path: Path) -> None:
    """Refused questions give exit code 3 and leave their passages unchecked; the same command asks them again."""
    out = tmp_path / "run"

    def moody(text: str, attempt: int) -> Answer:
        if attempt == 1 and len(text) % 5 == 0 and len(second.asked) > 1:
            return Answer(status=400, body=b"{}")
        return second_teacher(text, attempt)

    with Endpoint() as first, Endpoint(moody) as second:
        build(first, out, "--quiet")
        result = check(second, out, "--json")
        assert result.exit_code == 3, result.output
        missing = json.loads(result.stdout)["unanswered"]
        assert 0 < missing < len(first.asked)
        before = second.asked.total()
        must_succeed(vner("check", out, "--quiet"))
        assert second.asked.total() == before + missing


def test_a_check_by_batch_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check submitted and collected as a batch gives the same agreement.parquet as one online."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    one, other = tmp_path / "one", tmp_path / "other"
    with Endpoint(second_teacher) as first, Endpoint() as second, BatchEndpoint() as api:
        build(first, one, "--quiet", "--docs", 6)
        shutil.copytree(one, other)
        flags = ["--provider", "openai", "--model", "m2", "--quiet", "--base-url"]
        must_succeed(vner("check", one, *flags, second.url))
        assert vner("check", other, *flags, f"{api.url}/v1", "--batch").exit_code == 3
        api.finish()
        must_succeed(vner("check", other, "--batch", "--quiet"))
        assert vner("check", other, "--provider", "local", "--batch").exit_code == 2
    assert digests(one)["agreement.parquet"] == digests(other)["agreement.parquet"]


def test_two_prompts_are_compared_on_a_small_build(tmp_path: Path) -> None:
    """Two prompts are compared like two teachers; a build with the better one reuses its answers."""
    out = tmp_path / "run"

    def by_prompt(text: str, attempt: int) -> Answer:
        newest = "never in Vietnamese" in endpoint.requests[-1]["messages"][-1]["content"]
        return second_teacher(text, attempt) if newest else echo_entities(text, attempt)

    with Endpoint(by_prompt) as endpoint:
        flags = ["--out", out, *asking(endpoint), "--concurrency", 1, "--quiet"]
        must_succeed(vner("build", "sample", "--docs", 5, "--prompt", "open-ner-vi.1", *flags))
        pilot = len(endpoint.requests)
        other = ["--prompt", "open-ner-vi.2", "--concurrency", 1]  # other settings as for the first teacher
        result = must_succeed(vner("check", out, *other, "--differences", "--quiet", "--json"))
        figures = json.loads(result.stdout)
        assert len(endpoint.requests) == 2 * pilot
        assert figures["verdicts"]["other type"] > 0
        assert {one["kind"] for one in figures["differences"]} >= {"types"}
        again = ["build", "sample", "--fresh", "--docs", 10, "--prompt", "open-ner-vi.2", *flags]
        refused = vner(*again)
        assert "delete that file to go on" in " ".join(refused.output.split()), refused.output
        (out / "check.json").unlink()
        must_succeed(vner(*again))
        passages = tables.count(out / "passages.parquet")
        assert pilot < passages
        assert len(endpoint.requests) == pilot + passages


def test_what_a_check_cannot_do_is_refused(tmp_path: Path) -> None:
    """The first teacher again, a missing teacher or run, and an unsuitable arbiter are one-line errors."""
    out = tmp_path / "run"
    with Endpoint() as first:
        build(first, out, "--quiet")
        asked = first.asked.total()
        same = vner("check", out, *asking(first), "--quiet")
        assert (same.exit_code, "the first teacher itself" in same.output) == (2, True)
        assert first.asked.total() == asked
    assert "name the second teacher" in vner("check", out).output
    assert "--keep must be one of" in vner("check", out, "--provider", "local", "--keep", "best").output
    assert "needs --provider" in vner("check", out, "--provider", "local", "--keep", "arbiter").output
    assert vner("check", tmp_path / "nothing", "--provider", "local").exit_code == 1
    assert all((out / f"{name}.parquet").exists() for name in FILES)


def test_reviews_follow_the_verdicts(checked: tuple[Path, dict[str, str], dict[str, str]]) -> None:
    """Strata are split by agreement, every entity has a score, and the queue begins with the greatest doubt."""
    run = RunDir(checked[0])
    predictions = read_predictions(run, 0)
    assert {name.rpartition(" / ")[2] for name in predictions.strata} == {"agreed", "doubtful"}
    assert predictions.scores.keys() == predictions.drawn.keys()
    session = Session(run, Settings(reviewer="an", mode="correct"))
    doubt: dict[str, float] = {}
    for one in read_opinions(run.agreement):
        if one.verdict not in SAME and one.arbiter != "rejected":
            doubt[one.passage_id] = doubt.get(one.passage_id, 0.0) + one.doubt
    item = session.next("correct")["item"]
    assert doubt[item["passage_id"]] == pytest.approx(max(doubt.values()))
    assert "the teachers differ" in item["why"]
    passage_id, mention, label = next(iter(predictions.drawn))
    session.decide("verify", {"passage_id": passage_id, "mention": mention, "label": label, "verdict": "right"})
    found = measure_run(run)
    (run.root / "reviews" / "an.jsonl").unlink()
    assert found is not None
    assert found["precision"]["value"] == 1.0


def test_a_review_overrides_the_arbiter(checked: tuple[Path, dict[str, str], dict[str, str]], tmp_path: Path) -> None:
    """An entity that a person judged right stays although the arbiter rejects it; estimates use the old entities."""
    out = tmp_path / "run"
    shutil.copytree(checked[0], out)
    run = RunDir(out)

    def entities(file: Path) -> set[tuple[str, str, str]]:
        return {(one.passage_id, place.text, place.label) for one in tables.read_annotations(file)
                for place in one.mentions}  # fmt: skip

    before = entities(run.annotations)
    gone = [one for one in read_opinions(run.agreement) if one.arbiter == "rejected" and one.teacher == "first"]
    kept = (gone[0].passage_id, gone[0].mention, gone[0].label)
    assert kept not in before
    text = next(one.text for one in tables.read_passages(run.passages) if one.id == kept[0])
    decision = {"reviewer": "an", "mode": "verify", "passage_id": kept[0], "mention": kept[1], "label": kept[2],
                "text_sha256": text_sha256(text), "time": "2026-01-01T00:00:00Z", "verdict": "right"}  # fmt: skip
    (out / "reviews").mkdir(exist_ok=True)
    (out / "reviews" / "an.jsonl").write_text(json.dumps(decision, ensure_ascii=False) + "\n", encoding="utf-8")
    must_succeed(vner("build", "--out", out, "--quiet"))
    assert entities(run.annotations) == before | {kept}
    assert entities(run.predicted_before_review) == before


def test_blind_passages_replace_the_bound(checked: tuple[Path, dict[str, str], dict[str, str]], tmp_path: Path) -> None:
    """Before any blind reading all pages show a bound; afterwards they show the measured share and interval."""
    out = tmp_path / "run"
    shutil.copytree(checked[0], out)
    run = RunDir(out)

    def pages() -> list[str]:
        audit = json.loads(run.audit.read_text())
        printed = [vner("check", out, "--quiet").stdout, vner("audit", out).stdout]
        return [render(run, audit, 0), make_card(run, audit, Target()), *printed]

    assert all("bound, no measurement" in " ".join(page.split()) for page in pages())
    session = Session(run, Settings(reviewer="an", mode="blind"))
    for _ in range(4):
        item = session.next("blind")["item"]
        word = item["text"].split()[0]  # an entity that both missed: they find runs of two words
        session.decide("blind", {"passage_id": item["passage_id"],
                                 "entities": [*item["predicted"], [0, len(word), "event"]]})  # fmt: skip
    quality = write_quality(run)
    assert quality is not None
    missed = quality["missed_by_both"]
    assert 0 < missed["missed"] <= missed["n"] == 4
    assert missed["low"] < missed["value"] < missed["high"]
    wanted = f"missed by both: measured, {100 * missed['value']:.1f} % (95 % interval"
    shown = pages()
    assert all(wanted in " ".join(page.split()) for page in [*shown, vner("quality", out).stdout])
    assert not any("bound, no measurement" in " ".join(page.split()) for page in shown)


def test_report_and_card_show_a_check_only_after_one(
    checked: tuple[Path, dict[str, str], dict[str, str]], finished: Path
) -> None:
    """Report and card show verdicts and differing passages only after a check."""
    for root, there in ((checked[0], True), (finished, False)):
        audit = json.loads((root / "audit.json").read_text())
        page = render(RunDir(root), audit, 0)
        card = (root / "README.md").read_text(encoding="utf-8")
        assert ("agreement" in audit) == there
        assert ("Where two teachers differ" in page) == there
        assert ("Where two teachers differ" in card) == there
        assert ("check" in json.loads((root / "manifest.json").read_text())) == there
        assert ("passages on which they differ most" in page) == there


def test_a_plan_prices_a_check(tmp_path: Path) -> None:
    """``plan --check`` prices the unanswered passages of the share at the second model's price, without a request."""
    out = tmp_path / "run"
    with Endpoint() as first, Endpoint(second_teacher) as second:
        build(first, out, "--quiet")
        asking_second = ["--provider", "openai", "--model", "m2", "--base-url", second.url]
        prices = ["--price-in", 1, "--price-out", 2]
        flags = ["plan", "--out", out, "--check", *asking_second, *prices, "--quiet", "--json"]
        part = json.loads(vner(*flags, "--share", 0.5).stdout)
        whole = json.loads(vner(*flags).stdout)
        assert 0 < part["passages"]["to_ask"] < whole["passages"]["to_ask"] == len(first.asked)
        assert whole["model"] == "m2"
        assert whole["cost"]["usd"] > part["cost"]["usd"] > 0
        assert not second.requests
        check(second, out, "--share", 0.5)
        assert second.asked.total() == part["passages"]["to_ask"]
        after = json.loads(vner(*flags, "--share", 1).stdout)
        assert after["passages"]["to_ask"] == whole["passages"]["to_ask"] - part["passages"]["to_ask"]
    assert "--check needs --out" in vner("plan", "--check", "--provider", "local").output
    assert "need --check" in vner("plan", "--share", "0.5").output
