"""Which documents are taken, and why others are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.records import Document, Rejected
from annotator.sources.rows import text_hash
from annotator.sources.screening import Screen, is_vietnamese, vietnamese_share

RAIN = "Sáng nay Hà Nội có mưa to, nhiều tuyến phố ngập sâu."
SUN = "Chiều nay trời nắng đẹp ở Đà Lạt, du khách đổ về đông."


def _reason(row: Document | Rejected) -> str:
    return row.reason if isinstance(row, Rejected) else ""


@pytest.mark.parametrize("text", ["", " \n\t\u00a0", "12/3/2024 - 99%", "...", "\u200b", "🙂🙂"])
def test_text_without_letters_is_empty(text: str) -> None:
    """White space, digits and signs alone are no document."""
    row = Screen()(Document("1", text, "a.txt"))
    assert row == Rejected("sample", "empty", "1", text.strip(), "the text has no letters")


def test_a_text_is_taken_once() -> None:
    """The second document with the same text is a duplicate, which names the first."""
    screen = Screen()
    assert screen(Document("1", RAIN, "a")) == Document("1", RAIN, "a")
    again = screen(Document("2", RAIN, "b"))
    assert again == Rejected("sample", "duplicate", "2", RAIN, "same text as document 1")
    assert screen(Document("3", SUN, "a")) == Document("3", SUN, "a")


def test_an_id_is_taken_once() -> None:
    """Another text under a taken id gets one of its own, made from its text: the same whatever else was taken."""
    screen = Screen()
    screen(Document("1", RAIN, "a"))
    second = screen(Document("1", SUN, "a"))
    assert isinstance(second, Document)
    assert (second.text, second.source) == (SUN, "a")
    assert second.id == f"1#{text_hash(SUN)[:8]}"


def test_a_made_id_never_collides() -> None:
    """A source whose ids imitate made ones gets distinct ids too."""
    screen = Screen()
    taken = [
        screen(Document(identity, text, "a"))
        for identity, text in (("1", RAIN), (f"1#{text_hash(SUN)[:8]}", RAIN + "."), ("1", SUN))
    ]
    assert len({row.id for row in taken if isinstance(row, Document)}) == 3


@pytest.mark.parametrize(
    "text",
    [
        "The government said on Monday that it would raise taxes on fuel and tobacco next year.",
        "Le président a été élu à l'Assemblée après une très longue journée où les députés ont voté.",
        "Președintele României a declarat că țara își va îndeplini obligațiile față de partenerii săi.",
        "A Comissão não está à procura de soluções; é necessário que as eleições sejam já amanhã.",
        "越南政府今天宣布了新的经济政策，预计将于明年生效。",
        "Правительство объявило о новых мерах поддержки экономики.",
    ],
)
def test_other_languages_are_rejected(text: str) -> None:
    """Languages that share letters with Vietnamese, and those that do not, are told apart from it."""
    row = Screen()(Document("1", text, "a"))
    assert _reason(row) == "not Vietnamese"
    assert isinstance(row, Rejected)
    assert row.value == text[:200]


@pytest.mark.parametrize(
    "text",
    [
        RAIN,
        RAIN.upper(),
        "Arsenal, Chelsea, Tottenham, Man Utd, Liverpool và Man City đều thắng ở vòng 30; Kane và Salah ghi bàn.",
    ],
)
def test_vietnamese_is_kept(text: str) -> None:
    """Vietnamese is kept, in capitals and full of foreign names too."""
    assert is_vietnamese(text)


def test_clear_cases_need_no_language_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text with Vietnamese letters in plenty is never given to langdetect."""
    monkeypatch.setattr("langdetect.detect", lambda text: pytest.fail("asked"))
    assert is_vietnamese(RAIN)


def test_text_langdetect_cannot_read() -> None:
    """Letters of a script that it has no profile of are not Vietnamese, not an error."""
    assert not is_vietnamese("ᚠᚢᚦᚨᚱᚲ")


def test_share() -> None:
    """The share is over letters only, case aside; à and ê, which other languages have, do not count."""
    assert vietnamese_share("Đường 12/3") == pytest.approx(3 / 5)
    assert vietnamese_share("à la fenêtre") == 0
    assert vietnamese_share("12/3") == 0


@given(
    st.lists(st.tuples(st.sampled_from("12"), st.sampled_from([RAIN, SUN, RAIN + SUN, "", "Hello there, my friend"])))
)
def test_taken_documents_are_distinct(pairs: list[tuple[str, str]]) -> None:
    """Whatever comes, no two taken documents share an id or a text, and each text worth taking is taken once."""
    screen = Screen()
    rows = [screen(Document(identity, text, "a")) for identity, text in pairs]
    taken = [row for row in rows if isinstance(row, Document)]
    assert len({row.id for row in taken}) == len({row.text for row in taken}) == len(taken)
    assert {row.text for row in taken} == {text for _, text in pairs} & {RAIN, SUN, RAIN + SUN}
