"""--response-format: ``auto`` finds out once whether the endpoint takes a JSON schema, and pays no answer twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from annotator.asking.pool import ask_all
from annotator.config.settings import RunConfig
from annotator.ledger import request_key
from annotator.storage.rundir import RunDir
from annotator.teachers import make_teacher
from tests.commands import asking, build, fingerprints, must_succeed, vner
from tests.endpoint import Answer, Endpoint, echo_entities

Request = dict[str, Any]


def as_objects(passage: str, attempt: int) -> Answer:
    """Predict the entities of ``echo_entities`` in the form of the schema."""
    pairs = json.loads(echo_entities(passage, attempt).content or "[]")
    entities = [{"text": text, "type": kind} for text, kind in pairs]
    return Answer(content=json.dumps({"entities": entities}, ensure_ascii=False))


def obeys(endpoint: Endpoint) -> None:
    """Let ``endpoint`` answer by the schema if a request has it."""
    endpoint.refuse = lambda request: (
        as_objects(request["messages"][-1]["content"].split("<passage>\n")[-1].split("\n</passage>")[0], 1)
        if "response_format" in request
        else None
    )


def refuses(endpoint: Endpoint, answer: Answer) -> None:
    """Let ``endpoint`` send ``answer`` to requests with a schema; they may be retried at once."""
    answer = replace(answer, headers={**answer.headers, "Retry-After": "0"})
    endpoint.refuse = lambda request: answer if "response_format" in request else None


def formats(endpoint: Endpoint) -> list[str]:
    """Return the format of each request, in order."""
    return ["json" if "response_format" in request else "text" for request in endpoint.requests]


def settled(out: Path) -> str:
    return str(RunDir(out).read_manifest()["config"]["response_format"])


@pytest.mark.slow
def test_an_endpoint_that_takes_the_schema(endpoint: Endpoint, tmp_path: Path) -> None:
    """If the endpoint takes the schema, every passage is asked once with it; the dataset is the same."""
    build(endpoint, tmp_path / "text")
    passages = len(endpoint.requests)
    endpoint.requests.clear()
    endpoint.asked.clear()
    obeys(endpoint)
    result = must_succeed(build(endpoint, tmp_path / "auto", "--response-format", "auto"))
    assert formats(endpoint) == ["json"] * passages
    assert set(endpoint.asked.values()) == {1}
    assert endpoint.requests[0]["response_format"]["json_schema"]["strict"] is True
    assert settled(tmp_path / "auto") == "json"
    assert "takes a JSON schema" in result.stderr
    text, auto = fingerprints(tmp_path / "text"), fingerprints(tmp_path / "auto")
    same = set(text) - {"audit.json"}
    assert {name: text[name] for name in same} == {name: auto[name] for name in same}


@pytest.mark.slow
@pytest.mark.parametrize(
    "answer",
    [
        Answer(400, body=b'{"error": {"message": "response_format json_schema is not supported", "code": 400}}'),
        Answer(422, body=b'{"detail": "extra inputs are not permitted"}'),
        Answer(500),
    ],
    ids=["400", "422", "500 for ever"],
)
def test_an_endpoint_that_refuses_the_schema(endpoint: Endpoint, answer: Answer, tmp_path: Path) -> None:
    """If the endpoint refuses the schema, only the first question is asked again, as text."""
    refuses(endpoint, answer)
    result = must_succeed(build(endpoint, tmp_path / "run", "--response-format", "auto", "--max-retries", 2))
    tries = 3 if answer.status == 500 else 1
    kinds = [kind for kind, request in zip(formats(endpoint), endpoint.requests, strict=True) if not is_ping(request)]
    assert kinds[:tries] == ["json"] * tries
    assert set(kinds[tries:]) == {"text"}
    assert settled(tmp_path / "run") == "text"
    assert f"takes no JSON schema (http {answer.status})" in result.stderr


def is_ping(request: Request) -> bool:
    return bool(request["messages"][-1]["content"] == "ping")


@pytest.mark.slow
def test_an_endpoint_that_ignores_the_schema(endpoint: Endpoint, tmp_path: Path) -> None:
    """If the endpoint ignores the schema, its pairs are read and no passage is asked twice."""
    must_succeed(build(endpoint, tmp_path / "run", "--response-format", "auto"))
    assert set(endpoint.asked.values()) == {1}
    assert settled(tmp_path / "run") == "json"


@pytest.mark.slow
def test_the_settled_format_stays(endpoint: Endpoint, tmp_path: Path) -> None:
    """The settled format is kept whatever the endpoint takes later; the other one is refused."""
    refuses(endpoint, Answer(400))
    build(endpoint, tmp_path / "run", "--response-format", "auto")
    asked = len(endpoint.requests)
    obeys(endpoint)
    for more in ([], ["--response-format", "auto"], ["--response-format", "text"]):
        must_succeed(build(endpoint, tmp_path / "run", *more))
    result = build(endpoint, tmp_path / "run", "--response-format", "json")
    assert result.exit_code == 2
    assert "--response-format text, not json" in result.stderr
    must_succeed(build(endpoint, tmp_path / "run", "--response-format", "auto", "--fresh"))
    assert len(endpoint.requests) == asked


@pytest.mark.slow
def test_a_run_of_an_older_version_stays_text(endpoint: Endpoint, tmp_path: Path) -> None:
    """A manifest without the setting means text, and its answers are found again."""
    out = tmp_path / "run"
    build(endpoint, out)
    asked = len(endpoint.requests)
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    del manifest["config"]["response_format"]
    (out / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    obeys(endpoint)
    assert build(endpoint, out, "--response-format", "json").exit_code == 2
    result = must_succeed(build(endpoint, out, "--response-format", "auto", "--json"))
    assert json.loads(result.stdout)["skipped"] == ["sample", "chunk", "annotate", "clean", "explode"]
    assert len(endpoint.requests) == asked


@pytest.mark.slow
def test_a_kill_after_the_probe_costs_nothing(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a kill between the probe and the manifest, the probe's answer is found in the ledger."""
    obeys(endpoint)
    out = tmp_path / "run"

    def killed(*arguments: Any) -> None:
        ask_all(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("annotator.run.response_format.ask_all", killed)
        assert build(endpoint, out, "--response-format", "auto").exit_code == 130
    assert len(endpoint.requests) == 1
    assert settled(out) == "auto"
    must_succeed(build(endpoint, out))
    assert set(endpoint.asked.values()) == {1}
    assert settled(out) == "json"


@pytest.mark.slow
def test_a_pilot_asks_as_the_build_will(endpoint: Endpoint, tmp_path: Path) -> None:
    """A pilot uses the settled format and its answers are reused; a plan alone asks nothing."""
    obeys(endpoint)
    out, flags = tmp_path / "run", [*asking(endpoint), "--response-format", "auto"]
    must_succeed(vner("plan", "sample", "--out", out, *flags))
    assert not endpoint.requests
    must_succeed(vner("plan", "sample", "--out", out, *flags, "--pilot", 5))
    assert 5 <= len(endpoint.requests) <= 6
    must_succeed(vner("build", "sample", "--out", out, *flags))
    assert set(endpoint.asked.values()) == {1}
    assert set(formats(endpoint)) == {"json"}


def test_a_wrong_key_shows_at_the_probe(endpoint: Endpoint, tmp_path: Path) -> None:
    """A wrong key costs one request, and no format is settled."""
    endpoint.reply = lambda passage, attempt: Answer(401)
    result = build(endpoint, tmp_path / "run", "--response-format", "auto")
    assert result.exit_code == 1
    assert len(endpoint.requests) == 1
    assert settled(tmp_path / "run") == "auto"


def test_the_key_of_a_question_by_schema() -> None:
    """The key is pinned: another value would lose every answer paid for by schema."""
    config = RunConfig(provider="openai", model="llama3-70b-8192", response_format="json")
    question = make_teacher(config).question("Đà Nẵng")
    assert (
        question.key
        == request_key(question.content)
        == "1ebb4497e8c87ec3d94809b87f676eeb78c37775689f832b2bfb6678a95045ba"
    )
    assert json.loads(question.body)["response_format"] == question.content["response_format"]
