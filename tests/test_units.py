"""Units: whole sentences, and parts of over-long ones."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.errors import ConfigError
from annotator.passages import units
from tests.fake_tokenizer import CHARACTERS, WORDS, FakeTokenizer


class Unit(NamedTuple):
    """A row of the columns."""

    start: int
    end: int
    can_stand: bool
    tokens: int
    cut: str


def units_of(text: str, tokenizer: FakeTokenizer, max_tokens: int) -> list[Unit]:
    (row,) = units.units_of([text], tokenizer, max_tokens)
    cuts = [row.cuts.get(index, "") for index in range(len(row))]
    assert len(row.added) == len(row)
    return [*map(Unit, row.starts, row.ends, row.can_stand, row.tokens, cuts)]


def cut(text: str, row: list[Unit]) -> list[tuple[str, str]]:
    return [(text[unit.start : unit.end], unit.cut) for unit in row]


def test_short_sentences_are_left_alone() -> None:
    """A sentence that fits is one unit with its exact size; a fragment cannot stand alone."""
    text = "Tin vắn\nHôm nay trời có mưa. Anh về."
    assert [unit[:4] for unit in units_of(text, WORDS, 10)] == [
        (0, 7, False, 2),
        (8, 28, True, 5),
        (29, 36, False, 2),
    ]


def test_cut_at_a_clause() -> None:
    """The end of a clause near the middle is preferred to a nearer space."""
    text = "Một hai ba bốn năm sáu, bảy tám chín mười."
    assert cut(text, units_of(text, WORDS, 8)) == [
        ("Một hai ba bốn năm sáu,", "clause"),
        ("bảy tám chín mười.", "clause"),
    ]


def test_no_cut_inside_a_number() -> None:
    """The comma of a decimal does not end a clause."""
    text = "Tổng cộng có tới 3,5 triệu người."
    assert cut(text, units_of(text, WORDS, 6)) == [("Tổng cộng có tới", "space"), ("3,5 triệu người.", "space")]


def test_cut_at_a_space() -> None:
    """Without a clause, a sentence is cut at the space nearest to the middle, in equal parts."""
    text = " ".join(["mưa"] * 100)
    parts = units_of(text, WORDS, 30)
    assert [(unit.tokens, unit.cut, unit.can_stand) for unit in parts] == [(25, "space", True)] * 4


@pytest.mark.parametrize("character", ["a\u0323\u0302", "b\u0301"])
def test_no_character_is_split(character: str) -> None:
    """A letter keeps its combining marks, even in a word that is too long."""
    text = character * 50
    for unit in units_of(text, CHARACTERS, 20):
        assert unit.cut == "space"
        assert unit.start % len(character) == 0
        assert unit.tokens <= 20


def test_a_character_longer_than_the_limit_is_split() -> None:
    """A letter with a hundred marks is split, since the limit always holds."""
    text = "a" + "\u0301" * 100
    assert max(unit.tokens for unit in units_of(text, CHARACTERS, 20)) <= 20


def test_a_code_point_that_cannot_fit() -> None:
    """A limit below the tokens of one code point is a configuration error."""
    with pytest.raises(ConfigError, match="one character takes 9 tokens"):
        units_of("aa", FakeTokenizer(lambda text: 9 * len(text)), 8)


@given(
    st.one_of(
        st.text(), st.lists(st.sampled_from([*"aếờ.,;:()!?\n -–\u0301", "mưa ", "Ông "]), max_size=200).map("".join)
    ),
    st.sampled_from([WORDS, CHARACTERS]),
    st.integers(8, 40),
)
def test_any_text(text: str, tokenizer: FakeTokenizer, max_tokens: int) -> None:
    """For any text, units are ordered, disjoint, exactly counted, never too long, and cover it."""
    text = unicodedata.normalize("NFC", text)
    position = 0
    for unit in units_of(text, tokenizer, max_tokens):
        part = text[unit.start : unit.end]
        assert position <= unit.start < unit.end
        assert not text[position : unit.start].strip()
        assert part == part.strip()
        assert unit.tokens == tokenizer.count(part) <= max_tokens
        position = unit.end
    assert not text[position:].strip()
