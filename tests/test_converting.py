"""``convert`` writes other data sets as samples and counts everything that it leaves out."""

from __future__ import annotations

import gzip
import json
import os
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import cli
from annotator.errors import ConfigError, SourceError
from annotator.records import Sample
from annotator.storage import tables
from annotator.terminal.events import Progress
from tests.commands import vner
from training.convert.conll import read_conll
from training.convert.convert import FORMATS, convert
from training.convert.job import Job
from training.convert.options import Options

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "xquad_vi" / "xquad.vi.json"
XQUAD = Path(os.environ.get("VNER_XQUAD", SHARED))


def run(name: str, *sources: Path, **options: Any) -> tuple[list[Sample], dict[str, Any]]:
    """Convert, check the invariants of samples and funnel, and read back the samples."""
    out = sources[0].parent / "out" / "samples.parquet"
    report = convert(name, sources, out, Options(**options), Progress())
    samples = list(tables.read_samples(out))
    assert tables.pq.read_schema(out).equals(tables.SAMPLE)
    assert len({sample.id for sample in samples}) == len(samples) == report["samples"]
    for flow in report["funnel"]:
        assert flow["in"] == flow["out"] + sum(found["count"] for found in flow["left_out"].values()), flow
    assert report["funnel"][-1]["out"] == len(samples)
    for sample in samples:
        for column in (sample.instruction, sample.input, sample.output):
            assert unicodedata.is_normalized("NFC", column)
    return samples, report


def answers(samples: list[Sample]) -> dict[str, list[str]]:
    """Return the non-empty answers by type."""
    return {sample.entity_type: json.loads(sample.output) for sample in samples if sample.output != "[]"}


def lost(report: dict[str, Any]) -> dict[str, int]:
    """Return how many were left out, by reason."""
    return {reason: found["count"] for flow in report["funnel"] for reason, found in flow["left_out"].items()}


def examples(report: dict[str, Any], reason: str) -> list[dict[str, str]]:
    """Return the examples of what was left out for a reason."""
    return next(flow["left_out"][reason]["examples"] for flow in report["funnel"] if reason in flow["left_out"])


def read(report: dict[str, Any]) -> Counter[str]:
    """Return how many were read, by unit."""
    return Counter({flow["unit"]: flow["in"] for flow in report["funnel"]})


def write(path: Path, text: str | bytes) -> Path:
    """Write a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def conversation(text: str, *turns: tuple[str, str]) -> dict[str, Any]:
    """Return a conversation in the form that UniversalNER publishes."""
    lines = [("human", f"Text: {text}"), ("gpt", "Read.")]
    for entity_type, answer in turns:
        lines += [("human", f"What describes {entity_type} in the text?"), ("gpt", answer)]
    return {"id": "x", "conversations": [{"from": who, "value": what} for who, what in lines]}


OSLO = conversation("Anna lives in Oslo.", ("Location", '["Oslo", "Oslo"]'), ("animal", "[]"), ("person", "['Anna']"))


def test_the_help_names_all_formats() -> None:
    """The help, which is written without loading the converters, names every format."""
    help_text = " ".join(CliRunner().invoke(cli.app, ["convert", "--help"], env={"COLUMNS": "200"}).stdout.split())
    assert f"{', '.join(list(FORMATS)[:-1])} or {list(FORMATS)[-1]} (docs/convert.md)" in help_text


@pytest.mark.parametrize("form", ["array", "lines", "gz", "bom"])
def test_conversations_become_one_sample_a_question(tmp_path: Path, form: str) -> None:
    """Each question becomes a sample with a lower-case type and distinct mentions, in every file form."""
    rows = [OSLO, {"id": "y"}]
    array = json.dumps(rows).encode()
    path = {
        "array": lambda: write(tmp_path / "a.json", array),
        "bom": lambda: write(tmp_path / "a.json", b"\xef\xbb\xbf" + array),
        "lines": lambda: write(tmp_path / "a.jsonl", "\r\n".join(map(json.dumps, rows))),
        "gz": lambda: write(tmp_path / "a.json.gz", gzip.compress(array)),
    }[form]()
    samples, report = run("pile-ner", path)
    assert [(sample.entity_type, sample.output, sample.negative) for sample in samples] == [
        ("location", '["Oslo"]', False),
        ("animal", "[]", True),
    ]
    assert samples[0].instruction == "What describes location in the text?"
    assert {sample.input for sample in samples} == {"Anna lives in Oslo."}
    assert [flow["left_out"].keys() for flow in report["funnel"]] == [{"broken record"}, {"broken record"}, set()]
    assert examples(report, "broken record")[0]["where"] == f"{path}:2"


def test_without_empty_leaves_out_empty_answers(tmp_path: Path) -> None:
    """EngNER_01 is EngNER_02 without the samples whose answer is empty."""
    samples, report = run("pile-ner", write(tmp_path / "a.json", json.dumps([OSLO])), without_empty=True)
    assert [sample.entity_type for sample in samples] == ["location"]
    assert lost(report)["empty answer"] == 1


def test_an_array_that_breaks_off_writes_nothing(tmp_path: Path) -> None:
    """A truncated JSON array is an error, not a short data set."""
    path = write(tmp_path / "a.json", json.dumps([OSLO, OSLO])[:-40])
    with pytest.raises(SourceError, match=r"a\.json is not JSON"):
        run("pile-ner", path)
    assert not list((tmp_path / "out").iterdir())


CONTEXT = "Nguyễn Du quê ở Tiên Điền, Hà Tĩnh."


def question(identity: str, *found: tuple[str, int], **more: Any) -> dict[str, Any]:
    """Return a question in the SQuAD form."""
    places = [{"text": text, "answer_start": start} for text, start in found]
    return {"id": identity, "question": f"Câu {identity}?", "answers": places, **more}


def test_only_sound_answers_of_answerable_questions(tmp_path: Path) -> None:
    """Unanswerable questions and answers outside their context are left out; a wrong offset is ignored."""
    at = CONTEXT.index
    questions = [
        question("một", ("Nguyễn Du", 0)),
        question("hai", ("Tiên Điền", 3)),
        question("ba", ("Huế", 0)),
        question("tư", is_impossible=True, plausible_answers=[{"text": "Du", "answer_start": 7}]),
        question("năm", ("Hà", at("Hà")), ("Hà Tĩnh", at("Hà")), ("Hà Tĩnh", at("Hà"))),
    ]
    data = {"version": "2.0", "data": [{"title": "t", "paragraphs": [{"context": CONTEXT, "qas": questions}]}]}
    samples, report = run("squad", write(tmp_path / "a.json", json.dumps(data, indent=1)))
    assert [sample.output for sample in samples] == ["Nguyễn Du", "Tiên Điền", "Hà Tĩnh"]
    assert {(sample.entity_type, sample.negative) for sample in samples} == {("", False)}
    assert len({sample.passage_id for sample in samples}) == 1
    assert lost(report) == {"unanswerable": 1, "answer is not in its context": 1}


@pytest.mark.parametrize("answers", [5, "Du", [5], [None], [{}], [{"text": 5}], {"text": 5}, {"text": None}, {}])
def test_broken_answers_leave_out_only_their_question(tmp_path: Path, answers: Any) -> None:
    """Malformed answers and unstorable contexts are left out; the following rows are read."""
    row = {"context": CONTEXT, "question": "Ai?", "answers": {"text": ["Nguyễn Du"], "answer_start": [0]}}
    rows = [{**row, "answers": answers}, {**row, "context": CONTEXT + "\ud83d"}, [], {"paragraphs": 5}, row]
    samples, report = run("squad", write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows))))
    assert [sample.output for sample in samples] == ["Nguyễn Du"]
    assert [sum(found["count"] for found in flow["left_out"].values()) for flow in report["funnel"]] == [2, 2, 0]
    assert examples(report, "broken record")[0]["where"].endswith((":3", ":1"))


@pytest.mark.skipif(not XQUAD.exists(), reason=f"no real file at {XQUAD}; set VNER_XQUAD to xquad.vi.json")
def test_the_real_xquad_has_its_published_size(tmp_path: Path) -> None:
    """XQuAD has 1,190 questions, each with an answer in its context."""
    link = tmp_path / "xquad.vi.json"
    link.symlink_to(XQUAD)
    samples, report = run("squad", link, set="xquad-vi")
    assert len(samples) == 1190
    assert read(report)["questions"] == report["published"]["xquad-vi"]["all"]["questions"] == 1190
    assert not lost(report)


def test_instructions_with_and_without_input(tmp_path: Path) -> None:
    """A row may have no input; broken lines are counted with file and line."""
    rows = '{"instruction":"Kể ba màu","input":"","output":"Đỏ"}\n{bad\n\n'
    rows += '{"instruction":"Dịch","input":"one","output":"một"}\n{"instruction":"Kể ba màu","output":"Đỏ"}\n'
    rows += '{"instruction":"","output":"x"}\n{"instruction":"\\ud83d","output":"x"}\n'
    path = write(tmp_path / "a.json", rows)
    samples, report = run("alpaca", path)
    assert [(sample.instruction, sample.input, sample.output) for sample in samples] == [
        ("Kể ba màu", "", "Đỏ"),
        ("Dịch", "one", "một"),
        ("Kể ba màu", "", "Đỏ"),
    ]
    assert lost(report) == {"broken record": 3}
    example = examples(report, "broken record")[0]
    assert (example["where"], example["value"]) == (f"{path}:2", "{bad")


def test_pairs_of_lines_are_translated_both_ways(tmp_path: Path) -> None:
    """Each direction has its prompt; an empty side and a line without a partner are counted."""
    english = write(tmp_path / "d" / "train.en", "Hello.\u2028\n\nBye.\n")
    write(tmp_path / "d" / "train.vi", "Xin chào.\r\nx\r\nTạm biệt.\r\nthừa\r\n")
    samples, report = run("parallel", english.parent)
    assert [(sample.input, sample.output) for sample in samples] == [
        ("Hello.", "Xin chào."),
        ("Xin chào.", "Hello."),
        ("Bye.", "Tạm biệt."),
        ("Tạm biệt.", "Bye."),
    ]
    assert "into Vietnamese" in samples[0].instruction
    assert "into English" in samples[1].instruction
    assert samples[0].passage_id == samples[1].passage_id != samples[2].passage_id
    assert lost(report) == {"empty side": 1, "no line on the other side": 1}


def test_one_direction_by_seed(tmp_path: Path) -> None:
    """``--direction random`` draws each direction by the seed, the same in every run."""
    english = write(tmp_path / "d" / "a.en", "".join(f"Number {number}\n" for number in range(40)))
    write(tmp_path / "d" / "a.vi.gz", gzip.compress("".join(f"Số {number}\n" for number in range(40)).encode()))
    folder = english.parent
    samples, _ = run("parallel", folder, direction="random")
    assert len(samples) == 40
    assert all(sample.input.startswith("Number") == ("into Vietnamese" in sample.instruction) for sample in samples)
    assert {sample.instruction for sample in samples} == {sample.instruction for sample in run("parallel", folder)[0]}
    assert run("parallel", folder, direction="random")[0] == samples
    assert run("parallel", folder, direction="random", seed=1)[0] != samples


def test_a_table_of_pairs_has_english_first_or_names_its_columns(tmp_path: Path) -> None:
    """TSV keeps quotes, drops byte order marks, and leaves out lines without a second column."""
    plain = write(tmp_path / "d" / "a.tsv", '"Hi" he said.\t"Chào" anh nói.\n\ufeffBye.\tTạm biệt.\r\nlone\n')
    samples, report = run("parallel", plain.parent, direction="en-vi")
    pairs = [('"Hi" he said.', '"Chào" anh nói.'), ("Bye.", "Tạm biệt.")]
    assert [(sample.input, sample.output) for sample in samples] == pairs
    assert examples(report, "broken line")[0]["where"] == f"{plain}:3"
    rows = "".join(f"x\t{vietnamese}\t{english}\n" for english, vietnamese in pairs)
    named = write(tmp_path / "b.TSV.gz", gzip.compress(f"\ufeffid\tVI\tEN\n{rows}".encode()))
    assert run("parallel", named, direction="en-vi")[0] == samples


def test_two_files_of_other_names_are_english_and_vietnamese(tmp_path: Path) -> None:
    """Two files without a language suffix are English and Vietnamese, in the order given."""
    english = write(tmp_path / "source.txt", "Hello.\nBye.\n")
    vietnamese = write(tmp_path / "target.txt.gz", gzip.compress("Xin chào.\nTạm biệt.\n".encode()))
    samples, _ = run("parallel", english, vietnamese, direction="en-vi")
    assert [(sample.input, sample.output) for sample in samples] == [("Hello.", "Xin chào."), ("Bye.", "Tạm biệt.")]
    with pytest.raises(SourceError, match=r"has no partner"):
        run("parallel", english, write(tmp_path / "train.vi", "Xin chào.\n"))


def test_a_file_without_a_partner_is_named(tmp_path: Path) -> None:
    """A file without its partner is an error, not an empty data set."""
    write(tmp_path / "d" / "train.en", "a\n")
    with pytest.raises(SourceError, match=r"train\.en has no partner"):
        run("parallel", tmp_path / "d")


SYLLABLES = """Bệnh O
nhân O
523 B-PATIENT_ID
sốt B-SYMPTOM_AND_DISEASE
cao I-SYMPTOM_AND_DISEASE
ở O
Huế I-LOCATION

Bệnh O
nhân O
a_b@x.vn O
"""


def test_every_type_of_the_set_is_asked_about_every_sentence(tmp_path: Path) -> None:
    """Each sentence gets a sample per type, with [] for absent ones; a repaired I- tag is noted."""
    path = write(tmp_path / "test_syllable.conll", SYLLABLES.replace("\n", "\r\n"))
    samples, report = run("conll", path)
    assert len(samples) == 6
    assert len({sample.passage_id for sample in samples}) == 2
    assert answers(samples) == {"location": ["Huế"], "patient id": ["523"], "symptom and disease": ["sốt cao"]}
    assert samples[0].input == "Bệnh nhân 523 sốt cao ở Huế"
    assert samples[3].input == "Bệnh nhân a_b@x.vn"
    assert all(sample.negative == (sample.output == "[]") for sample in samples)
    assert "I- without B-: begins an entity" in report["notes"]
    samples, report = run("conll", path, set="phoner-covid19")
    assert len(samples) == 20
    assert samples[0].entity_type == "patient id"
    assert [part["entities"] for part in report["published"]["phoner-covid19"].values()] == [15767, 7478, 11735]


WORDS = [
    ("Bệnh_nhân", "O"),
    ("Hải_Châu", "B-LOCATION"),
    ("UBND_TP.HCM", "B-ORGANIZATION"),
    ("tp._Đà_Nẵng", "I-ORGANIZATION"),
    *((token, "O") for token in ("bs_an@bv.vn", "https://a.vn/b_c", "anh_1.jpg", "_", "#o_nha", ".")),
]


def test_underscores_of_words_become_spaces_those_of_addresses_stay(tmp_path: Path) -> None:
    """At word level, underscores become spaces except in addresses; --level syllable keeps them."""
    columns = write(tmp_path / "test_word.conll", "".join(f"{word} {tag}\n" for word, tag in WORDS))
    record = {"words": [word for word, _ in WORDS], "tags": [tag for _, tag in WORDS]}
    lines = write(tmp_path / "test_word.json", json.dumps(record, ensure_ascii=False) + "\n")
    samples, _ = run("conll", columns)
    assert samples[0].input == (
        "Bệnh nhân Hải Châu UBND TP.HCM tp. Đà Nẵng bs_an@bv.vn https://a.vn/b_c anh_1.jpg _ #o_nha ."
    )
    assert answers(samples) == {"location": ["Hải Châu"], "organization": ["UBND TP.HCM tp. Đà Nẵng"]}
    assert run("conll", lines)[0] == samples
    assert "Hải_Châu" in run("conll", columns, level="syllable")[0][0].input


def test_broken_lines_of_tagged_words_are_left_out(tmp_path: Path) -> None:
    """Each kind of broken JSON line is left out with its file and line."""
    good = '{"words": ["Ở", "Huế"], "tags": ["O", "B-LOC"]}\n'
    bad = [
        "{",
        '{"words": ["Huế"], "tags": []}',
        '{"words": ["Huế"], "tags": ["LOC"]}',
        '{"words": [], "tags": []}',
        "[]",
    ]
    path = write(tmp_path / "d" / "a.jsonl", good + "\n".join(bad) + "\n" + good)
    samples, report = run("conll", path.parent)
    assert [sample.output for sample in samples] == ['["Huế"]'] * 2
    assert (read(report)["sentences"], lost(report)) == (7, {"broken line": 5})
    assert [example["where"] for example in examples(report, "broken line")] == [f"{path}:{n}" for n in range(2, 7)]


def test_columns_of_nested_tags_and_broken_lines(tmp_path: Path) -> None:
    """VLSP 2016 files with two tag columns are read; a sentence with a broken line is left out."""
    rows = "<s>\nHuế\tNp\tB-NP\tB-LOC\tO\nUBND\tN\tB-NP\tB-ORG\tO\nHuế\tNp\tI-NP\tI-ORG\tB-LOC\n</s>\n"
    rows += "<s>\nhỏng\nA\tN\tO\tO\tO\n</s>\n"
    path = write(tmp_path / "a.conll", rows)
    samples, report = run("conll", path, columns="4,5")
    assert answers(samples) == {"location": ["Huế"], "organization": ["UBND Huế"]}
    assert read(report)["entities"] == 3
    assert lost(report) == {"broken line": 1}
    assert examples(report, "broken line")[0]["where"] == f"{path}:7"


def test_equal_sentences_are_different_passages(tmp_path: Path) -> None:
    """Equal sentences are different passages, with the same ids in every run."""
    path = write(tmp_path / "a.conll", "Huế B-LOC\n\n" * 3)
    samples, report = run("conll", path)
    assert len({sample.passage_id for sample in samples}) == 3 == read(report)["sentences"]
    assert run("conll", path)[0] == samples


TYPES = ["PERSON", "LOCATION", "SYMPTOM_AND_DISEASE"]
TOKENS = st.text(st.characters(codec="utf-8", exclude_categories=("Z", "C")), min_size=1, max_size=6).filter(
    lambda token: token.strip("\u3164").strip() == token and not token.startswith("<") and len(token.split()) == 1
)
TAGGED = st.lists(st.tuples(TOKENS, st.sampled_from(["O", *(f"{kind}-{name}" for kind in "BI" for name in TYPES)])),
                  min_size=1, max_size=12)  # fmt: skip


@pytest.mark.slow
@given(st.lists(TAGGED, min_size=1, max_size=4), st.sampled_from(["word", "syllable"]))
def test_every_entity_of_a_file_is_an_answer(tmp_path_factory: pytest.TempPathFactory, data: Any, level: str) -> None:
    """The reader finds the entities that seqeval finds; each is an answer and part of its input."""
    from seqeval.metrics.sequence_labeling import get_entities

    body = "\n".join("".join(f"{token} {tag}\n" for token, tag in sentence) for sentence in data)
    path = write(tmp_path_factory.getbasetemp() / "tagged.conll", body)
    job = Job([path], Options(level=level), types=TYPES)
    samples = list(read_conll(job))
    entities = [get_entities([tag for _, tag in sentence]) for sentence in data]
    assert read({"funnel": job.counts.funnel()})["entities"] == sum(map(len, entities))
    by_passage: dict[str, list[Sample]] = {}
    for sample in samples:
        by_passage.setdefault(sample.passage_id, []).append(sample)
        assert all(mention in sample.input for mention in json.loads(sample.output))
    assert len(by_passage) == len(data)
    for sentence, found, asked in zip(data, entities, by_passage.values(), strict=True):
        gold = {(name.lower().replace("_", " "), " ".join(token for token, _ in sentence[first : last + 1]))
                for name, first, last in found}  # fmt: skip
        answered = {(sample.entity_type, mention) for sample in asked for mention in json.loads(sample.output)}
        plain = lambda pairs: {(name, unicodedata.normalize("NFC", text).replace("_", " ")) for name, text in pairs}  # noqa: E731
        assert plain(answered) == plain(gold)


def test_types_are_renamed_or_left_out(tmp_path: Path) -> None:
    """--types renames a type, or leaves it out under an empty name; its mentions are counted."""
    names = write(tmp_path / "types.toml", 'location = "Địa điểm"\nPATIENT_ID = ""\n')
    samples, report = run("conll", write(tmp_path / "a.conll", SYLLABLES), types=names)
    assert {sample.entity_type for sample in samples} == {"địa điểm", "symptom and disease"}
    assert lost(report) == {"type left out": 1}


def test_nothing_is_left_out_of_a_benchmark_for_its_length(tmp_path: Path) -> None:
    """Training samples over 1,024 tokens are left out; those of a benchmark only with --max-sample-tokens."""
    words = " ".join(["từ"] * 1500)
    rows = [{"instruction": "Viết", "output": words}, {"instruction": "Viết", "output": "ngắn"}]
    alpaca = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))
    assert lost(run("alpaca", alpaca)[1]) == {"too long": 1}
    assert not lost(run("alpaca", alpaca, max_sample_tokens=0)[1])
    bench = write(tmp_path / "a.conll", "".join(f"{word} O\n" for word in words.split()) + "Huế B-LOC\n\nHuế B-LOC\n")
    assert not lost(run("conll", bench)[1])
    assert lost(run("conll", bench, max_sample_tokens=1024)[1]) == {"too long": 1}


def test_length_is_input_and_output_together(tmp_path: Path) -> None:
    """A sample is left out exactly if the tokens of input and output together exceed the limit."""
    from annotator.passages.tokenizers import load_tokenizer

    rows = [
        {"instruction": "Nói", "input": "Hà Nội mùa thu " * number, "output": "đẹp " * number}
        for number in range(1, 30)
    ]
    path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))
    tokenizer = load_tokenizer("llama3")
    whole = run("alpaca", path, max_sample_tokens=0)[0]
    fit = [one for one in whole if tokenizer.count(one.input) + tokenizer.count(one.output) <= 120]
    assert 0 < len(fit) < len(whole)
    assert run("alpaca", path, max_sample_tokens=120)[0] == fit


@pytest.mark.slow
def test_samples_of_a_run_filtered_and_shared(tmp_path: Path, finished: Path) -> None:
    """The samples of a run can be filtered by split and by empty answers; --share keeps passages whole."""
    out = tmp_path / "a.parquet"
    report = convert("samples", [finished], out, Options(split="train", without_empty=True), Progress())
    train = list(tables.read_samples(finished / "samples" / "train.parquet"))
    assert list(tables.read_samples(out)) == [sample for sample in train if not sample.negative]
    assert report["samples"] < len(train)
    convert("samples", [finished], out, Options(share=0.5), Progress())
    kept = list(tables.read_samples(out))
    every = [
        one
        for name in ("train", "validation", "test")
        for one in tables.read_samples(finished / "samples" / f"{name}.parquet")
    ]
    passages = {sample.passage_id for sample in kept}
    assert 0 < len(kept) < len(every)
    assert kept == [sample for sample in every if sample.passage_id in passages]


def test_invalid_options_and_files_are_refused(tmp_path: Path, finished: Path) -> None:
    """Settings of another format, unknown sets and files of another form are one-line errors."""
    path = write(tmp_path / "a.conll", SYLLABLES)
    for name, options, message in (
        ("conll", {"levels": 2}, "--levels is for enamex"),
        ("conll", {"set": "vlsp2018"}, "known: phoner-covid19"),
        ("conll", {"columns": "4,0"}, "--columns takes numbers from 1"),
        ("conll", {"types": tmp_path / "none.toml"}, "cannot read --types"),
    ):
        with pytest.raises(ConfigError, match=message):
            run(name, path, **options)
    for name in set(FORMATS) - {"conll", "enamex", "parallel", "samples"}:
        with pytest.raises(SourceError, match=r"is it really of the format|is not JSON"):
            run(name, path)
    with pytest.raises(SourceError, match=r"broken record.*instruction: Field required"):
        run("samples", write(tmp_path / "p.parquet", (finished / "passages.parquet").read_bytes()))
    with pytest.raises(SourceError, match="is not a whole gzip file"):
        run("alpaca", write(tmp_path / "a.json.gz", b"\x1f\x8bx"))


def test_the_command_prints_what_was_lost_and_json(tmp_path: Path) -> None:
    """The output escapes markup and control characters of a file; --json prints one object."""
    path = write(tmp_path / "a.conll", SYLLABLES + "\n[red]x\x1b[31m\n")
    out = str(tmp_path / "o.parquet")
    shown = CliRunner().invoke(cli.app, ["convert", "conll", str(path), "--out", out, "-q"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    assert f"{path}:13: [red]x\\u001b[31m" in shown.stdout
    assert "\x1b" not in shown.stdout
    assert "11,735" in shown.stdout
    assert "no limit" in shown.stdout
    result = vner("convert", "conll", path, "--out", out, "-q", "--json")
    assert json.loads(result.stdout)["samples"] == 6
    wrong = vner("convert", "conl", path, "--out", out)
    assert wrong.exit_code == 2
    assert "did you mean conll?" in wrong.stderr


def test_an_answer_in_another_unicode_form_than_its_context_is_found(tmp_path: Path) -> None:
    """Context and answer are compared in NFC, whichever is decomposed."""
    rows = []
    for number, (form, other) in enumerate([("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")]):
        context, answer = unicodedata.normalize(form, CONTEXT), unicodedata.normalize(other, "Hà Tĩnh")
        answers = {"text": [answer], "answer_start": [27]}
        rows.append({"id": number, "context": context, "question": f"Ở đâu {number}?", "answers": answers})
    samples, report = run("squad", write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows))))
    assert [(sample.input, sample.output) for sample in samples] == [(CONTEXT, "Hà Tĩnh")] * 3
    assert not lost(report)


@pytest.mark.parametrize("line", ["Hà Nội B-LOCATION", "Huế Np B-LOCATION"])
def test_a_line_of_another_width_than_its_file_is_named(tmp_path: Path, line: str) -> None:
    """A line with too many columns is left out, not read by its first token; with tabs it is read."""
    text = f"Ở O\n{line}\n\nĐi O\nVinh B-LOCATION\n"
    path = write(tmp_path / "a.conll", text)
    samples, report = run("conll", path)
    assert answers(samples) == {"location": ["Vinh"]}
    assert lost(report) == {"broken line": 1}
    (example,) = examples(report, "broken line")
    assert example["where"] == f"{path}:2"
    assert "3 columns, the file has 2" in example["detail"]
    tabs = write(tmp_path / "b.conll", "Ở\tO\nHà Nội\tB-LOCATION\n")
    assert answers(run("conll", tabs)[0]) == {"location": ["Hà Nội"]}
