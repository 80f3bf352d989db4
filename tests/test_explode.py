"""Exploding: a sample for each passage and type, negatives, and the length filter."""

from __future__ import annotations

import json
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from annotator.records import Annotation, Mention, Rejected, Sample
from annotator.samples.explode import Negatives, explode, positives, type_frequency
from normalizers.labels import related
from tests.fake_tokenizer import WORDS

TEXT = "Ông An gặp bà Bình ở Hà Nội. Ông An về Hà Nội."


def annotation(*labelled: tuple[str, str], text: str = TEXT, passage_id: str = "p1") -> Annotation:
    mentions = []
    for surface, label in labelled:
        start = text.index(surface)
        mentions.append(Mention(surface, label, label, start, start + len(surface), "exact"))
    return Annotation(passage_id, text, tuple(sorted(mentions, key=lambda mention: mention.start)), "ok")


def test_one_sample_per_type_with_distinct_mentions_in_order() -> None:
    """A sample lists the distinct mentions of its type in order, with unescaped Vietnamese letters."""
    record = annotation(("An", "person"), ("Bình", "person"), ("Hà Nội", "city"), ("An", "person"))
    first, second = positives(record)
    assert (first.entity_type, first.output) == ("person", '["An", "Bình"]')
    assert (second.entity_type, second.output) == ("city", '["Hà Nội"]')
    assert first.instruction == "What describes person in the text?"
    assert (first.input, first.passage_id, first.negative) == (TEXT, "p1", False)
    assert first.id != second.id


def test_a_passage_without_entities_gives_no_positive() -> None:
    """A passage without entities has no positive sample, but can have negatives."""
    empty = annotation()
    assert positives(empty) == []
    (negative,) = Negatives(Counter(person=1), 1.0, 0).draw(empty)
    assert (negative.output, negative.negative, negative.entity_type) == ("[]", True, "person")


def test_negatives_are_absent_and_unrelated_types() -> None:
    """Negatives are distinct types that are absent and unrelated to those present."""
    frequency = Counter({"person": 90, "city": 80, "location": 70, "disease": 60, "money": 50, "law": 40})
    record = annotation(("An", "person"), ("Hà Nội", "city"))
    for seed in range(50):
        drawn = [sample.entity_type for sample in Negatives(frequency, 1.0, seed).draw(record)]
        assert len(drawn) == len(set(drawn)) == 2
        assert not any(related(one, present) for one in drawn for present in ("person", "city"))
    assert related("location", "city"), "the test wants a related type among the candidates"


def test_negatives_follow_frequency() -> None:
    """A type nine times as frequent is drawn about nine times as often, over 1,000 passages."""
    draws = Negatives(Counter({"disease": 900, "law": 100}), 1.0, seed=3)
    drawn = Counter(
        sample.entity_type
        for number in range(1000)
        for sample in draws.draw(annotation(("An", "person"), passage_id=f"p{number}"))
    )
    assert 860 <= drawn["disease"] <= 940
    assert drawn.total() == 1000


def test_a_fractional_ratio_is_kept_on_average() -> None:
    """A ratio of 0.3 gives about 300 negatives for 1,000 passages."""
    draws = Negatives(Counter({"disease": 1}), 0.3, seed=1)
    total = sum(len(draws.draw(annotation(("An", "person"), passage_id=f"p{number}"))) for number in range(1000))
    assert 250 <= total <= 350


def test_no_negatives_unless_asked() -> None:
    """With the default ratio of 0, or without types, there are no negatives."""
    assert Negatives(Counter(law=5), 0.0, 0).draw(annotation(("An", "person"))) == []
    assert Negatives(Counter(), 1.0, 0).draw(annotation()) == []


def test_too_long_is_rejected_with_its_part() -> None:
    """A sample whose input or output exceeds the limit is rejected with that part."""
    long_input = annotation(("An", "person"), text="Ông An " + "rất vui " * 600)
    (rejected,) = explode([long_input], Negatives(Counter(), 0, 0), WORDS, 1024)
    assert isinstance(rejected, Rejected)
    assert (rejected.stage, rejected.reason, rejected.value) == ("explode", "too long", "person")
    assert rejected.detail == "input over 1024 tokens"
    (sample,) = explode([annotation(("An", "person"))], Negatives(Counter(), 0, 0), WORDS, 1024)
    assert isinstance(sample, Sample)


def test_type_frequency_counts_passages() -> None:
    """The frequency of a type counts passages, not mentions."""
    records = [annotation(("An", "person"), ("Bình", "person")), annotation(("An", "person"), ("Hà Nội", "city"))]
    assert type_frequency(records) == {"person": 2, "city": 1}


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=5, unique=True))
def test_the_output_reads_back(texts: list[str]) -> None:
    """The output is JSON that reads back any mention."""
    mentions = tuple(Mention(text, "thing", "thing", 0, len(text), "exact") for text in texts)
    (sample,) = positives(Annotation("p", "", mentions, "ok"))
    assert json.loads(sample.output) == texts
