"""Imported corrections replace the mentions of their passages; samples and audit follow. Real runs, real commands."""

from __future__ import annotations

import hashlib
import json
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from annotator.cleaning.corrections import HUMAN, Corrected, Correction, clean_or_correct, text_sha256
from annotator.records import Annotation, Completion, Passage, Piece
from annotator.storage import tables
from annotator.storage.rundir import SPLITS, RunDir
from data_cards.exchange.formats import FORMATS
from data_cards.exchange.importing import KINDS
from data_cards.exchange.places import from_utf16
from normalizers.labels import LabelNormalizer, load_lexicon
from tests.commands import must_succeed, vner
from tests.endpoint import Answer, Endpoint, echo_entities

NEWS = (
    "Chiều 12/3 😀, bà Nguyễn Thị Hoa ở Đại học Bách Khoa nói với báo Tuổi Trẻ về 👨\u200d👩\u200d👧 tại Hà Nội.",
    "Ngày 5/6, đoàn của Bộ Công Thương\u00a0đến thăm Thừa Thiên Huế\r\nvà ghé lại Đà Nẵng hai ngày 🎉 trước khi về.",
    "Hôm qua trời mưa rất to, không ai ra khỏi nhà cả, đường phố vắng tanh và hàng quán đều đóng cửa sớm.",
    "Ông Trần Văn Nam cho biết Sông Hồng dâng cao 🌊🌊, nhiều nhà ở Nam Định phải dời đi trong đêm hôm ấy.",
)


def answered(passage: str, attempt: int) -> Answer:
    """Predict capitalised runs as places, and one nested mention."""
    found = json.loads(echo_entities(passage, attempt).content or "[]")
    more = [["Bách Khoa", "trường đại học"]] if "Bách Khoa" in passage else []
    return Answer(content=json.dumps([*found, *more], ensure_ascii=False))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a run from articles with emoji, no-break spaces and Windows line ends."""
    folder = tmp_path_factory.mktemp("made")
    source = folder / "news.jsonl"
    lines = [json.dumps({"id": f"d{number}", "text": text * 2}) for number, text in enumerate(NEWS)]
    source.write_text("\n".join(lines), encoding="utf-8")
    with Endpoint(answered) as endpoint:
        result = vner("build", source, "--out", folder / "run", "--provider", "openai", "--model", "m", "--base-url",
                      endpoint.url, "--min-tokens", 8, "--max-tokens", 200, "--negatives", 1, "-q")  # fmt: skip
    assert result.exit_code == 0, result.output
    return folder / "run"


@pytest.fixture
def run(made: Path, tmp_path: Path) -> RunDir:
    """Return a copy of the run that a test may change; its endpoint no longer answers."""
    shutil.copytree(made, tmp_path / "run")
    return RunDir(tmp_path / "run")


def read(run: RunDir) -> dict[str, Annotation]:
    return {found.passage_id: found for found in tables.read_annotations(run.annotations)}


def digests(run: RunDir) -> dict[str, str]:
    paths = [run.annotations, run.rejected, run.audit, *(run.samples(split) for split in SPLITS)]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def export(run: RunDir, name: str, *more: object) -> Path:
    out = run.root.parent / f"for-{name}"
    must_succeed(vner("export", run.root, "--format", name, "--out", out, *more))
    return out


def bring_back(run: RunDir, name: str, *files: Path) -> dict[str, Any]:
    result = must_succeed(vner("import", run.root, "--format", name, *files, "--json", "-q"))
    report: dict[str, Any] = json.loads(result.stdout)
    assert report["read"] == sum(report[kind] for kind in KINDS)
    return report


def by_text(run: RunDir, part: str) -> Annotation:
    return next(found for found in read(run).values() if part in found.text)


@pytest.mark.slow
def test_corrections_replace_the_mentions(run: RunDir) -> None:
    """Label Studio corrections of two passages replace their mentions; all other passages stay the same."""
    before = read(run)
    path = export(run, "labelstudio")
    tasks = json.loads(path.read_text(encoding="utf-8"))
    for task in tasks:
        text, result = task["data"]["text"], task["predictions"][0]["result"]
        if "Sông Hồng" in text:
            task["annotations"] = [{"result": [], "was_cancelled": False}]
        if "Bộ Công Thương" in text:
            for region in result:
                if region["value"]["text"] == "Bộ Công Thương":
                    region["value"]["labels"] = ["Tổ chức"]
            start = text.index("🎉")
            value = {"start": start, "end": start + 1, "text": "🎉", "labels": ["vùng đất thiêng liêng"]}
            result.append({"id": "new", "from_name": "label", "to_name": "text", "type": "labels", "value": value})
            result.append({**result[-1], "value": {**value, "labels": ["misc"]}})
            task["annotations"] = [{"result": result, "was_cancelled": False}]
    path.write_text(json.dumps(tasks), encoding="utf-8")
    report = bring_back(run, "labelstudio", path)

    emptied, edited = by_text(run, "Sông Hồng"), by_text(run, "Bộ Công Thương")
    assert (report["corrected"], report["unreviewed"]) == (2, len(before) - 2)
    assert {(item["raw"], item["label"], item["status"]) for item in report["labels"]} == {
        ("Tổ chức", "organization", "changed"),
        ("vùng đất thiêng liêng", "vùng đất thiêng liêng", "review"),
        ("misc", None, "rejected"),
    }
    assert emptied.mentions == ()
    assert emptied.reply_status == edited.reply_status == "reviewed"
    found = {(one.text, one.label, one.raw_label, one.match) for one in edited.mentions}
    assert ("Bộ Công Thương", "organization", "Tổ chức", "human") in found
    assert ("🎉", "vùng đất thiêng liêng", "vùng đất thiêng liêng", "human") in found
    assert ("Đà Nẵng", "location", "LOCATION", "exact") in found
    assert all(edited.text[one.start : one.end] == one.text for one in edited.mentions)
    others = {key: one for key, one in read(run).items() if key not in {emptied.passage_id, edited.passage_id}}
    assert others == {key: before[key] for key in others}

    samples = [sample for split in SPLITS for sample in tables.read_samples(run.samples(split))]
    outputs = {one.entity_type: json.loads(one.output) for one in samples if one.passage_id == edited.passage_id}
    assert outputs["organization"] == ["Bộ Công Thương"]
    assert all(one.negative for one in samples if one.passage_id == emptied.passage_id)
    audit = json.loads(run.audit.read_text(encoding="utf-8"))
    assert audit["replies"]["reviewed"] == 2
    assert audit["mentions"]["match"]["human"] == sum(one.match == "human" for one in edited.mentions)
    assert audit["mentions"]["count"] == sum(len(one.mentions) for one in read(run).values())
    for flow in audit["funnel"]:
        assert flow["in"] == flow["out"] + sum(flow["rejected"].values())
    left = [row for row in tables.read_rejected(run.rejected) if row.reason == "label rejected"]
    assert [(row.record_id, row.detail) for row in left] == [(edited.passage_id, "meaningless")]
    assert "reviewed" in vner("show", run.root, edited.passage_id, "--json").output


@pytest.mark.slow
def test_an_import_is_idempotent_and_can_be_undone(run: RunDir) -> None:
    """Importing a file again changes nothing; deleting corrections.parquet restores the files before the import."""
    before = digests(run)
    path = export(run, "doccano")
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        line["label"] = line["label"][1:]
    path.write_text("\r\n".join(map(json.dumps, lines)), encoding="utf-8", newline="")
    assert bring_back(run, "doccano", path)["corrected"] > 1
    corrected, stored = digests(run), run.corrections.read_bytes()
    assert corrected != before
    again = bring_back(run, "doccano", path, path)
    assert (again["unchanged"], again["repeated"]) == (len(lines), len(lines))
    assert again["build"]["skipped"] == ["sample", "chunk", "annotate", "clean", "explode"]
    assert (digests(run), run.corrections.read_bytes()) == (corrected, stored)
    run.corrections.unlink()
    must_succeed(vner("build", "--out", run.root, "-q"))
    assert digests(run) == before


def test_several_rounds_add_up(run: RunDir) -> None:
    """A later import keeps earlier corrections of other passages and replaces those of the same passage."""
    path = export(run, "jsonl")
    lines = path.read_text(encoding="utf-8").splitlines()
    first, second = json.loads(lines[0]), json.loads(lines[1])
    (run.root.parent / "one").write_text(json.dumps({**first, "mentions": []}), encoding="utf-8")
    (run.root.parent / "two").write_text(
        json.dumps({**second, "mentions": []}) + "\n" + lines[0] + "\n", encoding="utf-8"
    )
    bring_back(run, "jsonl", run.root.parent / "one")
    assert read(run)[first["passage_id"]].mentions == ()
    assert bring_back(run, "jsonl", run.root.parent / "two")["reviewed_in_all"] == 2
    assert read(run)[second["passage_id"]].mentions == ()
    restored = read(run)[first["passage_id"]].mentions
    assert [(one.start, one.end, one.label) for one in restored] == [
        (one["start"], one["end"], one["label"]) for one in first["mentions"]
    ]


@pytest.mark.slow
def test_mentions_that_a_flat_format_cannot_hold_are_kept(run: RunDir) -> None:
    """A nested mention that CoNLL cannot hold is not treated as deleted; an exported mention can be."""
    path = export(run, "conll")
    assert bring_back(run, "conll", path)["unchanged"] == len(read(run))
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("B-location", "O").replace("I-location", "O"), encoding="utf-8")
    assert bring_back(run, "conll", path)["corrected"] > 0
    labels = {one.label for found in read(run).values() for one in found.mentions}
    assert labels == {"university"}


def _unreadable(run: RunDir, name: str, path: Path, count: int = 1) -> str:
    """Import a file with only unreadable records, check that nothing changes, and return the first reason."""
    before = digests(run)
    report = bring_back(run, name, path)
    assert {kind: report[kind] for kind in KINDS if report[kind]} == {"unreadable": count}
    assert digests(run) == before
    found: str = report["left_out"]["unreadable"][0]["detail"]
    assert report["left_out"]["unreadable"][0]["passage_id"]
    return found


@pytest.mark.slow
def test_unknown_regions_are_unreadable(run: RunDir) -> None:
    """A Label Studio task with unknown or unlabelled regions is unreadable; its passage keeps its mentions."""
    path = export(run, "labelstudio")
    tasks = json.loads(path.read_text(encoding="utf-8"))
    for change, reason in (
        ({"type": "hypertextlabels"}, "a region of type 'hypertextlabels'"),
        ({"value": {"start": 0, "end": 2, "labels": []}}, "has no label"),
        ({"value": {"start": 0, "end": 2, "labels": [" "]}}, "an entity has no label"),
    ):
        for task in tasks:
            result = [{**region, **change} for region in task["predictions"][0]["result"] or [{"type": "labels"}]]
            task["annotations"] = [{"result": result}]
        path.write_text(json.dumps(tasks), encoding="utf-8")
        assert reason in _unreadable(run, "labelstudio", path, len(tasks))
    for task in tasks:
        task["annotations"] = [{"result": [*task["predictions"][0]["result"], {"type": "choices", "value": {}}]}]
    path.write_text(json.dumps(tasks), encoding="utf-8")
    assert bring_back(run, "labelstudio", path)["unchanged"] == len(tasks)


def test_unknown_responses_are_unreadable(run: RunDir) -> None:
    """An Argilla record that answers an unknown question, or answers ``no``, is unreadable, not unreviewed."""
    path = export(run, "argilla")
    records = json.loads(path.read_text(encoding="utf-8"))[:1]
    for responses, reason in (
        ({"spans": [{"value": [], "user_id": "u"}]}, "it answers the question 'spans'"),
        ({"reviewed": [{"value": "no", "user_id": "u"}]}, "is answered 'no'"),
    ):
        path.write_text(json.dumps([{**records[0], "responses": responses}]), encoding="utf-8")
        assert reason in _unreadable(run, "argilla", path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["conll", "conll-words"])
def test_every_row_has_the_columns_of_the_first(run: RunDir, name: str) -> None:
    """A CoNLL row with another number of columns makes its passage unreadable; tabs or spaces may separate."""
    path = export(run, name)
    text = path.read_text(encoding="utf-8")
    blocks = text.split("-DOCSTART-")
    changed = blocks[1].replace("\n,", "\n, và", 1) if "\n," in blocks[1] else blocks[1].replace("\n\n", "\n\nx và", 1)
    path.write_text("-DOCSTART-" + changed, encoding="utf-8")
    assert "columns, not" in _unreadable(run, name, path)
    path.write_text(text.replace(" -X- ", "\t-X-\t").replace("-\t-X- ", "-\t-X-\t"), encoding="utf-8")
    tabs = "\n".join("\t".join(line.split(" ")) for line in text.split("\n"))
    path.write_text(tabs, encoding="utf-8")
    assert bring_back(run, name, path)["unchanged"] == len(read(run))
    path.write_text("Hà B-location\nNội I-location\n\n" + text, encoding="utf-8")
    report = bring_back(run, name, path)
    assert report["unreadable"] >= 1
    assert "before" in report["left_out"]["unreadable"][0]["detail"]


@pytest.mark.slow
def test_a_docbin_with_spans_under_another_key_is_unreadable(run: RunDir) -> None:
    """Documents of spaCy with spans under another key are unreadable, not without mentions."""
    spacy = pytest.importorskip("spacy")
    path = export(run, "spacy")
    docs = list(spacy.tokens.DocBin().from_bytes(path.read_bytes()).get_docs(spacy.vocab.Vocab()))
    plain, moved = spacy.tokens.DocBin(store_user_data=True), spacy.tokens.DocBin(store_user_data=True)
    for doc in docs:
        for kept, spans in ((plain, None), (moved, list(doc.spans["sc"]))):
            words, spaces = [token.text for token in doc], [bool(token.whitespace_) for token in doc]
            fresh = spacy.tokens.Doc(doc.vocab, words=words, spaces=spaces)
            fresh.user_data["passage_id"] = doc.user_data["passage_id"]
            if spans is not None:
                places = [(span.start, span.end, span.label_) for span in spans]
                fresh.spans["mine"] = [spacy.tokens.Span(fresh, *place) for place in places]
            kept.add(fresh)
    path.write_bytes(moved.to_bytes())
    assert "it has 'mine', not doc.spans['sc']" in _unreadable(run, "spacy", path, len(docs))
    path.write_bytes(spacy.tokens.DocBin(attrs=["ORTH"], docs=[], store_user_data=True).to_bytes())
    assert bring_back(run, "spacy", path)["read"] == 0


@pytest.mark.parametrize("name", ["labelstudio", "doccano", "jsonl", "gliner", "alpaca", "universalner", "conll"])
def test_decomposed_files_are_the_same_passages(run: RunDir, name: str) -> None:
    """Passages and spans are found in files whose tool stored the text in another Unicode form."""
    path = export(run, name)
    records = path.read_text(encoding="utf-8")
    if name in {"alpaca", "universalner", "gliner", "conll"}:
        path.write_text(unicodedata.normalize("NFD", records), encoding="utf-8")
    else:
        items = [json.loads(line) for line in records.splitlines()] if name != "labelstudio" else json.loads(records)
        for item in items:
            _decompose(item, name)
        path.write_text(json.dumps(items), encoding="utf-8")
    report = bring_back(run, name, path)
    assert (report["foreign"], report["unreadable"], report["corrected"]) == (0, 0, 0)
    assert report["unchanged"] > 1


def _decompose(item: dict[str, Any], name: str) -> None:
    holder = item["data"] if name == "labelstudio" else item
    text = holder["text"]

    def moved(offset: int) -> int:
        decomposed = unicodedata.normalize("NFD", text[:offset])
        return len(decomposed.encode("utf-16-le")) // 2 if name == "doccano" else len(decomposed)

    if name == "labelstudio":
        for region in item["predictions"][0]["result"]:
            value = region["value"]
            value |= {"start": moved(value["start"]), "end": moved(value["end"])}
        item["annotations"] = [{"result": item["predictions"][0]["result"]}]
    elif name == "jsonl":
        for mention in item["mentions"]:
            mention |= {"start": moved(mention["start"]), "end": moved(mention["end"])}
    else:
        item["label"] = [
            [moved(from_utf16(text, a)), moved(from_utf16(text, b)), label] for a, b, label in item["label"]
        ]
    holder["text"] = unicodedata.normalize("NFD", text)


@pytest.mark.slow
def test_unusable_records_are_counted_and_listed(run: RunDir) -> None:
    """Foreign texts and runs, invalid spans and contradictory copies are counted, listed and not imported."""
    path = export(run, "jsonl")
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    one, two, three, four = lines[:4]
    outside = [{"start": 0, "end": 10_000, "label": "x"}]
    space = [{"start": three["text"].index(" "), "end": three["text"].index(" ") + 1, "label": "x"}]
    records = [
        {**one, "text": one["text"].replace("\r\n", "\n") + " "},
        {**one, "passage_id": "of-another-run"},
        {**two, "mentions": outside},
        {**three, "mentions": space},
        four,
        {**four, "mentions": [{"start": 0, "end": 3, "label": "x"}]},
    ]
    path.write_text("\n".join(map(json.dumps, [*records, 5])), encoding="utf-8")
    report = bring_back(run, "jsonl", path)
    assert {kind: report[kind] for kind in KINDS if report[kind]} == {
        "unchanged": 1, "conflicting": 1, "foreign": 2, "unreadable": 3,
    }  # fmt: skip
    named = {(kind, item["passage_id"]) for kind, items in report["left_out"].items() for item in items}
    assert ("foreign", "of-another-run") in named
    assert ("unreadable", two["passage_id"]) in named
    shown = vner("import", run.root, "-f", "jsonl", path, "-q").stdout
    assert "2 foreign" in shown
    assert "of-another-run" in shown


def test_white_space_around_a_span_is_trimmed(run: RunDir) -> None:
    """White space around an imported span is trimmed, and its label is normalised."""
    found = by_text(run, "Bộ Công Thương")
    old = next(one for one in found.mentions if one.text == "Bộ Công Thương")
    spans = [{"start": one.start, "end": one.end, "label": one.label} for one in found.mentions if one != old]
    spans.append({"start": old.start - 1, "end": old.end + 1, "label": " LOCATIONS "})
    path = run.root.parent / "x"
    path.write_text(json.dumps({"passage_id": found.passage_id, "text": found.text, "mentions": spans}))
    assert bring_back(run, "jsonl", path)["unchanged"] == 1


def test_splits_are_those_of_the_samples(run: RunDir) -> None:
    """``export --split`` exports each passage in the split of its samples; the splits together are the run."""
    split_of = {sample.passage_id: split for split in SPLITS for sample in tables.read_samples(run.samples(split))}
    seen: list[str] = []
    for split in SPLITS:
        lines = export(run, "jsonl", "--split", split).read_text(encoding="utf-8").splitlines()
        identities = [json.loads(line)["passage_id"] for line in lines]
        assert {split_of[identity] for identity in identities if identity in split_of} <= {split}
        seen += identities
    assert sorted(seen) == sorted(read(run))


def test_alpaca_has_the_rows_of_the_samples(run: RunDir) -> None:
    """The Alpaca export has exactly the samples, including the negatives."""
    rows = json.loads(export(run, "alpaca").read_text(encoding="utf-8"))
    samples = [sample for split in SPLITS for sample in tables.read_samples(run.samples(split))]
    assert any(sample.negative for sample in samples)
    assert sorted((row["id"], row["instruction"], row["input"], row["output"]) for row in rows) == sorted(
        (sample.id, sample.instruction, sample.input, sample.output) for sample in samples
    )


def test_the_same_run_gives_the_same_bytes(run: RunDir) -> None:
    """A second export gives the same bytes in every format, and the counts of --json add up."""
    for name in FORMATS:
        first = export(run, name).read_bytes()
        again = vner("export", run.root, "-f", name, "-o", run.root.parent / "again", "--json")
        assert (run.root.parent / "again").read_bytes() == first, name
        report = json.loads(again.stdout)
        assert report["spans"] == report["carried"] + sum(report["left_out"].values())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("export", "{run}", "-f", "brat", "-o", "{tmp}/x"), 2, "known: conll, conll-words, spacy"),
        (("export", "{run}", "-f", "jsonl", "-o", "{tmp}/x", "--split", "dev"), 2, "known: all, train"),
        (("export", "{run}", "-f", "jsonl", "-o", "{tmp}"), 2, "is a folder"),
        (("export", "{tmp}/none", "-f", "jsonl", "-o", "{tmp}/x"), 1, "is not a run directory"),
        (("export", "{run}", "-f", "jsonl", "-o", "/dev/null/x/y"), 1, "cannot write /dev/null/x"),
        (("import", "{run}", "-f", "brat", "{tmp}/x"), 2, "known: conll"),
        (("import", "{tmp}/none", "-f", "jsonl", "{tmp}/x"), 1, "is not a run directory"),
        (("import", "{run}", "-f", "jsonl", "{tmp}/none"), 1, "there is no such file"),
        (("import", "{run}", "-f", "jsonl", "{tmp}"), 1, "it is a folder"),
        (("import", "{run}", "-f", "labelstudio", "{tmp}/broken"), 1, "is not JSON"),
        (("import", "{run}", "-f", "spacy", "{tmp}/broken"), 1, "is not a DocBin"),
        (("import", "{run}", "-f", "conll", "{tmp}/binary"), 1, "is not UTF-8"),
    ],
)
def test_errors_take_one_line(run: RunDir, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    """An error is one line with the cause and the fix, has the right exit code and changes nothing."""
    (tmp_path / "broken").write_text('[{"a": 1},', encoding="utf-8")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    before = digests(run)
    result = vner(*(argument.format(run=run.root, tmp=tmp_path) for argument in arguments))
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "x").exists()
    assert not run.corrections.exists()
    assert digests(run) == before


def test_spacy_is_asked_for_when_it_is_missing(run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without spaCy, the error is one line that names the package to install."""
    monkeypatch.setitem(__import__("sys").modules, "spacy.tokens", None)
    result = vner("export", run.root, "-f", "spacy", "-o", tmp_path / "x")
    assert result.exit_code == 2
    assert "pip install '.[review]'" in result.stderr
    assert not (tmp_path / "x").exists()


def test_a_damaged_file_of_corrections_is_named(run: RunDir) -> None:
    """A damaged corrections.parquet is reported with the fix; --fresh would not repair it."""
    run.corrections.write_bytes(b"nothing")
    result = vner("build", "--out", run.root, "-q")
    assert result.exit_code == 1
    assert "corrections.parquet; restore it from a copy, or remove it" in result.stderr


@pytest.mark.slow
def test_an_import_asks_no_unanswered_passage(tmp_path: Path) -> None:
    """An import sends no request for unanswered passages, and still applies the corrections."""

    def some_fail(passage: str, attempt: int) -> Answer:
        return (
            Answer(400, body=b"{}") if hashlib.sha256(passage.encode()).digest()[0] < 60 else answered(passage, attempt)
        )

    run = RunDir(tmp_path / "run")
    with Endpoint(some_fail) as endpoint:
        built = vner("build", "sample", "--docs", 8, "--out", run.root, "--provider", "openai", "--model", "m",
                     "--base-url", endpoint.url, "-q")  # fmt: skip
        assert built.exit_code == 3, built.output
        asked = endpoint.asked.total()
        path = export(run, "jsonl")
        lines = [{**json.loads(line), "mentions": []} for line in path.read_text(encoding="utf-8").splitlines()]
        path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
        report = bring_back(run, "jsonl", path)
        assert endpoint.asked.total() == asked
    assert report["build"]["unanswered"] > 0
    assert not any(found.mentions for found in read(run).values())


def test_a_correction_of_another_text_is_ignored() -> None:
    """A correction whose text is not the passage's is ignored: the teacher's answer is used."""
    passage = Passage("p1", "Bà ở Huế", 3, (Piece("d", 0, 8),), 1)
    completion = Completion("k", "p1", '[["Huế", "city"]]', "stop", 0, 0, 0.0, 0.0)
    labels = LabelNormalizer(load_lexicon())

    def mentions(text: str) -> list[str]:
        correction = Correction("p1", text_sha256(text), (Corrected(0, 2, "person", HUMAN),), "jsonl")
        (cleaned,) = clean_or_correct([(passage, completion)], labels, {"p1": correction})
        assert cleaned.annotation
        return [one.text for one in cleaned.annotation.mentions]

    assert mentions("Bà ở Huế") == ["Bà"]
    assert mentions("Bà ở Huế!") == ["Huế"]


@pytest.mark.slow
def test_fresh_keeps_corrections(run: RunDir) -> None:
    """``build --fresh`` rebuilds the same files from the ledger and the corrections."""
    path = export(run, "jsonl")
    lines = [{**json.loads(line), "mentions": []} for line in path.read_text(encoding="utf-8").splitlines()]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    bring_back(run, "jsonl", path)
    corrected = digests(run)
    stored = json.loads(run.manifest.read_text(encoding="utf-8"))["config"]
    settings = [part for name in ("provider", "model", "min_tokens", "max_tokens", "negatives")
                for part in (f"--{name.replace('_', '-')}", stored[name])]  # fmt: skip
    result = vner("build", stored["source"], "--out", run.root, "--fresh", "-q", "--base-url", "http://127.0.0.1:9/v1",
                  *settings)  # fmt: skip
    assert result.exit_code == 0, result.output
    assert digests(run) == corrected
