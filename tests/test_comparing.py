"""Entities of two teachers are compared, listed for an arbiter, kept or rejected, and counted."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.checking.arbiter import QUESTIONS, accepted, listing, marked
from annotator.checking.compare import VERDICTS, candidates, compare, entities_of
from annotator.checking.keeping import apply
from annotator.checking.opinions import opinions
from annotator.cleaning.clean import Cleaned
from annotator.records import Annotation, Completion, Mention
from data_cards.audit.agreement import figures, missed_by_both
from data_cards.review.missed import measured_by_both
from data_cards.review.readers import Gold
from data_cards.views.differences import draft, grouped

TEXT = "Ông Trần Minh Khoa làm ở Công ty Sông Xanh tại Cần Thơ; Trần Minh Khoa quê ở Huế."


def annotation(*entities: tuple[str, str]) -> Annotation:
    """Return an annotation with every occurrence of each mention in ``TEXT``."""
    found = [
        Mention(text, label, label, start, start + len(text), "exact")
        for text, label in entities
        for start in range(len(TEXT))
        if TEXT.startswith(text, start)
    ]
    ordered = sorted(found, key=lambda one: (one.start, -one.end, one.label))
    return Annotation("p", TEXT, tuple(ordered), "ok")


def verdicts(first: Annotation, second: Annotation) -> dict[tuple[str, str], str]:
    return {entity.key: pair.verdict for pair in compare(first, second) for entity in pair.entities}


def test_each_entity_gets_the_verdict_of_its_pair() -> None:
    """Pairs are agreed, of another grain, of another type, nested, or of one teacher only."""
    first = annotation(
        ("Trần Minh Khoa", "person"), ("Công ty Sông Xanh", "company"), ("Cần Thơ", "person"), ("Huế", "city")
    )
    second = annotation(
        ("Trần Minh Khoa", "person"), ("Công ty Sông Xanh", "organization"), ("Cần Thơ", "city"), ("Ông", "title")
    )
    assert verdicts(first, second) == {
        ("Trần Minh Khoa", "person"): "agreed",
        ("Công ty Sông Xanh", "company"): "grain",
        ("Công ty Sông Xanh", "organization"): "grain",
        ("Cần Thơ", "person"): "other type",
        ("Cần Thơ", "city"): "other type",
        ("Huế", "city"): "only first",
        ("Ông", "title"): "only second",
    }


def test_spans_that_differ_are_nested_or_overlap() -> None:
    """A shorter name of the same type is nested, a shifted one overlaps; other types within a name are neither."""
    assert verdicts(annotation(("Minh Khoa", "person")), annotation(("Trần Minh Khoa", "person"))) == {
        ("Minh Khoa", "person"): "nested",
        ("Trần Minh Khoa", "person"): "nested",
    }
    crossing = verdicts(annotation(("Ông Trần", "person")), annotation(("Trần Minh Khoa", "person")))
    assert set(crossing.values()) == {"overlapping"}
    apart = verdicts(annotation(("Công ty Sông Xanh", "company")), annotation(("Sông Xanh", "river")))
    assert set(apart.values()) == {"only first", "only second"}


def test_punctuation_at_the_edge_is_no_other_span() -> None:
    """A full stop or a comma at the end of a name makes no difference."""
    assert set(verdicts(annotation(("Huế", "city")), annotation(("Huế.", "city"))).values()) == {"agreed"}
    assert set(verdicts(annotation((";", "city")), annotation(("Huế", "city"))).values()) == {
        "only first",
        "only second",
    }


WORDS = ("Trần Minh Khoa", "Minh Khoa", "Khoa", "Công ty Sông Xanh", "Sông Xanh", "Cần Thơ", "Huế", "Ông Trần")
ENTITIES = st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(("person", "company", "organization", "city"))))


@given(ENTITIES, ENTITIES)
def test_every_entity_is_in_exactly_one_pair(one: list[tuple[str, str]], other: list[tuple[str, str]]) -> None:
    """Every entity is in exactly one pair, and the agreement is symmetric."""
    first, second = annotation(*dict.fromkeys(one)), annotation(*dict.fromkeys(other))
    pairs = compare(first, second)
    assert sorted(pair.first.key for pair in pairs if pair.first) == sorted(e.key for e in entities_of(first))
    assert sorted(pair.second.key for pair in pairs if pair.second) == sorted(e.key for e in entities_of(second))
    assert {pair.verdict for pair in pairs} <= set(VERDICTS)
    agreed = sum(pair.verdict == "agreed" for pair in pairs)
    assert agreed == len(set(one) & set(other)) == sum(pair.verdict == "agreed" for pair in compare(second, first))
    rows = list(opinions("p", pairs))
    assert all(0 <= row.doubt <= 1 and TEXT[row.start : row.end] == row.mention for row in rows)


@given(ENTITIES, ENTITIES, st.sampled_from(("all", "agreed", "union", "arbiter")), st.randoms())
def test_what_is_kept_and_rejected_adds_up(
    one: list[tuple[str, str]], other: list[tuple[str, str]], keep: str, random: Any
) -> None:
    """In = kept + rejected for every --keep; mentions are distinct slices of the text."""
    first, second = annotation(*dict.fromkeys(one)), annotation(*dict.fromkeys(other))
    pairs = compare(first, second)
    asked = candidates(pairs)
    right = frozenset(entity.key for entity in asked if random.random() < 0.5)
    number = len(entities_of(first))
    found = apply(Cleaned(first, number, ()), pairs, keep, right)
    assert found.annotation is not None
    assert found.predictions == found.kept + len(found.rejected)
    kept = entities_of(found.annotation)
    assert len(kept) == found.kept
    spans = [(mention.start, mention.end, mention.label) for mention in found.annotation.mentions]
    assert len(spans) == len(set(spans))
    wanted = {
        "all": set(one),
        "union": {entity.key for pair in pairs for entity in pair.entities[:1]} | {e.key for e in asked},
    }
    if keep in wanted:
        assert {entity.key for entity in kept} == wanted[keep]


def test_the_arbiter_does_not_see_whose_candidates_they_are() -> None:
    """Candidates are in the order of the passage; swapping the teachers gives the same question."""
    first = annotation(("Minh Khoa", "person"), ("Cần Thơ", "person"))
    second = annotation(("Trần Minh Khoa", "person"), ("Cần Thơ", "city"))
    one, other = candidates(compare(first, second)), candidates(compare(second, first))
    assert all(shown(TEXT, one) == shown(TEXT, other) for shown in QUESTIONS.values())
    assert listing(TEXT, one).splitlines()[-4:] == [
        "1. Trần Minh Khoa: person",
        "2. Minh Khoa: person",
        "3. Cần Thơ: city",
        "4. Cần Thơ: person",
    ]
    assert marked(TEXT, one).splitlines() == [
        "Ông [1 person: Trần [2 person: Minh Khoa]] làm ở",
        "Xanh tại [3 city, 4 person: Cần Thơ]; Trần Minh",
    ]


def test_crossing_spans_have_separate_excerpts() -> None:
    """Crossing spans are marked in separate excerpts, so that brackets never cross."""
    asked = candidates(compare(annotation(("Ông Trần", "person")), annotation(("Trần Minh Khoa", "person"))))
    assert marked(TEXT, asked).splitlines() == [
        "[1 person: Ông Trần] Minh Khoa",
        "Ông [2 person: Trần Minh Khoa] làm",
    ]


@given(ENTITIES, ENTITIES)
def test_every_candidate_is_marked_once_in_its_own_words(
    one: list[tuple[str, str]], other: list[tuple[str, str]]
) -> None:
    """Every candidate is marked once, with number and type; without marks the excerpts are slices."""
    pairs = compare(annotation(*dict.fromkeys(one)), annotation(*dict.fromkeys(other)))
    asked = candidates(pairs)
    shown = marked(TEXT, asked)
    assert re.findall(r"(\d+) (\w+)(?=[,:])", shown) == [(str(n), e.label) for n, e in enumerate(asked, start=1)]
    assert all(re.sub(r"\[[^:\[\]]*: |\]", "", line) in TEXT for line in shown.splitlines())
    assert len(shown) <= len(listing(TEXT, asked))


@pytest.mark.parametrize(
    ("reply", "right"),
    [
        ("[2, 1]", {1, 2}),
        ("[02, 1]", {1, 2}),
        ("[]", set()),
        ("<think>[1]</think>\nRight are: [2]", {2}),
        ("[1, 9]", None),
        ("all", None),
    ],
)
def test_an_answer_that_cannot_be_read_decides_nothing(reply: str, right: set[int] | None) -> None:
    """An answer without a list, or with unknown numbers, changes nothing."""
    asked = candidates(compare(annotation(("Huế", "city")), annotation(("Cần Thơ", "city"))))
    found = accepted(Completion("k", "p", reply, "stop", 1, 1, 0.1, 0.0), asked)
    assert found == (None if right is None else frozenset(asked[number - 1].key for number in right))


def test_capture_and_recapture() -> None:
    """The estimate of entities that both missed is Chapman's, computed by hand."""
    found = missed_by_both({"agreed": 40, "only first": 40, "only second": 10}, {})
    assert found is not None
    assert found["missed"] == pytest.approx(81 * 51 / 41 - 1 - 90, abs=0.05)
    assert 0 < found["low"] < found["share"] < found["high"] < 1
    assert missed_by_both({}, {}) is None
    alone = missed_by_both({"agreed": 40, "only first": 40}, {})
    assert alone is not None
    assert (alone["missed"], alone["low"], alone["high"]) == (0.0, 0.0, 0.0)


def test_what_both_missed_is_counted_in_passages_read_blind() -> None:
    """An entity that neither teacher has is missed; one with another span or type is found."""
    gold = frozenset(
        [("Trần Minh Khoa", "person"), ("Công ty Sông Xanh", "company"), ("Huế", "city"), ("Sông", "river")]
    )
    one = annotation(("Minh Khoa", "person"), ("Công ty Sông Xanh", "person"))
    rows = list(opinions("p", compare(one, annotation())))
    other = Gold("q", frozenset([("Cần Thơ", "city")]), frozenset())
    golds = [Gold("p", gold, frozenset()), other, replace(other, passage_id="r")]
    texts = dict.fromkeys("pqr", TEXT)
    predicted = {"p": [("Minh Khoa", "person")], "q": [], "r": [("Huế", "city")]}
    found = measured_by_both(golds, texts, predicted, rows, 1.0, 100)
    assert found is not None
    # The second teacher did not answer about r; neither has an entity in q.
    assert (found["n"], found["entities"], found["missed"], found["value"]) == (2, 5, 3, 0.6)
    assert found["low"] < 0.6 < found["high"]
    part = measured_by_both(golds, texts, predicted, rows, 0.5, 100)
    assert part is not None
    assert (part["n"], part["missed"]) == (1, 2)  # it is not known whether it was asked about q
    assert measured_by_both([], {}, {}, rows, 1.0, 100) is None


def test_differences_are_grouped_by_guideline_question() -> None:
    """Titles in names, nested names, types and generic nouns are counted, each with an example."""
    first = annotation(
        ("Ông Trần Minh Khoa", "person"), ("Sông Xanh", "company"), ("Cần Thơ", "person"), ("làm", "event")
    )
    second = annotation(("Trần Minh Khoa", "person"), ("Công ty Sông Xanh", "company"), ("Cần Thơ", "city"))
    found = {one["kind"]: one for one in grouped(opinions("p", compare(first, second)))}
    assert {kind: one["count"] for kind, one in found.items()} == {
        "titles in names": 1, "nested organisations": 1, "types": 1, "generic nouns": 1,
    }  # fmt: skip
    assert found["types"]["examples"] == [{"example": "city or person: Cần Thơ", "count": 1}]
    assert found["generic nouns"]["examples"] == [{"example": "event, only the first teacher: làm", "count": 1}]
    page = draft(list(found.values()))
    assert "- Trần Minh Khoa / Ông Trần Minh Khoa: person (1)" in page
    assert page.count("\nRule:\n") == len(found)


def test_figures_do_not_depend_on_the_order_of_rows() -> None:
    """Counts, F1 and the most different passages do not depend on the order of the rows."""
    first = annotation(("Trần Minh Khoa", "person"), ("Huế", "city"))
    second = annotation(("Trần Minh Khoa", "person"), ("Cần Thơ", "person"))
    rows = [row for name in "abc" for row in opinions(name, compare(first, second))]
    found = figures(rows)
    assert found == figures(rows[::-1])
    assert found["f1"]["strict"] == 0.5
