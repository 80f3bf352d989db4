"""``predict`` answers every query once, also after a kill: students, taggers and models behind endpoints."""

from __future__ import annotations

import json
import signal
import sys
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.errors import ConfigError, SourceError
from annotator.ledger import SqliteLedger
from annotator.records import Sample
from annotator.terminal.events import Progress
from tests.benchmarks import query, write_benchmark, write_predictions
from tests.commands import must_succeed, vner, vner_process, wait_for
from tests.endpoint import CAPITALS, Answer, Endpoint, delayed
from tests.tiny_models import make_tokenizer, save_student, save_tagger
from training.benchmarks import read_predictions
from training.predict import seq2seq, taggers
from training.predict.chat import ledger_of
from training.predict.grammar import DEAD, DONE, START, ListOnly, as_list, step
from training.predict.running import Outcome, Predictor, note_of, predict
from training.predict.taggers import (
    AT_ONCE,
    Tagged,
    TagMap,
    answering,
    join_tokens,
    load_map,
    tag_with_underthesea,
)

NAMES = ("Nguyễn Văn An", "Trần Thị Bình", "Lê Hoàng Cường")
PLACES = ("Hà Nội", "Huế", "Đà Nẵng", "Cần Thơ")


def benchmark(path: Path, passages: int = 6) -> Path:
    """Write three queries about each passage: for a person, a place, and an absent type."""
    samples: list[Sample] = []
    for number in range(passages):
        name, place = NAMES[number % 3], PLACES[number % 4]
        text = f"Ông {name} đến {place} lần thứ {number}."
        for label, gold in (("person", [name]), ("location", [place]), ("date", [])):
            samples.append(query(f"{number}-{label}", text, gold, label, f"p{number}"))
    return write_benchmark(path, samples)


def fixed(name: str = "x") -> Predictor:
    """Return a predictor that answers with the id of the query."""

    def answer(samples: Sequence[Sample], known: Any, progress: Any) -> Iterator[tuple[str, str]]:
        for sample in reversed(samples):
            if sample.id not in known:
                yield sample.id, json.dumps([sample.id])

    return Predictor({"predictor": name}, answer)


# ---- the file of predictions ----


def test_answers_end_in_the_order_of_the_benchmark(tmp_path: Path) -> None:
    """Answers are sorted in the order of the benchmark; a second run changes nothing."""
    source, out = benchmark(tmp_path / "b.parquet"), tmp_path / "new" / "p.jsonl"
    assert predict(source, fixed(), out, Progress()) == Outcome(18, 18, 18)
    before = out.read_bytes()
    assert [json.loads(line)["id"] for line in before.splitlines()][:4] == [
        "0-person", "0-location", "0-date", "1-person"]  # fmt: skip
    assert predict(source, fixed(), out, Progress()) == Outcome(18, 18, 0)
    assert out.read_bytes() == before


def test_an_incomplete_last_line_is_answered_again(tmp_path: Path) -> None:
    """An incomplete last line is removed and its query answered again; whole lines are kept."""
    source, out = benchmark(tmp_path / "b.parquet"), tmp_path / "p.jsonl"
    predict(source, fixed(), out, Progress())
    whole = out.read_bytes()
    for cut in (1, 9, len(whole) // 2, len(whole) - 1):
        out.write_bytes(whole[:cut])
        lines = whole[:cut].count(b"\n")
        assert predict(source, fixed(), out, Progress()) == Outcome(18, 18, 18 - lines)
        assert out.read_bytes() == whole


def test_a_file_of_another_predictor_or_benchmark_is_refused(tmp_path: Path) -> None:
    """A file of another predictor or benchmark, or one that predict did not write, is refused."""
    source, out = benchmark(tmp_path / "b.parquet"), tmp_path / "p.jsonl"
    predict(source, fixed(), out, Progress())
    with pytest.raises(ConfigError, match=r"of another predictor \(predictor: x, not y\)"):
        predict(source, fixed("y"), out, Progress())
    with pytest.raises(ConfigError, match="to another benchmark"):
        predict(benchmark(tmp_path / "c.parquet", 7), fixed(), out, Progress())
    note_of(out).unlink()
    with pytest.raises(ConfigError, match="predict did not make it"):
        predict(source, fixed(), out, Progress())
    out.write_bytes(b"")  # a file without answers belongs to no predictor
    assert predict(source, fixed("y"), out, Progress()).new == 18


def test_a_broken_line_in_the_middle_is_named(tmp_path: Path) -> None:
    """A broken line before the last is an error with its number, since its answer may have been paid for."""
    source, out = benchmark(tmp_path / "b.parquet"), tmp_path / "p.jsonl"
    predict(source, fixed(), out, Progress())
    lines = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(b"".join([lines[0], b"{}\n", *lines[2:]]))
    with pytest.raises(SourceError, match=r":2 is not"):
        predict(source, fixed(), out, Progress())


@pytest.mark.slow
def test_a_killed_run_continues(tmp_path: Path) -> None:
    """After SIGKILL, the same command finishes with the file of an uninterrupted run."""
    source = benchmark(tmp_path / "b.parquet", 120)
    out, alone = tmp_path / "killed.jsonl", tmp_path / "alone.jsonl"
    process = vner_process("predict", source, "--predictor", "underthesea", "--out", out, "--quiet")
    wait_for(lambda: out.exists() and out.read_bytes().count(b"\n") > 45)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=600)
    kept = out.read_bytes().count(b"\n")
    assert 45 < kept < 360
    predictor = taggers.make("underthesea", "", load_map("underthesea", None))
    assert predict(source, predictor, out, Progress()) == Outcome(360, 360, 360 - kept)
    predict(source, predictor, alone, Progress())
    assert out.read_bytes() == alone.read_bytes()


# ---- endpoints ----


def places(prompt: str, attempt: int) -> Answer:
    """Answer with the places of the text, in a code fence, if the question asks for them."""
    text, _, question = prompt.partition("Question: ")
    found = [name for name in CAPITALS.findall(text) if name in PLACES] if "location" in question else []
    return Answer(content=f"```json\n{json.dumps(found, ensure_ascii=False)}\n```")


def test_a_model_behind_an_endpoint_answers(tmp_path: Path) -> None:
    """Each query is one request with the versioned prompt, and the answers can be scored."""
    source, out = benchmark(tmp_path / "b.parquet"), tmp_path / "p.jsonl"
    with Endpoint(places) as endpoint:
        asking = ("--predictor", "openai:m", "--base-url", endpoint.url, "--option", "top_k=1", "--out", out, "--quiet")
        must_succeed(vner("predict", source, *asking))
        must_succeed(vner("predict", source, *asking))
    assert endpoint.asked.total() == 18
    assert endpoint.requests[0]["top_k"] == 1
    content = endpoint.requests[0]["messages"][-1]["content"]
    assert content.startswith("Text: Ông Nguyễn Văn An đến Hà Nội lần thứ 0.\n\nQuestion: What describes person in")
    assert json.loads(note_of(out).read_text())["predictor"]["prompt"]["name"] == "query-ner-vi"
    scored = json.loads(vner("evaluate", source, out, "--json", "--draws", 0).stdout)
    assert scored["unparsable"] == 0
    assert scored["strict"]["per_type"]["location"]["precision"] == 1.0


@pytest.mark.slow
def test_a_killed_run_pays_for_no_answer_twice(tmp_path: Path) -> None:
    """After SIGKILL, only the requests in flight are repeated: the ledger has the other answers."""
    source, out = benchmark(tmp_path / "b.parquet", 40), tmp_path / "p.jsonl"
    with Endpoint(delayed(0.02, lambda prompt, attempt: Answer())) as endpoint:
        asking = ("--predictor", "openai:m", "--base-url", endpoint.url, "--concurrency", 4, "--out", out, "--quiet")
        process = vner_process("predict", source, *asking)
        wait_for(lambda: endpoint.asked.total() > 30)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=600)
        assert not out.exists() or out.read_bytes().count(b"\n") < 120
        must_succeed(vner("predict", source, *asking))
    assert len(endpoint.asked) == 120
    assert endpoint.asked.total() <= 124
    assert len(read_predictions(out)) == 120


def test_failed_queries_are_reported_and_asked_again(tmp_path: Path) -> None:
    """A failed query gives exit code 3; the others are answered, and the same command asks it again."""
    source, out = benchmark(tmp_path / "b.parquet"), tmp_path / "p.jsonl"

    def refuse(prompt: str, attempt: int) -> Answer:
        return Answer(status=400) if "thứ 3" in prompt and "date" in prompt and attempt == 1 else Answer(content="[]")

    with Endpoint(refuse) as endpoint:
        asking = ("--predictor", "openai:m", "--base-url", endpoint.url, "--out", out, "--quiet")
        first = vner("predict", source, *asking)
        assert first.exit_code == 3
        assert "1 of 18 queries have no answer" in first.stderr
        assert len(read_predictions(out)) == 17
        must_succeed(vner("predict", source, *asking))
    with SqliteLedger(ledger_of(out)) as ledger:
        assert len(ledger) == 18


def test_without_a_key_nothing_is_asked(tmp_path: Path) -> None:
    """Without a key, the error names the environment variable."""
    result = vner("predict", benchmark(tmp_path / "b.parquet"), "--predictor", "groq:m", "--out", tmp_path / "p.jsonl")
    assert result.exit_code == 2
    assert "GROQ_API_KEY" in result.stderr


# ---- students ----


@pytest.fixture(scope="session")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a student with random weights."""
    texts = [
        f"Ông {name} đến {place} lần thứ {n}. What describes" for name in NAMES for place in PLACES for n in "0123"
    ]
    return save_student(tmp_path_factory.mktemp("student") / "s", texts)


@pytest.mark.slow
def test_a_student_always_writes_a_list(student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A student with random weights writes readable lists, the same bytes each time."""
    monkeypatch.setattr(seq2seq, "MAX_ANSWER", 40)
    source = benchmark(tmp_path / "b.parquet", 4)
    asking = ("--predictor", f"hf:{student}", "--device", "cpu", "--batch-size", 5, "--quiet")
    for name in ("one", "two"):
        must_succeed(vner("predict", source, *asking, "--out", tmp_path / f"{name}.jsonl"))
    answers = read_predictions(tmp_path / "one.jsonl")
    assert len(answers) == 12
    assert all(isinstance(json.loads(answer), list) for answer in answers.values())
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()


@pytest.mark.slow
def test_a_continued_run_has_the_same_batches(student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A continued run feeds its model the same batches and skips the finished ones."""
    import torch
    from transformers import MT5ForConditionalGeneration

    fed: list[list[list[int]]] = []

    def generate(self: Any, input_ids: Any, **_: Any) -> Any:
        fed.append(input_ids.tolist())
        return torch.zeros((len(input_ids), 1), dtype=torch.long)

    monkeypatch.setattr(MT5ForConditionalGeneration, "generate", generate)
    predictor = seq2seq.make(str(student), batch_size=4, device="cpu")
    samples = [query(f"q{n}", "Huế " * n, [], "person", "p") for n in range(1, 12)]
    everything = dict(predictor.answer(samples, frozenset(), Progress()))
    assert len(everything) == 11
    whole = fed.copy()
    assert [len(batch) for batch in whole] == [4, 4, 3]
    assert len(whole[0][0]) > len(whole[-1][0])  # the longest first
    fed.clear()
    known = {"q11", "q10", "q9", "q8", "q7"}
    assert {*dict(predictor.answer(samples, known, Progress()))} == {f"q{n}" for n in range(1, 7)}
    assert fed == whole[1:]


@pytest.mark.slow
def test_an_adapter_is_part_of_the_identity(student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The predictor's identity covers base model and adapter; another adapter is another predictor."""
    from peft import LoraConfig, get_peft_model

    from training.students import load_model, load_tokenizer

    monkeypatch.setattr(seq2seq, "MAX_ANSWER", 10)
    identities = set()
    for seed in (0, 1):
        adapted = get_peft_model(load_model(student), LoraConfig(r=2 + seed, target_modules=["q", "v"]))
        folder = tmp_path / f"adapter{seed}"
        adapted.save_pretrained(folder)
        load_tokenizer(student).save_pretrained(folder)
        predictor = seq2seq.make(str(folder), device="cpu")
        identities.add(predictor.identity["model"])
        source = benchmark(tmp_path / "b.parquet", 1)
        assert predict(source, predictor, tmp_path / f"{seed}.jsonl", Progress()).answered == 3
    assert len(identities) == 2


@pytest.mark.slow
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]))))
def test_the_grammar_accepts_every_list(mentions: list[str]) -> None:
    """The grammar accepts every JSON list of strings, and as_list leaves it unchanged."""
    text = json.dumps(mentions, ensure_ascii=False)
    assert step(START, text) == DONE
    assert json.loads(as_list(text)) == mentions


@given(st.text('[]",\\ aĐ\n'))
def test_whatever_is_written_ends_as_a_list(text: str) -> None:
    """as_list makes a JSON list of any text."""
    assert isinstance(json.loads(as_list(text)), list)


@given(st.lists(st.sampled_from(["Hà Nội", "Huế", 'phim "Mai"', "x\\y"])), st.data())
def test_a_list_that_is_cut_keeps_its_whole_strings(mentions: list[str], data: st.DataObject) -> None:
    """as_list keeps exactly the strings that a cut list had complete."""
    text = json.dumps(mentions, ensure_ascii=False)
    cut = text[: data.draw(st.integers(0, len(text)))]
    kept = json.loads(as_list(cut))
    assert kept == mentions[: len(kept)]
    assert len(kept) == sum(cut.startswith(json.dumps(mentions[: n + 1], ensure_ascii=False)[:-1]) for n in
                            range(len(mentions)))  # fmt: skip


@pytest.mark.slow
def test_no_token_of_a_right_answer_is_forbidden() -> None:
    """The grammar allows each token of a list, and after the list only the end."""
    tokenizer = make_tokenizer([f"Ông {name} đến {place}" for name in NAMES for place in PLACES])
    grammar = ListOnly(tokenizer, len(tokenizer) + 3, "cpu")
    table = grammar._table.tolist()
    for answer in ('["Hà Nội", "Nguyễn Văn An"]', "[]", '["Huế"]'):
        state = START
        for token in tokenizer(answer)["input_ids"]:
            state = table[state][token]
            assert state != DEAD
        assert state == DONE
    assert {token for token, after in enumerate(table[DONE]) if after != DEAD} == {0, 1}
    assert all(table[state][1] == DEAD for state in range(DONE))


# ---- taggers ----


def test_a_tagger_reads_a_passage_once(tmp_path: Path) -> None:
    """A tagger reads each passage once for all its queries, and none whose queries are all answered."""
    read: list[str] = []

    def tagger(texts: Sequence[str]) -> Iterator[list[Tagged]]:
        assert len(texts) <= AT_ONCE
        for text in texts:
            read.append(text)
            yield [("Hà Nội", "LOC"), ("Nguyễn Văn An", "PER"), ("Hà Nội", "LOC")]

    tags = TagMap({"PER": ("person",), "LOC": ("location", "place")})
    samples = [
        query(f"{n}-{label}", f"{n}", [], label, f"p{n}") for n in range(40) for label in ("person", "Place", "x")
    ]
    answers = dict(answering(lambda _: tagger, tags)(samples, {"0-person", "0-Place", "0-x", "1-x"}, Progress()))
    assert read == [str(n) for n in range(1, 40)]
    assert answers["1-Place"] == '["Hà Nội"]'
    assert answers["1-person"] == '["Nguyễn Văn An"]'
    assert answers["2-x"] == "[]"
    assert "1-x" not in answers


def test_a_tag_with_the_name_of_a_type_needs_no_line() -> None:
    """A tag maps to the type of its name, unless the table maps it otherwise."""
    assert TagMap({}).of("SYMPTOM_AND_DISEASE") == {"symptom and disease"}
    assert TagMap({"DATE": ()}).of("DATE") == frozenset()


def test_the_user_sees_and_changes_the_table(tmp_path: Path) -> None:
    """--show-map prints the table in the form that --map reads; the table is part of the identity."""
    source, out = benchmark(tmp_path / "b.parquet"), tmp_path / "p.jsonl"
    shown = vner("predict", source, "--predictor", "underthesea", "--show-map").stdout
    assert 'PER = ["person", "name"]' in shown
    own = tmp_path / "map.toml"
    own.write_text(shown.replace('"person", "name"', '"date"'), encoding="utf-8-sig")  # with a byte order mark
    assert load_map("underthesea", own).of("PER") == {"date"}
    asking = ("predict", source, "--predictor", "underthesea", "--out", out, "--quiet")
    must_succeed(vner(*asking, "--map", own))
    answers = read_predictions(out)
    assert answers["0-person"] == "[]"
    assert answers["0-date"] == '["Nguyễn Văn An"]'
    assert "of another predictor (map:" in vner(*asking).stderr
    own.write_text("PER = 3", encoding="utf-8")
    assert "takes a list of types" in vner(*asking, "--map", own).stderr


def test_underthesea_gives_slices() -> None:
    """Names found by underthesea are exact slices of the text, whatever it does to their spelling."""
    texts = ["Ông Nguyễn Văn An đến Huế. Bà Hoà ở Hà Nội.\n\nTheo http://a.vn/b.html, UBND TP.HCM họp.", "", "   "]
    found = list(tag_with_underthesea(texts))
    assert [len(names) for names in found[1:]] == [0, 0]
    assert ("Nguyễn Văn An", "PER") in found[0]
    assert ("Hà Nội", "LOC") in found[0]
    assert all(name in texts[0] for name, _ in found[0])


def test_tokens_become_names() -> None:
    """The first token of a word sets its tag; a B- tag, another tag or a gap begins a new name."""
    text = "Ông Nguyễn An, Huế và Covid-19"

    def token(word: str, tag: str) -> dict[str, Any]:
        start = text.index(word)
        return {"entity": tag, "start": start, "end": start + len(word)}

    tagged = [token("Nguy", "B-PER"), token("ễn", "B-LOC"), token(" An", "I-PER"), token("Huế", "I-PER")]
    assert join_tokens(text, tagged) == [("Nguyễn An", "PER"), ("Huế", "PER")]
    assert join_tokens(text, [token("ng", "B-PER")]) == []  # the end of a word alone has no tag
    assert join_tokens(text, [token("Covid", "B-DIS"), token("-", "I-DIS"), token("19", "I-DIS")]) == [
        ("Covid-19", "DIS")
    ]
    assert join_tokens(text, [token("Nguyễn", "B-PER"), token("An", "B-PER")]) == [("Nguyễn", "PER"), ("An", "PER")]
    assert join_tokens(text, [token("Huế", "LOC")]) == [("Huế", "LOC")]


@pytest.mark.slow
def test_a_token_classifier_answers(tmp_path: Path) -> None:
    """A token classifier finds the names it was trained on, as slices."""
    source = benchmark(tmp_path / "b.parquet", 4)
    texts = [f"đến đến {name} đến đến {place} lần thứ ." for name in NAMES for place in PLACES] + ["0 1 2 3 . Ông đến"]
    folder = save_tagger(tmp_path / "tagger", texts, ["B-PER", "I-PER"])
    must_succeed(
        vner("predict", source, "--predictor", f"token-classification:{folder}", "--out", tmp_path / "p.jsonl", "-q")
    )
    answers = read_predictions(tmp_path / "p.jsonl")
    assert json.loads(answers["0-person"])[-1] == "Hà Nội"
    assert json.loads(answers["0-location"]) == []
    for number in range(4):
        assert all(mention in f"Ông {NAMES[number % 3]} đến {PLACES[number]} lần thứ {number}."
                   for mention in json.loads(answers[f"{number}-person"]))  # fmt: skip


def test_gliner_is_asked_for_the_types_of_the_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GLiNER (a stub) gets each text once, with the benchmark's types or the user's labels for them."""
    asked: list[tuple[list[str], list[str]]] = []

    class GLiNER:
        @classmethod
        def from_pretrained(cls, folder: str, local_files_only: bool) -> GLiNER:
            assert local_files_only
            return cls()

        def to(self, device: str) -> GLiNER:
            return self

        def eval(self) -> GLiNER:
            return self

        def inference(self, texts: list[str], labels: list[str], threshold: float) -> list[list[dict[str, Any]]]:
            asked.append((texts, labels))
            return [[{"text": text.split(" đến ")[0][4:], "label": "human being", "score": 0.9}] for text in texts]

    module = types.ModuleType("gliner")
    module.GLiNER = GLiNER  # type: ignore[attr-defined]
    module.__spec__ = types.SimpleNamespace()  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "gliner", module)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "gliner_config.json").write_text("{}")
    (tmp_path / "map.toml").write_text('"human being" = ["person"]\n', encoding="utf-8")
    tags = load_map("gliner", tmp_path / "map.toml")
    predictor = taggers.make("gliner", str(tmp_path / "model"), tags)
    out = tmp_path / "p.jsonl"
    assert predict(benchmark(tmp_path / "b.parquet"), predictor, out, Progress()).answered == 18
    assert [labels for _, labels in asked] == [["human being", "date", "location"]]
    assert read_predictions(out)["1-person"] == '["Trần Thị Bình"]'
    assert read_predictions(out)["1-location"] == "[]"


def test_an_unknown_predictor_is_refused(tmp_path: Path) -> None:
    """An unknown predictor is an error that lists the kinds; a missing folder is named."""
    source = benchmark(tmp_path / "b.parquet")
    for spec, message in (
        ("bert", "--predictor must be hf:DIR"),
        ("underthesea:x", "--predictor must be"),
        ("hf", "--predictor must be"),
        ("token-classification:/none", "/none is no folder with a model"),
        (f"hf:{tmp_path}", "no student"),
    ):
        result = vner("predict", source, "--predictor", spec, "--out", tmp_path / "p.jsonl", "-q")
        assert result.exit_code in (1, 2)
        assert message in result.stderr
        assert result.stderr.count("\n") == 1
    write_predictions(tmp_path / "p.jsonl", [("a", "[]")])
    assert (
        "predict did not make it"
        in vner("predict", source, "--predictor", "underthesea", "--out", tmp_path / "p.jsonl").stderr
    )


@pytest.mark.slow
def test_predictions_that_cannot_start_leave_no_file(finished: Path, tmp_path: Path) -> None:
    """A predictor that fails to load leaves no file, so that another can write to the same --out."""
    (tmp_path / "empty").mkdir()
    out = tmp_path / "answers.jsonl"
    arguments = ["predict", str(finished / "samples/test.parquet"), "--predictor", f"hf:{tmp_path / 'empty'}"]
    failed = vner(*arguments, "--out", out, "-q")
    assert failed.exit_code == 1
    assert not list(tmp_path.glob("answers*"))
