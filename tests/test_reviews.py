"""Reviews: decisions on the disk, their effect on the dataset, and its figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.cleaning import entity_reviews as reviews
from annotator.cleaning.clean import clean_reply
from annotator.cleaning.corrections import HUMAN, text_sha256
from annotator.cleaning.entity_reviews import Decision, append, apply, read_reviews, verdict_of
from annotator.errors import ConfigError
from annotator.records import Completion, Passage
from annotator.run.runner import run
from annotator.storage import tables
from annotator.storage.rundir import RunDir
from annotator.terminal.progress import make_progress
from data_cards.publication import Target
from data_cards.publish import prepare
from data_cards.report import write_report
from data_cards.review.predictions import read_predictions
from data_cards.review.quality import write_quality
from data_cards.review.session import Session, Settings
from normalizers.labels import LabelNormalizer, load_lexicon
from tests.commands import must_succeed, vner
from tests.rundirs import Item, make_run

TEXT = "Ông Trần Minh Khoa làm ở Công ty Sông Xanh. Hôm qua Trần Minh Khoa về Cần Thơ."
REPLY = '[["Trần Minh Khoa", "person"], ["Sông Xanh", "organization"], ["Cần Thơ", "person"]]'
LABELS = LabelNormalizer(load_lexicon())


def decision(**given: object) -> Decision:
    common = {"reviewer": "an", "mode": "verify", "passage_id": "p", "text_sha256": text_sha256(TEXT)}
    return Decision(**{**common, "time": "2026-01-01T00:00:00+00:00", **given})  # type: ignore[arg-type]


def cleaned_with(*decisions: Decision) -> tuple[list[tuple[str, str, str]], list[tuple[str, str]], bool]:
    passage = Passage("p", TEXT, 30, (), 2)
    first = clean_reply(passage, Completion("k", "p", REPLY, "stop", 1, 1, 0.1, 0.0), LABELS)
    found = apply(first, passage, decisions, LABELS)
    assert found.annotation is not None
    mentions = [(one.text, one.label, one.match) for one in found.annotation.mentions]
    assert all(TEXT[one.start : one.end] == one.text for one in found.annotation.mentions)
    balanced = found.predictions == found.kept + len([one for one in found.rejected if one.stage == "clean"])
    return mentions, [(one.value, one.reason) for one in found.rejected], balanced


def test_a_wrong_type_is_corrected_and_recorded() -> None:
    """An entity with a wrong type gets the new one everywhere; the old one is a rejected record."""
    mentions, rejected, balanced = cleaned_with(
        decision(mention="Cần Thơ", label="person", verdict="type", new_label="city")
    )
    assert ("Cần Thơ", "city", HUMAN) in mentions
    assert ("Cần Thơ", "review: wrong type") in rejected
    assert balanced


def test_a_wrong_span_moves_every_occurrence() -> None:
    """A corrected mention is found in the whole passage."""
    mentions, rejected, balanced = cleaned_with(
        decision(mention="Sông Xanh", label="organization", verdict="span", new_mention="Công ty Sông Xanh")
    )
    assert ("Công ty Sông Xanh", "organization", HUMAN) in mentions
    assert not any(text == "Sông Xanh" for text, _, _ in mentions)
    assert ("Sông Xanh", "review: wrong span") in rejected
    assert balanced


def test_a_wrong_entity_is_removed_alone() -> None:
    """``none`` removes the entity; the others keep their match and the passage is not reviewed."""
    mentions, _, balanced = cleaned_with(decision(mention="Cần Thơ", label="person", verdict="none"))
    assert [text for text, _, _ in mentions] == ["Trần Minh Khoa", "Sông Xanh", "Trần Minh Khoa"]
    assert all(match == "exact" for _, _, match in mentions)
    assert balanced


def test_right_and_unsure_change_nothing() -> None:
    """The verdicts ``right`` and ``unsure`` change nothing."""
    before, *_ = cleaned_with()
    after, rejected, _ = cleaned_with(
        decision(mention="Cần Thơ", label="person", verdict="unsure"),
        decision(mention="Trần Minh Khoa", label="person", verdict="right"),
    )
    assert after == before
    assert not rejected


def test_a_decision_about_another_text_is_ignored() -> None:
    """A decision whose sha256 is not that of the passage is ignored."""
    before, *_ = cleaned_with()
    after, *_ = cleaned_with(decision(mention="Cần Thơ", label="person", verdict="none", text_sha256="0" * 64))
    assert after == before


def test_a_blind_passage_has_the_readers_entities() -> None:
    """A passage read blind has the reader's entities; those equal to the teacher's keep their match."""
    start = TEXT.index("Cần Thơ")
    own = (TEXT.index("Trần"), TEXT.index("Trần") + len("Trần Minh Khoa"), "person")
    mentions, *_ = cleaned_with(decision(mode="blind", entities=(own, (start, start + 7, "city"))))
    assert mentions == [("Trần Minh Khoa", "person", "exact"), ("Cần Thơ", "city", HUMAN)]


def test_types_that_the_reader_did_not_look_for_stay() -> None:
    """A reader who looked only for organizations does not remove persons."""
    mentions, *_ = cleaned_with(decision(mode="blind", entities=(), types=("organization",)))
    assert {label for _, label, _ in mentions} == {"person"}


def test_disagreeing_reviewers_change_nothing_until_settled() -> None:
    """A majority decides, a tie changes nothing, and a settled verdict overrides both."""
    one = decision(mention="Cần Thơ", label="person", verdict="none")
    other = decision(reviewer="binh", mention="Cần Thơ", label="person", verdict="right")
    third = decision(reviewer="chi", mention="Cần Thơ", label="person", verdict="none")
    settled = decision(reviewer="chi", mode="settle", mention="Cần Thơ", label="person", verdict="right")
    assert verdict_of([one, other]) is None
    assert verdict_of([one, other, third]) == one
    assert verdict_of([one, third, settled]) == settled
    unsure = decision(reviewer="binh", mention="Cần Thơ", label="person", verdict="unsure")
    assert verdict_of([one, unsure]) == one


def test_the_last_line_counts_and_undo_removes(tmp_path: Path) -> None:
    """Lines are only appended; the last one about a subject counts, and undo removes it."""
    path = reviews.folder(tmp_path) / "an.jsonl"
    first = decision(mention="Cần Thơ", label="person", verdict="right", stratum="person", rank=3, size=9)
    append(path, first)
    append(path, decision(mention="Cần Thơ", label="person", verdict="none"))
    assert [one.verdict for one in read_reviews(tmp_path).decisions] == ["none"]
    append(path, decision(mention="Cần Thơ", label="person", verdict="undo"))
    assert read_reviews(tmp_path).decisions == ()
    append(path, first)
    assert read_reviews(tmp_path).decisions == (first,)
    assert len(path.read_text(encoding="utf-8").splitlines()) == 4


def test_an_incomplete_line_is_skipped_alone(tmp_path: Path) -> None:
    """An incomplete line, as a kill leaves it, is skipped; the next decision begins a new line."""
    path = reviews.folder(tmp_path) / "an.jsonl"
    append(path, decision(mention="a", label="b", verdict="right"))
    with path.open("ab") as file:
        file.write(b'{"reviewer": "an", "mode": "ver')
    append(path, decision(mention="c", label="d", verdict="none"))
    found = read_reviews(tmp_path)
    assert [one.mention for one in found.decisions] == ["a", "c"]
    assert [line.split(":")[:2] for line in found.unreadable] == [["an.jsonl", "2"]]


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    """A byte order mark, as Windows editors write it, is ignored."""
    path = reviews.folder(tmp_path) / "an.jsonl"
    append(path, decision(mention="a", label="b", verdict="right"))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    found = read_reviews(tmp_path)
    assert [one.mention for one in found.decisions] == ["a"]
    assert found.unreadable == ()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
names = st.sampled_from([*Decision.__dataclass_fields__, "other"])


@pytest.mark.slow
@given(st.dictionaries(names, json_values) | json_values)
def test_any_json_is_a_decision_or_a_reason(value: object) -> None:
    """Any JSON gives a decision or a ValueError with the reason, and no other error."""
    try:
        found = reviews.parse(json.dumps(value))
    except ValueError as error:
        assert str(error)  # noqa: PT017 - both outcomes are right
    else:
        assert found.mode in reviews.MODES


@given(
    st.builds(
        Decision,
        reviewer=st.text(min_size=1),
        mode=st.just("verify"),
        passage_id=st.text(min_size=1),
        text_sha256=st.text(min_size=1),
        time=st.text(min_size=1),
        verdict=st.sampled_from(reviews.VERDICTS),
        mention=st.text(min_size=1),
        label=st.text(min_size=1),
        new_label=st.text(),
        rank=st.integers(0, 9),
    )
)
def test_a_decision_round_trips(own: Decision) -> None:
    """A decision with any text is read back as it was written."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        append(reviews.folder(Path(folder)) / "an.jsonl", own)
        standing = read_reviews(Path(folder))
    assert not standing.unreadable
    assert standing.decisions == (() if own.verdict == "undo" else (own,))


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a b", "ă", "x" * 65])
def test_a_reviewers_name_must_be_a_file_name(name: str) -> None:
    """A reviewer's name that is not a plain file name is refused."""
    with pytest.raises(ConfigError, match="--reviewer"):
        Settings(reviewer=name)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("review") / "run"
    run(root, {"source": "sample", "docs": 6}, make_progress(quiet=True))
    return root


@pytest.mark.slow
def test_a_review_changes_the_dataset_and_can_be_removed(built: Path) -> None:
    """A build applies the verdicts without a request; deleting the review restores all files."""
    before = {path.name: path.read_bytes() for path in built.glob("**/*.parquet")}
    session = Session(RunDir(built), Settings(reviewer="an"))
    item = session.next("verify")["item"]
    session.decide("verify", {**item, "verdict": "none"})
    for _ in range(100):
        session.decide("verify", {**session.next("verify")["item"], "verdict": "right"})
    run(built, {}, make_progress(quiet=True))
    now = {one.passage_id: one for one in tables.read_annotations(RunDir(built).annotations)}
    assert not any((m.text, m.label) == (item["mention"], item["label"]) for m in now[item["passage_id"]].mentions)
    assert any(one.reason == "review: no entity" for one in tables.read_rejected(RunDir(built).rejected))
    assert (item["passage_id"], item["mention"], item["label"]) in read_predictions(RunDir(built), 0).drawn
    quality = write_quality(RunDir(built))
    assert quality is not None
    assert quality["precision"]["n"] == 101
    assert quality["precision"]["verdicts"] == {"right": 100, "type": 0, "span": 0, "none": 1, "unsure": 0}
    assert quality["precision"]["low"] < 100 / 101 < quality["precision"]["high"]
    assert "an" not in json.dumps(quality["precision"]["types"]).split('"')
    must_succeed(vner("quality", built))
    plan = prepare(RunDir(built), Target("org/name"))
    sent = {item.path: item.content for item in plan.items}
    assert "quality.json" in sent
    assert b'"an"' not in bytes(sent["quality.json"])
    assert not any(path.startswith("reviews") for path in sent)
    line = f"precision {100 * quality['precision']['value']:.1f} % (95 % interval"
    assert line in (built / "README.md").read_text(encoding="utf-8")
    write_report(RunDir(built))
    assert line in (built / "report.html").read_text(encoding="utf-8")
    assert line in " ".join(vner("audit", built).output.split())
    must_succeed(vner("quality", built, "--json"))
    (reviews.folder(built) / "an.jsonl").unlink()
    run(built, {}, make_progress(quiet=True))
    after = {path.name: path.read_bytes() for path in built.glob("**/*.parquet")}
    assert after == before


def test_two_reviewers_overlap_as_configured(built: Path) -> None:
    """Without overlap, reviewers judge different entities; with overlap 1 the same ones."""
    keys = []
    for overlap in (0.0, 1.0):
        for path in reviews.folder(built).glob("*.jsonl"):
            path.unlink()
        seen: list[set[tuple[str, str, str]]] = []
        for name in ("an", "binh"):
            session = Session(RunDir(built), Settings(reviewer=name, overlap=overlap))
            own = set()
            for _ in range(10):
                item = session.next("verify")["item"]
                session.decide("verify", {**item, "verdict": "right" if name == "an" else "none"})
                own.add((item["passage_id"], item["mention"], item["label"]))
            seen.append(own)
        keys.append(len(seen[0] & seen[1]))
    assert keys == [0, 10]
    session = Session(RunDir(built), Settings(reviewer="chi", mode="settle"))
    for _ in range(10):
        item = session.next("settle")["item"]
        assert {one["verdict"] for one in item["opinions"]} == {"right", "none"}
        session.decide("settle", {**item, "verdict": "right"})
    assert session.next("settle")["item"] is None
    quality = write_quality(RunDir(built))
    assert quality is not None
    assert quality["precision"]["value"] == 1.0
    assert quality["agreement"]["entities"] == 10
    for path in reviews.folder(built).glob("*.jsonl"):
        path.unlink()


@pytest.mark.slow
def test_recall_comes_from_passages_read_blind(built: Path) -> None:
    """Entities that only the blind reader found lower recall; undo removes the passage from it."""
    session = Session(RunDir(built), Settings(reviewer="an", mode="blind"))
    for _ in range(5):
        item = session.next("blind")["item"]
        session.decide("blind", {"passage_id": item["passage_id"], "marked": [[0, 3, "event"]],
                                 "entities": [*item["predicted"], [0, 3, "event"]]})  # fmt: skip
    quality = write_quality(RunDir(built))
    assert quality is not None
    recall = quality["recall"]
    assert recall["passages"] == 5
    assert recall["found"] == recall["entities"] - 5
    assert recall["low"] < recall["value"] < recall["high"]
    write_report(RunDir(built))
    assert f"recall {100 * recall['value']:.1f} %" in (built / "report.html").read_text(encoding="utf-8")
    assert session.undo() is not None
    again = write_quality(RunDir(built))
    assert again is not None
    assert again["recall"]["passages"] == 4
    (reviews.folder(built) / "an.jsonl").unlink()


@pytest.mark.parametrize(
    "answer",
    [
        {"passage_id": "nowhere", "verdict": "right"},
        {"verdict": "undo"},
        {"verdict": "maybe"},
        {"verdict": "type"},
        {"verdict": "type", "new_label": "???"},
        {"verdict": "span", "new_span": [0, 10**9]},
        {"verdict": "span", "new_span": [3]},
        {"verdict": "right", "mention": "not there"},
    ],
)
def test_an_invalid_answer_is_refused(built: Path, answer: dict[str, object]) -> None:
    """An answer that does not fit the run is refused and not stored."""
    session = Session(RunDir(built), Settings(reviewer="an"))
    item = session.next("verify")["item"]
    with pytest.raises(ValueError, match=r".+"):
        session.decide("verify", {**item, **answer})
    assert not list(reviews.folder(built).glob("*.jsonl"))


def test_review_names_the_command_to_apply_corrections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``review`` names the command that applies corrections only if there are any."""
    monkeypatch.setattr("data_cards.review.server.serve", lambda *_: None)
    root = make_run(tmp_path / "run", [Item("p", TEXT, [("Sông Xanh", "organization"), ("Cần Thơ", "person")])]).root
    path = reviews.folder(root) / "an.jsonl"
    for verdict, label, is_correction in (("right", "organization", False), ("none", "person", True)):
        append(path, decision(mention="Sông Xanh" if verdict == "right" else "Cần Thơ", label=label, verdict=verdict))
        shown = must_succeed(vner("review", root, "--no-browser"))
        assert (f"vner-annotate build --out {root}" in shown.stderr) == is_correction
