"""End-to-end tests of ``build``: real files, a real endpoint on loopback, the real command."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from annotator.records import Document, LabelUse
from annotator.storage import tables
from annotator.storage.rundir import SPLITS, RunDir
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
from tests.conftest import ROOT
from tests.endpoint import Answer, Endpoint, delayed, echo_entities

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Build the bundled sample once through an endpoint; return the run directory and the JSON report."""
    out = tmp_path_factory.mktemp("built") / "run"
    with Endpoint() as endpoint:
        result = build(endpoint, out, "--json", "--quiet", "--negatives", "0.5")
    assert result.exit_code == 0, result.output
    return out, json.loads(result.stdout)


def test_everything_is_made(built: tuple[Path, dict[str, Any]]) -> None:
    """A build writes every promised file, and the report agrees with the files."""
    out, report = built
    for name in (
        *(f"{name}.parquet" for name in FILES),
        "completions.sqlite",
        "audit.json",
        "manifest.json",
        "README.md",
    ):
        assert (out / name).stat().st_size > 0, name
    samples = {split: pq.read_table(out / "samples" / f"{split}.parquet").num_rows for split in SPLITS}
    assert report["samples"]["count"] == sum(samples.values()) > 100
    assert report["unanswered"] == 0
    assert json.loads((out / "audit.json").read_text(encoding="utf-8"))["funnel"] == report["funnel"]


def test_in_is_kept_and_rejected(built: tuple[Path, dict[str, Any]]) -> None:
    """At every stage, in = kept + rejected; rejected.parquet has each rejected record with its reason."""
    out, report = built
    in_file = Counter((row["stage"], row["reason"]) for row in tables.rows(out / "rejected.parquet"))
    in_funnel = Counter(
        {(flow["stage"], reason): number for flow in report["funnel"] for reason, number in flow["rejected"].items()}
    )
    assert in_file == in_funnel
    for flow in report["funnel"]:
        assert flow["in"] == flow["out"] + sum(flow["rejected"].values())
    stages = ["sample", "boilerplate", "chunk", "overlap", "annotate", "parse", "clean", "project", "explode"]
    assert [flow["stage"] for flow in report["funnel"]] == stages


def test_the_merge_log_agrees_with_the_rest(built: tuple[Path, dict[str, Any]]) -> None:
    """labels.parquet counts every predicted entity and mention once; the audit agrees with it."""
    out, report = built
    uses = list(tables.read_records(RunDir(out).labels, LabelUse))
    clean = next(flow for flow in report["funnel"] if flow["stage"] == "clean")
    assert sum(use.claims for use in uses) == clean["in"] - clean["rejected"].get("malformed claim", 0)
    assert sum(use.mentions for use in uses) == clean["made"]["mention"]
    labels = report["labels"]
    assert labels["raw_distinct"] == len(uses) == sum(entry["raw_labels"] for entry in labels["by_rule"].values())
    assert sum(entry["claims"] for entry in labels["by_status"].values()) == sum(use.claims for use in uses)


def test_passages_are_slices_and_mentions_are_slices(built: tuple[Path, dict[str, Any]]) -> None:
    """Passages are exact slices of their articles, and mentions of their passages."""
    out, _ = built
    run = RunDir(out)
    texts = {document.id: document.text for document in tables.read_records(run.documents, Document)}
    passages = {passage.id: passage for passage in tables.read_passages(run.passages)}
    for passage in passages.values():
        slices = [texts[piece.document_id][piece.start : piece.end] for piece in passage.pieces]
        position = 0
        for part in slices:
            found = passage.text.index(part, position)
            assert not passage.text[position:found].strip()
            position = found + len(part)
        assert position == len(passage.text)
        assert passage.n_tokens <= 256
    mentions = 0
    for annotation in tables.read_annotations(run.annotations):
        assert annotation.text == passages[annotation.passage_id].text
        for mention in annotation.mentions:
            mentions += 1
            assert annotation.text[mention.start : mention.end] == mention.text
    assert mentions > 100


def test_samples_follow_from_annotations(built: tuple[Path, dict[str, Any]]) -> None:
    """A sample's answer lists the mentions of its type; no document is in two splits."""
    out, _ = built
    run = RunDir(out)
    annotations = {annotation.passage_id: annotation for annotation in tables.read_annotations(run.annotations)}
    documents = {
        passage.id: {piece.document_id for piece in passage.pieces} for passage in tables.read_passages(run.passages)
    }
    seen: dict[str, str] = {}
    negatives = 0
    for split in SPLITS:
        for sample in tables.read_samples(run.samples(split)):
            annotation = annotations[sample.passage_id]
            mentions = [mention.text for mention in annotation.mentions if mention.label == sample.entity_type]
            assert json.loads(sample.output) == list(dict.fromkeys(mentions))
            assert sample.negative == (not mentions)
            assert sample.input == annotation.text
            negatives += sample.negative
            for document in documents[sample.passage_id]:
                assert seen.setdefault(document, split) == split
    assert negatives > 0


def test_the_published_form_loads_with_datasets(built: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """``datasets`` loads the run directory as it is: the card names the files of each split."""
    import datasets

    out, report = built
    loaded = datasets.load_dataset(str(out), cache_dir=str(tmp_path))
    assert {name: len(split) for name, split in loaded.items()} == {
        name: sum(counts.values()) for name, counts in report["samples"]["splits"].items() if sum(counts.values())
    }


def test_a_second_run_does_nothing(built: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """A second run skips all stages; it sends no request and needs no key and no endpoint."""
    out, _ = built
    before = fingerprints(out)
    result = must_succeed(vner("build", "--out", out, "--json", "--base-url", "http://127.0.0.1:9/v1"))
    assert json.loads(result.stdout)["skipped"] == ["sample", "chunk", "annotate", "clean", "explode"]
    assert fingerprints(out) == before


@pytest.mark.usefixtures("processes")
def test_concurrency_and_order_change_nothing(tmp_path: Path) -> None:
    """The order of the answers and the number of workers change no byte."""

    def jumbled(passage: str, attempt: int) -> Answer:
        delay = random.Random(passage).random() / 20
        return Answer(content=echo_entities(passage, attempt).content, delay=delay)

    with Endpoint() as endpoint:
        build(endpoint, tmp_path / "one", "--concurrency", 1, "--workers", 1, "--negatives", 1)
    with Endpoint(jumbled) as endpoint:
        build(endpoint, tmp_path / "many", "--concurrency", 40, "--workers", 2, "--negatives", 1)
    assert fingerprints(tmp_path / "one") == fingerprints(tmp_path / "many")


def test_the_same_through_groq(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Groq SDK sends the same questions as the OpenAI SDK and gives the same dataset."""
    monkeypatch.setenv("GROQ_API_KEY", "gsk-secret")
    with Endpoint() as endpoint:
        build(endpoint, tmp_path / "openai")
        asked = endpoint.asked.copy()
        must_succeed(vner("build", "--out", tmp_path / "groq", *asking(endpoint, "groq")))
        assert {passage: number * 2 for passage, number in asked.items()} == endpoint.asked
    same = {name: value for name, value in fingerprints(tmp_path / "openai").items() if name != "audit.json"}
    assert {name: value for name, value in fingerprints(tmp_path / "groq").items() if name != "audit.json"} == same


def test_a_cheap_setting_is_simply_changed(endpoint: Endpoint, tmp_path: Path) -> None:
    """New negatives and splits need no request; the earlier stages are skipped."""
    build(endpoint, tmp_path / "run")
    asked = endpoint.asked.total()
    result = must_succeed(
        vner("explode", "--out", tmp_path / "run", "--negatives", 1, "--split", "0.5,0.25,0.25", "--json")
    )
    report = json.loads(result.stdout)
    assert report["skipped"] == ["sample", "chunk", "annotate", "clean"]
    assert endpoint.asked.total() == asked
    assert sum(counts["negative"] for counts in report["samples"]["splits"].values()) > 0


def test_other_questions_are_refused_and_fresh_starts_over(endpoint: Endpoint, tmp_path: Path) -> None:
    """A setting that changes the questions is refused; --fresh accepts it and reuses the answers."""
    out = tmp_path / "run"
    build(endpoint, out, "--docs", 5)
    asked = endpoint.asked.total()
    before = fingerprints(out)
    refused = build(endpoint, out, "--docs", 10)
    assert refused.exit_code == 2
    assert "was made with --docs 5, not 10" in refused.stderr
    assert fingerprints(out) == before
    must_succeed(build(endpoint, out, "--docs", 10, "--fresh", "--json"))
    assert set(endpoint.asked.values()) == {1}
    assert asked < endpoint.asked.total()


def test_a_setting_that_an_earlier_version_did_not_have_is_refused_too(endpoint: Endpoint, tmp_path: Path) -> None:
    """--pack would ask every question again: it is refused even if the manifest lacks it."""
    out = tmp_path / "run"
    build(endpoint, out, "--docs", 5)
    asked = endpoint.asked.total()
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    del manifest["config"]["pack"]
    (out / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    refused = build(endpoint, out, "--docs", 5, "--pack")
    assert refused.exit_code == 2
    assert "was made with --pack False, not True" in refused.stderr
    must_succeed(build(endpoint, out, "--docs", 5))
    assert endpoint.asked.total() == asked


def test_a_changed_source_is_noticed(endpoint: Endpoint, tmp_path: Path) -> None:
    """The same path with other articles is refused; a source that no longer exists is not needed."""
    source = tmp_path / "news.jsonl"
    article = (ROOT / "annotator" / "sources" / "bundled" / "health.jsonl").read_text(encoding="utf-8")
    source.write_text(article, encoding="utf-8")
    must_succeed(build(endpoint, tmp_path / "run", source=source))
    source.write_text(article.replace("Bộ Y tế", "Sở Y tế"), encoding="utf-8")
    changed = build(endpoint, tmp_path / "run", source=source)
    assert changed.exit_code == 2
    assert "is not the source of" in changed.stderr
    source.unlink()
    must_succeed(build(endpoint, tmp_path / "run", source=source))


def test_stages_alone_make_the_same(built: tuple[Path, dict[str, Any]], endpoint: Endpoint, tmp_path: Path) -> None:
    """The five stage commands, one after the other, give the same files as ``build``."""
    out, _ = built
    alone = tmp_path / "alone"
    for stage in ("sample", "chunk", "annotate", "clean", "explode"):
        result = must_succeed(vner(stage, "sample", "--out", alone, *asking(endpoint), "--negatives", "0.5", "--json"))
        assert set(json.loads(result.stdout)["stage_seconds"]) >= {stage}
    assert fingerprints(alone) == fingerprints(out)


def test_unanswered_passages_are_recorded_and_finished_later(
    endpoint: Endpoint, tmp_path: Path, undisturbed: Path
) -> None:
    """Unanswered passages give exit code 3 and are rejected with the cause; the same command asks again."""
    unlucky: set[str] = set()

    def some_fail(passage: str, attempt: int) -> Answer:
        if hashlib.sha256(passage.encode()).digest()[0] < 40:
            unlucky.add(passage)
            return Answer(400, body=b'{"error": {"message": "context length exceeded"}}')
        return echo_entities(passage, attempt)

    endpoint.reply = some_fail
    result = build(endpoint, tmp_path / "run")
    assert unlucky
    assert result.exit_code == 3
    assert f"{len(unlucky)} passages have no answer yet" in result.stderr
    rows = [row for row in tables.rows(tmp_path / "run" / "rejected.parquet") if row["stage"] == "annotate"]
    assert {row["value"] for row in rows} == unlucky
    assert {row["reason"] for row in rows} == {"unanswered: http 400"}
    assert all("context length exceeded" in row["detail"] for row in rows)
    endpoint.reply = echo_entities
    must_succeed(build(endpoint, tmp_path / "run"))
    assert {passage for passage, number in endpoint.asked.items() if number == 2} == unlucky
    assert fingerprints(tmp_path / "run") == fingerprints(undisturbed)


def test_killed_again_and_again(tmp_path: Path, undisturbed: Path) -> None:
    """A killed build repeats at most the requests in flight, and the result is the same."""
    out, kills, in_flight = tmp_path / "killed", 6, 4
    rng = random.Random(7)

    with Endpoint(delayed(0.05)) as endpoint:
        arguments = ["build", "sample", "--out", out, *asking(endpoint), "--concurrency", in_flight, "--quiet"]
        for _ in range(kills):
            process = vner_process(*arguments)
            before = endpoint.asked.total()
            wait_for(
                lambda before=before, process=process: endpoint.asked.total() > before or process.poll() is not None
            )
            time.sleep(rng.random() * 0.6)
            process.kill()
            process.communicate()
        in_ledger = answers_in_ledger(out)
        asked = endpoint.asked.total()
        done = vner_process(*arguments)
        _, errors = done.communicate(timeout=600)
        assert done.returncode == 0, errors
        assert endpoint.asked.total() - asked == len(endpoint.asked) - in_ledger
        assert endpoint.asked.total() - len(endpoint.asked) <= kills * in_flight
    assert fingerprints(out) == fingerprints(undisturbed)


def test_interrupted_by_the_user(tmp_path: Path) -> None:
    """Ctrl-C exits with 130 and one line; the answers so far are in the ledger."""
    with Endpoint(delayed(0.05)) as endpoint:
        process = vner_process("build", "sample", "--out", tmp_path / "run", *asking(endpoint), "--concurrency", 2)
        wait_for(lambda: endpoint.asked.total() > 20)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=600)
    assert process.returncode == 130
    assert "interrupted; all answers so far are kept" in errors
    assert "Traceback" not in errors
    assert answers_in_ledger(tmp_path / "run") >= 15


def test_two_processes_on_one_directory(tmp_path: Path) -> None:
    """A second process on the same directory stops with an error; the first one finishes."""
    second_is_done = threading.Event()

    def held(passage: str, attempt: int) -> Answer:
        second_is_done.wait(600)
        return Answer(content="[]")

    with Endpoint(held) as endpoint:
        arguments = ["build", "sample", "--out", tmp_path / "run", *asking(endpoint), "--timeout", 900]
        first = vner_process(*arguments)
        wait_for(lambda: endpoint.asked.total() > 0)
        second = vner(*arguments)
        second_is_done.set()
        assert second.exit_code == 1
        assert "another process is working on" in second.stderr
        _, errors = first.communicate(timeout=600)
        assert first.returncode == 0, errors


def test_the_key_is_in_no_file_and_no_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The API key is never written or printed, even if the endpoint echoes it in an error."""
    key = "sk-never-to-be-seen-0123456789"
    monkeypatch.setenv("OPENAI_API_KEY", key)

    def echo_key(passage: str, attempt: int) -> Answer:
        if len(passage) % 5 == 0:
            return Answer(400, body=json.dumps({"error": {"message": f"cannot do it for {key}"}}).encode())
        return echo_entities(passage, attempt)

    with Endpoint(echo_key) as endpoint:
        result = build(endpoint, tmp_path / "run", "--debug")
        assert endpoint.keys == {f"Bearer {key}"}
    assert result.exit_code == 3
    assert key not in result.output
    for path in (tmp_path / "run").rglob("*"):
        assert not path.is_file() or key.encode() not in path.read_bytes()


def test_real_news(news_dir: Path, endpoint: Endpoint, tmp_path: Path) -> None:
    """Passages of 150 real articles are exact slices of at most 256 tokens; at most 1 % are too short."""
    result = must_succeed(
        build(endpoint, tmp_path / "run", "--docs", 150, "--concurrency", 32, "--json", source=news_dir)
    )
    figures = json.loads(result.stdout)["passages"]
    assert figures["above"] == 0
    assert figures["below"] <= 0.01 * figures["count"]
    test_passages_are_slices_and_mentions_are_slices((tmp_path / "run", {}))
