"""Token probabilities: they are stored with the answer and give the probability of each entity."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.checking.compare import AGREED, DOUBT, compare, entities_of
from annotator.checking.opinions import opinions, read_opinions
from annotator.checking.probabilities import of_entities, read_probabilities
from annotator.ledger import SqliteLedger
from annotator.records import Annotation, Completion, Mention
from annotator.storage.rundir import RunDir
from annotator.teachers.batch import read_result
from annotator.teachers.responses import read_reply
from annotator.teachers.token_logprobs import least_probability, read_logprobs
from data_cards.review.session import Session, Settings
from tests.batch_endpoint import BatchEndpoint, answered
from tests.commands import build, fingerprints, must_succeed, vner
from tests.endpoint import CAPITALS, Answer, Endpoint

REPLY = '[["Huế", "city"], ["Minh Khoa", "person"]]'


def tokens(*pieces: tuple[str | bytes, float]) -> dict[str, Any]:
    """Return the ``logprobs`` of a choice, from pieces of text or bytes with their probabilities."""
    found = []
    for piece, probability in pieces:
        data = piece.encode() if isinstance(piece, str) else piece
        text = data.decode("utf-8", "replace")
        found.append({"token": text, "logprob": math.log(probability), "bytes": list(data), "top_logprobs": []})
    return {"content": found, "refusal": None}


def split(text: str, unsure: str = "", probability: float = 1.0) -> dict[str, Any]:
    """Return logprobs with one token a character, less probable within the first ``unsure``."""
    start = text.find(unsure) if unsure else len(text)
    inside = range(start, start + len(unsure))
    return tokens(*((letter, probability if at in inside else 1.0) for at, letter in enumerate(text)))


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30),
    st.text(max_size=5),
    st.data(),
)
def test_the_compact_form_covers_the_reply(text: str, before: str, data: st.DataObject) -> None:
    """For any token bounds, the lengths of the compact form add up and no probability is too low."""
    whole = (before.encode("utf-8", "replace") + text.encode(), b"<|end|>")
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(whole[0]) - 1)), max_size=20)))
    parts = [whole[0][low:high] for low, high in zip([0, *cuts], [*cuts, len(whole[0])], strict=True)]
    chances = data.draw(st.lists(st.floats(0.01, 1.0), min_size=len(parts), max_size=len(parts)))
    choice = {"logprobs": tokens(*zip(parts, chances, strict=True), (whole[1], 1.0))}
    found = read_logprobs(choice, text)
    assert sum(int(unit.partition(":")[0]) for unit in found.split()) == len(text)
    probability = least_probability(found, text, 0, len(text))
    assert probability is not None
    assert math.prod(chances) - 0.002 <= probability <= 1
    assert least_probability(found, text + "x", 0, 1) is None


def test_a_letter_of_several_tokens_is_one_unit() -> None:
    """The probabilities of two tokens that share a letter are multiplied."""
    first, second = "ế".encode()[:1], "ế".encode()[1:]
    found = read_logprobs({"logprobs": tokens(("Hu", 1.0), (first, 0.5), (second, 0.5), ('"', 1.0))}, 'Huế"')
    assert found == f"2 1:{round(-1000 * math.log(0.25))} 1"
    assert least_probability(found, 'Huế"', 0, 2) == 1.0
    assert least_probability(found, 'Huế"', 2, 3) == pytest.approx(0.25, abs=0.001)


@pytest.mark.parametrize(
    "broken",
    [
        None, [], {}, "no", {"content": None}, {"content": [None]}, {"content": [{"token": "[]"}]},
        {"content": [{"token": "[]", "logprob": "low"}]}, {"content": [{"token": "[]", "logprob": None}]},
        {"content": [{"token": "[]", "logprob": float("nan")}]}, {"content": [{"token": "other", "logprob": 0.0}]},
        {"content": [{"token": "[]", "logprob": 0.0, "bytes": [999]}]}, {"content": 7},
        {"content": [{"token": "\ud800", "logprob": 0.0}]},
    ],
)  # fmt: skip
def test_malformed_logprobs_never_lose_the_answer(broken: Any) -> None:
    """Malformed logprobs are ignored; the reply is read, from a response and from a batch."""
    choice = {"message": {"content": "[]"}, "finish_reason": "stop", "logprobs": broken}
    body = {"choices": [choice]}
    reply = read_reply(json.dumps(body).encode(), {})
    assert (reply.text, reply.logprobs) == ("[]", "")
    line = {"custom_id": "k", "response": {"status_code": 200, "body": body}, "error": None}
    assert read_result(json.dumps(line).encode()).answer == reply


def test_logprobs_cover_only_the_reply() -> None:
    """Tokens outside the reply are left out; the last place that spells the reply counts."""
    pieces = (("<think>[]</think>", 0.3), ("[", 1.0), ("]", 0.5), ("<|eot|>", 0.9))
    assert read_logprobs({"logprobs": tokens(*pieces)}, "[]") == "1 1:693"


def annotated(*entities: tuple[str, str, str]) -> Annotation:
    """Return an annotation from (mention, type, raw label); its text does not matter."""
    mentions = [Mention(text, label, raw, 0, len(text), "exact") for text, label, raw in entities]
    return Annotation("p", "", tuple(mentions), "ok")


def answer(reply: str, logprobs: dict[str, Any]) -> Completion:
    return Completion("k", "p", reply, "stop", 1, 1, 0.1, 0.0, read_logprobs({"logprobs": logprobs}, reply))


def probabilities_in(annotation: Annotation, found: Completion) -> dict[tuple[str, str], float]:
    return of_entities(entities_of(annotation), found.reply, found.logprobs)


@pytest.mark.parametrize(
    ("unsure", "wanted"), [("Huế", {"Huế": 0.25}), ("city", {"Huế": 0.25}), ("], [", {}), ("Khoa", {"Minh Khoa": 0.25})]
)
def test_an_entity_has_the_probability_of_its_least_token(unsure: str, wanted: dict[str, float]) -> None:
    """Tokens of mention and type count for an entity, those between entities for none."""
    own = annotated(("Huế", "city", "city"), ("Minh Khoa", "person", "person"), ("Lan", "person", "person"))
    found = probabilities_in(own, answer(REPLY, split(REPLY, unsure, 0.25)))
    assert {mention: round(value, 2) for (mention, _), value in found.items() if value < 1} == wanted
    assert {mention for mention, _ in found} == {"Huế", "Minh Khoa"}  # the reply does not name Lan


def test_other_forms_of_a_reply_are_searched_too() -> None:
    """Entities are found in other forms of a reply; the last occurrence of a name counts."""
    reply = '<think>Huế: city</think>{"cities": ["Huế"], "people": ["Ông Huế"]}'
    start = reply.rindex('"Huế"') + 1
    pieces = [(letter, 0.5 if start <= at < start + 3 else 1.0) for at, letter in enumerate(reply)]
    assert probabilities_in(annotated(("Huế", "city", "cities")), answer(reply, tokens(*pieces))) == {
        ("Huế", "city"): pytest.approx(0.5, abs=0.001)
    }
    lines = "Huế: city\nMinh Khoa: person"
    assert probabilities_in(annotated(("Huế", "city", "city")), answer(lines, split(lines, "city", 0.5))) == {
        ("Huế", "city"): pytest.approx(0.5, abs=0.001)
    }


def test_doubt_combines_verdict_and_probability() -> None:
    """A low probability raises the doubt, by less than a difference between teachers does."""
    one, other = annotated(("Huế", "city", "city")), annotated(("Huế", "city", "city"))
    pairs = compare(one, other)
    key = ("Huế", "city")

    def doubt(*given: dict[tuple[str, str], float]) -> tuple[float, float | None]:
        (row,) = opinions("p", pairs, None, (given[0], given[1]))
        return row.doubt, row.probability

    assert doubt({}, {}) == (DOUBT[AGREED], None)
    assert doubt({key: 1.0}, {}) == (DOUBT[AGREED], 1.0)
    assert doubt({key: 1.0}, {key: 0.5})[1] == 0.75
    assert DOUBT[AGREED] < doubt({key: 0.5}, {})[0] < doubt({key: 0.0}, {key: 0.0})[0] < DOUBT["nested"]


def sure_of_most(text: str, attempt: int) -> Answer:
    """Predict runs of capitals as places, with a low probability for names of odd length."""
    found = dict.fromkeys(CAPITALS.findall(text))
    pieces: list[tuple[str | bytes, float]] = [("[", 1.0)]
    for number, name in enumerate(found):
        pieces += [
            (", " if number else "", 1.0),
            ('["', 1.0),
            (name, 0.4 if len(name) % 2 else 1.0),
            ('", "LOCATION"]', 1.0),
        ]
    pieces.append(("]", 1.0))
    content = "".join(str(piece) for piece, _ in pieces)
    return Answer(content=content, logprobs=tokens(*((piece, p) for piece, p in pieces if piece)))


def without(text: str, attempt: int) -> Answer:
    return Answer(content=sure_of_most(text, attempt).content)


@pytest.mark.slow
def test_probabilities_order_the_review(tmp_path: Path) -> None:
    """Stored probabilities leave the dataset the same; the review begins with the least probable entities."""
    with Endpoint(sure_of_most) as endpoint, Endpoint(without) as plain:
        build(endpoint, tmp_path / "a", "--quiet", "--option", "logprobs=true")
        build(plain, tmp_path / "b", "--quiet", "--option", "logprobs=true")
        assert all(request["logprobs"] is True for request in endpoint.requests)
    files = [fingerprints(tmp_path / name) for name in "ab"]
    assert files[0] == files[1]
    run = RunDir(tmp_path / "a")
    found = list(read_probabilities(run.probabilities))
    assert {one.probability == 1.0 for one in found if len(one.mention) % 2 == 0} == {True}
    assert {round(one.probability, 2) for one in found if len(one.mention) % 2} == {0.4}
    assert not list(read_probabilities(RunDir(tmp_path / "b").probabilities))
    doubt: dict[str, float] = {}
    for one in found:
        doubt[one.passage_id] = doubt.get(one.passage_id, 0.0) + 1 - one.probability
    item = Session(run, Settings(reviewer="an", mode="correct")).next("correct")["item"]
    assert doubt[item["passage_id"]] == pytest.approx(max(doubt.values()))
    assert "not sure" in item["why"]


@pytest.mark.slow
def test_a_batch_has_probabilities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logprobs in batch results are stored; a line with broken ones keeps its answer."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    out = tmp_path / "run"

    def with_logprobs(request: dict[str, Any]) -> dict[str, Any]:
        line = answered(request)
        (choice,) = line["response"]["body"]["choices"]
        content = choice["message"]["content"]
        choice["logprobs"] = split(content) if len(content) % 2 else {"content": [{"token": content}]}
        return line

    with BatchEndpoint() as api:
        flags = ["--provider", "openai", "--model", "m", "--base-url", f"{api.url}/v1", "--option", "logprobs=true"]
        command = ["annotate", "sample", "--docs", 6, "--out", out, *flags, "--batch", "--quiet"]
        assert vner(*command).exit_code == 3
        api.finish(with_logprobs)
        must_succeed(vner(*command))
        assert all(line["body"]["logprobs"] is True for batch in api.batches for line in api.requests(batch))
    with SqliteLedger(out / "completions.sqlite") as ledger:
        found = [one for part in ledger.batches(1000) for one in part]
    assert {bool(one.logprobs) == bool(len(one.reply) % 2) for one in found} == {True}
    assert {bool(one.logprobs) for one in found} == {False, True}


@pytest.mark.slow
def test_probabilities_of_two_teachers_enter_the_doubt(tmp_path: Path) -> None:
    """Probabilities of either teacher raise the doubt; without them agreement.parquet has no such column."""
    out, other = tmp_path / "run", tmp_path / "other"
    with Endpoint(without) as first, Endpoint(sure_of_most) as second:
        build(first, out, "--quiet")
        shutil.copytree(out, other)
        flags = ["--provider", "openai", "--model", "m2", "--base-url", second.url, "--quiet"]
        must_succeed(vner("check", out, *flags, "--option", "logprobs=true"))
        must_succeed(vner("check", other, *flags))
    assert "probability" not in pq.read_schema(other / "agreement.parquet").names
    rows = [(one, plain) for one, plain in zip(*map(_opinions, (out, other)), strict=True)]
    assert all(one.probability is not None for one, _ in rows)
    for one, plain in rows:
        assert (one.doubt > plain.doubt) == (len(one.mention) % 2 == 1)
        assert one.verdict == plain.verdict
    with SqliteLedger(out / "completions.sqlite") as ledger:
        kept = [bool(one.logprobs) for part in ledger.batches(1000) for one in part]
    assert sorted(set(kept)) == [False, True]


def _opinions(out: Path) -> list[Any]:
    return list(read_opinions(out / "agreement.parquet"))
