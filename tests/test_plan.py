"""``plan`` forecasts tokens, cost and time; it asks only in a pilot, whose figures replace assumptions."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from annotator.config.settings import RunConfig
from annotator.ledger import SqliteLedger
from annotator.passages.tokenizers import load_tokenizer
from annotator.run.forecast.plan import time_of
from annotator.storage import tables
from annotator.teachers.prices import price_of
from data_cards.views.forecast import duration
from prompts import load_prompt
from tests.commands import asking, must_succeed, vner
from tests.endpoint import Answer, Endpoint, completion, echo_entities


def metered(passage: str, attempt: int) -> Answer:
    """Answer with token counts as OpenAI's template has them, and one in five mentions that is not in the passage."""
    found = json.loads(echo_entities(passage, attempt).content or "")
    found += [["Thành phố Không Có Thật", "LOCATION"]] * (len(found) // 4)
    content = json.dumps(found, ensure_ascii=False)
    tokenizer = load_tokenizer("llama3")
    usage = {
        "prompt_tokens": 3
        + sum(4 + tokenizer.count(m["content"]) for m in load_prompt("open-ner-vi").messages(passage)),
        "completion_tokens": tokenizer.count(content) + 1,
    }
    return Answer(body=json.dumps(completion({"content": content}, usage=usage)).encode())


def planned(*arguments: object) -> dict[str, Any]:
    result = must_succeed(vner("plan", *arguments, "--json", "--quiet"))
    return dict(json.loads(result.stdout))


@pytest.mark.slow
def test_a_plan_asks_nothing_and_the_build_continues_it(endpoint: Endpoint, tmp_path: Path) -> None:
    """A plan sends no request; the build reuses its passages and asks as many questions as forecast."""
    out = tmp_path / "run"
    forecast = planned("sample", "--out", out, *asking(endpoint))
    assert endpoint.asked.total() == 0
    assert not (out / "completions.sqlite").exists()
    built = must_succeed(vner("build", "--out", out, "--json"))
    assert json.loads(built.stdout)["skipped"] == ["sample", "chunk"]
    assert endpoint.asked.total() == forecast["passages"]["to_ask"] > 100
    after = planned("--out", out)
    assert after["passages"]["answered"] == after["passages"]["count"] == forecast["passages"]["count"]
    assert after["tokens"]["total"] == after["time"]["seconds"] == 0


def test_the_same_text_twice_is_asked_once(endpoint: Endpoint, tmp_path: Path) -> None:
    """Passages with the same text are forecast and asked as one question."""
    alike = "".join(f"Sáng {day}/6, UBND xã số {day} họp {day} lần với Sở Y tế ở Hội An. " for day in range(1, 15))
    ends = ("Bà Hà nói họp sau ở Huế.", "Bà Hà nói họp nay ở Huế.")
    source = tmp_path / "news.jsonl"
    rows = [json.dumps({"id": str(number), "text": alike + end}) for number, end in enumerate(ends)]
    source.write_text("\n".join(rows), encoding="utf-8")
    sizes = ["--near-duplicates", 0, "--min-tokens", 20, "--max-tokens", 60]
    forecast = planned(source, "--out", tmp_path / "run", *sizes, *asking(endpoint))
    must_succeed(vner("annotate", "--out", tmp_path / "run", "-q"))
    assert forecast["passages"]["to_ask"] == endpoint.asked.total() < forecast["passages"]["count"]


def test_a_plan_without_a_directory_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan without --out needs no key and leaves no file."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    forecast = planned("sample", "--provider", "groq", "--docs", 5)
    assert forecast["cost"]["usd"] > forecast["cost"]["usd_by_batch"] > 0
    assert forecast["seen"] is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_forecast_of_tokens_is_near(tmp_path: Path) -> None:
    """The forecast is within 2 % for the prompt without a pilot, and within 10 % in all with one."""
    out = tmp_path / "run"
    with Endpoint(metered) as endpoint:
        blind = planned("sample", "--out", out, *asking(endpoint))
        seen = planned("--out", out, "--pilot", 12)
        assert endpoint.asked.total() == 12
        must_succeed(vner("annotate", "--out", out, "-q"))
    with SqliteLedger(out / "completions.sqlite") as ledger:
        rows = ledger._db.execute("SELECT sum(prompt_tokens), sum(completion_tokens), count(*) FROM completions")
        prompt, completion, number = rows.fetchone()
    assert blind["passages"]["to_ask"] == number == seen["passages"]["to_ask"] + 12
    assert blind["tokens"]["prompt"] == pytest.approx(prompt, rel=0.02)
    assert seen["tokens"]["basis"] == "seen"
    pilot = seen["seen"]
    assert seen["tokens"]["prompt"] + pilot["prompt_tokens"] == pytest.approx(prompt, rel=0.01)
    assert seen["tokens"]["total"] + pilot["prompt_tokens"] + pilot["completion_tokens"] == pytest.approx(
        prompt + completion, rel=0.1
    )


def test_passages_in_words_are_paid_in_tokens(endpoint: Endpoint, tmp_path: Path) -> None:
    """With passages counted in words, prompt and answers are forecast in Llama 3 tokens."""
    in_words = planned("sample", "--out", tmp_path, *asking(endpoint), "--tokenizer", "words")
    passages = list(tables.read_passages(tmp_path / "passages.parquet"))
    assert all(passage.n_tokens == len(passage.text.split()) <= 256 for passage in passages)
    words = sum(passage.n_tokens for passage in passages)
    assert in_words["tokens"]["completion"] > 0.5 * words * 1.2
    assert in_words["tokens"]["prompt"] > words * 1.2


@pytest.mark.slow
def test_a_pilot_is_paid_once_and_reports_its_answers(endpoint: Endpoint, tmp_path: Path) -> None:
    """A pilot asks the same passages each time and counts unreadable answers, rejections and failures."""
    out = tmp_path / "run"

    def mixed(passage: str, attempt: int) -> Answer:
        byte = hashlib.sha256(passage.encode()).digest()[0]
        if byte < 50:
            return Answer(400, body=b'{"error": {"message": "too long"}}')
        return Answer(content="I cannot help with that.") if byte < 120 else metered(passage, attempt)

    endpoint.reply = mixed
    first = planned("sample", "--out", out, *asking(endpoint), "--pilot", 20)
    endpoint.asked.pop("ping", None)  # if the first passage is refused
    asked = dict(endpoint.asked)
    assert len(asked) == 20
    failed = first["seen"]["failures"]["http 400"]
    assert first["seen"]["answers"] == 20 - failed
    assert 0 < first["seen"]["unread"] < first["seen"]["answers"]
    assert first["seen"]["claims"] == first["seen"]["kept"] + sum(first["seen"]["rejected"].values())
    assert sum(first["seen"]["rejected"].values()) > 0
    assert first["time"]["basis"] == "seen"
    again = planned("--out", out, "--pilot", 20)
    endpoint.asked.pop("ping", None)
    assert set(endpoint.asked) == set(asked)
    assert endpoint.asked.total() == 20 + failed  # unanswered ones are asked again
    assert again["passages"] == first["passages"]
    shown = vner("plan", "--out", out, "-q")
    assert f"{failed} not answered: http 400" in " ".join(shown.stdout.split())


def test_what_a_pilot_needs(endpoint: Endpoint, tmp_path: Path) -> None:
    """A pilot needs --out, a key and a working teacher."""
    assert "--pilot needs --out" in vner("plan", "--pilot", 3).stderr
    no_key = vner("plan", "--provider", "groq", "--docs", 3, "--out", tmp_path / "a", "--pilot", 3, "-q")
    assert (no_key.exit_code, "export GROQ_API_KEY" in no_key.stderr) == (2, True)
    endpoint.reply = lambda passage, attempt: Answer(401)
    refused = vner("plan", "--docs", 3, "--out", tmp_path / "b", "--pilot", 3, "-q", *asking(endpoint))
    assert refused.exit_code == 1
    assert endpoint.asked.total() == 1


def test_models_can_be_compared_before_anything_is_asked(endpoint: Endpoint, tmp_path: Path) -> None:
    """A plan may name another model until the run has answers; then it is refused."""
    out = tmp_path / "run"
    cheap = planned("sample", "--docs", 5, "--out", out, "--provider", "openai", "--model", "gpt-4.1-mini")
    dear = planned("--out", out, "--model", "gpt-4.1")
    assert dear["cost"]["usd"] == pytest.approx(5 * cheap["cost"]["usd"], rel=1e-3)
    must_succeed(vner("annotate", "--out", out, *asking(endpoint), "-q"))
    refused = vner("plan", "--out", out, "--model", "gpt-4.1", "-q")
    assert (refused.exit_code, "--model m, not gpt-4.1" in refused.stderr) == (2, True)


def test_prices_depend_on_the_provider() -> None:
    """A model at another address has no price; prices from options override, and both are needed."""

    def config(**settings: Any) -> RunConfig:
        return RunConfig(**{"provider": "openai", "model": "gpt-4o-mini", **settings})

    known = price_of(config())
    assert known is not None
    assert known.of(1_000_000, 2_000_000) == pytest.approx(0.15 + 1.2)
    assert known.batch_discount == 0.5
    assert price_of(config(base_url="https://api.openai.com/v1")) == known
    assert price_of(config(base_url="http://localhost:8000/v1")) is None
    assert price_of(config(model="nobody-knows")) is None
    assert price_of(config(model="nobody-knows"), 1.0) is None
    given = price_of(config(model="nobody-knows"), 1.0, 0.0)
    assert given is not None
    assert given.of(500_000, 7) == 0.5
    groq = price_of(config(model="llama-3.3-70b-versatile", base_url="https://api.groq.com/openai/v1"))
    assert groq == price_of(RunConfig(provider="groq", model="llama-3.3-70b-versatile"))
    assert groq is not None
    assert vner("plan", "--price-in", "-1").exit_code == 2


def test_an_unknown_price_is_reported(tmp_path: Path) -> None:
    """An unknown price is reported with the fix, in the table and in JSON."""
    arguments = ("sample", "--docs", 3, "--provider", "openai", "--model", "m", "--base-url", "http://localhost:1/v1")
    assert planned(*arguments)["cost"] is None
    shown = " ".join(vner("plan", *arguments, "-q").stdout.split())
    assert "cost unknown" in shown
    assert "--price-in" in shown
    assert planned(*arguments, "--price-in", 1, "--price-out", 0)["cost"]["usd"] > 0


@pytest.mark.parametrize(
    ("settings", "requests", "seconds", "bound"),
    [
        ({"concurrency": 10}, 0, 0, ""),
        ({"concurrency": 10}, 1, 2, "--concurrency"),
        ({"concurrency": 10}, 101, 22, "--concurrency"),
        ({"concurrency": 10, "rpm": 30}, 30, 2 + 5.8, "--concurrency"),  # all in the first minute
        ({"concurrency": 10, "rpm": 30}, 31, 60 + 2, "--rpm"),
        ({"concurrency": 10, "rpm": 30}, 92, 2 + 180 + 0.2, "--rpm"),
        ({"concurrency": 10, "tpm": 3000}, 92, 2 + 180 + 0.2, "--tpm"),
        ({"concurrency": 10, "rpm": 900}, 101, 22, "--concurrency"),
    ],
)
def test_time_by_what_bounds_it(settings: dict[str, int], requests: int, seconds: float, bound: str) -> None:
    """The time follows from concurrency or from full minutes of a limit, whichever is longer."""
    config = RunConfig(provider="openai", model="m", **settings)  # type: ignore[arg-type]
    forecast, why = time_of(config, requests, 100.0 * requests, 2.0)
    assert forecast == pytest.approx(seconds)
    assert why == bound


def test_durations_have_two_units() -> None:
    """Durations have at most two units."""
    assert [duration(seconds) for seconds in (0.2, 1, 75, 7380, 90061)] == [
        "under a second", "1 second", "1 minute 15 seconds", "2 hours 3 minutes", "1 day 1 hour",
    ]  # fmt: skip
