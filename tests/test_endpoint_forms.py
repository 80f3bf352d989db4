"""Answers and errors in the forms that real endpoints send, over real HTTP, through the whole command."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from annotator.config.settings import RunConfig
from annotator.ledger import SqliteLedger
from annotator.storage import tables
from annotator.storage.rundir import RunDir
from annotator.teachers import Reply, make_teacher
from tests.commands import answers_in_ledger, asking, build, must_succeed, vner
from tests.endpoint import Answer, Endpoint, completion, echo_entities

pytestmark = pytest.mark.slow

PAIRS = '[["Hà Nội", "city"]]'
THINKING = "The passage names Hà Nội, which is a city."
USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


def answer(message: dict[str, Any], finish_reason: str | None = "stop", usage: dict[str, Any] | None = None) -> Answer:
    """Return a chat completion around ``message``."""
    return Answer(body=json.dumps(completion(message, finish_reason, usage=usage or USAGE)).encode())


def one_document(tmp_path: Path) -> Path:
    """Write a source of one passage, which names Hà Nội."""
    source = tmp_path / "one.jsonl"
    sentence = "Sáng nay mưa lớn làm ngập nhiều tuyến đường ở Hà Nội, xe cộ đi lại rất khó khăn."
    source.write_text(json.dumps({"id": "1", "text": " ".join([sentence] * 3)}) + "\n", encoding="utf-8")
    return source


def ask_one(endpoint: Endpoint, tmp_path: Path, *more: object) -> tuple[Any, list[tuple[str, str, int, int]]]:
    """Annotate one passage; return the result and the rows of the ledger."""
    out = tmp_path / "run"
    short = ("--min-tokens", 20, "--max-tokens", 200, "--docs", 1, "--max-retries", 1)
    result = vner("annotate", one_document(tmp_path), "--out", out, *asking(endpoint), *short, *more)
    db = sqlite3.connect(out / "completions.sqlite")
    rows = db.execute("SELECT reply, finish_reason, prompt_tokens, completion_tokens FROM completions").fetchall()
    db.close()
    return result, rows


def attempts(out: Path) -> list[tuple[str, str]]:
    """Return kind and body of every paid try that is not the answer."""
    db = sqlite3.connect(out / "completions.sqlite")
    rows = db.execute("SELECT kind, body FROM attempts ORDER BY rowid").fetchall()
    db.close()
    return rows


@pytest.mark.parametrize(
    "message",
    [
        {"content": [{"type": "text", "text": PAIRS}]},
        {"content": [{"type": "thinking", "thinking": THINKING}, {"type": "text", "text": PAIRS}]},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": THINKING}]}, PAIRS]},
        {"content": [{"type": "output_text", "text": PAIRS[:5]}, {"type": "output_text", "text": PAIRS[5:]}]},
        {"content": None, "tool_calls": [{"type": "function", "function": {"name": "ner", "arguments": PAIRS}}]},
        {"content": "", "tool_calls": [{"function": {"name": "ner", "arguments": json.loads(PAIRS)}}]},
        {"content": None, "function_call": {"name": "ner", "arguments": PAIRS}},
        {"content": None, "reasoning_content": PAIRS},
        {"content": "", "reasoning": PAIRS},
        {"content": PAIRS, "reasoning_content": THINKING},
    ],
)
def test_an_answer_in_another_form_is_read(endpoint: Endpoint, tmp_path: Path, message: dict[str, Any]) -> None:
    """Parts, tool calls, and thinking without other text are read from one request."""
    endpoint.reply = lambda passage, attempt: answer(message)
    result, rows = ask_one(endpoint, tmp_path)
    assert result.exit_code == 0, result.output
    ((reply, *rest),) = rows
    assert json.loads(reply) == json.loads(PAIRS)
    assert rest == ["stop", 100, 20]
    assert endpoint.asked.total() == 1


@pytest.mark.parametrize(
    "message",
    [
        {"content": [{"type": "image", "url": "x"}]},
        {"content": {"text": PAIRS}},
        {"content": 5},
        {"content": [5]},
        {"content": None, "tool_calls": [{"name": "ner"}]},
        {"content": [{"type": "text", "text": None}]},
    ],
)
def test_an_unknown_form_is_never_empty(endpoint: Endpoint, tmp_path: Path, message: dict[str, Any]) -> None:
    """An unknown form is a malformed answer, not an empty one, and every body is kept."""
    endpoint.reply = lambda passage, attempt: answer(message)
    result, rows = ask_one(endpoint, tmp_path)
    assert result.exit_code == 3, result.output
    assert rows == []
    kept = attempts(tmp_path / "run")
    assert [kind for kind, _ in kept] == ["malformed answer"] * 2
    assert {key: json.loads(kept[0][1])["choices"][0]["message"][key] for key in message} == message
    (rejected,) = [row for row in tables.rows(tmp_path / "run" / "rejected.parquet") if row["stage"] == "annotate"]
    assert rejected["reason"] == "unanswered: malformed answer"


def test_the_first_of_two_empty_answers_is_kept(endpoint: Endpoint, tmp_path: Path) -> None:
    """The body of an empty answer is kept, since it was paid for."""
    endpoint.reply = lambda passage, attempt: Answer(content="" if attempt == 1 else PAIRS)
    result, rows = ask_one(endpoint, tmp_path)
    assert result.exit_code == 0, result.output
    assert [row[0] for row in rows] == [PAIRS]
    ((kind, body),) = attempts(tmp_path / "run")
    assert kind == "empty answer"
    assert json.loads(body)["choices"][0]["message"]["content"] == ""


@pytest.mark.parametrize("reason", ["error", "abort", "insufficient_system_resource", "timeout", "overloaded"])
def test_an_unfinished_answer_is_not_the_answer(endpoint: Endpoint, tmp_path: Path, reason: str) -> None:
    """An unfinished answer is kept as an attempt, its tokens count, and the question is asked again."""
    endpoint.reply = lambda passage, attempt: answer({"content": PAIRS}, reason if attempt == 1 else "stop")
    result, rows = ask_one(endpoint, tmp_path)
    assert result.exit_code == 0, result.output
    assert rows == [(PAIRS, "stop", 100, 20)]
    (flow,) = RunDir(tmp_path / "run").read_manifest()["stages"]["annotate"]["funnel"]
    assert flow["made"] == {"prompt token": 200, "completion token": 40}
    ((kind, body),) = attempts(tmp_path / "run")
    assert kind == "unfinished answer"
    assert json.loads(body)["choices"][0]["finish_reason"] == reason


def test_an_answer_that_never_finishes_is_recorded(endpoint: Endpoint, tmp_path: Path) -> None:
    """An answer that stays unfinished is rejected with the cause."""
    endpoint.reply = lambda passage, attempt: answer({"content": PAIRS}, "error")
    result, rows = ask_one(endpoint, tmp_path)
    assert (result.exit_code, rows) == (3, [])
    (rejected,) = [row for row in tables.rows(tmp_path / "run" / "rejected.parquet") if row["stage"] == "annotate"]
    assert rejected["reason"] == "unanswered: unfinished answer"
    assert "'error'" in rejected["detail"]


@pytest.mark.parametrize(
    ("reason", "known"),
    [("STOP", "stop"), ("eos_token", "stop"), ("end_turn", "stop"), ("MAX_TOKENS", "length"),
     ("model_length", "length"),
     ("SAFETY", "content_filter"), (None, "")],
)  # fmt: skip
def test_finish_reasons_are_normalised(endpoint: Endpoint, tmp_path: Path, reason: str | None, known: str) -> None:
    """Other providers' finish reasons become OpenAI's; a missing one is accepted."""
    endpoint.reply = lambda passage, attempt: answer({"content": PAIRS}, reason)
    _, rows = ask_one(endpoint, tmp_path)
    assert rows == [(PAIRS, known, 100, 20)]


def test_an_answer_of_only_thinking_is_reported(endpoint: Endpoint, tmp_path: Path) -> None:
    """An answer of only thinking is reported with the flag for more tokens; all its tokens count."""
    usage = {"prompt_tokens": 100, "completion_tokens": 0, "total_tokens": 1124}
    endpoint.reply = lambda passage, attempt: answer({"content": "", "reasoning_content": THINKING}, "length", usage)
    result, rows = ask_one(endpoint, tmp_path)
    assert "nothing but thinking" in result.stderr
    assert "--max-completion-tokens" in result.stderr
    assert rows == [(f"<think>{THINKING}", "length", 100, 1024)]
    assert endpoint.asked.total() == 1


MAX_TOKENS = (
    b'{"error": {"message": "Unsupported parameter: \'max_tokens\' is not supported with this model. '
    b'Use \'max_completion_tokens\' instead.", "code": "unsupported_parameter"}}'
)
TEMPERATURE = (
    b'{"error": {"message": "Unsupported value: \'temperature\' does not support 0 with this model. '
    b'Only the default (1) value is supported."}}'
)


def test_a_refusal_of_everything_stops_the_run(endpoint: Endpoint, tmp_path: Path) -> None:
    """If the first passage and a probe are refused, the run stops with the endpoint's message and the fix."""
    endpoint.reply = lambda passage, attempt: Answer(400, body=TEMPERATURE)
    result = build(endpoint, tmp_path / "run")
    assert result.exit_code == 1
    assert "does not support 0 with this model" in result.stderr
    assert "--option temperature=1" in result.stderr
    assert len(result.stderr.strip().splitlines()[-1].split("\n")) == 1
    assert endpoint.asked.total() == 2
    endpoint.refuse = lambda request: None if request.get("temperature") == 1 else Answer(400, body=TEMPERATURE)
    endpoint.reply = echo_entities
    must_succeed(build(endpoint, tmp_path / "run", "--option", "temperature=1", "--fresh"))


def test_a_refused_first_passage_is_only_one(endpoint: Endpoint, tmp_path: Path) -> None:
    """If the probe is answered, the refused first passage is rejected and the others are asked."""
    first: list[str] = []

    def reply(passage: str, attempt: int) -> Answer:
        first.append(passage)
        return Answer(400, body=b'{"error": {"message": "too odd"}}') if passage == first[0] else Answer()

    endpoint.reply = reply
    result = build(endpoint, tmp_path / "run")
    assert result.exit_code == 3
    rejected = [row for row in tables.rows(tmp_path / "run" / "rejected.parquet") if row["stage"] == "annotate"]
    assert [row["reason"] for row in rejected] == ["unanswered: http 400"]


def test_max_completion_tokens_is_learnt(endpoint: Endpoint, tmp_path: Path) -> None:
    """One refusal switches to ``max_completion_tokens``; keys stay the same, and the manifest records it."""
    build(endpoint, tmp_path / "other")
    with SqliteLedger(tmp_path / "other" / "completions.sqlite") as ledger:
        keys = {answered.key for answers in ledger.batches(1000) for answered in answers}
    endpoint.requests.clear()
    endpoint.refuse = lambda request: Answer(400, body=MAX_TOKENS) if "max_tokens" in request else None
    must_succeed(build(endpoint, tmp_path / "run"))
    assert ["max_tokens" in request for request in endpoint.requests].count(True) == 1
    assert {request.get("max_completion_tokens") for request in endpoint.requests[1:]} == {1024}
    with SqliteLedger(tmp_path / "run" / "completions.sqlite") as ledger:
        assert {answered.key for answers in ledger.batches(1000) for answered in answers} == keys
    stages = RunDir(tmp_path / "run").read_manifest()["stages"]
    assert stages["annotate"]["report"]["sent_as"] == {"max_tokens": "max_completion_tokens"}


def test_max_completion_tokens_is_learnt_by_requests_in_flight(endpoint: Endpoint) -> None:
    """Requests that are refused at the same time are all sent again, not only the first."""
    arrived = threading.Barrier(4)

    def refuse(request: dict[str, Any]) -> Answer | None:
        if "max_tokens" not in request:
            return None
        arrived.wait(10)
        return Answer(400, body=MAX_TOKENS)

    endpoint.refuse = refuse
    teacher = make_teacher(RunConfig(provider="openai", model="m", base_url=endpoint.url))

    async def ask() -> list[Reply]:
        try:
            return await asyncio.gather(*(teacher.ask(teacher.question(f"Tin {n}")) for n in range(4)))
        finally:
            await teacher.close()

    assert len(asyncio.run(ask())) == 4


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": {"message": "API key not valid. Please pass a valid API key."}}',
        b'[{"error": {"message": "API_KEY_INVALID: the API key is invalid"}}]',
        b'{"error": "Incorrect API key provided: sk***. You can obtain one from the console."}',
    ],
)
def test_a_wrong_key_as_400_stops_the_run(
    endpoint: Endpoint, tmp_path: Path, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 400 for an invalid key, as Google and xAI send it, stops the run, at the start and later."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    endpoint.reply = lambda passage, attempt: Answer(400, body=body)
    result = build(endpoint, tmp_path / "run")
    assert (result.exit_code, endpoint.asked.total()) == (1, 1)
    assert "check OPENAI_API_KEY" in result.stderr
    endpoint.reply = lambda passage, attempt: Answer() if len(endpoint.asked) < 20 else Answer(400, body=body)
    result = build(endpoint, tmp_path / "run", "--concurrency", 2)
    assert result.exit_code == 1
    assert "check OPENAI_API_KEY" in result.stderr


@pytest.mark.parametrize("headers", [
    {"Retry-After": "25920"},
    {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "7h12m0s"},
])  # fmt: skip
def test_a_day_limit_ends_the_run(endpoint: Endpoint, tmp_path: Path, headers: dict[str, str]) -> None:
    """At a daily limit the answers so far are kept and cleaned, the time to continue is shown; exit code 3."""

    def reply(passage: str, attempt: int) -> Answer:
        return Answer() if len(endpoint.asked) <= 10 else Answer(429, headers=headers)

    endpoint.reply = reply
    result = build(endpoint, tmp_path / "run", "--concurrency", 2)
    assert result.exit_code == 3, result.output
    assert f"nothing more before {time.strftime('%Y-')}" in result.stderr
    assert endpoint.asked.total() <= 10 + 2
    assert 9 <= answers_in_ledger(tmp_path / "run") <= 10
    assert (tmp_path / "run" / "annotations.parquet").exists()
    endpoint.reply = echo_entities
    must_succeed(build(endpoint, tmp_path / "run"))


@pytest.mark.parametrize("unit", [1, 1000])
@pytest.mark.parametrize("name", ["x-ratelimit-reset-requests", "x-ratelimit-reset", "Retry-After"])
def test_a_reset_time_is_not_a_duration(endpoint: Endpoint, tmp_path: Path, unit: int, name: str) -> None:
    """A reset header with a Unix time, in seconds or milliseconds, gives a wait until then."""
    what = "-requests" if name.endswith("requests") else ""

    def reply(passage: str, attempt: int) -> Answer:
        moment = str(int((time.time() + 1.5) * unit))
        return Answer(429, headers={f"x-ratelimit-remaining{what}": "0", name: moment}) if attempt == 1 else Answer()

    endpoint.reply = reply
    result, rows = ask_one(endpoint, tmp_path)
    assert result.exit_code == 0, result.output
    assert len(rows) == 1


def test_one_request_for_several_passages_is_paid_once(endpoint: Endpoint, tmp_path: Path) -> None:
    """Passages with the same text are one question, whose tokens count once."""
    source = tmp_path / "same.jsonl"
    sentence = "Sáng nay mưa lớn làm ngập nhiều tuyến đường ở Hà Nội, xe cộ đi lại rất khó khăn."
    source.write_text(json.dumps({"id": "1", "text": " ".join([sentence] * 3)}) + "\n", encoding="utf-8")
    out = tmp_path / "run"
    endpoint.reply = lambda passage, attempt: answer({"content": "[]"})
    must_succeed(vner("chunk", source, "--out", out, *asking(endpoint), "--min-tokens", 20, "--max-tokens", 200))
    passages = list(tables.read_passages(out / "passages.parquet"))
    tripled = [passages[0], *(type(passages[0])(f"p{n}", *_rest(passages[0])) for n in range(2))]
    with (out / "passages.parquet").open("wb") as file:
        tables.write_records(file, tables.PASSAGE, tripled)
    must_succeed(vner("annotate", "--out", out, "--json"))
    (flow,) = RunDir(out).read_manifest()["stages"]["annotate"]["funnel"]
    assert flow["out"] == 3
    assert endpoint.asked.total() == 1
    assert "'prompt token': 100" in str(flow)


def _rest(passage: Any) -> tuple[Any, ...]:
    return passage.text, passage.n_tokens, passage.pieces, passage.n_sentences, passage.cut
