"""The formats of other tools: an export and its import lose only what a format cannot hold, and count that."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.cleaning.corrections import Corrected, read_corrections
from annotator.errors import SourceError
from annotator.records import Annotation, Mention
from annotator.storage import tables
from annotator.storage.atomic import replacing, write_json
from annotator.storage.rundir import FORMAT, RunDir
from data_cards.exchange import NAMES
from data_cards.exchange.exporting import export
from data_cards.exchange.formats import FORMATS
from data_cards.exchange.importing import KINDS, bring_back
from data_cards.exchange.passages import CROSSING, NESTED, OFF_TOKENS, SEVERAL_LABELS, lost_when_flat
from data_cards.exchange.places import from_utf16, locate, syllables, to_utf16, words
from tests.commands import modules_loaded_by

FAMILY = "👨\u200d👩\u200d👧"
TEXT = f"😀 Bà Hoà\u0301 ở\u00a0Đại học Hà Nội, {FAMILY}\r\nTP.HCM\t5.000 đồng e\u0323\u0302 “Bộ Y tế”."
LABELS = ("person", "organization", "law document", "city/province")
PARTS = (
    *("Hà", "Nội", "đồng", "a", "B", "5", "TP", ".", ",", "-", "_", "/", "“", '"', "#", "中", "𝒜", "😀", FAMILY),
    *("\u0301", "e\u0323\u0302", "\u200b", "\ufe0f", "\x00", "\\n", "B-ORG", "http://a.vn/b.", "<b>&amp;"),
    *(" ", " ", "  ", "\r\n", "\n", "\u00a0", "\t", "\u2028", "\x85", "\x1c"),
)


def mention(text: str, start: int, end: int, label: str, match: str = "exact") -> Mention:
    return Mention(text[start:end], label, label.upper(), start, end, match)


def annotation(text: str, *spans: tuple[str, str], identity: str = "p1") -> Annotation:
    """Return an annotation with the first occurrence of each string."""
    found = [mention(text, text.index(part), text.index(part) + len(part), label) for part, label in spans]
    return Annotation(identity, text, tuple(sorted(found, key=lambda one: (one.start, -one.end, one.label))), "ok")


@st.composite
def annotations(draw: st.DrawFn) -> list[Annotation]:
    """Draw passages with any characters, and spans on and off token bounds, nested and crossing."""
    made = []
    for number in range(draw(st.integers(0, 3))):
        text = "".join(draw(st.lists(st.sampled_from(PARTS), min_size=1, max_size=20))) + "x"
        found: dict[tuple[int, int, str], Mention] = {}
        for _ in range(draw(st.integers(0, 6))):
            start, end = sorted(draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
            part = text[start:end]
            start += len(part) - len(part.lstrip())
            end = start + len(part.strip())
            label = draw(st.sampled_from(LABELS))
            if start < end:
                found[start, end, label] = mention(text, start, end, label)
        ordered = tuple(found[key] for key in sorted(found, key=lambda key: (key[0], -key[1], key[2])))
        made.append(Annotation(f"p{number}", text, ordered, "ok"))
    return made


def store(root: Path, found: list[Annotation]) -> RunDir:
    """Write a run directory with only what an export reads."""
    run = RunDir(root)
    write_json(run.manifest, {"format": FORMAT, "config": {"seed": 3}})
    with replacing(run.annotations) as file:
        tables.write_records(file, tables.ANNOTATION, found)
    return run


def accept(name: str, path: Path) -> None:
    """Turn the predictions or suggestions of a file into submitted annotations, as a person who agrees does."""
    if name == "labelstudio":
        tasks = json.loads(path.read_text(encoding="utf-8"))
        for task in tasks:
            task["annotations"] = [{"result": task.pop("predictions")[0]["result"], "was_cancelled": False}]
        path.write_text(json.dumps(tasks), encoding="utf-8")
    if name == "argilla":
        records = json.loads(path.read_text(encoding="utf-8"))
        for record in records:
            value = record["suggestions"]["entities"]["value"]
            record["responses"] = {"entities": [{"value": value, "user_id": "u"}]}
        path.write_text(json.dumps(records), encoding="utf-8")


@pytest.mark.slow
def test_the_help_names_all_formats() -> None:
    """``NAMES``, which the command line imports, has every format."""
    assert tuple(FORMATS) == NAMES


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=30)
@given(found=annotations())
def test_an_export_comes_back_unchanged(name: str, found: list[Annotation]) -> None:
    """Every passage comes back unchanged, with all mentions, raw labels and rules; in = carried + left out."""
    with tempfile.TemporaryDirectory() as folder:
        run, out = store(Path(folder) / "run", found), Path(folder) / "out"
        report = export(run.root, name, out)
        assert report["passages"] == len(found)
        assert report["spans"] == sum(len(one.mentions) for one in found)
        assert report["spans"] == report["carried"] + sum(report["left_out"].values())
        accept(name, out)
        if not out.stat().st_size:  # no passages in a format of lines
            with pytest.raises(SourceError, match="is empty"):
                bring_back(run.root, name, [out])
            return
        back = bring_back(run.root, name, [out])
        expected = [one for one in found if one.mentions or name != "alpaca"]  # a row for each type
        assert {kind: back[kind] for kind in KINDS if back[kind]} == ({"unchanged": len(expected)} if expected else {})
        assert back["labels"] == []
        stored = read_corrections(run.corrections)
        assert {identity: one.mentions for identity, one in stored.items()} == {
            one.passage_id: tuple(Corrected(m.start, m.end, m.raw_label, m.match) for m in one.mentions)
            for one in expected
        }


@given(st.text(st.characters(exclude_categories=["Cs"])), st.data())
def test_utf16_offsets(text: str, data: st.DataObject) -> None:
    """UTF-16 offsets are those of the encoding, and convert back."""
    offset = data.draw(st.integers(0, len(text)))
    units = to_utf16(text, offset)
    assert units == len(text[:offset].encode("utf-16-le")) // 2
    assert from_utf16(text, units) == offset


@pytest.mark.parametrize("offset", [-1, 1, 4])
def test_invalid_utf16_offsets(offset: int) -> None:
    """Offsets outside the text or between the halves of an emoji are errors."""
    with pytest.raises(ValueError, match="offset"):
        from_utf16("😀a", offset)


@pytest.mark.parametrize("tokenize", [syllables, words])
@given(parts=st.lists(st.sampled_from(PARTS), max_size=20))
def test_tokens_cover_all_but_white_space(tokenize: Callable[[str], Any], parts: list[str]) -> None:
    """Tokens are in order, disjoint, cover all but white space, and are located again."""
    text = "".join(parts)
    places = tokenize(text)
    position = 0
    for start, end in places:
        assert not text[position:start].strip()
        assert start < end
        position = end
    assert not text[position:].strip()
    tokens = ["_".join(text[start:end].split()) for start, end in places]
    assert locate(text, tokens) is not None


def test_words_are_vietnamese_words() -> None:
    """Words may have several syllables, and are found at their places."""
    text = "Bà Hoà học ở  Đại học Bách khoa Hà Nội."
    found = [text[start:end] for start, end in words(text)]
    assert "Đại học" in found
    assert "Hà Nội" in found
    assert locate(text, ["Bà", "khác"]) is None


@pytest.mark.slow
def test_words_need_no_torch() -> None:
    """The word segmenter does not import torch and transformers, as underthesea does if they are installed."""
    code = "from data_cards.exchange.places import words; assert len(words('thành phố Hà Nội')) == 2"
    assert not {"torch", "transformers", "underthesea"} & modules_loaded_by(code)


def test_what_a_flat_format_leaves_out() -> None:
    """A flat format keeps the longest, outermost span; each other span has its reason."""
    text = "Đại học Bách khoa Hà Nội và Huế"
    found = annotation(
        text, ("Đại học Bách khoa Hà Nội", "university"), ("Hà Nội", "city"), ("Nội và Huế", "name"), ("Huế", "city"),
        ("Đại học Bách khoa Hà Nội", "school"),
    ).mentions  # fmt: skip
    reasons = {(one.text, one.label): reason for one, reason in lost_when_flat(found).items()}
    assert reasons == {
        ("Đại học Bách khoa Hà Nội", "university"): SEVERAL_LABELS,
        ("Hà Nội", "city"): NESTED,
        ("Nội và Huế", "name"): CROSSING,
    }
    assert lost_when_flat(reversed(found)) == lost_when_flat(found)


@pytest.mark.slow
def test_seqeval_reads_the_tags(tmp_path: Path) -> None:
    """The tags give seqeval the same entities; what is left out is counted with an example."""
    from seqeval.metrics.sequence_labeling import get_entities
    from seqeval.scheme import IOB2, Entities

    text = "Hà Nội Huế, Luật Đất đai của Bộ Y tế xxyy"
    found = annotation(text, ("Hà Nội", "city"), ("Huế", "city"), ("Luật Đất đai", "law document"),
                       ("Đất đai", "land"), ("yy", "letter"))  # fmt: skip
    run = store(tmp_path / "run", [found])
    report = export(run.root, "conll", tmp_path / "x.conll")
    assert report["left_out"] == {OFF_TOKENS: 1, NESTED: 1}
    assert report["examples"][NESTED] == "Đất đai [land] of passage p1"
    lines = (tmp_path / "x.conll").read_text(encoding="utf-8").split("\n")
    assert lines[:2] == ["-DOCSTART- -X- p1 O", ""]
    rows = [line.split(" ") for line in lines[2:] if line]
    assert all(len(row) == 4 for row in rows)
    tags = [row[3] for row in rows]
    expected = [("city", 0, 1), ("city", 2, 2), ("law_document", 4, 6)]
    assert get_entities(tags) == expected
    strict = Entities([tags], scheme=IOB2).entities[0]
    assert [(one.tag, one.start, one.end - 1) for one in strict] == expected
    assert [row[0] for row in rows[4:7]] == ["Luật", "Đất", "đai"]


def test_words_have_underscores(tmp_path: Path) -> None:
    """Words are joined by underscores, as in Vietnamese word-level data sets."""
    run = store(tmp_path / "run", [annotation("Bà ở Hà Nội.", ("Hà Nội", "city"))])
    export(run.root, "conll-words", tmp_path / "x.conll")
    assert "Hà_Nội -X- -X- B-city\n" in (tmp_path / "x.conll").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("O I-a I-a", ((1, 3, "a"),)),
        ("B-a I-b", ((0, 1, "a"), (1, 2, "b"))),
        ("B-a B-a I-a", ((0, 1, "a"), (1, 3, "a"))),
        ("I-law_document O I-a", ((0, 1, "law document"), (2, 3, "a"))),
    ],
)
def test_tags_of_other_tools(tmp_path: Path, tags: str, spans: tuple[tuple[int, int, str], ...]) -> None:
    """Irregular IOB tags are read as seqeval reads them, also with Windows line ends."""
    rows = "".join(f"x -X- -X- {tag}\r\n" for tag in tags.split())
    path = tmp_path / "x.conll"
    path.write_text(f"-DOCSTART- -X- p1 O\r\n\r\n{rows}\r\n", encoding="utf-8", newline="")
    (record,) = FORMATS["conll"].read(path)
    assert record.passage_id == "p1"
    assert record.spans == spans  # type: ignore[union-attr]


@pytest.mark.slow
@settings(max_examples=30)
@given(found=annotations())
def test_spacy_loads_the_docbin(found: list[Annotation]) -> None:
    """The DocBin has the exact text, all spans under its key, the outermost as entities, and the id."""
    from spacy.tokens import DocBin
    from spacy.vocab import Vocab

    with tempfile.TemporaryDirectory() as folder:
        export(store(Path(folder) / "run", found).root, "spacy", Path(folder) / "x.spacy")
        docs = list(DocBin().from_disk(Path(folder) / "x.spacy").get_docs(Vocab()))
    assert len(docs) == len(found)
    for doc, one in zip(docs, found, strict=True):
        assert doc.text == one.text
        assert doc.user_data["passage_id"] == one.passage_id
        held = [found for found in one.mentions if found not in FORMATS["spacy"].lost(one)]
        assert Counter((s.start_char, s.end_char, s.label_) for s in doc.spans["sc"]) == Counter(
            (m.start, m.end, m.label) for m in held
        )
        flat = [found for found in held if found not in lost_when_flat(held)]
        assert [(e.start_char, e.end_char, e.label_) for e in doc.ents] == [(m.start, m.end, m.label) for m in flat]


def test_gliner(tmp_path: Path) -> None:
    """GLiNER ends are inclusive, spans may nest, and negatives are types of other passages."""
    one = annotation("Đại học Hà Nội", ("Đại học Hà Nội", "university"), ("Hà Nội", "city"))
    other = annotation("Luật Đất đai", ("Luật Đất đai", "law document"), identity="p2")
    run = store(tmp_path / "run", [one, other])
    export(run.root, "gliner", tmp_path / "x.json")
    first, second = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    assert first["tokenized_text"] == ["Đại", "học", "Hà", "Nội"]
    assert first["ner"] == [[0, 3, "university"], [2, 3, "city"]]
    assert first["ner_negatives"] == ["law document"]
    assert set(second["ner_negatives"]) <= {"university", "city"}
    assert second["ner_negatives"]


def test_label_studio_task_and_configuration(tmp_path: Path) -> None:
    """A task has code point offsets, and the configuration every label, escaped."""
    from xml.etree import ElementTree

    run = store(tmp_path / "run", [annotation(TEXT, ("Hà Nội", 'a "b" <c> & d'), ("Bộ Y tế", "ministry"))])
    report = export(run.root, "labelstudio", tmp_path / "tasks.json")
    assert report["files"][1] == str(tmp_path / "tasks.config.xml")
    view = ElementTree.parse(tmp_path / "tasks.config.xml").getroot()  # noqa: S314 - written by the export
    labels, shown = view.find("Labels"), view.find("Text")
    assert labels is not None
    assert shown is not None
    assert {label.get("value") for label in labels} == {'a "b" <c> & d', "ministry"}
    (task,) = json.loads((tmp_path / "tasks.json").read_text(encoding="utf-8"))
    for region in task["predictions"][0]["result"]:
        value = region["value"]
        assert task["data"]["text"][value["start"] : value["end"]] == value["text"]
        assert (region["from_name"], region["to_name"]) == (labels.get("name"), shown.get("name"))
    assert shown.get("value") == "$text"


def region(start: int, end: int, label: str, text: str | None = None) -> dict[str, Any]:
    value = {"start": start, "end": end, "labels": [label], **({} if text is None else {"text": text})}
    return {"type": "labels", "value": value}


def task(text: str, *made: dict[str, Any], key: str = "annotations") -> dict[str, Any]:
    return {"data": {"text": text, "passage_id": "p1"}, key: list(made)}


def read_task(tmp_path: Path, item: Any) -> Any:
    (tmp_path / "x.json").write_text(json.dumps([item]), encoding="utf-8")
    (record,) = FORMATS["labelstudio"].read(tmp_path / "x.json")
    return record


def test_label_studio_offsets_of_both_kinds(tmp_path: Path) -> None:
    """A region's text decides between code points and the UTF-16 units of old versions."""
    text = "😀😀 Hà Nội\r\nở Huế"
    assert read_task(tmp_path, task(text, {"result": [region(3, 9, "city", "Hà Nội")]})).spans == ((3, 9, "city"),)
    assert read_task(tmp_path, task(text, {"result": [region(5, 11, "city", "Hà Nội")]})).spans == ((3, 9, "city"),)
    assert read_task(tmp_path, task(text, {"result": [region(6, 12, "x", "Nội\\n\\nở")]})).spans == ((6, 12, "x"),)
    assert read_task(tmp_path, task(text, {"result": [region(3, 9, "city")]})).spans == ((3, 9, "city"),)
    wrong = read_task(tmp_path, task(text, {"result": [region(0, 2, "city", "Hà Nội")]}))
    assert (wrong.kind, wrong.passage_id) == ("unreadable", "p1")


def test_label_studio_counts_what_was_submitted(tmp_path: Path) -> None:
    """Only submitted annotations count; ground truth wins, otherwise people must agree; none is an answer."""
    hue, empty = {"result": [region(0, 3, "city")]}, {"result": []}
    assert read_task(tmp_path, {**task("Huế"), "predictions": [hue]}).kind == "unreviewed"
    assert read_task(tmp_path, task("Huế", {**hue, "was_cancelled": True})).kind == "unreviewed"
    assert read_task(tmp_path, task("Huế", empty)).spans == ()
    assert read_task(tmp_path, task("Huế", hue, hue)).spans == ((0, 3, "city"),)
    assert read_task(tmp_path, task("Huế", hue, empty)).kind == "conflicting"
    assert read_task(tmp_path, task("Huế", hue, {**empty, "ground_truth": True})).spans == ()
    assert read_task(tmp_path, task("Huế", hue, key="completions")).spans == ((0, 3, "city"),)


def test_argilla_offsets_are_utf16_units(tmp_path: Path) -> None:
    """Argilla offsets are UTF-16 units; a span whose end its server would refuse is left out and counted."""
    run = store(tmp_path / "run", [annotation("😀 Hà Nội ở Huế", ("Hà Nội", "city"), ("Huế", "city"))])
    report = export(run.root, "argilla", tmp_path / "x.json")
    assert list(report["left_out"].values()) == [1]
    (record,) = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    assert record["suggestions"]["entities"]["value"] == [{"start": 3, "end": 9, "label": "city"}]
    assert json.loads((tmp_path / "x.labels.json").read_text(encoding="utf-8")) == ["city"]


def test_argilla_counts_what_was_submitted(tmp_path: Path) -> None:
    """Suggestions, drafts and discarded responses are no corrections; an empty list is one."""

    def read(*responses: dict[str, Any]) -> Any:
        record = {"id": "p1", "fields": {"text": "Huế"}, "suggestions": {"entities": {"value": []}},
                  "responses": {"entities": list(responses)} if responses else {}}  # fmt: skip
        (tmp_path / "x.json").write_text(json.dumps([record]), encoding="utf-8")
        (found,) = FORMATS["argilla"].read(tmp_path / "x.json")
        return found

    hue = {"value": [{"start": 0, "end": 3, "label": "city"}], "user_id": "u"}
    assert read().kind == "unreviewed"
    assert read({**hue, "status": "draft"}).kind == "unreviewed"
    assert read({"value": None}).kind == "unreviewed"
    assert read({"value": []}).spans == ()
    assert read({**hue, "status": "submitted"}).spans == ((0, 3, "city"),)
    assert read(hue, {"value": [], "user_id": "v"}).kind == "conflicting"
    done = {"reviewed": [{"value": "yes", "user_id": "u"}]}
    for responses, spans in ((done, ()), ({**done, "entities": [hue]}, ((0, 3, "city"),))):
        record = {"id": "p1", "fields": {"text": "Huế"}, "responses": responses}
        (tmp_path / "y.json").write_text(json.dumps([record]), encoding="utf-8")
        (found,) = FORMATS["argilla"].read(tmp_path / "y.json")
        assert found.spans == spans  # type: ignore[union-attr]


def test_doccano(tmp_path: Path) -> None:
    """Offsets for doccano are UTF-16 units; both forms of its export are read."""
    run = store(tmp_path / "run", [annotation("😀 Hà Nội", ("Hà Nội", "city"))])
    export(run.root, "doccano", tmp_path / "x.jsonl")
    line = json.loads((tmp_path / "x.jsonl").read_text(encoding="utf-8"))
    assert line["label"] == [[3, 9, "city"]]
    assert json.loads((tmp_path / "x.labels.json").read_text(encoding="utf-8")) == [{"text": "city"}]
    del line["label"]
    relations = {**line, "id": 7, "entities": [{"id": 1, "label": "city", "start_offset": 3, "end_offset": 9}]}
    (tmp_path / "y.jsonl").write_text(json.dumps(relations) + "\n", encoding="utf-8")
    (record,) = FORMATS["doccano"].read(tmp_path / "y.jsonl")
    assert (record.passage_id, record.spans) == ("p1", ((2, 8, "city"),))  # type: ignore[union-attr]


def test_alpaca_and_universalner(tmp_path: Path) -> None:
    """The exports have the fields and turns that trainers of these forms expect."""
    run = store(tmp_path / "run", [annotation("Bà Hoà ở Hà Nội", ("Hoà", "person"), ("Hà Nội", "city"))])
    export(run.root, "alpaca", tmp_path / "a.json")
    rows = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert {name: rows[0][name] for name in ("instruction", "input", "output")} == {
        "instruction": "What describes person in the text?",
        "input": "Bà Hoà ở Hà Nội",
        "output": '["Hoà"]',
    }
    export(run.root, "universalner", tmp_path / "u.json")
    (item,) = json.loads((tmp_path / "u.json").read_text(encoding="utf-8"))
    turns = item["conversations"]
    assert [turn["from"] for turn in turns] == ["human", "gpt"] * 3
    assert turns[0]["value"] == "Text: Bà Hoà ở Hà Nội"
    assert [turn["value"] for turn in turns[2:4]] == ["What describes person in the text?", '["Hoà"]']


BROKEN: list[Any] = [None, 3, "x", [], {}, {"passage_id": 5}, {"id": "p1"}, {"data": None}, {"data": {"text": 1}},
          {"passage_id": "p1", "text": "x", "label": [[0]], "mentions": [{"start": "0", "end": 1, "label": "a"}]},
          {"passage_id": "p1", "text": "x", "label": [[0, 1, 2]], "mentions": 5, "ner": [[0]], "tokenized_text": [1]},
          {"id": "p1", "conversations": [{"value": "x"}]}, {"instruction": "x", "output": "["}]  # fmt: skip


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in {"conll", "conll-words", "spacy"}])
def test_malformed_records_are_unreadable(tmp_path: Path, name: str) -> None:
    """Each malformed record is unreadable, with a reason, and does not stop the others."""
    path = tmp_path / "x"
    path.write_text("\n".join([*map(json.dumps, BROKEN[:1]), *map(json.dumps, BROKEN[1:]), "{"]), encoding="utf-8")
    found = list(FORMATS[name].read(path))
    assert found
    assert {getattr(record, "kind", "") for record in found} == {"unreadable"}
    assert all(getattr(record, "detail", "") for record in found)
