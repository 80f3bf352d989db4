"""Grounding: where a passage contains a mention that a teacher predicts."""

from __future__ import annotations

import random
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from normalizers.grounding import RULES, Grounder, Match, Miss, fold, letters
from normalizers.text import is_whole, trim

PASSAGE = (
    "Sáng 1/7/2024, tại TP.HCM, ông Nguyễn Văn An và GS.TS Lê Thị Hòa (Đại học Hà Nội) dự lễ của Công ty Thuỷ Sản "
    "Bà Rịa - Vũng Tàu.\nÔng An hứa chi 5.000.000 đồng cho sở GD-ĐT. Anh Sơn Tùng hát “Chạy ngay đi” ở HÀ NỘI, "
    "Hàm Rồng và Hà\u00a0Tĩnh; dịch Covid-19 lan tới Nga-Mỹ, an toàn là trên hết. Bà quý hoa, dùng facebook.\n"
)


def grounded(text: str, mention: str) -> tuple[str, list[str]]:
    """Return the rule that matched (or the reason of the miss) and the slices."""
    found = Grounder(text).ground(mention)
    return (found.rule, [text[a:b] for a, b in found.spans]) if isinstance(found, Match) else (found.reason, [])


@pytest.mark.parametrize(
    ("mention", "rule", "slices"),
    [
        ("Nguyễn Văn An", "exact", ["Nguyễn Văn An"]),
        ("An", "exact", ["An", "An"]),
        ("Hà Nội", "exact", ["Hà Nội"]),
        ("Đại học Hà Nội", "exact", ["Đại học Hà Nội"]),
        ("TP.HCM", "exact", ["TP.HCM"]),
        ("5.000.000 đồng", "exact", ["5.000.000 đồng"]),
        ("Nga", "exact", ["Nga"]),
        ("(Đại học Hà Nội)", "exact", ["(Đại học Hà Nội)"]),
        ("Hà Nội.", "trim", ["Hà Nội"]),
        ('"Sơn Tùng"', "trim", ["Sơn Tùng"]),
        ('"Chạy ngay đi"', "trim", ["Chạy ngay đi"]),
        ("- Sơn Tùng;", "trim", ["Sơn Tùng"]),
        (unicodedata.normalize("NFD", "Nguyễn Văn An"), "unicode", ["Nguyễn Văn An"]),
        ("１/７/２０２４", "unicode", ["1/7/2024"]),
        ("Lê Thị Hoà", "tone", ["Lê Thị Hòa"]),
        ("Thủy Sản", "tone", ["Thuỷ Sản"]),
        ("qúy", "tone", ["quý"]),
        ("nguyễn văn an", "case", ["Nguyễn Văn An"]),
        ("LÊ THỊ HOÀ", "case", ["Lê Thị Hòa"]),
        ("Tp.Hcm", "case", ["TP.HCM"]),
        ("An Toàn", "case", ["an toàn"]),
        ("Facebook", "case", ["facebook"]),
        ("hà nội", "case", ["Hà Nội", "HÀ NỘI"]),
        ("Hà Tĩnh", "space", ["Hà\u00a0Tĩnh"]),
        ("Sơn\u00a0Tùng", "space", ["Sơn Tùng"]),
        ("Sơn \n Tùng", "space", ["Sơn Tùng"]),
        ("Sơn\u200b Tùng", "space", ["Sơn Tùng"]),
        ("Bà Rịa-Vũng Tàu", "space", ["Bà Rịa - Vũng Tàu"]),
        ("Nga - Mỹ", "space", ["Nga-Mỹ"]),
        ("TP. HCM", "space", ["TP.HCM"]),
        ("Lê Thị Hòa(Đại học Hà Nội)", "space", ["Lê Thị Hòa (Đại học Hà Nội)"]),
        ("Vũng Tàu. Ông An", "space", ["Vũng Tàu.\nÔng An"]),
        ("TP HCM", "punctuation", ["TP.HCM"]),
        ("tp hcm", "punctuation", ["TP.HCM"]),
        ("TPHCM", "punctuation", ["TP.HCM"]),
        ("GS TS Lê Thị Hòa", "punctuation", ["GS.TS Lê Thị Hòa"]),
        ("GS. TS. Lê Thị Hòa", "punctuation", ["GS.TS Lê Thị Hòa"]),
        ("Bà Rịa – Vũng Tàu", "punctuation", ["Bà Rịa - Vũng Tàu"]),
        ('hát "Chạy ngay đi"', "punctuation", ["hát “Chạy ngay đi”"]),
        ("hát 'Chạy ngay đi'.", "punctuation", ["hát “Chạy ngay đi”"]),
        ("Nguyễn_Văn_An", "underscore", ["Nguyễn Văn An"]),
        ('"SƠN_TÙNG".', "underscore", ["Sơn Tùng"]),
        ("TP._HCM", "underscore", ["TP.HCM"]),
    ],
)
def test_each_rule_finds_its_mentions(mention: str, rule: str, slices: list[str]) -> None:
    """Each mention is found by the rule that it needs, and its slices are exact."""
    assert grounded(PASSAGE, mention) == (rule, slices)


@pytest.mark.parametrize(
    ("mention", "reason"),
    [
        ("Nguyễn Văn Cường", "near miss"),
        ("Trần Nguyễn Văn An", "near miss"),
        ("Nguyễn Văn A", "near miss"),
        ("Ha Noi", "near miss"),
        ("Lê Thị Hỏa", "near miss"),
        ("Lê Thị Hóa", "near miss"),
        ("TP", "near miss"),
        ("TP.", "near miss"),
        ("HCM", "near miss"),
        ("GD", "near miss"),
        ("Covid", "near miss"),
        ("5.000", "near miss"),
        ("1/7", "near miss"),
        ("Hoa", "near miss"),
        ("QUÝ", "near miss"),
        ("Chạy ngay đi nhé", "near miss"),
        ("Sơn Tùng M-TP", "near miss"),
        ("Đại học Hà Nội (Việt Nam)", "near miss"),
        ("HàNội", "near miss"),
        ("Bà Hoà Bình", "hallucinated"),
        ("Hoà Bà", "hallucinated"),
        ("Phở Thìn", "hallucinated"),
        ("12", "hallucinated"),
        ("x", "hallucinated"),
        ("", "empty"),
        (" \n\u200b", "empty"),
        ("“...”", "empty"),
        ("👍🏽", "empty"),
    ],
)
def test_missing_mentions_are_rejected(mention: str, reason: str) -> None:
    """A mention that is not completely in the passage is hallucinated, a near miss, or empty."""
    assert grounded(PASSAGE, mention) == (reason, [])


def test_a_near_miss_names_the_nearest_text() -> None:
    """A near miss names the nearest text, with whole numbers and names."""
    ground = Grounder(PASSAGE).ground
    assert ground("Nguyễn Văn Cường") == Miss("near miss", "the nearest text is 'Nguyễn Văn'")
    assert ground("Ha Tinh") == Miss("near miss", "the nearest text is 'Hà\\xa0Tĩnh'")
    assert ground("5.000") == Miss("near miss", "the nearest text is '5.000.000'")
    assert ground("Nguyẽn Văm An") == Miss("near miss", "the nearest text is 'Nguyễn Văn An'")


@pytest.mark.parametrize(
    ("text", "mention", "rule", "slices"),
    [
        ("A B A B A", "A B A", "exact", ["A B A"]),
        ("Hà Nội, Hàm, Hà Nội", "Hà Nội", "exact", ["Hà Nội", "Hà Nội"]),
        ("An và Anh và An", "An", "exact", ["An", "An"]),
        ("số 1, 2 và 3,4", "3, 4", "hallucinated", []),
        ("số 1, 2 và 3,4", "1,2", "hallucinated", []),
        ("Hòa Bình hay HÒA BÌNH, hoà bình", "Hoà Bình", "tone", ["Hòa Bình"]),
        ("Hòa và hòa và HÒA", "Hoà", "tone", ["Hòa"]),
        ("hòa và HÒA", "Hòa", "case", ["HÒA"]),
        ("tới Sơ̛n Trà", "Sơn Trà", "unicode", ["Sơ̛n Trà"]),
        ("rộng 100 m²", "100 m2", "unicode", ["100 m²"]),
        ("số ½ và №5", "No5", "unicode", ["№5"]),
        ("số №5", "o5", "hallucinated", []),
        ("Sam\u00adsung", "Samsung", "space", ["Sam\u00adsung"]),
        ("Công ty\u200b Samsung", "Công ty", "exact", ["Công ty"]),
        ("trận Việt Nam–Lào", "Việt Nam - Lào", "punctuation", ["Việt Nam–Lào"]),
        ("ở O’Neil", "O'Neil", "punctuation", ["O’Neil"]),
        ("ở TX. Dĩ An", "TX Dĩ An", "punctuation", ["TX. Dĩ An"]),
        ("đội U.23", "U23", "punctuation", ["U.23"]),
        ("cao 5 kg gạo", "5  kg", "space", ["5 kg"]),
        ("ảnh N.H", "nh", "hallucinated", []),
        ("ảnh N.H", "NH", "punctuation", ["N.H"]),
        ("theo WHO", "who", "case", ["WHO"]),
        ("so who is it", "WHO", "near miss", []),
        ("Đại_học Bách_khoa Hà_Nội", "Bách khoa Hà Nội", "underscore", ["Bách_khoa Hà_Nội"]),
        ("Đại_học Bách_khoa", "ĐẠI HỌC", "underscore", ["Đại_học"]),
        ("Đại_học Bách_khoa", "học Bách_khoa", "exact", ["học Bách_khoa"]),
        ("Hà Nội", "Hà Nội Hà Nội", "near miss", []),
        ("", "Hà Nội", "hallucinated", []),
    ],
)
def test_corner_cases(text: str, mention: str, rule: str, slices: list[str]) -> None:
    """Repeats, numbers, case, zero-width characters and segmented text are handled."""
    assert grounded(text, mention) == (rule, slices)


def test_rules_are_tried_in_order() -> None:
    """Strings that are equal under a rule are equal under every later rule."""
    assert RULES == ("exact", "trim", "unicode", "tone", "case", "space", "punctuation", "underscore")
    pairs = [
        ("a", "a"),
        ('"a"', "a"),
        ("m²", "m2"),
        ("hòa", "hoà"),
        ("A", "a"),
        ("a  b", "a b"),
        ("t.p", "tp"),
        ("a_b", "a b"),
    ]
    for depth, (one, other) in enumerate(pairs):
        assert [fold(one, rule) == fold(other, rule) for rule in RULES] == [i >= depth for i in range(len(RULES))]


WORDS = re.findall(
    r"\S+",
    "Nguyễn Văn hòa Thủy quý giá TP.HCM Hà Nội Bà Rịa 5.000.000 đồng Covid-19 khỏe Hoàng ủy Đà Nẵng GS.TS Ước "
    "NGÔ 1/7/2024 xòe Lê (Việt Nam) Trường của O'Neil –",
)
SEPARATORS = st.sampled_from([" ", " ", " ", ", ", "\n"])
OLD = re.findall(r"\S+", "òa óa ỏa õa ọa òe óe ỏe õe ọe ùy úy ủy ũy ụy ÒA ỎE ỦY")
NEW = re.findall(r"\S+", "oà oá oả oã oạ oè oé oẻ oẽ oẹ uỳ uý uỷ uỹ uỵ OÀ OẺ UỶ")


def modern(claim: str) -> str:
    """Put the tone mark of an open syllable on its last vowel."""
    for old, new in zip(OLD, NEW, strict=True):
        claim = claim.replace(old, new)
    return claim


VARIANTS = {
    "as it is": lambda claim: claim,
    "decomposed": lambda claim: unicodedata.normalize("NFD", claim),
    "marks in another order": lambda claim: re.sub(
        "([\u0300-\u036f])([\u0300-\u036f])", r"\2\1", unicodedata.normalize("NFD", claim)
    ),
    "modern tones": modern,
    "upper case": str.upper,
    "lower case": str.lower,
    "no-break spaces": lambda claim: claim.replace(" ", "\u00a0"),
    "double spaces": lambda claim: claim.replace(" ", "  "),
    "line breaks": lambda claim: claim.replace(" ", "\r\n"),
    "zero width": lambda claim: claim.replace(" ", " \u200b") + "\ufeff",
    "lost spaces": lambda claim: claim.replace(" (", "(").replace(" – ", "–"),
    "added spaces": lambda claim: claim.replace("(", "( ").replace(")", " )"),
    "TP HCM": lambda claim: claim.replace("TP.HCM", "TP HCM"),
    "TP. HCM": lambda claim: claim.replace("TP.HCM", "TP. HCM"),
    "Tp.Hcm": lambda claim: claim.replace("TP.HCM", "Tp.Hcm"),
    "GS TS": lambda claim: claim.replace("GS.TS", "GS TS"),
    "curly": lambda claim: claim.replace("'", "’"),
    "hyphens": lambda claim: claim.replace("–", "-"),
    "straight quotes": lambda claim: f'"{claim}"',
    "curly quotes": lambda claim: f"“{claim}”",
    "full stop": lambda claim: f" {claim}.",
    "underscores": lambda claim: claim.replace(" ", "_"),
    "all": lambda claim: f"“{modern(claim).upper()}”,".replace("TP.HCM", "TP. HCM").replace(" ", "_"),
}


@st.composite
def slices(draw: st.DrawFn, least: int = 1) -> tuple[str, int, int]:
    """Draw a text of distinct words, and the bounds of a run of whole words in it."""
    words = draw(st.lists(st.sampled_from(WORDS), min_size=least, max_size=12, unique=True))
    bounds, text = [], ""
    for word in words:
        bounds.append((len(text), len(text) + len(word)))
        text += word + draw(SEPARATORS)
    first = draw(st.integers(0, len(words) - least))
    last = draw(st.integers(first + least - 1, len(words) - 1))
    start, end = bounds[first][0], bounds[last][1]
    assume(any(char.isalnum() for char in text[start:end]))
    return text, start, end


@given(slices())
def test_a_slice_is_found_as_it_is(case: tuple[str, int, int]) -> None:
    """A run of whole words is found by the rule ``exact``, at its place."""
    text, start, end = case
    found = Grounder(text).ground(text[start:end])
    assert isinstance(found, Match)
    assert found.rule == "exact"
    assert (start, end) in found.spans


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
@given(case=slices(least=2))
def test_a_rewritten_slice_is_found(variant: str, case: tuple[str, int, int]) -> None:
    """A run of whole words is found at its place in every usual spelling of a teacher."""
    text, start, end = case
    assume(text[start:end] == trim(text[start:end]))
    found = Grounder(text).ground(VARIANTS[variant](text[start:end]))
    assert isinstance(found, Match)
    assert found.spans == ((start, end),)


def spelt(text: str) -> str:
    """Return each syllable in lower case as its letters and then its tone: equal for texts that read the same."""
    words = re.findall("[\\w\u0300-\u036f]+", unicodedata.normalize("NFD", text).lower())
    tones = "\u0300\u0301\u0303\u0309\u0323"
    return "|" + "".join("".join(sorted(word, key=lambda char: char in tones)) + "|" for word in words)


@given(slices(), st.data())
def test_a_changed_letter_is_never_found(case: tuple[str, int, int], data: st.DataObject) -> None:
    """A mention with a letter or digit changed, added or removed is a miss."""
    text, start, end = case
    at = data.draw(st.sampled_from([i for i in range(start, end) if text[i].isalnum()]))
    letter = data.draw(st.sampled_from("abcdđeghiklmnopqrstuvxyàáảãạâấầăắôốơớưứùy0123456789"))
    how = data.draw(st.sampled_from([(letter, 1), (letter, 0), ("", 1)]))
    claim = text[start:at] + how[0] + text[at + how[1] : end]
    assume(spelt(claim) not in spelt(text))
    assert isinstance(Grounder(text).ground(claim), Miss)


@given(slices(), st.sampled_from(["Cường", "ở", "12", "HCM"]), st.booleans())
def test_an_extended_name_is_a_miss(case: tuple[str, int, int], word: str, before: bool) -> None:
    """A mention with one word more than the passage has is a miss."""
    text, start, end = case
    claim = f"{word} {text[start:end]}" if before else f"{text[start:end]} {word}"
    assume(spelt(claim) not in spelt(text))
    assert isinstance(Grounder(text).ground(claim), Miss)


ODD = st.text("aAnNhHòoàÀỦuỷđ \n\u00a0\u200b\u00ad_.,-–'\"“”()12½²№…ﬁİß\u0301\u0323👍\u200d\ufe0f가ﾡς", max_size=30)


@given(ODD | st.text(), st.data())
def test_any_text_and_any_mention(text: str, data: st.DataObject) -> None:
    """Any input gives a miss with a reason, or ordered disjoint spans that equal the mention under the rule."""
    text = unicodedata.normalize("NFC", text)
    start = data.draw(st.integers(0, len(text)))
    claim = data.draw(ODD | st.text() | st.just(text[start : start + data.draw(st.integers(0, 12))]))
    found = Grounder(text).ground(claim)
    if isinstance(found, Miss):
        assert found.reason in ("hallucinated", "near miss", "empty")
        return
    assert found.spans
    assert all(a[1] <= b[0] for a, b in zip(found.spans, found.spans[1:], strict=False))
    for first, last in found.spans:
        slice_ = text[first:last]
        assert 0 <= first < last <= len(text)
        assert slice_ == slice_.strip()
        assert any(char.isalnum() for char in slice_)
        key = fold(claim.strip(), found.rule) if found.rule != "exact" else slice_
        assert fold(slice_, found.rule) == key
        if slice_[0].isalnum():
            assert is_whole(text, first, last)


@given(ODD, st.lists(ODD, max_size=4))
def test_the_grounder_has_no_state(text: str, claims: list[str]) -> None:
    """A grounder gives the same results as a new one, whatever it was asked before."""
    ground = Grounder(text).ground
    assert [ground(claim) for claim in claims] == [Grounder(text).ground(claim) for claim in claims]


def test_real_news(news_dir: Path) -> None:
    """In real articles, capitalised runs are found exactly, and again after usual changes of a teacher."""
    import pyarrow.parquet as pq

    texts = pq.read_table(sorted(news_dir.glob("*.parquet"))[0]).column("text").to_pylist()
    name = re.compile(r"(?<![\w.'’&@/–\-])[A-ZĐ]\w+(?: [A-ZĐ]\w+)+(?![\w'’&@/–\-]|\.\w)")
    for text in random.Random(0).sample(texts, 40):
        passage = unicodedata.normalize("NFC", text)[:900]
        grounder = Grounder(passage)
        for place in name.finditer(passage):
            for claim in (
                place[0],
                f'"{place[0]}"',
                unicodedata.normalize("NFD", place[0]),
                place[0].replace(" ", "_"),
            ):
                found = grounder.ground(claim)
                assert isinstance(found, Match)
                assert place.span() in found.spans or claim in passage


@pytest.mark.parametrize(
    ("claim", "text", "found"),
    [
        ("21h", "từ 19h-21h hằng ngày", True),
        ("19h", "từ 19h-21h hằng ngày", True),
        ("15h00", "từ 15h00-22h30", True),
        ("24/6/1967", "kỷ niệm 50 năm (24/6/1967-24/6/2017)", True),
        ("24/6/2017", "kỷ niệm 50 năm (24/6/1967-24/6/2017)", True),
        ("24/6", "kỷ niệm 50 năm (24/6/1967-24/6/2017)", False),
        ("1967", "kỷ niệm 50 năm (24/6/1967-24/6/2017)", False),
        ("6/2017", "từ 5/2017-6/2017", True),
        ("3", "thắng 3-0", False),
        ("tháng 4", "trong tháng 4-5/2017", False),
        ("12.000 đ", "giá 12.000 đ/kg", True),
        ("10-12 triệu đồng", "giá 10-12 triệu đồng/m 2", True),
        ("100 km", "chạy 100 km/h", False),
    ],
)
def test_the_two_ends_of_a_range_and_a_price(claim: str, text: str, found: bool) -> None:
    """The ends of a range of dates or times are mentions of their own, and so is a price before its unit."""
    assert isinstance(Grounder(text).ground(claim), Match) is found


@given(st.text(max_size=30), st.text(max_size=6), st.sampled_from(RULES[2:-1]))
def test_the_letter_filter_excludes_no_match(text: str, other: str, rule: str) -> None:
    """Texts that are equal under a rule have equal letters, so that the quick filter excludes no match."""
    for one, two in ((text, other), (text, text.swapcase()), (text, fold(text, rule))):
        if fold(one, rule) == fold(two, rule):
            assert letters(one) == letters(two)
