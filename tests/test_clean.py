"""Cleaning a reply: every prediction becomes mentions or one rejection with its reason."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.cleaning.clean import Cleaned, LabelLog, clean_reply
from annotator.cleaning.corrections import clean_or_correct
from annotator.records import Completion, LabelUse, Passage, Piece, Rejected
from normalizers.labels import LabelNormalizer, load_lexicon

TEXT = "Bà Nguyễn Thị Hoà làm việc ở Đại học Hà Nội, Hà Nội. Hà Nội đông dân."
NORMALIZER = LabelNormalizer(load_lexicon())


def cleaned(reply: object, finish_reason: str = "stop", text: str = TEXT) -> Cleaned:
    passage = Passage("p1", text, 20, (Piece("d1", 0, len(text)),), 2)
    content = reply if isinstance(reply, str) else json.dumps(reply, ensure_ascii=False)
    return clean_reply(passage, Completion("k", "p1", content, finish_reason, 0, 0, 0.0, 0.0), NORMALIZER)


def reasons(outcome: Cleaned) -> Counter[str]:
    return Counter(item.reason for item in outcome.rejected)


def test_a_mention_is_found_wherever_it_occurs() -> None:
    """Each occurrence becomes a mention with both labels, ordered by start, longer first."""
    outcome = cleaned([["Hà Nội", "CITY"], ["Đại học Hà Nội", "university"], ["Nguyễn Thị Hòa", "PERSON_NAME"]])
    assert outcome.annotation is not None
    found = [(mention.text, mention.label, mention.start) for mention in outcome.annotation.mentions]
    assert found == [
        ("Nguyễn Thị Hoà", "person", 3),
        ("Đại học Hà Nội", "university", 29),
        ("Hà Nội", "city", 45),
        ("Hà Nội", "city", 53),
    ]
    person = outcome.annotation.mentions[0]
    assert (person.raw_label, person.match) == ("PERSON_NAME", "tone")
    assert outcome.annotation.mentions[1].match == "exact"
    assert (outcome.predictions, outcome.kept) == (3, 3)
    (nested,) = outcome.rejected
    assert (nested.stage, nested.reason, nested.value) == ("project", "inside a longer entity", "Hà Nội")


def test_every_kind_of_rejection() -> None:
    """Each kind of rejected prediction has its own reason."""
    outcome = cleaned(
        [
            ["Hà Nội", "city"],
            ["Hà Nội", "City"],
            ["Sài Gòn", "city"],
            ["Nguyễn Thị Hoà Bình", "person"],
            ["Hà Nội", "misc"],
            ["Hà Nội", "vùng đất thiêng liêng"],
            ["Hà Nội"],
        ]
    )
    assert outcome.predictions == 7
    assert outcome.kept == 1
    assert reasons(outcome) == {
        "duplicate": 1,
        "hallucinated": 1,
        "near miss": 1,
        "label rejected": 1,
        "label needs review": 1,
        "malformed claim": 1,
    }


def test_a_rejected_record_has_the_prediction() -> None:
    """A rejected record has mention and label as the teacher wrote them."""
    (rejected,) = cleaned([["Hà Nội", "Vùng_đất thiêng liêng"]]).rejected
    detail = "vùng đất thiêng liêng (not english)"
    assert rejected == Rejected("clean", "label needs review", "p1", "Hà Nội", detail, "Vùng_đất thiêng liêng")


def test_the_merge_log_counts_every_label() -> None:
    """The merge log has result, rule and counts of each raw label, the most frequent first."""
    log = LabelLog()
    log.add(cleaned([["Hà Nội", "City"], ["Nguyễn Thị Hoà", "PER"], ["Sài Gòn", "City"], ["Bà", "vùng đất thiêng"]]))
    log.add(cleaned([["Hà Nội", "City"], ["Hà Nội", "thành phố"], ["Hà Nội", "misc"], ["Hà Nội"]]))
    log.add(cleaned("no answer"))
    assert log.uses() == [
        LabelUse("City", "city", "changed", "format", 3, 6),
        LabelUse("PER", "person", "changed", "abbreviation", 1, 1),
        LabelUse("misc", None, "rejected", "meaningless", 1, 0),
        LabelUse("thành phố", "city", "changed", "vietnamese", 1, 0),
        LabelUse("vùng đất thiêng", "vùng đất thiêng", "review", "not english", 1, 0),
    ]


def test_two_labels_for_one_mention_are_both_kept() -> None:
    """A mention with two labels becomes a mention for each."""
    outcome = cleaned([["Hà Nội", "city"], ["Hà Nội", "thủ đô"]])
    assert outcome.annotation is not None
    assert Counter(mention.label for mention in outcome.annotation.mentions) == {"city": 3, "capital city": 3}


def test_an_empty_list_is_an_answer_and_nonsense_is_not() -> None:
    """``[]`` gives an annotation without mentions; an unreadable reply rejects the passage."""
    empty = cleaned("[]")
    assert empty.annotation is not None
    assert empty.annotation.mentions == ()
    for reply in ("", "I cannot help with that.", "<html>error</html>"):
        outcome = cleaned(reply)
        assert outcome.annotation is None
        assert [(item.stage, item.reason) for item in outcome.rejected] == [("parse", "reply unparsable")]
        assert outcome.predictions == 0


def test_a_cut_off_list_keeps_its_complete_pairs_and_is_marked() -> None:
    """The complete pairs of a truncated list are used, and the annotation is marked as truncated."""
    outcome = cleaned('[["Hà Nội", "city"], ["Nguyễn Thị', finish_reason="length")
    assert outcome.annotation is not None
    assert outcome.annotation.reply_status == "truncated"
    assert {mention.text for mention in outcome.annotation.mentions} == {"Hà Nội"}
    nothing = cleaned('[["Hà N', finish_reason="length")
    assert nothing.annotation is None
    assert [item.reason for item in nothing.rejected] == ["reply truncated"]


@given(st.lists(st.lists(st.one_of(st.text(), st.sampled_from(TEXT.split()), st.just("person")), max_size=3)))
def test_predictions_in_are_predictions_out(reply: list[list[str]]) -> None:
    """In = kept + rejected, and each mention is an exact slice, for any reply."""
    outcome = cleaned(reply)
    of_predictions = [item for item in outcome.rejected if item.stage == "clean"]
    assert outcome.predictions == outcome.kept + len(of_predictions)
    for mention in outcome.annotation.mentions if outcome.annotation else ():
        assert TEXT[mention.start : mention.end] == mention.text
        assert mention.text


def test_the_stage_is_a_stream(make_passage: Callable[..., Passage]) -> None:
    """The stage yields results one at a time, even of an endless source."""

    def endless() -> object:
        while True:
            yield make_passage(TEXT), Completion("k", "p1", '[["Hà Nội", "city"]]', "stop", 0, 0, 0.0, 0.0)

    stream = clean_or_correct(endless(), NORMALIZER, {})  # type: ignore[arg-type]
    assert next(stream).kept == next(stream).kept == 1


@pytest.mark.parametrize(
    "form", ["{0}", "[[{0}, 'city']]", '[["Hà Nội", "{0}"]]', '[("Hà Nội", {0})]', "{{{0}: 'city'}}"]
)
def test_code_in_a_reply_is_not_executed(form: str, tmp_path: Path) -> None:
    """Code in a reply is text and has no effect."""
    trace = tmp_path / "trace"
    cleaned(form.format(f"__import__('pathlib').Path('{trace}').touch()"))
    assert not trace.exists()
