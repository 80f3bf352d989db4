"""The lexicon of labels: every line is used, none contradicts another, and types are canonical."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from importlib.resources import files
from typing import Any

import pytest

from normalizers import lexicon as lexicon_module
from normalizers.labels import LabelDecision, LabelNormalizer, clean_label, load_lexicon
from normalizers.lexicon import vietnamese_key
from normalizers.lexicon.rules import RULES, settle
from normalizers.text import strip_diacritics

LEXICON = load_lexicon()
TOP_TEN = ("organization", "location", "person", "date", "time", "disease", "title", "money", "event", "country")


def table(name: str) -> dict[str, Any]:
    """Return a table of the lexicon as it is written."""
    return tomllib.loads(files("normalizers.lexicon").joinpath(f"{name}.toml").read_text(encoding="utf-8"))


VIETNAMESE = {
    name: target
    for section, names in table("vietnamese").items()
    if section != "bare"
    for name, target in names.items()
}
SYNONYMS = {name: target for names in table("synonyms").values() for name, target in names.items()}
ABBREVIATIONS = table("abbreviations")["label"]


def test_size_of_the_vietnamese_lexicon() -> None:
    """There are Vietnamese names for every domain of news."""
    sections = {name: entries for name, entries in table("vietnamese").items() if name != "bare"}
    assert len(VIETNAMESE) >= 1500
    assert min(len(entries) for entries in sections.values()) >= 10


def test_every_vietnamese_name_is_reached(normalizer: LabelNormalizer) -> None:
    """Each Vietnamese name is translated by its own line."""
    wrong = {
        name: got
        for name, target in VIETNAMESE.items()
        if (got := normalizer.decide(name)).label != target or got.rule != "vietnamese"
    }
    assert wrong == {}


def test_every_synonym_and_abbreviation_is_reached(normalizer: LabelNormalizer) -> None:
    """Each synonym and abbreviation is replaced by its own line."""
    rules = [("synonym", SYNONYMS), ("abbreviation", ABBREVIATIONS)]
    wrong = [
        (rule, name)
        for rule, names in rules
        for name, target in names.items()
        if ((got := normalizer.decide(name)).label, got.rule) != (target, rule)
    ]
    assert wrong == []


def test_every_other_entry_is_reached(normalizer: LabelNormalizer) -> None:
    """Lines for spellings, plurals, invariable words and meaningless labels have an effect."""
    meaningless = table("meaningless")
    plurals = table("plurals")
    for entry in (*meaningless["english"], *meaningless["vietnamese"]):
        assert normalizer.decide(entry).rule in {"meaningless", "single letter"}, entry
    for entry in (*LEXICON.spelling, *plurals["irregular"]):
        assert entry not in LEXICON.known, f"{entry} is a type, its line is never used"
    for entry in plurals["invariable"]:
        assert dict(RULES)["plural"](LEXICON, entry) == entry
    for plural, singular in plurals["irregular"].items():
        assert dict(RULES)["plural"](LEXICON, plural) == singular
        assert dict(RULES)["plural"](LEXICON, singular) == singular, f"{singular} is not singular"


@pytest.mark.parametrize("word", ["worship", "stroke", "refuge", "injection", "painted", "vocation", "supplies"])
def test_an_english_word_is_no_typing_error(normalizer: LabelNormalizer, word: str) -> None:
    """An English word that is one letter from a type is not corrected, in any inflection."""
    assert normalizer.decide(word).rule != "typing error"


def test_targets_are_canonical(normalizer: LabelNormalizer) -> None:
    """No rule changes a type of the lexicon."""
    rules = [rule for name, rule in RULES if name not in {"wrapping", "path"}]
    for label in LEXICON.known:
        assert normalizer.decide(label) == LabelDecision(label, label, "kept", "known")
        assert clean_label(label) == label
        assert [rule(LEXICON, label) for rule in rules] == [label] * len(rules)
        assert vietnamese_key(label) not in LEXICON.meaningless
        assert label.isascii()


def test_the_ten_most_frequent_types_are_canonical(normalizer: LabelNormalizer) -> None:
    """The ten most frequent types of the method are types of the lexicon."""
    assert [normalizer.decide(label).rule for label in TOP_TEN] == ["known"] * 10


def test_no_cycles() -> None:
    """Spellings lead to correct spellings, and no type is broader than itself."""
    for right in LEXICON.spelling.values():
        assert settle(LEXICON, right)[1] != "spelling", right
    assert [label for label, broader in LEXICON.broader.items() if label in broader] == []


def test_no_name_is_repeated() -> None:
    """No name is repeated, even in another tone placement, case or y for i; lists have no repetitions."""
    keys = [vietnamese_key(clean_label(name)) for name in VIETNAMESE]
    assert len(keys) == len(set(keys))
    assert sum(len(names) for section, names in table("vietnamese").items() if section != "bare") == len(keys)
    for entries in (*table("meaningless").values(), table("plurals")["invariable"]):
        assert len(entries) == len(set(entries))
    for parent, children in table("related")["narrower"].items():
        assert len(children) == len(set(children)), parent
        assert parent not in children


def test_same_spelling_without_diacritics() -> None:
    """Names that differ only in diacritics have one meaning or are not used without diacritics."""
    names = defaultdict(set)
    for name, target in LEXICON.vietnamese.items():
        names[strip_diacritics(name)].add((name, target))
    for bare, same in names.items():
        if len({target for _, target in same}) > 1:
            assert all(not name.isascii() for name, _ in same), same
            assert bare not in LEXICON.bare


@pytest.mark.slow
def test_spellings_without_diacritics_do_not_hide_english(normalizer: LabelNormalizer) -> None:
    """Spellings without diacritics are no types, synonyms or abbreviations, and mean the full name."""
    options = table("vietnamese")["bare"]
    for bare, target in LEXICON.bare.items():
        assert bare not in LEXICON.known | LEXICON.synonyms.keys() | LEXICON.abbreviations.keys()
        assert normalizer.decide(bare).label == target
    assert set(options["also"]) <= LEXICON.bare.keys()
    assert not set(options["never"]) & LEXICON.bare.keys()


def test_a_repeated_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loader refuses a name with two translations, and names it."""
    original = tomllib.loads

    def with_a_double(text: str) -> dict[str, Any]:
        loaded = original(text)
        if "person" in loaded and "bare" in loaded:
            loaded["place"]["tổ chức"] = "location"
        return loaded

    monkeypatch.setattr(lexicon_module.tomllib, "loads", with_a_double)
    with pytest.raises(ValueError, match=r"'tổ chức' is given twice.*remove one line"):
        load_lexicon.__wrapped__()
