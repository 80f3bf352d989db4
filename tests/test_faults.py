"""Every failure of an endpoint, over real HTTP: each passage is answered or recorded, and none is paid for twice."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable

import pytest

from annotator.asking.pool import ask_all
from annotator.asking.rate_limits import Pace
from annotator.asking.retry_policy import Patience
from annotator.config.settings import RunConfig
from annotator.ledger import Ledger
from annotator.records import Passage
from annotator.teachers import make_teacher, questions_about
from annotator.terminal.events import Progress
from tests.endpoint import Answer, Endpoint, completion

GOOD = Answer(content='[["Hà Nội", "city"]]')
PATIENCE = Patience(between_tries=0.05, put_off=8, first_probe_wait=0.05)
HTML = {"Content-Type": "text/html"}


def body(**message: object) -> bytes:
    """Return a chat completion around ``message``."""
    return json.dumps(completion(message)).encode()


TRANSIENT = {
    "429 with Retry-After": Answer(429, headers={"Retry-After": "0.05"}),
    "429 without": Answer(429),
    "500": Answer(500),
    "503": Answer(503, body=b"<html>busy</html>", headers=HTML),
    "connection reset": Answer(reset=True),
    "hung up": Answer(hang_up=True),
    "time-out": Answer(delay=3.0),
    "slow body": Answer(pause=3.0),
    "cut-off body": Answer(cut=True),
    "truncated JSON": Answer(body=b'{"choices": [{"message": {"content": "[["}}'),
    "empty content": Answer(content=""),
    "content null": Answer(content=None),
    "no JSON": Answer(body=b"OK", headers={"Content-Type": "text/plain"}),
    "HTML error page": Answer(body=b"<html>sorry</html>", headers=HTML),
    "200 with an error object": Answer(body=b'{"error": {"message": "overloaded", "code": 500}}'),
    "invalid UTF-8": Answer(body=b'{"choices": [{"message": {"content": "\xff\xfe"}, "finish_reason": "stop"}]}'),
}
"""Faults that a retry resolves."""

FINAL = {
    "cut by length": (Answer(content='[["Hà', finish_reason="length"), '[["Hà', "length"),
    "refusal": (Answer(body=body(content=None, refusal="I cannot")), "", "refusal"),
    "filtered": (Answer(content=None, finish_reason="content_filter"), "", "content_filter"),
    "wrong content type": (Answer(body=body(content="[]"), headers={"Content-Type": "text/plain"}), "[]", "stop"),
    "half a surrogate": (Answer(body=b'{"choices": [{"message": {"content": "x\\ud83d"}}]}'), "x?", ""),
    "a NUL": (Answer(body=body(content="[]\0")), "[]\0", "stop"),
}
"""Odd answers that a retry would not change: they are kept as they are."""


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set a key."""
    monkeypatch.setenv("GROQ_API_KEY", "gsk-secret")


def passages(make: Callable[..., Passage], number: int) -> list[Passage]:
    return [make(f"bài {i} 😀", f"p{i}") for i in range(number)]


def chosen(passage: str) -> float:
    """Return a number in [0, 1) that depends only on the passage."""
    return hashlib.sha256(passage.encode()).digest()[0] / 256


class Failures(Progress):
    """Counts the failures by kind."""

    def __init__(self) -> None:
        self.by_kind = Counter[str]()

    def count(self, kind: str, number: int = 1) -> None:
        self.by_kind[kind] += number


def run(
    endpoint: Endpoint, ledger: Ledger, todo: list[Passage], provider: str = "openai", retries: int = 4
) -> Counter[str]:
    """Ask about each passage and return the failures by kind."""
    teacher = make_teacher(RunConfig(provider=provider, model="m", base_url=endpoint.address(provider), timeout=2.0))
    pace = Pace(concurrency=16, max_retries=retries, patience=PATIENCE)
    ask_all(questions_about(todo, teacher), teacher, ledger, pace, failures := Failures())
    return failures.by_kind


@pytest.mark.slow
@pytest.mark.parametrize("name", TRANSIENT)
def test_a_transient_fault(name: str, endpoint: Endpoint, ledger: Ledger, make_passage: Callable[..., Passage]) -> None:
    """Passages that meet a transient fault are asked twice and answered; the others are asked once."""
    unlucky = Counter[str]()

    def reply(passage: str, attempt: int) -> Answer:
        if chosen(passage) < 0.125 and attempt == 1:
            unlucky[passage] += 1
            return TRANSIENT[name]
        return GOOD

    endpoint.reply = reply
    run(endpoint, ledger, passages(make_passage, 100))
    assert len(ledger) == 100
    assert len(unlucky) > 5
    assert Counter({passage: 2 if passage in unlucky else 1 for passage in endpoint.asked}) == endpoint.asked


@pytest.mark.parametrize("name", FINAL)
def test_an_odd_answer_is_kept(
    name: str, endpoint: Endpoint, ledger: Ledger, make_passage: Callable[..., Passage]
) -> None:
    """An odd answer, which would come again at temperature 0, is kept exactly and asked once."""
    answer, text, finish_reason = FINAL[name]
    endpoint.reply = lambda passage, attempt: answer
    run(endpoint, ledger, todo := passages(make_passage, 3))
    teacher = make_teacher(RunConfig(provider="openai", model="m", base_url=endpoint.url))
    kept = [ledger.get(teacher.question(passage.text).key) for passage in todo]
    assert [(found.reply, found.finish_reason) for found in kept if found] == [(text, finish_reason)] * 3
    assert endpoint.asked.total() == 3


@pytest.mark.slow
@pytest.mark.parametrize("provider", ["openai", "groq"])
def test_all_transient_faults_together(
    provider: str, endpoint: Endpoint, ledger: Ledger, make_passage: Callable[..., Passage]
) -> None:
    """With four of five passages meeting some fault, all are answered and no good answer is repeated."""
    names, good, met = list(TRANSIENT), Counter[str](), Counter[str]()

    def reply(passage: str, attempt: int) -> Answer:
        if chosen(passage) < 0.8 and attempt == 1:
            met[name := names[int(chosen(passage) * 256) % len(names)]] += 1
            return TRANSIENT[name]
        good[passage] += 1
        return GOOD

    endpoint.reply = reply
    failures = run(endpoint, ledger, passages(make_passage, 200), provider)
    assert len(ledger) == 200
    good.pop("ping", None)  # the probe
    late = failures["timeout"] - met["time-out"] - met["slow body"]  # good answers, on a machine that is busy
    assert good.total() - len(good) == late


@pytest.mark.slow
def test_permanent_faults(endpoint: Endpoint, ledger: Ledger, make_passage: Callable[..., Passage]) -> None:
    """Passages with a permanent fault are recorded with the cause and do not affect the others."""
    faults = [*TRANSIENT.values(), Answer(400), Answer(413), Answer(422)]

    def reply(passage: str, attempt: int) -> Answer:
        index = int(passage.split()[1]) if passage.startswith("bài") else 999
        return faults[index] if index < len(faults) else GOOD

    endpoint.reply = reply
    todo = passages(make_passage, 120)[::-1]
    run(endpoint, ledger, todo, retries=2)
    teacher = make_teacher(RunConfig(provider="openai", model="m", base_url=endpoint.url))
    failures = [ledger.failure(teacher.question(passage.text).key) for passage in todo]
    kinds = {failure.kind for failure in failures if failure}
    assert kinds == {
        *("http 429", "http 500", "http 503", "http 400", "http 413", "http 422"),
        *("connection", "timeout", "malformed answer"),
    }
    # Empty content and null are accepted at the second try.
    assert (len(ledger), sum(failure is not None for failure in failures)) == (120 - len(faults) + 2, len(faults) - 2)
    assert all(endpoint.asked[passage.text] == 1 for passage in todo[: -len(faults)])
    endpoint.reply = lambda passage, attempt: GOOD
    run(endpoint, ledger, todo)
    assert len(ledger) == 120
