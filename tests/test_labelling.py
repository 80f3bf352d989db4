"""``labels list``, ``review``, ``apply`` and ``normalize``, on runs built through a real endpoint."""

from __future__ import annotations

import json
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.cleaning.label_decisions import read_decisions
from annotator.records import LabelUse
from annotator.storage import tables
from annotator.storage.rundir import RunDir
from data_cards.labelling.deciding import suggest
from data_cards.labelling.listing import context
from normalizers.labels import LabelNormalizer, load_lexicon
from tests.commands import answers_in_ledger, asking, fingerprints, must_succeed, vner, vner_process, wait_for
from tests.endpoint import CAPITALS, Answer, Endpoint

HOLY, SPECIALTY, GIFT = "vùng đất thiêng liêng", "đặc sản địa phương", "món quà quê"
RAW = (HOLY, "VÙNG_ĐẤT_THIÊNG_LIÊNG", SPECIALTY, GIFT, "City", "thành phố", "misc")
TRANSLATED = {HOLY: '"Sacred Places"', SPECIALTY: "unknown", GIFT: "?"}


def annotator(passage: str, attempt: int) -> Answer:
    """Predict every name with one of ``RAW``, by its length; translate labels by ``TRANSLATED``."""
    if "<label>" in passage:
        return Answer(content=TRANSLATED[asked_label(passage)])
    found = dict.fromkeys(CAPITALS.findall(passage))
    return Answer(content=json.dumps([[name, RAW[len(name) % len(RAW)]] for name in found], ensure_ascii=False))


def asked_label(passage: str) -> str:
    return passage.partition("<label>\n")[2].partition("\n</label>")[0]


def about_labels(endpoint: Endpoint) -> Counter[str]:
    return Counter({asked_label(text): n for text, n in endpoint.asked.items() if "<label>" in text})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a run of a few articles; its endpoint no longer answers."""
    out = tmp_path_factory.mktemp("labels") / "run"
    with Endpoint(annotator) as endpoint:
        result = vner("build", "sample", "--docs", 12, "--out", out, *asking(endpoint))
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """Return a copy of the run that a test may change."""
    return Path(shutil.copytree(made, tmp_path / "run"))


def listed(run: Path, *more: str) -> dict[str, dict[str, Any]]:
    result = must_succeed(vner("labels", "list", run, "--json", *more))
    return {entry["label"]: entry for entry in json.loads(result.stdout)["labels"]}


def rules(run: Path) -> dict[str, tuple[str | None, str]]:
    return {use.raw: (use.label, use.rule) for use in tables.read_records(RunDir(run).labels, LabelUse)}


@pytest.mark.slow
def test_list_shows_unresolved_labels_with_examples(run: Path) -> None:
    """Unresolved labels are listed by frequency, spellings merged, with examples from rejected predictions."""
    found = listed(run)
    assert set(found) == {HOLY, SPECIALTY, GIFT}
    assert set(found[HOLY]["raw"]) == {HOLY, "VÙNG_ĐẤT_THIÊNG_LIÊNG"}
    claims = [entry["claims"] for entry in found.values()]
    assert claims == sorted(claims, reverse=True)
    rejected = [item for item in tables.read_rejected(RunDir(run).rejected) if item.reason == "label needs review"]
    assert sum(claims) == len(rejected)
    for entry in found.values():
        assert 1 <= len(entry["examples"]) <= 3
        for example in entry["examples"]:
            assert (example["mention"], example["passage_id"]) in {(item.value, item.record_id) for item in rejected}
            assert example["mention"] in example["context"]
    shown = vner("labels", "list", run).stdout
    assert HOLY in shown
    assert found[HOLY]["examples"][0]["mention"] in shown


def test_a_build_reports_undecided_labels(run: Path) -> None:
    """``build`` reports how many predictions lack a decision, with the command to decide."""
    waiting = sum(entry["claims"] for entry in listed(run).values())
    shown = vner("build", "--out", run, "-q").stdout
    assert f"Note: {waiting} predictions left out, since no rule knows the label." in shown
    assert f"vner-annotate labels review {run}\n" in shown


def test_list_all_shows_every_label(run: Path) -> None:
    """--all lists used and rejected labels too, with their counts."""
    found = listed(run, "--all")
    uses = list(tables.read_records(RunDir(run).labels, LabelUse))
    assert sum(entry["claims"] for entry in found.values()) == sum(use.claims for use in uses)
    assert found["city"]["raw"].keys() == {"City", "thành phố"}
    assert found["city"]["mentions"] > 0
    assert (found["misc"]["status"], found["misc"]["mentions"]) == ("rejected", 0)
    assert "misc" in vner("labels", "list", run, "--all").stdout


def test_deciding_in_the_terminal_and_applying(run: Path) -> None:
    """Labels are renamed, merged and dropped in the terminal; applying the decisions sends no request."""
    order = list(listed(run))
    answers = {HOLY: "Sacred Places", SPECIALTY: "1", GIFT: "d"}
    result = must_succeed(vner("labels", "review", run, stdin="".join(f"{answers[label]}\n" for label in order)))
    assert "3 labels decided, 0 left" in result.stdout
    suggested = suggest(load_lexicon(), SPECIALTY)[0]
    decisions = read_decisions(run / "labels.toml").labels
    assert decisions == {HOLY: "sacred place", SPECIALTY: suggested, GIFT: None}
    assert "No label waits" in vner("labels", "review", run, stdin="").stdout
    before = fingerprints(run)
    answered = answers_in_ledger(run)
    applied = must_succeed(vner("labels", "apply", run, "--json"))
    report = json.loads(applied.stdout)
    assert report["skipped"] == ["sample", "chunk", "annotate"]
    assert "label needs review" not in report["funnel"][4]["rejected"]
    assert rules(run)["VÙNG_ĐẤT_THIÊNG_LIÊNG"] == ("sacred place", "user")
    assert rules(run)[GIFT] == (None, "user")
    assert listed(run) == {}
    assert answers_in_ledger(run) == answered
    after = fingerprints(run)
    assert {name for name in after if after[name] == before[name]} == {"documents.parquet", "passages.parquet"}


@pytest.mark.slow
def test_quitting_loses_nothing(run: Path) -> None:
    """After q, the end of the input or SIGKILL, the decisions so far are in the file."""
    (first, second, third) = listed(run)
    result = vner("labels", "review", run, stdin="k\nq\n")
    assert "1 label decided, 2 left" in result.stdout
    assert read_decisions(run / "labels.toml").labels == {first: first}
    assert "0 labels decided, 2 left" in vner("labels", "review", run, stdin="s\n").stdout
    import subprocess

    process = vner_process("labels", "review", run, stdin=subprocess.PIPE)
    assert process.stdin
    process.stdin.write("d\n")
    process.stdin.flush()
    wait_for(lambda: second in read_decisions(run / "labels.toml").labels)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert read_decisions(run / "labels.toml").labels == {first: first, second: None}
    assert list(read_decisions(run / "labels.toml").labels) != [third]


def test_invalid_answers_are_asked_again(run: Path) -> None:
    """Unusable labels, numbers and circles are asked again; ``=`` accepts any label."""
    first, second, third = listed(run)
    lines = f"misc\n99\n?\n=\nđặc sản quê\npersson\n={second}\n={first}\n=Đặc sản quê\n"
    result = vner("labels", "review", run, stdin=lines)
    assert "misc is not a type (meaningless)" in result.stdout
    assert "đặc sản quê is not an English type" in result.stdout
    assert "did you mean person? Write that, or =persson" in result.stdout
    assert "circle" in result.stdout
    assert read_decisions(run / "labels.toml").labels == {first: second, second: "đặc sản quê"}
    must_succeed(vner("labels", "apply", run))
    assert set(listed(run)) == {third}


def test_an_exported_file_is_edited_and_applied(run: Path, tmp_path: Path) -> None:
    """An exported file decides nothing until a line is uncommented; it is never overwritten."""
    path = tmp_path / "mine.toml"
    must_succeed(vner("labels", "review", run, "--export", path))
    assert read_decisions(path).labels == {}
    text = path.read_text(encoding="utf-8")
    assert listed(run)[HOLY]["examples"][0]["mention"] in text
    path.write_text(text.replace(f'# "{HOLY}" = ', f'"{HOLY}" = '), encoding="utf-8")
    (decided,) = read_decisions(path).labels.items()
    assert decided == (HOLY, suggest(load_lexicon(), HOLY)[0])
    again = vner("labels", "review", run, "--export", path)
    assert again.exit_code == 2
    assert "exists already" in again.stderr
    must_succeed(vner("labels", "apply", run, path))
    assert rules(run)[HOLY] == (decided[1], "user")
    assert set(listed(run)) == {SPECIALTY, GIFT}


@pytest.mark.slow
def test_the_content_of_the_file_decides_not_its_path(run: Path, tmp_path: Path) -> None:
    """A file with the same decisions changes nothing; later builds read it; ``--labels ''`` uses none."""
    one, other = tmp_path / "one.toml", tmp_path / "other.toml"
    one.write_text(f'"{HOLY}" = "sacred place"\n', encoding="utf-8")
    shutil.copy(one, other)
    original = fingerprints(run)
    must_succeed(vner("labels", "apply", run, one))
    for arguments in (("--labels", other), ()):
        result = vner("build", "--out", run, "--json", *arguments)
        assert json.loads(result.stdout)["skipped"] == ["sample", "chunk", "annotate", "clean", "explode"]
    assert rules(run)[HOLY] == ("sacred place", "user")
    other.write_text('"broken\n', encoding="utf-8")
    broken = vner("build", "--out", run)
    assert broken.exit_code == 2
    assert f"{other}: " in broken.stderr
    assert "line 1" in broken.stderr
    must_succeed(vner("build", "--out", run, "--labels", ""))
    assert fingerprints(run) == original


@pytest.mark.slow
def test_applying_asks_no_unanswered_passage(tmp_path: Path) -> None:
    """``apply`` asks no unanswered passage (exit code 3); without any answers it is refused."""

    def mostly(passage: str, attempt: int) -> Answer:
        return Answer(400, body=b"{}") if len(passage) % 3 == 0 else annotator(passage, attempt)

    labels = tmp_path / "labels.toml"
    labels.write_text(f'"{HOLY}" = "sacred place"\n', encoding="utf-8")
    with Endpoint(mostly) as endpoint:
        out = tmp_path / "run"
        assert vner("build", "sample", "--docs", 8, "--out", out, *asking(endpoint)).exit_code == 3
        asked = endpoint.asked.total()
        applied = vner("labels", "apply", out, labels)
        assert applied.exit_code == 3
        assert endpoint.asked.total() == asked
        assert rules(out)[HOLY] == ("sacred place", "user")
        must_succeed(vner("chunk", "sample", "--docs", 3, "--out", tmp_path / "two", *asking(endpoint)))
        undone = vner("labels", "apply", tmp_path / "two", labels)
        assert undone.exit_code == 2
        assert "the stage annotate" in undone.stderr


@pytest.mark.slow
def test_the_teacher_translates_once(tmp_path: Path) -> None:
    """--translate-labels asks once about each label that is not English; unusable answers change nothing."""
    out = tmp_path / "run"
    with Endpoint(annotator) as endpoint:
        arguments = ("build", "sample", "--docs", 12, "--out", out, *asking(endpoint), "--translate-labels")
        must_succeed(vner(*arguments))
        assert about_labels(endpoint) == {HOLY: 1, SPECIALTY: 1, GIFT: 1}
        asked = endpoint.asked.total()
        must_succeed(vner(*arguments))
        must_succeed(vner(*arguments, "--fresh"))
        assert endpoint.asked.total() == asked
    made = rules(out)
    assert made[HOLY] == made["VÙNG_ĐẤT_THIÊNG_LIÊNG"] == ("sacred place", "teacher")
    assert made[GIFT] == (GIFT, "not english")
    assert made[SPECIALTY] == (SPECIALTY, "not english")
    assert json.loads((out / "manifest.json").read_text(encoding="utf-8"))["translator"]["prompt"]["version"] == 1
    must_succeed(vner("explode", "--out", out, "--no-translate-labels"))
    assert rules(out)[HOLY][1] == "not english"


@pytest.mark.slow
def test_a_translation_that_failed_is_asked_again(made: Path, tmp_path: Path) -> None:
    """A failed translation does not stop the build; the next build asks again. Decisions override translations."""
    run = Path(shutil.copytree(made, tmp_path / "run"))

    def unlucky(passage: str, attempt: int) -> Answer:
        return Answer(400, body=b"{}") if attempt == 1 and SPECIALTY in passage else annotator(passage, attempt)

    with Endpoint(unlucky) as endpoint:
        address = ("--base-url", endpoint.url)
        must_succeed(vner("build", "--out", run, *address, "--translate-labels"))
        assert rules(run)[HOLY] == ("sacred place", "teacher")
        assert rules(run)[SPECIALTY][1] == "not english"
        must_succeed(vner("build", "--out", run, *address))
        assert about_labels(endpoint) == {HOLY: 1, SPECIALTY: 2, GIFT: 1}
        (run / "labels.toml").write_text('"sacred place" = "holy place"\n', encoding="utf-8")
        must_succeed(vner("labels", "apply", run))
        assert rules(run)[HOLY] == ("holy place", "teacher")
        (run / "labels.toml").write_text(f'"sacred place" = false\n"{SPECIALTY}" = "dish"\n', encoding="utf-8")
        must_succeed(vner("labels", "apply", run))
        assert (rules(run)[HOLY], rules(run)[SPECIALTY]) == ((None, "user"), ("dish", "user"))
        assert endpoint.asked.total() == 4


def test_translating_needs_a_teacher_that_can(run: Path, tmp_path: Path) -> None:
    """--translate-labels is refused for the embedded teacher, and without a key, which is named."""
    local = vner("build", "sample", "--out", tmp_path / "local", "--translate-labels")
    assert local.exit_code == 2
    assert "--translate-labels needs --provider openai or groq" in local.stderr
    keyless = vner("build", "--out", run, "--base-url", "", "--translate-labels")
    assert keyless.exit_code == 2
    assert "export OPENAI_API_KEY" in keyless.stderr


def test_a_run_without_labels_is_an_error(tmp_path: Path) -> None:
    """A missing run and one that is not cleaned give an error with the command to run."""
    assert "create one with: vner-annotate build" in vner("labels", "list", tmp_path).stderr
    must_succeed(vner("chunk", "sample", "--docs", 2, "--out", tmp_path / "run", "-q"))
    result = vner("labels", "review", tmp_path / "run")
    assert result.exit_code == 1
    assert "vner-annotate clean --out" in result.stderr


def test_labels_from_a_pipe(tmp_path: Path) -> None:
    """``normalize`` writes a JSON line for each label, in order, with the user's decisions."""
    decisions = tmp_path / "labels.toml"
    decisions.write_text('"quê" = "hometown"\n', encoding="utf-8")
    result = vner("labels", "normalize", "--labels", decisions, stdin="Organizations\nquê\n\nto_chuc\nvùng đất lạ\n")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(line["raw"], line["label"], line["status"], line["rule"]) for line in lines] == [
        ("Organizations", "organization", "changed", "plural"),
        ("quê", "hometown", "changed", "user"),
        ("", None, "rejected", "empty"),
        ("to_chuc", "organization", "changed", "bare vietnamese"),
        ("vùng đất lạ", "vùng đất lạ", "review", "not english"),
    ]


@pytest.mark.slow
def test_normalize_answers_each_line_at_once() -> None:
    """``normalize`` answers each line before it reads the next, and ends quietly when stdout is closed."""
    import subprocess

    process = vner_process("labels", "normalize", stdin=subprocess.PIPE)
    assert process.stdin
    assert process.stdout
    for raw in ("org", "con người 🙂", "thành phố"):
        process.stdin.write(raw + "\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["raw"] == raw
    process.stdout.close()
    process.stdin.write("org\n" * 10)
    process.stdin.close()
    assert process.wait(timeout=600) == 0
    assert process.stderr
    assert process.stderr.read() == ""


@settings(max_examples=20)
@given(st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line), max_size=8))
def test_any_bytes_get_a_line(junk: list[bytes]) -> None:
    """Each line of any bytes gets one JSON object."""
    shown = vner("labels", "normalize", stdin=b"".join(line + b"\n" for line in junk))
    out = [json.loads(line) for line in shown.stdout.split("\n")[:-1]]
    assert len(out) == len(junk)
    for line, decided in zip(junk, out, strict=True):
        assert decided["raw"] == line.rstrip(b"\r").decode("utf-8", "replace")
        assert decided["status"] in {"kept", "changed", "rejected", "review"}


@pytest.mark.parametrize(
    ("label", "among"),
    [
        ("đặc sản địa phương", "local specialty"),
        ("cơ quan báo chí nhà nước", "media outlet"),
        ("vùng đất thiêng liêng", "region"),
        ("vùng đất lạ/person", "person"),
    ],
)
def test_suggestions_are_similar_types(label: str, among: str) -> None:
    """At most five types of the lexicon are suggested."""
    lexicon = load_lexicon()
    suggestions = suggest(lexicon, label)
    assert among in suggestions
    assert len(suggestions) <= 5
    assert set(suggestions) <= lexicon.known
    assert LabelNormalizer(lexicon).decide(label).status == "review"


@pytest.mark.slow
@given(st.text(max_size=40))
def test_any_label_gets_distinct_suggestions(label: str) -> None:
    """Any text gets suggestions without an error or a repetition."""
    suggestions = suggest(load_lexicon(), label)
    assert len(set(suggestions)) == len(suggestions)


@given(st.text(max_size=300), st.text(min_size=1, max_size=5), st.text(max_size=300))
def test_a_context_is_one_printable_line(before: str, mention: str, after: str) -> None:
    """The context of a mention is one printable line, whatever the passage holds."""
    shown = context(before + mention + after, mention)
    assert shown.isprintable()
    assert len(shown) <= 2 * 64 + len(mention)
    assert context(before, before + "x") == ""
