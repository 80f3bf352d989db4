"""Functions on Vietnamese text at the level of code points."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalizers.text import (
    BLANK,
    ZERO_WIDTH,
    bare,
    fold_case,
    fold_tones,
    is_syllable,
    is_whole,
    nfc,
    strip_diacritics,
    trim,
)

VOWELS = "aàáảãạăằắẳẵặâầấẩẫậeèéẻẽẹêềếểễệiìíỉĩịoòóỏõọôồốổỗộơờớởỡợuùúủũụưừứửữựyỳýỷỹỵ"
vietnamese = st.text(VOWELS + VOWELS.upper() + "bcdđghklmnpqrstvx BCDĐGHQ-.,'\u0301\u0323")


def test_nfc_composes() -> None:
    """Decomposed letters become one code point; composed text stays the same."""
    assert nfc("Ha\u0300 No\u0323\u0302i") == "Hà Nội"
    assert nfc("Hà Nội") == "Hà Nội"


def test_strip_diacritics() -> None:
    """Every mark is removed, and đ becomes d."""
    assert strip_diacritics("Tổ chức Đặng Đình Ước, đường Nguyễn Huệ") == "To chuc Dang Dinh Uoc, duong Nguyen Hue"


@given(vietnamese.map(nfc))
def test_bare_is_strip_diacritics_in_place(text: str) -> None:
    """``bare`` keeps the length and changes whole letters as ``strip_diacritics`` does."""
    assert len(bare(text)) == len(text)
    assert strip_diacritics(bare(text)) == strip_diacritics(text)


@given(st.text())
def test_folds_keep_every_offset(text: str) -> None:
    """Folding case, tones and marks keeps every offset and is idempotent."""
    for fold in (fold_case, fold_tones, bare):
        assert len(fold(text)) == len(text)
        assert fold(fold(text)) == fold(text)


def test_fold_case_keeps_letters_that_would_grow() -> None:
    """İ, two code points in lower case, stays; the rest is folded."""
    assert fold_case("TRẦN İ ĐÌNH") == "trần İ đình"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("hòa", "hoà"),
        ("hóa", "hoá"),
        ("tỏa", "toả"),
        ("lõa", "loã"),
        ("họa", "hoạ"),
        ("khỏe", "khoẻ"),
        ("xòe", "xoè"),
        ("khóe", "khoé"),
        ("thủy", "thuỷ"),
        ("ủy", "uỷ"),
        ("lũy", "luỹ"),
        ("tụy", "tuỵ"),
        ("òa", "oà"),
        ("Hòa", "Hoà"),
        ("HÒA", "HOÀ"),
        ("ỦY BAN", "UỶ BAN"),
        ("Thừa Thiên - Hóa", "Thừa Thiên - Hoá"),
        ("quý", "qúy"),
        ("QUỸ", "QŨY"),
        ("giá", "gía"),
        ("của", "cuả"),
        ("toàn", "tòan"),
        ("khoảng", "khỏang"),
        ("điều", "điêù"),
    ],
)
def test_tone_place_does_not_matter(one: str, other: str) -> None:
    """A syllable has the same key wherever its tone mark is."""
    assert one != other
    assert fold_tones(one) == fold_tones(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("hòa", "hóa"),
        ("hòa", "hoa"),
        ("quý", "quỷ"),
        ("quý", "quy"),
        ("thuế", "thuê"),
        ("mùa", "mưa"),
        ("cua", "của"),
        ("hoà", "hào"),
        ("bảo đại", "bảo đai"),
        ("hòá", "hoà"),
    ],
)
def test_tone_and_letters_matter(one: str, other: str) -> None:
    """Another tone, vowel or order of vowels gives another key."""
    assert fold_tones(one) != fold_tones(other)


def test_common_syllables_stay_apart() -> None:
    """No two correctly spelt syllables with two or three vowels have the same key."""
    rhymes = (
        "ai ao au ay âu ây eo êu ia iê iêu iu oa oai oao oay oă oe oeo oi ôi ơi ua ưa uâ uê ui uô uôi uơ ươ ưu uy uya"
    )
    tones = ["", "\u0300", "\u0301", "\u0303", "\u0309", "\u0323"]
    first = [
        nfc(onset + rhyme[0] + tone + rhyme[1:]) for onset in ("h", "t") for rhyme in rhymes.split() for tone in tones
    ]
    assert len({fold_tones(syllable) for syllable in first}) == len(set(first)) == len(first)


@pytest.mark.parametrize("word", ["An", "nghiêng", "Hoa", "quý", "giá", "ỦY", "đường", "khuya"])
def test_syllables(word: str) -> None:
    """Vietnamese syllables are recognised in any case."""
    assert is_syllable(word)


@pytest.mark.parametrize("word", ["Facebook", "covid", "iPhone", "HIV", "TP", "USD", "12", "", "Hà Nội", "hoaa1"])
def test_not_syllables(word: str) -> None:
    """Foreign words, consonants, numbers and several syllables are not a syllable."""
    assert not is_syllable(word)


@pytest.mark.parametrize(
    ("text", "core"),
    [
        ('"Sơn Tùng"', "Sơn Tùng"),
        ("“Sơn Tùng”,", "Sơn Tùng"),
        (" Hà Nội. ", "Hà Nội"),
        ("**Hà Nội**", "Hà Nội"),
        ("(Hà Nội)", "Hà Nội"),
        ("- Hà Nội", "Hà Nội"),
        ("Công ty A (Hà Nội).", "Công ty A (Hà Nội)"),
        ("Công ty A ( Hà Nội ).", "Công ty A ( Hà Nội )"),
        ("(Tân) Hà Nội,", "(Tân) Hà Nội"),
        ('bài hát "Em".', 'bài hát "Em"'),
        ('"Em" của An.', '"Em" của An'),
        ("“Em” và “Anh”", "“Em” và “Anh”"),
        ('"Em" và "Anh"', '"Em" và "Anh"'),
        ("'Em' và 'Anh'", "'Em' và 'Anh'"),
        ("bài 'Em'.", "bài 'Em'"),
        ('bài ("Em").', 'bài ("Em")'),
        ('"bài "Em" hay"', 'bài "Em" hay'),
        ("'O'Neil'", "O'Neil"),
        ("30%", "30%"),
        ("C++", "C++"),
        ("-5 độ", "-5 độ"),
        ("“...”", ""),
        ("\u200bHà\u200b ", "Hà"),
    ],
)
def test_trim(text: str, core: str) -> None:
    """Signs around a mention are removed; signs that belong to it stay."""
    assert trim(text) == core


@given(st.text(BLANK + "\"'“”()[].,-–5aÁ", max_size=12))
def test_trim_is_a_slice_with_clean_ends(text: str) -> None:
    """The result is a slice without outer white space that has every letter and digit."""
    core = trim(text)
    assert core in text
    assert core == core.strip()
    assert [char for char in core if char.isalnum()] == [char for char in text if char.isalnum()]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("Ông An nói", "An"),
        ("Đại học Hà Nội", "Hà Nội"),
        ("(Hà Nội)", "Hà Nội"),
        ("Hà Nội.", "Hà Nội"),
        ("Hà Nội, Huế", "Hà Nội"),
        ("ở Hà Nội.Ông Nam", "Hà Nội"),
        ("ở Hà Nội.Ông Nam", "Ông Nam"),
        ("TP.HCM", "TP.HCM"),
        ("TP.Huế", "Huế"),
        ("P.Ô Chợ Dừa", "Ô Chợ Dừa"),
        ("N.V.A. bị bắt", "N.V.A"),
        ("năm 2012.Sau đó", "2012"),
        ("1.Hà Nội", "Hà Nội"),
        ("2016-2020", "2016"),
        ("2016–2020", "2020"),
        ("Nga-Mỹ", "Nga"),
        ("Nga-Mỹ", "Mỹ"),
        ("Bà Rịa-Vũng Tàu", "Vũng Tàu"),
        ("châu Á-Thái Bình Dương", "châu Á"),
        ("VOV-Trung Quốc", "Trung Quốc"),
        ("AFP/TTXVN", "AFP"),
        ("27.000 đồng/kg", "27.000 đồng"),
        ("tăng 30%", "30%"),
        ("C++11", "C++"),
        ("x(y)z", "(y)"),
        ("1, 2", "1"),
        ("Hà\u200b Nội", "Hà"),
        ("Việt Nam\u200b-Lào", "Việt Nam"),
        ("❤\ufe0fHuế👍", "Huế"),
        ("Đại_học Hà_Nội", "Hà"),
    ],
)
def test_whole_words(text: str, part: str) -> None:
    """The part consists of whole words of the text."""
    start = text.index(part)
    assert is_whole(text, start, start + len(part))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("Anh", "An"),
        ("Hàm", "Hà"),
        ("Lan", "an"),
        ("2012", "12"),
        ("20h", "20"),
        ("m²", "m"),
        ("5.000.000 đồng", "5.000"),
        ("5.000.000 đồng", "000.000 đồng"),
        ("5.000.000 đồng", "5."),
        ("2,5 tấn", "2"),
        ("2,5 tấn", "5 tấn"),
        ("19:30", "19"),
        ("1/7/2024", "1/7"),
        ("1/7/2024", "2024"),
        ("thắng 3-0", "3"),
        ("21-6-2017", "2017"),
        ("TP.HCM", "TP"),
        ("TP.HCM", "TP."),
        ("TP.HCM", "HCM"),
        ("TP.HCM", ".HCM"),
        ("TP.Huế", "TP"),
        ("Tp.Hcm", "Tp"),
        ("Mr.Đàm", "Mr"),
        ("N.V.A", "N.V"),
        ("N.V.A", "V.A"),
        ("U.23", "23"),
        ("Zing.vn", "Zing"),
        ("Zing.vn", "vn"),
        ("Covid-19", "Covid"),
        ("Covid-19", "19"),
        ("Kim Jong-un", "Kim Jong"),
        ("Pu-tin", "tin"),
        ("V-League", "League"),
        ("Sơn Tùng M-TP", "Sơn Tùng M"),
        ("Sơn Tùng M–TP", "Sơn Tùng M"),
        ("A-B", "A"),
        ("sở GD-ĐT", "GD"),
        ("100 km/h", "100 km"),
        ("quý I/2017", "quý I"),
        ("46/2015/NĐ", "46/2015"),
        ("O'Neil", "Neil"),
        ("H’Nãi", "H"),
        ("H&M", "H"),
        ("a@b", "a"),
        ("Sa\u0302\u0323m", "Sa"),
        ("Sam\u00adsung", "Sam"),
        ("x\u0323y", "x"),
        ("x\u0323y", "y"),
    ],
)
def test_cut_words(text: str, part: str) -> None:
    """The part cuts a word, a number or a name of the text."""
    start = text.index(part)
    assert not is_whole(text, start, start + len(part))


def test_opening_after_an_abbreviation_only() -> None:
    """A name may start after the full stop of an abbreviation, but nothing may end before it."""
    assert is_whole("TP.Hà Nội", 3, 9)
    assert not is_whole("TP.Hà Nội", 0, 3)


@given(st.text(), st.data())
def test_is_whole_takes_any_text(text: str, data: st.DataObject) -> None:
    """For any text: no error, the whole text is whole, and a cut between letters is not."""
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    whole = is_whole(text, start, end)
    assert is_whole(text, 0, len(text))
    if 0 < end < len(text) and text[end - 1].isalnum() and text[end].isalnum():
        assert not whole


def test_blank_is_complete() -> None:
    """``BLANK`` is Python's white space and the zero-width characters, and nothing else."""
    spaces = {chr(point) for point in range(0x110000) if chr(point).isspace()}
    assert set(BLANK) == spaces | set(ZERO_WIDTH)
    assert all(unicodedata.category(char) == "Cf" for char in ZERO_WIDTH)
