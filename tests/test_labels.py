"""The label rules: examples of each rule, and properties that hold for any text."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalizers.labels import LabelDecision, LabelNormalizer, alike, clean_label, near, related
from normalizers.lexicon.rules import RULES, settle
from tests.test_lexicon import ABBREVIATIONS, LEXICON, SYNONYMS, TOP_TEN, VIETNAMESE

LABELS = sorted(LEXICON.known | VIETNAMESE.keys() | SYNONYMS.keys() | ABBREVIATIONS.keys() | LEXICON.bare.keys())
PIECES = st.sampled_from(
    [
        *LABELS[::7],
        *"/|,;()[]{}<>\"'._-:&%+ \n",
        " and ",
        " or ",
        "B-",
        "EntityType.",
        "type: ",
        "tên ",
        "các ",
        "s",
        "es",
        "1",
        "人",
        "ß",
        "İ",
    ]
)
ANY_LABEL = st.one_of(st.text(max_size=80), st.lists(PIECES, max_size=6).map("".join), st.sampled_from(LABELS))


# Examples of each rule.


@pytest.mark.parametrize(
    ("raw", "label"),
    [
        ("organization", "organization"),
        ("Organization", "organization"),
        ("  location \n", "location"),
        ("ｐｅｒｓｏｎ", "person"),
        ("per\u00adson\u200b", "person"),
        ("field\u00a0of\u2009study", "field of study"),
        ("entity_type:organization", "organization"),
        ("entity_type:field_of_study", "field of study"),
        ("entity_type.person", "person"),
        ("Entity Type: Person", "person"),
        ("type=person", "person"),
        ("label: type: person", "person"),
        ('"type": "person"', "person"),
        ('{"entity_type": "person"}', "person"),
        ("<type>person</type>", "person"),
        ("loại thực thể: event", "event"),
        ("1. person", "person"),
        ("B-PERSON", "person"),
        ("I_Location", "location"),
        ("_organization", "organization"),
        (".organization", "organization"),
        ("organization:", "organization"),
        ("**Event**", "event"),
        ("['person']", "person"),
        ("«person»", "person"),
        ("field_of_study", "field of study"),
        ("field-of-study", "field of study"),
        ("fieldOfStudy", "field of study"),
        ("FieldOfStudy", "field of study"),
        ("COVID-19 vaccine", "covid-19 vaccine"),
        ("People's Committee", "people's committee"),
        ("People’s Committee", "people's committee"),
        ("U.S. state", "us state"),
        ("Oil & Gas", "oil and gas"),
    ],
)
def test_form(normalizer: LabelNormalizer, raw: str, label: str) -> None:
    """Characters that are not part of a label are removed; its words are lower case with single spaces."""
    decision = normalizer.decide(raw)
    assert (decision.label, decision.rule) == (label, decision.rule if raw == label else "format")
    assert decision.status == ("kept" if raw == label else "changed")


@pytest.mark.parametrize(
    ("raw", "label", "rule"),
    [
        ("ORG", "organization", "abbreviation"),
        ("EntityType.ORG", "organization", "abbreviation"),
        ("B-PER", "person", "abbreviation"),
        ("<LOC>", "location", "abbreviation"),
        ("NGOs", "nongovernmental organization", "abbreviation"),
        ("CLB", "club", "abbreviation"),
        ("GPE", "geopolitical entity", "abbreviation"),
        ("intl org", "international organization", "spelling"),
        ("organisation", "organization", "spelling"),
        ("Organisations", "organization", "spelling"),
        ("TV programmes", "television show", "synonym"),
        ("e-commerce platform", "ecommerce platform", "spelling"),
        ("soccer player", "football player", "synonym"),
        ("cities", "city", "plural"),
        ("countries", "country", "plural"),
        ("companies", "company", "plural"),
        ("currencies", "currency", "plural"),
        ("diseases", "disease", "plural"),
        ("buses", "bus", "plural"),
        ("children", "child", "plural"),
        ("people", "person", "plural"),
        ("churches", "church", "plural"),
        ("taxes", "tax", "plural"),
        ("heroes", "hero", "plural"),
        ("photos", "photo", "plural"),
        ("women", "woman", "plural"),
        ("analyses", "analysis", "plural"),
        ("fields of study", "field of study", "plural"),
        ("members of parliament", "member of parliament", "plural"),
        ("place", "location", "synonym"),
        ("geographic location", "location", "synonym"),
        ("human", "person", "synonym"),
        ("amount of money", "money", "synonym"),
        ("monetary value", "money", "synonym"),
        ("percent", "percentage", "synonym"),
        ("datetime", "date", "synonym"),
        ("illness", "disease", "synonym"),
        ("nation", "country", "synonym"),
        ("profession", "occupation", "synonym"),
        ("PERSON_NAME", "person", "wrapping"),
        ("name of the company", "company", "wrapping"),
        ("type of vehicle", "vehicle type", "wrapping"),
        ("location entity", "location", "wrapping"),
        ("person 2", "person", "wrapping"),
        ("organiztion", "organization", "typing error"),
        ("locaton", "location", "typing error"),
        ("loaction", "location", "typing error"),
        ("medical conditon", "medical condition", "typing error"),
        ("tổ chức", "organization", "vietnamese"),
        ("TỔ CHỨC", "organization", "vietnamese"),
        ("Tổ_chức", "organization", "vietnamese"),
        ("ngày tháng", "date", "vietnamese"),
        ("thời gian", "time", "vietnamese"),
        ("chức danh", "title", "vietnamese"),
        ("chức vụ", "title", "vietnamese"),
        ("huyện", "district", "vietnamese"),
        ("đội bóng", "sports team", "vietnamese"),
        ("hoá chất", "chemical", "vietnamese"),
        ("hóa chất", "chemical", "vietnamese"),
        ("thuỷ sản", "aquatic product", "vietnamese"),
        ("bác sỹ", "doctor", "vietnamese"),
        ("tỉ lệ", "ratio", "vietnamese"),
        ("Tên của công ty", "company", "vietnamese"),
        ("các tổ chức", "organization", "vietnamese"),
        ("to_chuc", "organization", "bare vietnamese"),
        ("ToChuc", "organization", "bare vietnamese"),
        ("tochuc", "organization", "bare vietnamese"),
        ("ten_nguoi", "person", "bare vietnamese"),
        ("benh", "disease", "bare vietnamese"),
    ],
)
def test_meaning(normalizer: LabelNormalizer, raw: str, label: str, rule: str) -> None:
    """A label that means a known type becomes that type, and the decision names the rule."""
    assert normalizer.decide(raw) == LabelDecision(raw, label, "changed", rule)


@pytest.mark.parametrize(
    "label",
    [
        *TOP_TEN,
        *("city", "company", "university", "politician", "doctor"),
        *(
            "news",
            "species",
            "series",
            "gas",
            "virus",
            "physics",
            "status",
            "crisis",
            "analysis",
            "campus",
            "bus",
            "lens",
        ),
        *(
            "politics",
            "economics",
            "address",
            "business",
            "process",
            "diabetes",
            "measles",
            "armed forces",
            "headquarters",
        ),
        *("vocation", "persona", "song", "county", "winger", "prayer"),
        *("blood type", "domain name", "quantum widget", "number of people"),
    ],
)
def test_good_labels_are_kept(normalizer: LabelNormalizer, label: str) -> None:
    """Canonical types, singular words in -s, words close to a type and unknown English types are kept."""
    decision = normalizer.decide(label)
    assert (decision.label, decision.status) == (label, "kept")
    assert decision.rule == ("known" if label in LEXICON.known else "open")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", "empty"),
        ("???", "empty"),
        ("2023", "number"),
        ("a", "single letter"),
        ("O", "single letter"),
        ("组织", "foreign script"),
        ("Организация", "foreign script"),
        ("оrganization", "foreign script"),  # the first letter is Cyrillic
        ("entity", "meaningless"),
        ("Named Entities", "meaningless"),
        ("MISC", "meaningless"),
        ("N/A", "meaningless"),
        ("NaN", "meaningless"),
        ("Others", "meaningless"),
        ("object", "meaningless"),
        ("type of entity 1", "meaningless"),
        ("entity 1", "meaningless"),
        ("thực thể 2", "meaningless"),
        ("khác", "meaningless"),
        ("không xác định", "meaningless"),
        ("khong_ro", "meaningless"),
        ("none/other", "meaningless"),
        ("a person who works at the hospital", "too long"),
        ("x" * 61, "too long"),
        ("word " * 50, "too long"),
        ("person/event/disease/vehicle", "too long"),
    ],
)
def test_rejected(normalizer: LabelNormalizer, raw: str, reason: str) -> None:
    """A label that is not a type in Latin letters, or has no meaning, is rejected with its reason."""
    assert normalizer.decide(raw) == LabelDecision(raw, None, "rejected", reason)


@pytest.mark.parametrize(
    ("raw", "label", "reason"),
    [
        ("Đặc sản lạ kỳ", "đặc sản lạ kỳ", "not english"),
        ("mon_ngon_la", "mon ngon la", "not english"),
        ("país", "país", "not english"),
        ("mon ngon la/person", "mon ngon la/person", "not english"),
    ],
)
def test_review(normalizer: LabelNormalizer, raw: str, label: str, reason: str) -> None:
    """Vietnamese outside the lexicon, alone or in a compound, is left to a person, in clean form."""
    assert normalizer.decide(raw) == LabelDecision(raw, label, "review", reason)


@pytest.mark.parametrize(
    ("raw", "label"),
    [
        ("Địa điểm/Location", "location"),
        ("human / individual", "person"),
        ("person/other", "person"),
        ("tổ chức | организация", "organization"),
        ("date/time", "date"),
        ("Dates, Times", "date"),
        ("Organization (NGO)", "organization"),
        ("LOC (city)", "location"),
        ("organization(s)", "organization"),
        ("Địa điểm (Location)", "location"),
        ("món lạ (food)", "food"),
        ("人 (person)", "person"),
        ("Other (event)", "event"),
    ],
)
def test_two_names_of_one_type(normalizer: LabelNormalizer, raw: str, label: str) -> None:
    """Alternatives that mean one type become that type; a part in brackets counts only if the rest fails."""
    assert normalizer.decide(raw).label == label
    assert normalizer.decide(raw).status == "changed"


@pytest.mark.parametrize("bare", ["nam", "song", "ban", "truyen thong", "nha tho", "so do", "thi truong"])
def test_ambiguous_without_diacritics(normalizer: LabelNormalizer, bare: str) -> None:
    """A word without diacritics that is also another word is not translated."""
    assert normalizer.decide(bare).label == bare


def cases() -> list[tuple[str, str, str]]:
    """Return (kind, raw label, accepted answers) from labels.tsv."""
    lines = (Path(__file__).parent / "labels.tsv").read_text(encoding="utf-8").splitlines()
    return [(kind, raw, accepted) for kind, raw, accepted in (line.split("\t") for line in lines[1:])]


@pytest.mark.parametrize("kind", dict.fromkeys(kind for kind, _, _ in cases()))
def test_examples_of_every_kind(normalizer: LabelNormalizer, kind: str) -> None:
    """Each label of labels.tsv gets one of its accepted answers; ``!reject`` accepts rejected or review."""
    wrong = {}
    for _, raw, accepted in (case for case in cases() if case[0] == kind):
        got = normalizer.decide(raw)
        answer = "!reject" if got.status in {"rejected", "review"} else got.label
        if answer not in accepted.split("|"):
            wrong[raw] = answer
    assert wrong == {}


@pytest.mark.parametrize(
    ("raw", "label"),
    [
        ("Symptom_and_Disease", "symptom and disease"),
        ("Products/Brands", "product/brand"),
        ("Nationality or demonym", "nationality or demonym"),
        ("PER/ORG", "person/organization"),
        ("triệu chứng và bệnh", "symptom and disease"),
    ],
)
def test_a_compound_is_kept(normalizer: LabelNormalizer, raw: str, label: str) -> None:
    """A compound is kept with normalised parts and marked; it is related to its parts."""
    assert normalizer.decide(raw) == LabelDecision(raw, label, "changed", "compound")
    assert normalizer.decide(label) == LabelDecision(label, label, "kept", "compound")
    assert all(related(label, part) for part in re.split("/| and | or ", label))


def test_near_types_are_not_merged(normalizer: LabelNormalizer) -> None:
    """Near types remain two types, near and alike in both directions, and related."""
    for one, others in LEXICON.near.items():
        assert normalizer.decide(one).label == one
        for other in others:
            assert other in near(one)
            assert one in near(other)
            assert other in alike(one)
            assert one in alike(other)
            assert related(one, other)
    assert near("price") == {"money"}
    assert near("quantum widget") == alike("quantum widget") == frozenset()


def test_every_pair_of_types_gets_a_decision(normalizer: LabelNormalizer) -> None:
    """Two coarse types joined in any way get a label that a second decision does not change."""
    for one, other in itertools.product(sorted(LEXICON.coarse), repeat=2):
        for joiner in (" ", "", "-", "/", " and ", ": ", " or "):
            label = normalizer.decide(f"{one}{joiner}{other}").label
            assert label is not None
            assert normalizer.decide(label).label == label


def test_spelling_and_spacing_do_not_undo_each_other() -> None:
    """The spacing rule does not split what the spelling rule joins, and the other way round."""
    rules = dict(RULES)
    for word in LEXICON.spelling.values():
        assert rules["spacing"](LEXICON, word) == word
    for name in LEXICON.glued.values():
        assert settle(LEXICON, name)[0] == settle(LEXICON, name.replace(" ", ""))[0]


# A user's decisions.


def test_decisions_of_a_user_win() -> None:
    """A user's decision may name the raw, clean or normalised label, and overrides every rule."""
    normalizer = LabelNormalizer(
        LEXICON, {"CITY": "Location", "tổ chức": None, "mystery": "event", "organisation": "body"}
    )
    assert normalizer.decide("CITY") == LabelDecision("CITY", "location", "changed", "user")
    assert normalizer.decide("Cities").label == "location"
    assert normalizer.decide("TỔ_CHỨC") == LabelDecision("TỔ_CHỨC", None, "rejected", "user")
    assert normalizer.decide("mystery").label == "event"
    assert normalizer.decide("organisation").label == "body"
    assert normalizer.decide("organization").status == "kept"


def test_a_chosen_label_is_kept_against_the_rules() -> None:
    """A user may decide for a label that the rules would change."""
    normalizer = LabelNormalizer(LEXICON, {"city": "places", "people": "people"})
    assert normalizer.decide("city").label == "places"
    assert normalizer.decide("places") == LabelDecision("places", "places", "kept", "user")
    assert normalizer.decide("people") == LabelDecision("people", "people", "kept", "user")


def test_chains_of_decisions() -> None:
    """A chain of decisions is followed to its end; a circle or a label without letters is an error."""
    assert LabelNormalizer(LEXICON, {"a1": "b1", "b1": "c1"}).decide("a1").label == "c1"
    assert LabelNormalizer(LEXICON, {"a1": "b1", "b1": None}).decide("a1").status == "rejected"
    with pytest.raises(ValueError, match="circle: "):
        LabelNormalizer(LEXICON, {"a1": "b1", "b1": "A1"})
    with pytest.raises(ValueError, match="no label with letters"):
        LabelNormalizer(LEXICON, {"a1": "?"})


def test_decisions_are_cached(normalizer: LabelNormalizer) -> None:
    """The decision about a label is cached."""
    assert normalizer.decide("Cities") is normalizer.decide("Cities")


# Properties.


@given(ANY_LABEL)
def test_idempotent(raw: str) -> None:
    """Any text gets a decision, and deciding about its label again changes nothing."""
    normalizer = LabelNormalizer(LEXICON)
    first = normalizer.decide(raw)
    assert first.raw == raw
    assert (first.label is None) == (first.status == "rejected")
    assert (first.label == raw) or first.status != "kept"
    if first.label is not None:
        again = normalizer.decide(first.label)
        assert again.label == first.label
        assert again.status == ("review" if first.status == "review" else "kept")


@given(
    ANY_LABEL,
    st.dictionaries(
        st.sampled_from([*TOP_TEN, "Cities", "tổ chức"]), st.sampled_from([None, "thing one", "CITY"]), max_size=4
    ),
)
def test_idempotent_with_decisions(raw: str, decisions: dict[str, str | None]) -> None:
    """Deciding is idempotent with any decisions of a user, also for the labels that they name."""
    normalizer = LabelNormalizer(LEXICON, decisions)
    for start in (raw, *decisions):
        label = normalizer.decide(start).label
        assert label is None or normalizer.decide(label).label == label


@given(ANY_LABEL)
def test_a_kept_label_is_clean(raw: str) -> None:
    """A label that is not under review is lower-case ASCII, and cleaning does not change it."""
    decision = LabelNormalizer(LEXICON).decide(raw)
    if decision.label is not None:
        assert clean_label(decision.label) == decision.label
        if decision.status != "review":
            assert decision.label.isascii()
            assert decision.label == decision.label.lower()


@given(st.sampled_from(LABELS) | st.text(max_size=20), st.sampled_from(LABELS))
def test_related_is_symmetric_and_reflexive(a: str, b: str) -> None:
    """``related`` is symmetric and reflexive."""
    assert related(a, b) == related(b, a)
    assert related(a, a)
    assert related(b, b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("city", "location"),
        ("country", "location"),
        ("university", "organization"),
        ("doctor", "person"),
        ("president", "title"),
        ("date", "time"),
        ("disease", "symptom"),
        ("hospital", "location"),
        ("hospital", "organization"),
        ("army doctor", "person"),
        ("minister of health", "person"),
        ("salary", "money"),
        ("war", "event"),
    ],
)
def test_related(a: str, b: str) -> None:
    """Types are related if one contains the other or if both could apply to one mention."""
    assert related(a, b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("person", "organization"),
        ("city", "organization"),
        ("city", "river"),
        ("doctor", "lawyer"),
        ("disease", "money"),
        ("event", "country"),
        ("title", "person"),
        ("quantum widget", "person"),
    ],
)
def test_not_related(a: str, b: str) -> None:
    """Distinct types are not related, so that they can be negatives of each other."""
    assert not related(a, b)
