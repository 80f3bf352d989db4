"""Batches through both SDKs over real HTTP: submitted, collected, expired, refused, killed; none is paid for twice."""

from __future__ import annotations

import json
import threading
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from annotator.asking import batch_jobs as batching
from annotator.asking.batch_files import read_batches
from annotator.asking.endpoint_limits import BatchLimits, batch_limits
from annotator.config.settings import RunConfig
from annotator.errors import TeacherError
from annotator.ledger import SqliteLedger
from annotator.storage import tables
from annotator.storage.rundir import RunDir
from annotator.teachers import make_teacher
from annotator.teachers.batch import read_result, request_line
from tests.batch_endpoint import BatchEndpoint, Line, answered, refused, too_late
from tests.commands import answers_in_ledger, asking, build, fingerprints, must_succeed, vner, vner_process, wait_for
from tests.endpoint import Endpoint, completion

pytestmark = pytest.mark.slow

DOCS = 6
KEY = "sk-never-to-be-seen-0123456789"


@pytest.fixture
def api() -> Iterator[BatchEndpoint]:
    with BatchEndpoint() as running:
        yield running


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("GROQ_API_KEY", KEY)


def arguments(api: BatchEndpoint, out: Path, provider: str = "openai") -> list[object]:
    common = ["--docs", DOCS, "--out", out, "--batch", "--max-retries", 0, "--workers", 1]
    return ["annotate", "sample", *common, *asking(api, provider)]


def batch(api: BatchEndpoint, out: Path, *more: object, provider: str = "openai") -> Result:
    return vner(*arguments(api, out, provider), "--quiet", *more)


def reasons(out: Path) -> Counter[str]:
    return Counter(row["reason"] for row in tables.rows(out / "rejected.parquet") if row["stage"] == "annotate")


@pytest.mark.parametrize("provider", ["openai", "groq"])
def test_submit_wait_collect(api: BatchEndpoint, endpoint: Endpoint, tmp_path: Path, provider: str) -> None:
    """A command submits, the next shows the state, a later one collects; the files equal those without batches."""
    out = tmp_path / "run"
    first = batch(api, out, provider=provider)
    assert first.exit_code == 3, first.output
    assert f"annotate --batch --out {out} collects" in first.stderr
    (submitted,) = api.batches.values()
    assert (submitted["endpoint"], submitted["completion_window"]) == ("/v1/chat/completions", "24h")
    requests = api.requests("batch_1")
    passages = [row["text"] for row in tables.rows(out / "passages.parquet")]
    assert [line["body"]["messages"][-1]["content"].count(text) for line, text in zip(requests, passages, strict=True)]
    assert {(line["method"], line["url"]) for line in requests} == {("POST", "/v1/chat/completions")}
    assert {tuple(sorted(line["body"])) for line in requests} == {("max_tokens", "messages", "model", "temperature")}
    assert reasons(out) == {"unanswered: in a batch": len(passages)}

    submitted["status"] = "in_progress"
    submitted["request_counts"]["completed"] = 2
    waiting = batch(api, out, "--json", provider=provider)
    assert waiting.exit_code == 3
    (entry,) = json.loads(waiting.stdout)["batches"]
    assert (entry["status"], entry["completed"], entry["collected"]) == ("in_progress", 2, False)
    assert answers_in_ledger(out) == 0

    api.finish()
    done = must_succeed(batch(api, out, provider=provider))
    assert "completed, collected" in done.stdout
    assert answers_in_ledger(out) == len(passages)
    must_succeed(batch(api, out, provider=provider))
    assert api.seen.count("POST batches") == api.seen.count("POST files") == 1
    assert list((out / ".batches").iterdir()) == []

    must_succeed(vner("build", "--out", out))
    build(endpoint, tmp_path / "online", "--docs", DOCS)
    one, other = fingerprints(out), fingerprints(tmp_path / "online")
    if provider == "groq":  # audit.json names the provider
        del one["audit.json"], other["audit.json"]
    assert one == other


def test_batches_keep_the_limits(api: BatchEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches keep the limits of number and size, and each question is in exactly one."""
    monkeypatch.setattr(batching, "batch_limits", lambda provider: BatchLimits(requests=3, size=6_000))
    batch(api, tmp_path / "run")
    parts = [api.requests(name) for name in api.batches]
    assert len(parts) > 4
    assert {len(part) for part in parts[:-1]} > {3}  # some by number, some by size
    assert all(0 < len(part) <= 3 for part in parts)
    assert all(len(api.files[entry["input_file_id"]]) <= 6_000 for entry in api.batches.values())
    keys = Counter(line["custom_id"] for part in parts for line in part)
    assert set(keys.values()) == {1}
    assert len(keys) == tables.count(tmp_path / "run" / "passages.parquet")
    for name in api.batches:
        api.finish(batch_id=name)
    must_succeed(batch(api, tmp_path / "run"))


def test_limits_are_the_published_ones() -> None:
    """The limits of OpenAI and Groq are those that they publish."""
    assert batch_limits("openai") == BatchLimits(50_000, 200_000_000)
    assert batch_limits("groq").requests == 50_000


def test_refused_requests_are_recorded_and_submitted_later(api: BatchEndpoint, tmp_path: Path) -> None:
    """Refused requests are rejected with the cause first; only the next command submits them again."""
    out = tmp_path / "run"
    batch(api, out)
    unlucky = {line["custom_id"] for line in api.requests("batch_1")[::3]}
    api.finish(lambda line: refused(line) if line["custom_id"] in unlucky else answered(line))
    result = batch(api, out)
    assert result.exit_code == 3
    assert f"{len(unlucky)} passages have no answer yet" in result.stderr
    assert reasons(out) == {"unanswered: http 400": len(unlucky)}
    assert "context length exceeded" in {row["detail"] for row in tables.rows(out / "rejected.parquet")}
    assert len(api.batches) == 1
    assert batch(api, out).exit_code == 3
    assert {line["custom_id"] for line in api.requests("batch_2")} == unlucky
    api.finish()
    must_succeed(batch(api, out))


def test_max_completion_tokens_is_learnt_from_a_batch(api: BatchEndpoint, tmp_path: Path) -> None:
    """A batch refused for ``max_tokens`` is submitted again at once with ``max_completion_tokens``."""
    out = tmp_path / "run"
    batch(api, out)
    asked = api.requests("batch_1")
    text = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    api.finish(lambda line: refused(line, message=text))
    assert batch(api, out).exit_code == 3
    again = api.requests("batch_2")
    assert [line["custom_id"] for line in again] == [line["custom_id"] for line in asked]
    assert {(line["body"]["max_completion_tokens"], line["body"].get("max_tokens")) for line in again} == {(1024, None)}
    api.finish()
    must_succeed(batch(api, out))
    report = RunDir(out).read_manifest()["stages"]["annotate"]["report"]
    assert report["sent_as"] == {"max_tokens": "max_completion_tokens"}


def test_a_learnt_parameter_name_belongs_to_its_endpoint(api: BatchEndpoint, tmp_path: Path) -> None:
    """The name of a parameter that one endpoint requires is not sent to another."""
    out = tmp_path / "run"
    batch(api, out)
    api.fail("no")
    batch(api, out)
    stored = json.loads((out / "batches.json").read_text())
    stored["batches"][0] |= {"address": "http://elsewhere/v1/", "sent_as": {"max_tokens": "max_completion_tokens"}}
    (out / "batches.json").write_text(json.dumps(stored))
    assert batch(api, out).exit_code == 3
    assert {line["body"].get("max_tokens") for line in api.requests("batch_2")} == {1024}


@pytest.mark.parametrize("status", ["expired", "cancelled"])
def test_answers_of_an_expired_batch_are_kept(
    api: BatchEndpoint, endpoint: Endpoint, tmp_path: Path, status: str
) -> None:
    """The answers of an expired batch are kept; each other question is asked once online."""
    out = tmp_path / "run"
    batch(api, out)
    requests = api.requests("batch_1")
    late = {line["custom_id"] for line in requests[4:]}
    # One of the late requests is missing from the results.
    silent = requests[-1]["custom_id"]

    def decide(line: Line) -> Line | None:
        if line["custom_id"] == silent:
            return None
        return too_late(line) if line["custom_id"] in late else answered(line)

    api.finish(decide, status=status)
    assert batch(api, out).exit_code == 3
    assert answers_in_ledger(out) == 4
    assert reasons(out) == {"unanswered: batch expired": len(late) - 1 + (status == "expired")} | (
        {"unanswered: batch cancelled": 1} if status == "cancelled" else {}
    )
    must_succeed(vner("annotate", "--out", out, *asking(endpoint), "-q"))
    assert endpoint.asked.total() == len(late)
    assert answers_in_ledger(out) == len(requests)


def test_a_failed_batch(api: BatchEndpoint, tmp_path: Path) -> None:
    """The provider's message about a failed batch is shown; the next command submits another batch."""
    out = tmp_path / "run"
    batch(api, out)
    api.fail("Enqueued token limit reached for m")
    result = batch(api, out)
    assert result.exit_code == 3
    assert "Enqueued token limit" in " ".join(result.stdout.split())
    assert set(reasons(out)) == {"unanswered: batch failed"}
    batch(api, out)
    assert len(api.batches) == 2
    api.finish()
    must_succeed(batch(api, out))


def test_a_wrong_key_submits_nothing_and_is_never_shown(api: BatchEndpoint, tmp_path: Path) -> None:
    """A wrong key is one error, submits nothing, and is in no file and no output; later, the right key works."""
    out = tmp_path / "run"
    refusal = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}"}}).encode()
    api.faults["GET batches"] = deque([(401, refusal)])
    result = batch(api, out)
    assert result.exit_code == 1
    assert "401" in result.stderr
    assert "check OPENAI_API_KEY" in result.stderr
    assert "POST files" not in api.seen
    assert batch(api, out).exit_code == 3
    assert len(api.batches) == 1
    assert KEY not in result.output
    for path in out.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes()


@pytest.mark.parametrize("status", [500, 400])
@pytest.mark.parametrize("kind", ["POST files", "POST batches", "GET content"])
def test_a_failed_step_is_repeated(api: BatchEndpoint, tmp_path: Path, kind: str, status: int) -> None:
    """After a failed step the same command continues; no question is submitted twice."""
    out = tmp_path / "run"
    if kind == "GET content":
        batch(api, out)
        api.finish()
    api.faults[kind] = deque([(status, b'{"error": {"message": "not now"}}')])
    result = batch(api, out)
    assert result.exit_code == 1
    assert "not now" in result.stderr
    assert batch(api, out).exit_code == (0 if kind == "GET content" else 3)
    if kind != "GET content":
        api.finish()
        must_succeed(batch(api, out))
    assert len(api.batches) == 1


def test_a_deleted_request_file_is_uploaded_again(api: BatchEndpoint, tmp_path: Path) -> None:
    """If the provider has deleted the request file of a killed run, it is uploaded again at once."""
    out = tmp_path / "run"
    batch(api, out)
    noted = json.loads((out / "batches.json").read_text())
    (one,) = noted["batches"] if isinstance(noted, dict) else noted
    one |= {"id": "", "status": "uploaded", "file": "file-gone"}
    (out / "batches.json").write_text(json.dumps(noted))
    api.batches.clear()
    assert batch(api, out).exit_code == 3
    assert len(api.batches) == 1


@pytest.mark.parametrize(
    ("kind", "provider"),
    [("POST files", "openai"), ("POST batches", "openai"), ("GET content", "openai"), ("POST batches", "groq")],
)
def test_killed_between_two_steps(api: BatchEndpoint, tmp_path: Path, kind: str, provider: str) -> None:
    """After a kill between a step and its record, the batch is found again, not submitted twice."""
    out = tmp_path / "run"
    api.page = 1  # the batch may be on a later page
    for _ in range(3):  # batches of others
        api._order({"input_file_id": api._keep(b"{}\n"), "metadata": None, "endpoint": "", "completion_window": "24h"})
    if kind == "GET content":
        batch(api, out, provider=provider)
        api.finish()
    api.hold[kind] = threading.Event()
    process = vner_process(*arguments(api, out, provider))
    wait_for(api.reached.is_set)
    process.kill()
    process.communicate()
    api.hold.pop(kind).set()
    if kind != "GET content":
        assert batch(api, out, provider=provider).exit_code == 3
        api.finish()
    must_succeed(batch(api, out, provider=provider))
    assert api.seen.count("POST batches") == 1
    assert api.seen.count("POST files") == (2 if kind == "POST files" else 1)
    assert answers_in_ledger(out) == tables.count(out / "passages.parquet")
    assert list((out / ".batches").iterdir()) == []


def test_another_directory_finds_the_batch(api: BatchEndpoint, tmp_path: Path) -> None:
    """A new directory with the same questions finds their batch; a failed batch is not reused."""
    batch(api, tmp_path / "lost")
    found = batch(api, tmp_path / "new")
    assert found.exit_code == 3
    assert len(api.batches) == 1
    api.finish()
    must_succeed(batch(api, tmp_path / "new"))
    api.fail("no")
    assert batch(api, tmp_path / "third").exit_code == 3
    assert len(api.batches) == 2


def test_malformed_results(api: BatchEndpoint, tmp_path: Path) -> None:
    """Foreign ids, cut lines, invalid JSON and deep nesting are counted; odd characters in answers are kept."""
    out = tmp_path / "run"
    batch(api, out)
    content = '[["Ho\u0300a\u2028Bi\u0300nh\u2029\x85", "location"], ["😀", "emoji"]]'
    strangers = [
        answered({**line, "custom_id": name}) for line in api.requests("batch_1")[:1] for name in ("", "f" * 64)
    ]
    bad = [b"null", b"7", b'{"custom_id": 5}', b"[" * 100_000, b"\xff\xfe", b"", b'{"custom_id": "x", "resp']
    extra = b"\n".join([*(json.dumps(line).encode() for line in strangers), *bad])
    api.finish(lambda line: answered(line, content), extra=extra)
    result = must_succeed(batch(api, out, "--json"))
    (entry,) = json.loads(result.stdout)["batches"]
    assert entry["unknown"] == len(strangers) + len(bad) - 1  # an empty line is not counted
    with SqliteLedger(out / "completions.sqlite") as ledger:
        replies = {row[0] for row in ledger._db.execute("SELECT reply FROM completions")}
    assert replies == {content}


def test_a_download_that_breaks_off(api: BatchEndpoint, tmp_path: Path) -> None:
    """An interrupted download is one error; the next command reads it again and keeps nothing twice."""
    out = tmp_path / "run"
    batch(api, out)
    odd = {line["custom_id"] for line in api.requests("batch_1")[::2]}

    def decide(line: Line) -> Line:
        found = answered(line)
        if line["custom_id"] in odd:
            found["response"]["body"]["choices"][0]["message"]["content"] = 5
        found["response"]["body"]["id"] = "x" * 10_000
        return found

    api.finish(decide)
    api.cut = 100_000  # after some lines
    result = batch(api, out)
    assert result.exit_code == 1
    assert "broke off" in result.stderr
    assert batch(api, out).exit_code == 3
    assert answers_in_ledger(out) == tables.count(out / "passages.parquet") - len(odd)
    with SqliteLedger(out / "completions.sqlite") as ledger:
        assert sorted(attempt.key for attempt in ledger.attempts()) == sorted(odd)


def test_results_that_are_gone(api: BatchEndpoint, tmp_path: Path) -> None:
    """Results that the provider has deleted are recorded; a later command asks again."""
    out = tmp_path / "run"
    batch(api, out)
    api.finish()
    del api.files[api.batches["batch_1"]["output_file_id"]]
    assert batch(api, out).exit_code == 3
    assert {row["detail"] for row in tables.rows(out / "rejected.parquet") if "results are gone" in row["detail"]}
    batch(api, out)
    api.finish()
    must_succeed(batch(api, out))


def test_what_is_in_a_batch_is_not_asked_online(api: BatchEndpoint, endpoint: Endpoint, tmp_path: Path) -> None:
    """Questions in a batch are not asked online by ``build`` or ``plan --pilot``; the error names the batch."""
    out = tmp_path / "run"
    batch(api, out)
    for command in ("build", "annotate"):
        result = vner(command, "--out", out, *asking(endpoint), "-q")
        assert result.exit_code == 3, result.output
        assert " in a batch; vner-annotate annotate --batch" in result.stderr
    plan = json.loads(vner("plan", "--out", out, "--pilot", 5, "-q", "--json").stdout)
    assert plan["passages"]["in_batch"] == plan["passages"]["count"] > 0
    assert plan["passages"]["to_ask"] == plan["tokens"]["total"] == 0
    assert endpoint.asked.total() == 0
    api.finish()
    must_succeed(vner("annotate", "--batch", "--out", out, *asking(api), "-q"))


def test_wrong_usage(api: BatchEndpoint, endpoint: Endpoint, tmp_path: Path) -> None:
    """The embedded teacher, another endpoint for an open batch and a damaged batches.json are refused."""
    local = vner("annotate", "sample", "--docs", 3, "--out", tmp_path / "local", "--batch", "-q")
    assert (local.exit_code, "--batch needs --provider" in local.stderr) == (2, True)
    assert "--batch" in vner("build", "--out", tmp_path / "x", "--batch").stderr
    out = tmp_path / "run"
    batch(api, out)
    elsewhere = vner("annotate", "--out", out, "--batch", *asking(endpoint), "-q")
    assert (elsewhere.exit_code, "collect it there first" in elsewhere.stderr) == (2, True)
    (out / "batches.json").write_text('{"batches": [{"mark": 1}]}', encoding="utf-8")
    damaged = batch(api, out)
    assert (damaged.exit_code, "batches.json" in damaged.stderr) == (1, True)


def test_an_endpoint_without_batches(api: BatchEndpoint, endpoint: Endpoint, tmp_path: Path) -> None:
    """An endpoint without a Batch API is one error, and no open batch remains."""
    api.faults["GET batches"] = deque([(404, b'{"detail": "Not Found"}')])
    result = batch(api, tmp_path / "run")
    assert result.exit_code == 1
    assert "does it have a Batch API?" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    must_succeed(vner("annotate", "--out", tmp_path / "run", *asking(endpoint), "-q"))
    assert endpoint.asked.total() == answers_in_ledger(tmp_path / "run") > 0


def test_fresh_collects_earlier_batches(api: BatchEndpoint, tmp_path: Path) -> None:
    """Answers of batches from before --fresh are paid for: they are collected into the ledger."""
    out = tmp_path / "run"
    batch(api, out)
    number = len(api.requests("batch_1"))
    assert batch(api, out, "--fresh", "--max-tokens", 200).exit_code == 3
    for name in api.batches:
        api.finish(batch_id=name)
    batch(api, out)
    assert len(api.batches) > 1
    assert answers_in_ledger(out) >= number + 1
    assert all(entry.collected and not entry.unknown for entry in read_batches(RunDir(out)))


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ({"error": {"code": "batch_expired", "message": "late"}}, "batch expired"),
        ({"error": "odd"}, "batch error"),
        ({"response": {"status_code": 500, "body": None}}, "http 500"),
        ({"response": {"status_code": 200, "body": {"choices": []}}}, "malformed answer"),
        ({"response": {"status_code": 200, "body": None}}, "malformed answer"),
    ],
)
def test_kinds_of_failure(line: dict[str, Any], kind: str) -> None:
    """Each failure of a result line has its kind."""
    result = read_result(json.dumps({"custom_id": "k", **line}).encode())
    assert isinstance(result.answer, TeacherError)
    assert (result.key, result.answer.kind) == ("k", kind)


def test_a_request_is_one_line_to_every_reader() -> None:
    """A request is one line whatever the passage holds, and the passage is unchanged in it."""
    text = "Ho\u0300a\u2028Bình\u2029\x85\x0b\x0c\r\nhai 😀 \\u2028"
    question = make_teacher(RunConfig(provider="openai", model="m")).question(text)
    line = request_line(question, {})
    assert len(line.decode().splitlines()) == 1
    assert text in json.loads(line)["body"]["messages"][-1]["content"]
    assert json.loads(line)["custom_id"] == question.key


@pytest.mark.parametrize(("status", "format_asked"), [(200, True), (400, False)])
def test_the_response_format_is_settled_before_the_batch(
    api: BatchEndpoint, tmp_path: Path, status: int, format_asked: bool
) -> None:
    """One question, asked online before the batch, decides about the schema; its answer is kept."""
    entities = json.dumps({"entities": [{"text": "Hà Nội", "type": "city"}]})
    answer = completion({"content": entities}) if status == 200 else {"error": {"message": "no such parameter"}}
    api.faults["POST batches"] = deque([(status, json.dumps(answer).encode())])  # the online question
    out = tmp_path / "run"
    assert batch(api, out, "--response-format", "auto").exit_code == 3
    passages = len(list(tables.rows(out / "passages.parquet")))
    requests = api.requests("batch_1")
    assert (answers_in_ledger(out), len(requests)) == ((1, passages - 1) if format_asked else (0, passages))
    assert {"response_format" in line["body"] for line in requests} == {format_asked}
