"""What the audit reports: broken invariants, leaks and similar types, of a run, a folder and a Hub dataset."""

from __future__ import annotations

import json
import shutil
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.errors import SourceError
from annotator.records import Annotation, Mention, Passage, Piece, Rejected, Sample
from annotator.storage import tables
from annotator.storage.atomic import write_json
from annotator.storage.rundir import RunDir
from data_cards.audit import dataset as datasets_of
from data_cards.audit.alike import alike
from data_cards.audit.compute import audit, audit_dataset
from data_cards.audit.database import Database
from data_cards.audit.dataset import find
from data_cards.audit.mentions import distribution, frequency, label_figures, mention_figures, span_figures
from data_cards.audit.problems import notes
from data_cards.audit.reading import N, ngrams_of, read_annotations
from tests.commands import must_succeed, vner, vner_process
from tests.rundirs import Item, make_run, rewrite, syllables, write

ITEMS = (
    Item("p1", "Bà Hoà ở Đại học Hà Nội. 🎉 Ông Thắng ở Huế.",
         [("Hoà", "person"), ("Đại học Hà Nội", "university"), ("Hà Nội", "city"), ("Huế", "city")]),
    Item("p2", "Mưa to ở Cần Thơ.", [("Cần Thơ", "city")], "validation"),
    Item("p3", "Không có gì ở đây cả."),
    Item("p4", "Công ty An Bình ở Vinh.", [("An Bình", "company"), ("Vinh", "city")], "test"),
)  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """Write a run without problems."""
    return make_run(tmp_path / "run", ITEMS, [Rejected("clean", "hallucinated", "p1", "Sài Gòn", "nowhere")])


def test_a_sound_run_has_no_problems(run: RunDir) -> None:
    """A run without problems has none, and its figures are those counted by hand."""
    figures = audit(run)
    assert figures["problems"] == []
    assert figures["duplicates"] == 0
    assert figures["mentions"]["passages_without"] == 1
    assert figures["mentions"]["share_of_passages_without"] == 0.25
    assert figures["mentions"]["characters"]["max"] == len("Đại học Hà Nội")
    assert figures["labels"]["rank_frequency"] == [[1, 4], [2, 1], [3, 1], [4, 1]]
    together = {tuple(pair["labels"]): pair["passages"] for pair in figures["labels"]["together"]}
    assert together == {
        ("city", "person"): 1, ("city", "university"): 1, ("person", "university"): 1, ("city", "company"): 1
    }  # fmt: skip
    assert figures["balance"]["splits"]["train"] == {
        "samples": 3, "passages": 1, "types": 3, "types_only_here": 2,
        "top": {"city": 1, "person": 1, "university": 1},
    }  # fmt: skip
    assert figures["balance"]["sources"] == [
        {"source": "tin", "documents": 4, "passages": 4, "samples": {"validation": 1, "test": 2, "train": 3}}
    ]
    assert figures["rejected"] == [
        {"stage": "clean", "reason": "hallucinated", "count": 1,
         "examples": [{"record_id": "p1", "value": "Sài Gòn", "detail": "nowhere"}]}
    ]  # fmt: skip


def test_the_order_of_the_samples_does_not_matter(run: RunDir) -> None:
    """Samples in another order are no problem."""
    path = run.samples("train")
    write(path, tables.SAMPLE, list(tables.read_samples(path))[::-1])
    assert audit(run)["problems"] == []


def test_a_small_split_is_noted(run: RunDir) -> None:
    """A split with few samples or types is noted, except for the largest and an empty one."""
    small, smaller, negatives = audit(run)["notes"]
    assert "31.5 without negatives" in negatives
    assert [small, smaller] == [
        "validation has 1 sample of 1 of 4 types: too small to evaluate on",
        "test has 2 samples of 2 of 4 types: too small to evaluate on",
    ]
    rows = {"train": (9000, 6), "validation": (100, 5), "test": (2000, 4), "extra": (0, 0)}
    splits = {split: {"samples": samples, "types": types} for split, (samples, types) in rows.items()}
    found = notes({"balance": {"splits": splits}, "labels": {"distinct": 6}})
    assert found == ["test has 2,000 samples of 4 of 6 types: too small to evaluate on"]


def test_the_output_separates_checks_from_quality(run: RunDir) -> None:
    """The output separates structural checks from measured quality; 4 types have no top 1 %."""
    shown = vner("audit", run.root).stdout
    assert "Structural checks: no problems" in shown
    assert "quality: not measured" in shown
    assert "top 1 %" not in shown


def shifted(run: RunDir) -> None:
    first, *rest = tables.read_annotations(run.annotations)
    mentions = [Mention("Hoà", "person", "person", 4, 7, "exact"), *first.mentions[1:]]
    write(run.annotations, tables.ANNOTATION, [Annotation(first.passage_id, first.text, tuple(mentions), "ok"), *rest])


def without_a_sample(run: RunDir) -> None:
    write(run.samples("train"), tables.SAMPLE, list(tables.read_samples(run.samples("train")))[1:])


def in_two_splits(run: RunDir) -> None:
    passages = list(tables.read_passages(run.passages))
    passages[1] = Passage("p2", ITEMS[1].text, 150, (Piece("d-p1", 0, 3),), 1)
    write(run.passages, tables.PASSAGE, passages)


def leaking(run: RunDir) -> None:
    first = next(tables.read_samples(run.samples("train")))
    write(run.samples("test"), tables.SAMPLE, [*tables.read_samples(run.samples("test")), first])


def miscounted(run: RunDir) -> None:
    manifest = run.read_manifest()
    manifest["stages"]["annotate"]["funnel"][0]["in"] += 1
    write_json(run.manifest, manifest)


def unfiled(run: RunDir) -> None:
    write(run.rejected, tables.REJECTED, [])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (shifted, "1 mentions are not what stands at their offsets"),
        (without_a_sample, "1 passages have samples that do not follow"),
        (in_two_splits, "1 documents have passages in several splits"),
        (leaking, "1 passages stand in several splits, word for word"),
        (miscounted, "annotate: 5 went in, but 4 kept and 0 rejected came out"),
        (unfiled, "clean: 1 rejected as 'hallucinated', but 0 of them are on file"),
        (lambda run: rewrite(run.samples("train"), tables.SAMPLE, Sample, output='["Hòa"]'), "do not follow"),
        (lambda run: rewrite(run.samples("train"), tables.SAMPLE, Sample, input="x"), "another text than"),
        (lambda run: rewrite(run.samples("train"), tables.SAMPLE, Sample, negative=True), "negative with an answer"),
        (lambda run: write(run.samples("test"), tables.SAMPLE, []), "6 samples were counted when they were made"),
    ],
)  # fmt: skip
def test_each_broken_invariant_is_a_problem(run: RunDir, damage: Any, words: str) -> None:
    """Each invariant, broken alone, is reported as a problem."""
    damage(run)
    problems = audit(run)["problems"]
    assert any(words in line for line in problems), problems


def test_a_sample_that_was_too_long_is_no_problem(run: RunDir) -> None:
    """A missing sample that was rejected as too long is no problem."""
    path = run.samples("train")
    first, *rest = tables.read_samples(path)
    write(path, tables.SAMPLE, rest)
    rejected = [*tables.read_rejected(run.rejected), Rejected("explode", "too long", first.id, first.entity_type)]
    write(run.rejected, tables.REJECTED, rejected)
    manifest = run.read_manifest()
    flow = manifest["stages"]["explode"]["funnel"][0]
    flow["out"] -= 1
    flow["rejected"] = {"too long": 1}
    write_json(run.manifest, manifest)
    assert audit(run)["problems"] == []


def test_near_duplicates_across_splits_are_found(tmp_path: Path) -> None:
    """Near duplicates in different splits are found, but not those of one split or with one shared sentence."""
    text = syllables(1, 160)
    changed = [*text[:80], "khác", *text[81:]]
    items = [
        Item("a", " ".join(text), [(text[0], "x")]),
        Item("b", " ".join(changed).upper(), [(text[0].upper(), "x")], "test"),
        Item("c", " ".join(text[:20] + syllables(2, 160)), [(text[0], "x")], "validation"),
        Item("d", " ".join(syllables(3, 160)), [(syllables(3, 160)[0], "x")], "validation"),
        Item("e", " ".join(changed), [(text[0], "x")]),
    ]
    leaks = audit(make_run(tmp_path, items))["leaks"]
    assert leaks["identical_passages"] == 0
    assert leaks["near_duplicates"] == 2  # b and a, b and e
    for example in leaks["examples"]:
        assert {place["split"] for place in example["passages"]} == {"train", "test"}
        assert "b" in {place["passage_id"] for place in example["passages"]}
        assert example["overlap"] > 0.8


@pytest.mark.slow
@given(st.lists(st.text("aă \n", max_size=60), min_size=1, max_size=6))
def test_the_ngrams_of_a_text_are_its_own(texts: list[str]) -> None:
    """The n-grams of a text do not depend on other texts, and each counts once."""
    for text, own in zip(texts, ngrams_of(pa.array(texts)).to_pylist(), strict=True):
        words = text.lower().split()
        assert own == ngrams_of(pa.array([text])).to_pylist()[0]
        assert len(own) == len({tuple(words[place : place + N]) for place in range(len(words) - N + 1)})


@contextmanager
def annotated(annotations: list[Annotation]) -> Iterator[Database]:
    """Yield the database of an audit that has read these annotations."""
    with tempfile.TemporaryDirectory() as folder, Database() as database:
        run = RunDir(Path(folder))
        write(run.annotations, tables.ANNOTATION, annotations)
        read_annotations(database, run)
        yield database


@pytest.mark.slow
@settings(max_examples=25)
@given(st.lists(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["Huế", "hà nội"])), max_size=6)))
def test_types_are_counted_as_by_hand(passages: list[list[tuple[str, str]]]) -> None:
    """Counts of types, mentions and types together equal plain counts."""
    annotations = [
        Annotation(
            f"p{number}", "", tuple(Mention(text, label, label, 0, 3, "exact") for label, text in mentions), "ok"
        )
        for number, mentions in enumerate(passages)
    ]
    with annotated(annotations) as database:
        figures = label_figures(database, frequency(database))
        mentions = mention_figures(database, len(passages))
    types = [sorted({label for label, _ in passage}) for passage in passages]
    pairs = Counter(pair for labels in types for pair in combinations(labels, 2))
    assert {tuple(entry["labels"]): entry["passages"] for entry in figures["together"]} == pairs
    assert mentions["types_per_passage"] == distribution(Counter(map(len, types)))
    assert mentions["per_passage"] == distribution(Counter(map(len, passages)))
    counted = Counter(label for passage in passages for label, _ in passage)
    assert {entry["label"]: entry["mentions"] for entry in figures["top"]} == counted
    samples = Counter(label for labels in types for label in labels)
    assert {entry["label"]: entry["samples"] for entry in figures["top"]} == samples


@pytest.mark.slow
@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 8), st.integers(1, 5))))
def test_nested_spans_are_those_within_another(spans: list[tuple[int, int, int]]) -> None:
    """Nested spans and spans with several labels are counted as by a plain loop."""
    places = Counter((one, first, first + size) for one, first, size in spans)
    nested = sum(
        any(
            one == other and low <= first and last <= high and (low, high) != (first, last)
            for other, low, high in places
        )
        for one, first, last in places
    )
    mentions: dict[int, list[Mention]] = {}
    for owner, first, size in spans:
        mentions.setdefault(owner, []).append(Mention("", "x", "x", first, first + size, "exact"))
    own = [Annotation(str(owner), "", tuple(found), "ok") for owner, found in mentions.items()]
    with annotated(own) as database:
        found = span_figures(database)
    assert found["spans_nested"] == nested
    assert found["spans_with_several_labels"] == sum(number > 1 for number in places.values())


def test_similar_types_are_found(tmp_path: Path) -> None:
    """Similar types are found by lexicon, words, a letter or common mentions; one common mention is not enough."""
    names = [f"Tên{number}" for number in range(8)]
    pairs = [("school name", "name of school"), ("musical group", "musical groop")]
    entities = [(names[0], label) for pair in pairs for label in pair]
    entities += [(name, label) for name in names for label in ("newspaper outlet", "press organ")]
    entities += [
        (names[0], "price"),
        (names[1], "money"),
        (names[0], "chemical"),
        (names[1], "rank 1"),
        (names[2], "rank 2"),
    ]
    items = [Item("p", " ".join(names), entities)]
    found = {
        tuple(pair["labels"]): pair["evidence"] for pair in audit(make_run(tmp_path, items))["labels"]["alike"]["pairs"]
    }
    assert found == {
        ("name of school", "school name"): ["same words"],
        ("money", "price"): ["near in the lexicon"],
        ("musical groop", "musical group"): ["one letter apart"],
        ("newspaper outlet", "press organ"): ["8 mentions in common, 100% of both"],
    }


def test_an_empty_dataset_has_no_similar_types() -> None:
    """Without types there are no similar types."""
    with Database() as database:
        assert alike(database, {}) == {"count": 0, "pairs": []}


@pytest.mark.slow
def test_a_folder_of_samples_has_the_same_figures(run: RunDir, tmp_path: Path) -> None:
    """A folder of samples, or of shards without the optional columns, has the figures of its run."""
    whole = audit(run)
    figures = audit_dataset(find(str(run.root / "samples"))).figures
    shards = tmp_path / "shards"
    shards.mkdir()
    for split in ("train", "validation", "test"):
        table = pa.Table.from_batches(tables.batches(run.samples(split))).select(["input", "output", "entity_type"])
        pa.parquet.write_table(table, shards / f"{split}-00000-of-00001.parquet")
    assert audit_dataset(find(str(shards))).figures == figures
    assert figures["samples"] == whole["samples"]
    assert figures["labels"]["top"] == whole["labels"]["top"]
    assert figures["labels"]["together"] == whole["labels"]["together"]
    assert figures["problems"] == []
    assert not (run.root / "samples" / "audit.json").exists()


def test_a_folder_of_samples_is_checked(run: RunDir) -> None:
    """In a folder of samples, malformed answers and answers that are not in the passage are problems."""
    rewrite(run.samples("train"), tables.SAMPLE, Sample, output="none")
    rewrite(run.samples("test"), tables.SAMPLE, Sample, output='["Đà Lạt"]')
    problems = audit_dataset(find(str(run.root / "samples"))).figures["problems"]
    assert "1 answers are no JSON list of strings" in problems
    assert "1 answers name something that does not stand in the passage" in problems


def test_samples_of_other_programs(tmp_path: Path) -> None:
    """Empty cells are counted and left out, decomposed text is compared in NFC, a number column is refused."""
    text = " ".join(syllables(1, 160))
    rows = {
        "train": {
            "input": [text, None, "c"],
            "output": [json.dumps([syllables(1, 160)[0]]), "[]", None],
            "entity_type": ["x"] * 3,
        },
        "test": {"input": [unicodedata.normalize("NFD", text)], "output": ["[]"], "entity_type": ["x"]},
    }
    for split, columns in rows.items():
        pa.parquet.write_table(pa.table(columns), tmp_path / f"{split}.parquet")
    figures = audit_dataset(find(str(tmp_path))).figures
    assert figures["problems"] == [
        "2 samples lack a passage, a type or an answer",
        "1 pairs of passages in different splits are the same for the most part",
    ]
    assert figures["samples"]["count"] == 2
    pa.parquet.write_table(pa.table({**rows["test"], "input": [1]}), tmp_path / "test.parquet")
    with pytest.raises(SourceError, match="column input holds int64, not text"):
        find(str(tmp_path))


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())])
def test_text_columns_of_every_kind_are_read(tmp_path: Path, kind: pa.DataType) -> None:
    """All Arrow types of text columns are read."""
    rows = {
        "input": ["Mưa ở Huế", "Huế nắng", None],
        "output": ['["Huế"]', "[]", "[]"],
        "entity_type": ["city", "date", "date"],
    }
    columns = {name: pa.array(values).cast(pa.string()) for name, values in rows.items()}
    is_dictionary = pa.types.is_dictionary(kind)
    stored = {name: one.dictionary_encode() if is_dictionary else one.cast(kind) for name, one in columns.items()}
    pa.parquet.write_table(pa.table(stored), tmp_path / "train.parquet")
    figures = audit_dataset(find(str(tmp_path))).figures
    assert figures["problems"] == ["1 samples lack a passage, a type or an answer"]
    assert figures["labels"]["top"] == [{"label": "city", "samples": 1, "mentions": 1}]


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    """Two columns of one name are refused, with the name."""
    column = pa.array(["x"])
    table = pa.Table.from_arrays([column] * 4, ["input", "input", "output", "entity_type"])
    pa.parquet.write_table(table, tmp_path / "train.parquet")
    with pytest.raises(SourceError, match="several columns input"):
        find(str(tmp_path))


def test_an_empty_dataset_is_a_problem(tmp_path: Path) -> None:
    """A dataset without samples has a problem."""
    figures = audit(make_run(tmp_path, []))
    assert figures["problems"] == ["there are no samples"]
    assert figures["samples"]["count"] == 0


def test_a_hub_dataset_has_the_same_figures(run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dataset that ``datasets`` loads has the figures of the same folder."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "hub"
    shutil.copytree(run.root / "samples", folder)
    hub = datasets_of._of_hub(str(folder))
    assert audit_dataset(hub).figures == audit_dataset(find(str(folder))).figures


@pytest.mark.parametrize("target", ["nobody/nothing", "no such folder", "."])
def test_what_is_no_dataset_is_refused(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that is not a dataset is refused in one line."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError) as caught:
        find(target)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_an_unreachable_hub_costs_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unreachable Hub costs one request, without the six retries of the datasets library."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    audit = vner_process("audit", "nobody/nothing")
    _, errors = audit.communicate(timeout=600)
    assert audit.returncode == 1
    assert errors.startswith("error: cannot read nobody/nothing from the Hub")
    assert errors.count("\n") == 1


def test_offline_the_hub_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``HF_DATASETS_OFFLINE`` or ``HF_HUB_OFFLINE`` the copy in the cache is loaded without a request."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets_of, "pin", lambda dataset: pytest.fail(f"asked about {dataset}"))
    monkeypatch.setattr(datasets, "load_dataset", lambda name: {})
    assert datasets_of._of_hub("org/name").name == "org/name"


@pytest.mark.slow
def test_the_command(run: RunDir, tmp_path: Path) -> None:
    """``audit`` prints what it writes, and --compare shows the differences of two builds."""
    printed = must_succeed(vner("audit", run.root, "--json"))
    assert json.loads(printed.stdout) == json.loads(run.audit.read_text(encoding="utf-8"))
    shown = vner("audit", run.root).stdout
    assert "no problems" in shown
    assert "university" in shown
    other = make_run(tmp_path / "other", [*ITEMS[:3], Item("p5", "Bão số 3 ở Huế.", [("Bão số 3", "storm")], "test")])
    changes = json.loads(vner("audit", run.root, "--compare", other.root, "--json").stdout)
    assert [entry["label"] for entry in changes["types"]["came_most_frequent"]] == ["storm"]
    assert [entry["label"] for entry in changes["types"]["went_most_frequent"]] == ["company"]
    assert changes["types"]["changed_most"] == [
        {"label": "city", "before": {"samples": 3, "mentions": 4}, "after": {"samples": 2, "mentions": 3}}
    ]
    assert changes["numbers"]["samples"] == {"before": 6, "after": 5}
    cleaning = next(row for row in changes["funnel"] if row["stage"] == "clean")
    assert cleaning["rejected"] == {"hallucinated": {"before": 1, "after": 0}}
    assert "storm" in vner("audit", run.root, "--compare", other.root).stdout
    assert vner("audit", run.root, "--compare", run.root).stdout.count("none") == 1
    refused = vner("audit", tmp_path / "nowhere")
    assert refused.exit_code == 1
    assert refused.stderr.startswith("error: ")
