"""Which documents the screen accepts, and the reasons for rejections."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.records import Document, Rejected
from annotator.sources.documents import Row, text_hash
from annotator.sources.drawn_documents import Drawn
from annotator.sources.screening import Screen, Screening, is_vietnamese, vietnamese_share

RAIN = "Sáng nay Hà Nội có mưa to, nhiều tuyến phố ngập sâu."
SUN = "Chiều nay trời nắng đẹp ở Đà Lạt, du khách đổ về đông."


VOCABULARY = [
    first + rest
    for first in ["hòa", "bình", "ngày", "mưa", "phố", "núi", "biển", "đường", "nhà"]
    for rest in "abcdeghi"
]


class Screened:
    """A screen with its drawn documents."""

    def __init__(self, **settings: Any) -> None:
        self.drawn = Drawn()
        self.screen = Screen(Screening(**{"shortest": 0, "near_duplicates": 0, **settings}), self.drawn)

    def __call__(self, document: Document) -> Row:
        return self.screen(self.drawn.put(document))[0]


def _reason(row: Document | Rejected) -> str:
    return row.reason if isinstance(row, Rejected) else ""


@pytest.mark.parametrize("text", ["", " \n\t\u00a0", "12/3/2024 - 99%", "...", "\u200b", "🙂🙂"])
def test_text_without_letters_is_empty(text: str) -> None:
    """White space, digits and signs alone are rejected as empty."""
    row = Screened()(Document("1", text, "a.txt"))
    assert row == Rejected("sample", "empty", "1", text.strip(), "the text has no letters")


def test_a_caption_is_too_short() -> None:
    """Twenty words make a document, nineteen do not."""
    words = RAIN.split() + SUN.split()
    screen = Screened(shortest=20)
    assert screen(Document("1", " ".join(words[:19]), "a")).detail == "19 words"  # type: ignore[union-attr]
    assert isinstance(screen(Document("2", " ".join(words[:20]), "a")), Document)


def test_a_repeated_text_is_a_duplicate() -> None:
    """A second document with the same text is a duplicate, and names the first."""
    screen = Screened()
    assert screen(Document("1", RAIN, "a")) == Document("1", RAIN, "a")
    again = screen(Document("2", RAIN, "b"))
    assert again == Rejected("sample", "duplicate", "2", RAIN, "same text as document 1")
    assert screen(Document("3", SUN, "a")) == Document("3", SUN, "a")


def test_a_repeated_id_is_changed() -> None:
    """Another text with a known id gets an id from its text, independent of other documents."""
    screen = Screened()
    screen(Document("1", RAIN, "a"))
    second = screen(Document("1", SUN, "a"))
    assert isinstance(second, Document)
    assert (second.text, second.source) == (SUN, "a")
    assert second.id == f"1#{text_hash(SUN)[:8]}"


def test_a_made_id_never_collides() -> None:
    """Ids stay distinct even if the source imitates changed ids."""
    screen = Screened()
    taken = [
        screen(Document(identity, text, "a"))
        for identity, text in (("1", RAIN), (f"1#{text_hash(SUN)[:8]}", RAIN + "."), ("1", SUN))
    ]
    assert len({row.id for row in taken if isinstance(row, Document)}) == 3


def _article(seed: int, words: int = 200) -> str:
    rng = random.Random(seed)
    return " ".join(rng.choice(VOCABULARY) for _ in range(words)) + "."


def test_a_near_duplicate_is_left_out() -> None:
    """An article with a few words changed is rejected; one that shares half is accepted."""
    screen, article = Screened(near_duplicates=0.8), _article(0)
    assert isinstance(screen(Document("1", article, "a")), Document)
    words = article.split()
    words[50] = "khác"
    other = screen(Document("2", " ".join(words), "a"))
    assert (_reason(other), other.detail) == ("near duplicate", "95% the same as document 1")  # type: ignore[union-attr]
    half = " ".join(words[:100]) + " " + _article(1, 100)
    assert isinstance(screen(Document("3", half, "a")), Document)
    assert isinstance(Screened(near_duplicates=0)(Document("2", " ".join(words), "a")), Document)


def test_other_spellings_are_near_duplicates() -> None:
    """Case, spacing, punctuation, decomposition and tone placement do not make another article."""
    screen, article = Screened(near_duplicates=0.8), _article(0)
    screen(Document("1", article, "a"))
    spelt = article.upper().replace(" ", "  , ").replace("HÒA", "HOÀ")
    assert _reason(screen(Document("2", spelt, "a"))) == "near duplicate"


@pytest.mark.slow
def test_near_duplicates_among_many() -> None:
    """Of 300 articles, each copy with 2 % of the words changed is rejected, and no original."""
    screen = Screened(near_duplicates=0.8)
    for seed in range(300):
        article = _article(seed).split()
        assert isinstance(screen(Document(f"{seed}", " ".join(article), "a")), Document)
        article[20::50] = ["khác"] * len(article[20::50])
        assert _reason(screen(Document(f"{seed} again", " ".join(article), "a"))) == "near duplicate"


def test_a_text_that_repeats_itself() -> None:
    """An article that is there twice is rejected; one with a repeated sentence is not."""
    article = _article(0)
    assert _reason(Screened()(Document("1", f"{article} {article}", "a"))) == "repeats itself"
    assert isinstance(Screened()(Document("1", f"{article} {article[:60]}", "a")), Document)


def test_boilerplate_is_removed_and_recorded() -> None:
    """Boilerplate is removed; each piece is recorded with reason, text and place."""
    drawn = Drawn()
    article = f"Tin trong ngày\nCảnh mưa to. (Ảnh: TTXVN) {_article(0)} Thu Hà"
    row, removed = Screen(Screening(), drawn)(drawn.put(Document("1", article, "a")))
    assert row == Document("1", f"Tin trong ngày\n{_article(0)}", "a")
    assert [(piece.stage, piece.reason, piece.record_id, piece.value) for piece in removed] == [
        ("boilerplate", "photo caption", "1", "Cảnh mưa to. (Ảnh: TTXVN)"),
        ("boilerplate", "byline", "1", "Thu Hà"),
    ]
    assert removed[0].detail == "characters 15 to 40 of the article as it came"
    assert article[15:40] == removed[0].value


def test_nothing_but_boilerplate() -> None:
    """A document that is too short without its boilerplate is rejected."""
    drawn = Drawn()
    text = f"Hình ảnh hôm nay ở thủ đô.\n{'Một góc phố cổ vào buổi sáng sớm. (Ảnh: TTXVN) ' * 3}"
    row, removed = Screen(Screening(shortest=24), drawn)(drawn.put(Document("1", text, "a")))
    assert (_reason(row), removed) == ("boilerplate only", [])


def test_lines_of_many_documents_are_removed() -> None:
    """A line of five of the first documents is removed from every one."""
    drawn, footer = Drawn(), "Mọi đóng góp xin gửi về toà soạn báo của chúng tôi ở số 1 phố Dài."
    screen = Screen(Screening(), drawn)
    places = [drawn.put(Document(str(seed), f"{_article(seed)}\n{footer}", "a")) for seed in range(6)]
    screen.learn(map(drawn.get, places))
    rows = [screen(place) for place in places]
    assert [row.text for row, _ in rows if isinstance(row, Document)] == [_article(seed) for seed in range(6)]
    assert {piece.value for _, removed in rows for piece in removed} == {footer}


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
    """Texts in other languages are rejected, whether or not they share letters with Vietnamese."""
    row = Screened()(Document("1", text, "a"))
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
    """Vietnamese is accepted, also in capitals or with many foreign names."""
    assert is_vietnamese(text)


def test_clear_cases_need_no_language_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text with many Vietnamese letters is accepted without langdetect."""
    monkeypatch.setattr("langdetect.detect", lambda text: pytest.fail("asked"))
    assert is_vietnamese(RAIN)


def test_text_langdetect_cannot_read() -> None:
    """Letters of a script without a profile are not Vietnamese, not an error."""
    assert not is_vietnamese("ᚠᚢᚦᚨᚱᚲ")


def test_share() -> None:
    """The share counts letters only, in any case, without letters that other languages have."""
    assert vietnamese_share("Đường 12/3") == pytest.approx(3 / 5)
    assert vietnamese_share("à la fenêtre") == 0
    assert vietnamese_share("12/3") == 0


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.sampled_from("12"), st.sampled_from([RAIN, SUN, RAIN + SUN, "", "Hello there, my friend"])))
)
def test_taken_documents_are_distinct(pairs: list[tuple[str, str]]) -> None:
    """Accepted documents have distinct ids and texts, and each good text is accepted once."""
    screen = Screened()
    rows = [screen(Document(identity, text, "a")) for identity, text in pairs]
    taken = [row for row in rows if isinstance(row, Document)]
    assert len({row.id for row in taken}) == len({row.text for row in taken}) == len(taken)
    assert {row.text for row in taken} == {text for _, text in pairs} & {RAIN, SUN, RAIN + SUN}
