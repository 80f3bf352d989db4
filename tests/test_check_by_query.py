"""``check --by query``: the second teacher answers the method's own question about each type of a passage."""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from annotator.checking.compare import NOT_ASKED, candidates, compare
from annotator.checking.keeping import apply
from annotator.checking.opinions import Opinion, read_opinions
from annotator.checking.query_answers import QueryAnswer, combined
from annotator.cleaning.clean import Cleaned
from annotator.records import Passage
from annotator.storage import tables
from annotator.storage.rundir import SPLITS, RunDir
from data_cards.report import render
from tests.batch_endpoint import BatchEndpoint, answered
from tests.commands import answers_in_ledger, build, must_succeed, vner, vner_process, wait_for
from tests.endpoint import CAPITALS, Answer, Endpoint
from tests.test_comparing import TEXT, annotation
from tests.test_second_opinion import ARBITER, digests

QUESTION = re.compile(r"Text: (.*)\n\nQuestion: (What describes (.*) in the text\?)\n\nAnswer with", re.DOTALL)
TYPES = ("PERSON", "LOCATION", "ORGANIZATION", "LAW")


def first_teacher(text: str, attempt: int) -> Answer:
    """Predict names of four types, by their length; in some texts only short names."""
    found = dict.fromkeys(name for name in CAPITALS.findall(text) if len(name) < 9 or len(text) % 3)
    return Answer(content=json.dumps([[name, TYPES[len(name) % 4]] for name in found], ensure_ascii=False))


def second_teacher(text: str, attempt: int) -> Answer:
    """Answer with the names of the type asked for; in some texts, drop a word and a name."""
    if text.startswith(ARBITER):
        return Answer(content="[1]")
    query = QUESTION.search(text)
    if query is None:
        return first_teacher(text, attempt)
    names = [name for name in dict.fromkeys(CAPITALS.findall(query[1])) if TYPES[len(name) % 4].lower() == query[3]]
    if len(query[1]) % 2:
        names = [*(" ".join(name.split()[1:]) for name in names[:1]), *names[2:]]
    return Answer(content=json.dumps(names, ensure_ascii=False))


def by_query(endpoint: Endpoint, out: Path, *more: object) -> list[object]:
    return ["check", out, "--by", "query", "--provider", "openai", "--model", "m2", "--base-url", endpoint.url, *more]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a run of a few articles with as many negatives as a check asks about absent types."""
    out = tmp_path_factory.mktemp("built") / "run"
    with Endpoint(first_teacher) as first:
        must_succeed(build(first, out, "--quiet", "--docs", 8, "--negatives", "0.5"))
    return out


@pytest.fixture(scope="module")
def checked(built: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Counter[str]]:
    """Return the run after a check by query with an arbiter, and the questions."""
    out = tmp_path_factory.mktemp("checked") / "run"
    shutil.copytree(built, out)
    with Endpoint(second_teacher) as second:
        must_succeed(vner(*by_query(second, out, "--keep", "arbiter", "--quiet")))
        return out, second.asked


@pytest.mark.slow
def test_the_queries_are_the_samples(built: Path, checked: tuple[Path, Counter[str]]) -> None:
    """The queries have the text and instruction of the samples: all found types and the drawn negatives."""
    samples = {
        (row["input"], row["instruction"])
        for split in SPLITS
        for row in pq.read_table(RunDir(built).samples(split)).to_pylist()
    }
    asked = {(found[1], found[2]) for text in checked[1] if (found := QUESTION.search(text))}
    assert asked == samples
    figures = json.loads((checked[0] / "audit.json").read_text())["agreement"]["queries"]
    assert figures["found"] + figures["absent"] == len(asked)
    assert 0 < figures["absent"] < figures["found"]


def test_verdicts_are_about_the_types_that_were_asked(checked: tuple[Path, Counter[str]]) -> None:
    """Verdicts concern only the types that were asked: agreed, another span, only first, only second."""
    rows = list(read_opinions(checked[0] / "agreement.parquet"))
    texts = {one.id: one.text for one in tables.read_passages(checked[0] / "passages.parquet")}
    asked = {(found[1], found[3]) for text in checked[1] if (found := QUESTION.search(text))}
    verdicts = Counter(one.verdict for one in rows)
    assert verdicts.keys() >= {"agreed", "nested", "only first", "only second"}
    assert NOT_ASKED not in verdicts
    assert {(texts[one.passage_id], one.label) for one in rows} <= asked
    assert {one.arbiter for one in rows if one.verdict == "nested"} == {"accepted", "rejected"}


@pytest.mark.slow
def test_a_killed_check_by_query_continues(built: Path, checked: tuple[Path, Counter[str]], tmp_path: Path) -> None:
    """A killed check by query repeats only requests in flight and gives the same files in any order."""
    out = tmp_path / "run"
    shutil.copytree(built, out)

    def slow(text: str, attempt: int) -> Answer:
        return Answer(content=second_teacher(text, attempt).content, delay=0.02 + len(text) % 3 / 100)

    with Endpoint(slow) as second:
        before = answers_in_ledger(out)
        command = by_query(second, out, "--keep", "arbiter")
        process = vner_process(*command, "--concurrency", 3)
        wait_for(lambda: second.asked.total() > len(checked[1]) // 3)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (out / "check.json").exists()
        must_succeed(vner(*command, "--quiet", "--concurrency", 7))
        assert sum(number - 1 for number in second.asked.values()) <= 3
        assert answers_in_ledger(out) - before == len(second.asked)
        asked = second.asked.total()
        for keep in ("union", "arbiter"):
            must_succeed(vner("check", out, "--keep", keep, "--quiet"))
        assert second.asked.total() == asked
    assert digests(out) == digests(checked[0])


@pytest.mark.slow
def test_by_batch_the_queries_get_the_same_answers(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Queries submitted and collected as a batch give the same agreement.parquet as online."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    one, other = tmp_path / "one", tmp_path / "other"
    shutil.copytree(built, one)
    shutil.copytree(built, other)
    with Endpoint(second_teacher) as second, BatchEndpoint() as api:
        must_succeed(vner(*by_query(second, one, "--share", 0.5, "--quiet")))
        teacher = ["--provider", "openai", "--model", "m2", "--base-url", f"{api.url}/v1", "--share", 0.5]
        assert vner("check", other, "--by", "query", *teacher, "--batch", "--quiet").exit_code == 3
        api.finish(lambda line: answered(line, second_teacher(line["body"]["messages"][-1]["content"], 1).content))
        must_succeed(vner("check", other, "--batch", "--quiet"))
    assert digests(one)["agreement.parquet"] == digests(other)["agreement.parquet"]


@pytest.mark.slow
def test_a_type_without_an_answer_counts_as_not_asked(built: Path, tmp_path: Path) -> None:
    """Entities of a type whose answer is refused, unreadable or cut count as not asked and are kept."""
    out = tmp_path / "run"
    shutil.copytree(built, out)

    def moody(text: str, attempt: int) -> Answer:
        query = QUESTION.search(text)
        if query and query[3] == "location" and second.asked.total() > 1:
            bad = (
                Answer(status=400, body=b"{}"),
                Answer(content="I am not sure."),
                Answer(content='["A', finish_reason="length"),
            )
            return bad[len(query[1]) % 3]
        return second_teacher(text, attempt)

    with Endpoint(moody) as second:
        result = vner(*by_query(second, out, "--keep", "agreed", "--quiet"))
        assert result.exit_code == 3, result.output
    rows = [one for one in read_opinions(out / "agreement.parquet") if one.label == "location"]
    assert {(one.verdict, one.teacher) for one in rows} <= {(NOT_ASKED, "first"), ("agreed", "both")}
    unasked = {(one.passage_id, one.mention) for one in rows if one.verdict == NOT_ASKED}
    kept = {
        (one.passage_id, mention.text)
        for one in tables.read_annotations(out / "annotations.parquet")
        for mention in one.mentions
        if mention.label == "location"
    }
    assert unasked
    assert unasked <= kept
    audit = json.loads((out / "audit.json").read_text())
    assert audit["agreement"]["verdicts"][NOT_ASKED] == len(unasked)
    assert audit["agreement"]["entities"]["first"] == sum(
        one.teacher != "second" and one.verdict != NOT_ASKED for one in read_opinions(out / "agreement.parquet")
    )
    assert NOT_ASKED in render(RunDir(out), audit, 0)
    assert audit["problems"] == []


def test_entities_of_types_not_asked_are_kept() -> None:
    """Entities of a type that was not asked are kept under every --keep and are no candidates."""
    first = annotation(("Trần Minh Khoa", "person"), ("Cần Thơ", "city"), ("Huế", "city"))
    cleaned, types = combined(
        Passage("p", TEXT, 20, (), 1),
        [
            QueryAnswer(0, "person", '["Trần Minh Khoa", "Hồ Gươm"]', "stop"),
            QueryAnswer(0, "river", '["Sông Xanh", "Sông Hồng"]', "stop"),
            QueryAnswer(0, "city", "I cannot say", "stop"),
        ],
    )
    assert types == {"person", "river"}
    assert cleaned is not None
    assert cleaned.annotation is not None
    pairs = compare(first, cleaned.annotation, types)
    found = sorted((one.mention, pair.verdict) for pair in pairs for one in pair.entities)
    assert found == [
        ("Cần Thơ", NOT_ASKED),
        ("Huế", NOT_ASKED),
        ("Sông Xanh", "only second"),
        ("Trần Minh Khoa", "agreed"),
    ]
    assert [one.mention for one in candidates(pairs)] == ["Sông Xanh"]
    for keep in ("all", "agreed", "union", "arbiter"):
        kept = apply(Cleaned(first, 3, ()), pairs, keep, frozenset()).annotation
        assert kept is not None
        assert {mention.text for mention in kept.mentions} >= {"Cần Thơ", "Huế", "Trần Minh Khoa"}
    assert combined(Passage("p", TEXT, 20, (), 1), [QueryAnswer(0, "city", "", "stop")]) == (None, frozenset())


@pytest.mark.slow
def test_the_first_teacher_may_answer_the_queries(built: Path, tmp_path: Path) -> None:
    """By default the first teacher answers the queries; --by passage needs another teacher."""
    out = tmp_path / "run"
    shutil.copytree(built, out)
    with Endpoint(second_teacher) as endpoint:
        result = must_succeed(
            vner("check", out, "--by", "query", "--base-url", endpoint.url, "--share", 0.3, "--quiet", "--json")
        )
        assert {request["model"] for request in endpoint.requests} == {"m"}
        figures = json.loads(result.stdout)
        assert figures["teacher"]["prompt"] == "query-ner-vi"
        assert figures["missed_by_both"] is None
        asked = endpoint.asked.total()
        same = vner("check", out, "--by", "passage", "--quiet")
        assert "the first teacher itself" in same.output
        must_succeed(vner("check", out, "--quiet"))
        assert endpoint.asked.total() == asked
        must_succeed(vner("check", out, "--by", "passage", "--model", "m3", "--quiet"))
        new = [request["messages"][-1]["content"] for request in endpoint.requests[asked:]]
        assert new
        assert not any(QUESTION.search(text) for text in new)
    assert "by" not in json.loads((out / "check.json").read_text())


@pytest.mark.slow
def test_an_update_keeps_earlier_queries(tmp_path: Path) -> None:
    """After an update, only queries about new passages are sent; earlier opinions stay the same."""
    out = tmp_path / "run"
    with Endpoint(first_teacher) as first, Endpoint(second_teacher) as second:
        must_succeed(build(first, out, "--quiet", "--docs", 3))
        must_succeed(vner(*by_query(second, out, "--share", 0.8, "--quiet")))
        before = read(out)
        asked = set(second.asked)
        must_succeed(vner("update", out, "--docs", "+3", "--quiet"))
        must_succeed(vner("check", out, "--quiet"))
        assert set(second.asked.values()) == {1}
        assert asked < set(second.asked)
    assert read(out)[: len(before)] == before


def read(out: Path) -> list[Opinion]:
    return list(read_opinions(out / "agreement.parquet"))


def test_what_queries_cannot_do_is_refused(built: Path) -> None:
    """A teacher without a prompt, a schema of pairs and a prompt about passages are one-line errors."""
    flags = ["check", built, "--by", "query"]
    assert "--by query needs --provider" in vner(*flags, "--provider", "local").output
    other = ["--provider", "openai", "--model", "m2"]
    assert "leave it out" in vner(*flags, *other, "--response-format", "json").output
    assert "shipped: query-ner-vi.1" in vner(*flags, *other, "--prompt", "open-ner-vi.2").output
    assert "--by must be one of" in vner("check", built, *other, "--by", "type").output
    assert not (built / "check.json").exists()


@pytest.mark.slow
def test_queries_have_the_definitions_of_the_samples(tmp_path: Path) -> None:
    """With --instruction definition, queries and samples name a type in the same words."""
    out, types = tmp_path / "run", tmp_path / "types.txt"
    types.write_text("person: a human being\nlocation\norganization\nlaw\n", encoding="utf-8")
    with Endpoint(first_teacher) as first, Endpoint(second_teacher) as second:
        must_succeed(build(first, out, "--types", types, "--instruction", "definition", "--docs", 2, "--quiet"))
        must_succeed(vner(*by_query(second, out, "--quiet")))
        asked = {found[2] for text in second.asked if (found := QUESTION.search(text))}
    samples = pq.read_table(RunDir(out).samples("train")).to_pylist()
    assert {row["instruction"] for row in samples} <= asked
    assert "What describes person (a human being) in the text?" in asked


@pytest.mark.slow
def test_a_plan_prices_the_queries(built: Path, tmp_path: Path) -> None:
    """``plan --check --by query`` counts exactly the queries that are then asked, and none afterwards."""
    out = tmp_path / "run"
    shutil.copytree(built, out)
    with Endpoint(second_teacher) as second:
        prices = ["--price-in", 1, "--price-out", 2, "--quiet", "--json"]
        flags = [*by_query(second, out)[2:], "--share", 0.5]
        plan = json.loads(vner("plan", "--out", out, "--check", *flags, *prices).stdout)
        assert not second.requests
        assert plan["cost"]["usd"] > 0
        must_succeed(vner("check", out, *flags, "--quiet"))
        assert second.asked.total() == plan["questions"]["to_ask"] > 0
        after = json.loads(vner("plan", "--out", out, "--check", *prices).stdout)
        assert (after["questions"]["to_ask"], after["seen"]["unread"]) == (0, 0)
        assert after["seen"]["answers"] == plan["questions"]["to_ask"]


@pytest.mark.slow
def test_a_plan_prices_the_arbiter(built: Path, tmp_path: Path) -> None:
    """The plan counts at most one arbiter question a passage before both teachers answered, then the exact number."""
    out = tmp_path / "run"
    shutil.copytree(built, out)

    def other(text: str, attempt: int) -> Answer:
        if text.startswith(ARBITER):
            return Answer(content="[1]")
        names = json.loads(first_teacher(text, attempt).content or "")
        return Answer(content=json.dumps(names[1:] if len(text) % 2 else names))

    with Endpoint(other) as second:
        teacher = ["--provider", "openai", "--model", "m2", "--base-url", second.url, "--quiet"]
        flags = ["plan", "--out", out, "--check", "--keep", "arbiter", *teacher, "--price-in", 1, "--price-out", 2]
        assumed = json.loads(vner(*flags, "--json").stdout)["arbiter"]
        assert "at most" in assumed["basis"]
        assert assumed["requests"] == tables.count(out / "passages.parquet")
        assert assumed["usd"] == pytest.approx((assumed["prompt_tokens"] + 2 * assumed["completion_tokens"]) / 1e6)
        assert "at most" in " ".join(vner(*flags).stdout.split())
        assert "arbiter" not in json.loads(vner(*flags, "--json", "--keep", "all").stdout)
        assert not second.requests
        must_succeed(vner("check", out, *teacher, "--share", 0.8))
        more = json.loads(vner(*flags, "--json", "--share", 1).stdout)["arbiter"]
        exact = json.loads(vner(*flags, "--json").stdout)["arbiter"]
        before = second.asked.total()
        must_succeed(vner("check", out, "--keep", "arbiter", "--quiet"))
        assert second.asked.total() - before == exact["requests"] > 0
        assert exact["requests"] < more["requests"] <= assumed["requests"]
        assert json.loads(vner(*flags, "--json").stdout)["arbiter"]["requests"] == 0


@pytest.mark.slow
def test_token_probabilities_of_the_answers_enter_the_doubt(built: Path, tmp_path: Path) -> None:
    """An entity has the probability of the least likely token of its name."""
    out = tmp_path / "run"
    shutil.copytree(built, out)

    def unsure(text: str, attempt: int) -> Answer:
        content = second_teacher(text, attempt).content or ""
        tokens = [
            {"token": part, "logprob": -1.0, "bytes": list(part.encode())} for part in re.split(r"(?<=\w)", content)
        ]
        return Answer(content=content, logprobs={"content": tokens})

    with Endpoint(unsure) as second:
        must_succeed(vner(*by_query(second, out, "--option", "logprobs=true", "--quiet")))
    rows = list(read_opinions(out / "agreement.parquet"))
    own = [one for one in rows if one.teacher != "first"]
    assert own
    assert {one.probability for one in own} == {0.3679}
    assert {one.probability for one in rows if one.teacher == "first"} <= {None}
