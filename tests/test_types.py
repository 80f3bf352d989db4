"""``--types``: the teacher is asked for these types, labels are mapped to them, errors in the file are reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from annotator.cleaning.entity_reviews import read_reviews
from annotator.cleaning.typed_labels import TypedLabels
from annotator.config.settings import RunConfig
from annotator.errors import ConfigError
from annotator.storage import tables
from annotator.storage.rundir import SPLITS, RunDir
from annotator.teachers import make_teacher
from annotator.teachers.entity_types import read_types
from data_cards.review.session import Session, Settings
from normalizers.labels import LabelNormalizer, load_lexicon
from tests.commands import must_succeed, vner
from tests.endpoint import Answer, Endpoint

TYPES = """
[[types]]
name = "place"
definition = "a named part of the earth"
examples = ["vịnh Bái Tử Long"]
synonyms = ["LOCATION", "vùng"]

[[types]]
name = "Cơ quan"
parent = "place"
"""
ARTICLE = "Sáng nay, đoàn công tác từ Hà Nội đến Cần Thơ. Bà Lê Thị Hoa tiếp đoàn tại Sở Y Tế. "


def build(folder: Path, endpoint: Endpoint, *more: str) -> Any:
    """Build a small dataset in ``folder/run``."""
    source = folder / "a.jsonl"
    rows = ({"id": str(n), "text": f"Tin số {n}. " + ARTICLE * 3} for n in range(3))
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    given = ["build", str(source), "--out", str(folder / "run"), "--provider", "openai", "--model", "m", "--tokenizer",
             "words", "--min-tokens", "20", "--max-tokens", "90", "--base-url", endpoint.url, "--workers", "1", "-q",
             "--near-duplicates", "0", "--split", "1,0,0"]  # fmt: skip
    return vner(*given, *more)


def labelled(passage: str, attempt: int) -> Answer:
    """Predict a name, a synonym, a Vietnamese type, and a type that was not asked for."""
    pairs = [["Hà Nội", "Place"], ["Cần Thơ", "location"], ["Sở Y Tế", "cơ quan"], ["Lê Thị Hoa", "person"]]
    return Answer(content=json.dumps(pairs))


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def types_of(run: RunDir) -> set[str]:
    """Return the labels of all mentions."""
    return {mention.label for one in tables.read_annotations(run.annotations) for mention in one.mentions}


def test_a_run_has_the_types_of_the_file_and_no_others(endpoint: Endpoint, tmp_path: Path) -> None:
    """The prompt lists the types, labels are mapped to them or rejected, card and instructions define them."""
    endpoint.reply = labelled
    (tmp_path / "t.toml").write_text(TYPES, encoding="utf-8")
    must_succeed(build(tmp_path, endpoint, "--types", str(tmp_path / "t.toml"), "--instruction", "definition"))
    asked = endpoint.requests[-1]["messages"][-1]["content"]
    listed = [line for line in asked.split("\n\n")[1].splitlines() if line]
    assert listed == ["- place: a named part of the earth (examples: vịnh Bái Tử Long)", "  - Cơ quan"]
    assert "LOCATION" not in asked
    assert "{types}" not in asked
    run = RunDir(tmp_path / "run")
    assert types_of(run) == {"place", "Cơ quan"}
    rejected = {(one.reason, one.detail) for one in tables.read_rejected(run.rejected) if one.stage == "clean"}
    assert rejected == {("not in --types", "person")}
    samples = [one for split in SPLITS for one in tables.read_samples(run.samples(split))]
    assert {one.instruction for one in samples} == {
        "What describes place (a named part of the earth) in the text?", "What describes Cơ quan in the text?"
    }  # fmt: skip
    assert {one.entity_type for one in samples} == {"place", "Cơ quan"}
    card = run.card.read_text(encoding="utf-8")
    assert "| place |  | a named part of the earth |" in card
    assert "| Cơ quan | place |" in card


@pytest.mark.slow
@pytest.mark.parametrize("name", ["alpaca", "universalner", "doccano"])
def test_exports_and_imports_know_the_types(endpoint: Endpoint, tmp_path: Path, name: str) -> None:
    """Exports have the definitions, import back unchanged, and imported labels are mapped to the types."""
    endpoint.reply = labelled
    (tmp_path / "t.toml").write_text(TYPES, encoding="utf-8")
    types = ("--types", str(tmp_path / "t.toml"), "--instruction", "definition")
    must_succeed(build(tmp_path, endpoint, *types))
    run, out = RunDir(tmp_path / "run"), tmp_path / "out"
    must_succeed(vner("export", run.root, "-f", name, "-o", out))
    text = out.read_text(encoding="utf-8")
    if name == "alpaca":
        samples = [one for split in SPLITS for one in tables.read_samples(run.samples(split))]
        assert {row["instruction"] for row in json.loads(text)} == {one.instruction for one in samples}
    assert name == "doccano" or "place (a named part of the earth)" in text
    for old, new, kind in (("", "", "unchanged"), ('"Cơ quan"]', '"vùng"]', "corrected")):
        out.write_text(text.replace(old, new) if old else text, encoding="utf-8")
        back = must_succeed(vner("import", run.root, "-f", name, out, "--json", "-q"))
        report = json.loads(back.stdout)
        assert report[kind if name == "doccano" else "unchanged"] == report["read"] > 0
    if name == "doccano":
        assert {(one["raw"], one["label"]) for one in report["labels"]} == {("vùng", "place")}
        assert types_of(run) == {"place"}


def test_the_review_page_knows_the_types(endpoint: Endpoint, tmp_path: Path) -> None:
    """The review page offers only the types and maps labels to them, even without the file."""
    endpoint.reply = labelled
    (tmp_path / "t.toml").write_text(TYPES, encoding="utf-8")
    must_succeed(build(tmp_path, endpoint, "--types", str(tmp_path / "t.toml")))
    run = RunDir(tmp_path / "run")
    passage = next(tables.read_annotations(run.annotations))
    person = passage.text.index("Lê Thị Hoa")
    for raw, label in (("Vùng", "place"), ("CƠ QUAN", "Cơ quan"), ("person", "")):
        session = Session(run, Settings(reviewer="an", mode="correct"))
        assert sorted(session.types) == ["Cơ quan", "place"]
        answer = {"passage_id": passage.passage_id, "entities": [[person, person + 10, raw]]}
        if label:
            session.decide("correct", answer)
            assert read_reviews(run.root).decisions[-1].entities == ((person, person + 10, label),)
        else:
            with pytest.raises(ValueError, match="is no entity type"):
                session.decide("correct", answer)
    (tmp_path / "t.toml").unlink()
    assert sorted(Session(run, Settings(reviewer="an")).types) == ["Cơ quan", "place"]


@pytest.mark.slow
def test_a_run_continues_from_another_folder(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path is stored absolute; a new synonym asks nothing again; a new definition is refused."""
    endpoint.reply = labelled
    file = tmp_path / "t.toml"
    file.write_text(TYPES, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    must_succeed(build(tmp_path, endpoint, "--types", "t.toml"))
    number = len(endpoint.requests)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    file.write_text(TYPES.replace('"vùng"', '"person"'), encoding="utf-8")
    must_succeed(vner("build", "--out", tmp_path / "run", "-q"))
    assert len(endpoint.requests) == number
    run = RunDir(tmp_path / "run")
    assert "Lê Thị Hoa" in {
        mention.text for one in tables.read_annotations(run.annotations) for mention in one.mentions
    }
    file.write_text(TYPES.replace("earth", "world"), encoding="utf-8")
    other = vner("build", "--out", tmp_path / "run", "-q")
    assert other.exit_code == 2
    assert "was made with other --types" in other.output
    assert len(endpoint.requests) == number


def test_without_types_keys_and_fingerprints_are_unchanged(endpoint: Endpoint, tmp_path: Path) -> None:
    """Without --types, question keys and the manifest are those of earlier releases."""
    question = make_teacher(RunConfig(provider="openai", model="m")).question("Hà Nội")
    assert question.key == "1386196b00d41fed6876ec164d6a1dfb6190cd5a23c22b8dad325bc59d50b37c"
    assert "instruction" not in RunConfig().stage_settings("explode")
    must_succeed(build(tmp_path, endpoint))
    manifest = RunDir(tmp_path / "run").read_manifest()
    assert "types" not in manifest
    assert set(manifest["teacher"]["prompt"]) == {"name", "version", "sha256"}
    content = endpoint.requests[-1]["messages"][-1]["content"]
    assert "You choose the types yourself." in content


@pytest.mark.slow
def test_a_second_teacher_is_asked_for_the_same_types(endpoint: Endpoint, tmp_path: Path) -> None:
    """A second teacher is asked for the types; the embedded teacher's labels are mapped to them."""
    endpoint.reply = labelled
    (tmp_path / "t.toml").write_text(TYPES, encoding="utf-8")
    must_succeed(build(tmp_path, endpoint, "--types", str(tmp_path / "t.toml")))
    run = tmp_path / "run"
    second = ["--provider", "openai", "--model", "n", "--base-url", endpoint.url]
    for teacher in (second, ["--provider", "local"]):
        must_succeed(vner("check", run, *teacher, "--keep", "union", "-q"))
        assert types_of(RunDir(run)) == {"place", "Cơ quan"}
    assert "- place: a named part" in endpoint.requests[-1]["messages"][-1]["content"]
    assert endpoint.requests[-1]["model"] == "n"


def test_forty_types_in_two_levels(tmp_path: Path) -> None:
    """14 types and 26 subtypes are listed, each subtype under its parent; each name maps to itself."""
    tables_ = [f'[[types]]\nname = "group {chr(97 + n)}"\n' for n in range(14)]
    tables_ += [f'[[types]]\nname = "kind {chr(97 + n)}"\nparent = "group {chr(97 + n % 14)}"\n' for n in range(26)]
    (tmp_path / "t.toml").write_text("".join(tables_), encoding="utf-8")
    schema = read_types(tmp_path / "t.toml")
    lines = schema.rendered().splitlines()
    assert len(lines) == 40
    assert lines[:3] == ["- group a", "  - kind a", "  - kind o"]
    labels = TypedLabels(schema, LabelNormalizer(load_lexicon()))
    for one in schema.types:
        assert labels.decide(one.name.upper()).label == labels.decide(one.name).label == one.name


@pytest.mark.parametrize(
    ("raw", "label"),
    [("ORG", "organization"), ("Tổ chức", "organization"), ("MISC", "MISC"), ("misc", "MISC"),
     ("bệnh viện", "hospital"), ("Hospitals", "hospital"), ("món", "dish"), ("rocket", None), ("", None)],
)  # fmt: skip
def test_labels_are_mapped_by_name_synonym_and_canonical_form(tmp_path: Path, raw: str, label: str | None) -> None:
    """A label maps to the type with its name, synonym or canonical form, even if the rules would reject it."""
    (tmp_path / "t.txt").write_text("# mine\norganization: a body of people\nMISC\n\nhospital\n", encoding="utf-8")
    assert [one.definition for one in read_types(tmp_path / "t.txt").types] == ["a body of people", "", ""]
    dish = '[[types]]\nname = "dish"\nsynonyms = ["Món"]\n'
    names = "".join(f'[[types]]\nname = "{name}"\n' for name in ("organization", "MISC", "hospital"))
    (tmp_path / "t.toml").write_text(names + dish, encoding="utf-8")
    decision = TypedLabels(read_types(tmp_path / "t.toml"), LabelNormalizer(load_lexicon())).decide(raw)
    assert decision.label == label
    assert decision.rule == "not in --types" or label


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no types; give at least one"),
        ("[[types]]\nname = 'a'\ndefintion = 'b'", "unknown key 'defintion'"),
        ("[[type]]\nname = 'a'", "unknown key 'type'"),
        ("types = 3", "'types' is no list"),
        ("types = [3]", "type 1 is no table"),
        ("[[types]]\ndefinition = 'a'", "type 1 has no name"),
        ("[[types]]\nname = 3", "name must be text"),
        ("[[types]]\nname = 'a'\nexamples = 'b'", "examples must be a list of texts"),
        ("[[types]]\nname = 'Work of Art'\n[[types]]\nname = 'work_of_art'", "is the same type as 'Work of Art'"),
        ("[[types]]\nname = 'a'\n[[types]]\nname = 'b'\nsynonyms = ['A']", "stands for 'a' already"),
        ("[[types]]\nname = 'a'\nparent = 'b'", "must be a type that has no parent"),
        ("[[types]]\nname = 'a'\nparent = 'a'", "must be a type that has no parent"),
        ("[[types]]\nname = 'a'\ndefinition = '{passage}'", "which a prompt cannot show"),
        ("types = ", "Invalid value"),
    ],
)
def test_an_error_in_the_file_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    """An error in the file is one line with the cause."""
    (tmp_path / "t.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_types(tmp_path / "t.toml")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--types", "t.toml"], "--types needs --provider"),
        (["--instruction", "definition"], "--instruction definition needs --types FILE"),
        (["--provider", "openai", "--model", "m", "--types", "no.toml"], "cannot read --types no.toml"),
        (["--provider", "openai", "--model", "m", "--prompt", "typed-ner-vi"], "needs --types FILE"),
        (["--provider", "openai", "--model", "m", "--types", "t.toml", "--prompt", "open-ner-vi.2"], "has no {types}"),
        (
            ["--provider", "openai", "--model", "m", "--types", "t.toml", "--translate-labels"],
            "has no use with --types",
        ),
    ],
)
def test_contradictory_options_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], message: str
) -> None:
    """Options that contradict --types give exit code 2 and one line."""
    monkeypatch.chdir(tmp_path)
    address = ["--base-url", "http://127.0.0.1:9/v1"] if "openai" in flags else []
    done = vner("build", "--out", "run", *address, *flags, "-q")
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())
