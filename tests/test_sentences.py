"""Sentence boundaries of Vietnamese news, rule by rule, and properties for any text."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.passages import sentences
from annotator.passages.sentences import Sentence, split_sentences


def split(text: str) -> list[str]:
    return [text[sentence.start : sentence.end] for sentence in split_sentences(text)]


def assert_covers(text: str, made: list[Sentence]) -> None:
    """Check that sentences are ordered, disjoint and stripped, and leave out only white space."""
    position = 0
    for sentence in made:
        assert position <= sentence.start < sentence.end <= len(text)
        assert not text[position : sentence.start].strip()
        assert text[sentence.start : sentence.end] == text[sentence.start : sentence.end].strip()
        position = sentence.end
    assert not text[position:].strip()


@pytest.mark.parametrize(
    "sentence",
    [
        "Sáng 5.7.2024, UBND TP. Đà Nẵng và Công an TP.HCM họp tại Tp. Vinh.",
        "Nhà ở P. Bình Chiểu, Q. Thủ Đức, gần H. Củ Chi và Q. 1.",
        "PGS. TS. Lê Minh Hải và GS.TS Trần Thu Hà cùng ThS. Ngô An có mặt.",
        "Theo BS. Phạm Lan, Mr. Đàm từng ở St. Petersburg.",
        "Giá tăng từ 5.000.000 lên 5.250.000 đồng, tức 3,5% hay 1.5 lần.",
        "Tổng thống George W. Bush gặp V. Putin và J. K. Rowling ở U.S. Cellular.",
        "Nạn nhân là cháu T. T. H. (17 tuổi), bạn của Nguyễn V.A. và Ng. T. L. ở xóm 5.",
        "Hậu vệ F. Smolov chuyền cho 22 A. Erokhin rồi K. Benzema.",
        "Anh H. cho biết chị Tr. và ông Ph. đã về quê.",
        "Xem thêm tại https://bao.example.vn/Tin.Moi hoặc hỏi toa.soan@bao.Com.vn nhé.",
        "“Bao giờ anh về?” chị hỏi khẽ.",
        "Mua cam, quýt, v.v. để làm quà.",
        "Họ đợi mãi... rồi bỏ đi… trong mưa.",
        "Trúng... 400 tỉ đồng mà tưởng trúng 400 triệu.",
        "Bằng chứng ngoại phạm (?) Của ông bị bác.",
        "Hồ sơ gồm: 1. Đơn xin học và bản sao hộ khẩu.",
        "Vụ việc xảy ra hôm 14.08. 2015 tại bến xe.",
    ],
)
def test_stays_whole(sentence: str) -> None:
    """Abbreviations, initials, numbers, addresses and pauses do not end a sentence."""
    assert split(sentence) == [sentence]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Nhiệt độ cao nhất 37 độ C.", "Khu vực Tây Nguyên có mưa."),
        ("Công an đã mời ông Trần Văn H.", "Theo cơ quan điều tra, ông này bỏ trốn."),
        ("Mẹ con A.T. ở lại.", "Xây xong rồi thì ai cũng mừng."),
        ("Tuyển Việt Nam đứng đầu bảng C.", "HLV Hữu An hài lòng."),
        ("Ông là người nhiệt tình của TP.", "Bên cạnh đó, ông còn dạy học."),
        ("Hội nghị diễn ra ngày 5/7.", "30 người tham dự."),
        ("Anh nói “đi thôi.”", "Chị gật đầu."),
        ('Anh nói: "Tôi không biết."', "Sau đó anh về."),
        ("Anh đi chưa?", "Rồi!"),
        ("Chị bảo thế (theo lời kể).", "(Ảnh: gia đình cung cấp)"),
        ("Mưa lớn ở Huế, Vinh...", "Nhiều nơi bị ngập."),
        ("Đường ngập sâu…", "- Xe chết máy hàng loạt."),
        ("Anh gật đầu đồng ý.", "Chị cũng vậy."),
        ("Tàu đã cập bến./.", "Minh Thu"),
    ],
)
def test_splits(first: str, second: str) -> None:
    """A sentence ends after its terminal punctuation with closing quotes and brackets."""
    assert split(f"{first} {second}") == [first, second]
    assert split(f"{first}\n{second}") == [first, second]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Anh kể lại chuyện đó.Theo ông Nam, vậy là đủ.", ["Anh kể lại chuyện đó.", "Theo ông Nam, vậy là đủ."]),
        ("Họ về năm 2017.Sau đó thì thôi.", ["Họ về năm 2017.", "Sau đó thì thôi."]),
        ("Nhà ở Cầu Giấy.Hình thức bán hàng mới.", ["Nhà ở Cầu Giấy.", "Hình thức bán hàng mới."]),
        ("Do UBND.Theo đó, dân được đền bù.", ["Do UBND.", "Theo đó, dân được đền bù."]),
        ("Ai về?Tôi về.", ["Ai về?", "Tôi về."]),
        ("Cô bảo “thôi.”Anh đi.", ["Cô bảo “thôi.”", "Anh đi."]),
        ('Anh đi."Tôi ở lại", chị nói.', ["Anh đi.", '"Tôi ở lại", chị nói.']),
        ("Ở TP.Huế, Q.Tân Bình, TT.Chí Thanh, H.Tuy An.", ["Ở TP.Huế, Q.Tân Bình, TT.Chí Thanh, H.Tuy An."]),
        ("C.Ronaldo rời M.U. để về V.League.", ["C.Ronaldo rời M.U. để về V.League."]),
        ("Gồm: 1.Hồ sơ gốc.", ["Gồm: 1.Hồ sơ gốc."]),
    ],
)
def test_forgotten_space(text: str, parts: list[str]) -> None:
    """A full stop without a space ends a sentence between Vietnamese words, not inside a name."""
    assert split(text) == parts


def test_straight_quotes_are_paired() -> None:
    """A straight quote closes if one is open, and opens otherwise."""
    assert split('Anh nói: " Tôi đi. " Rồi anh đi.') == ['Anh nói: " Tôi đi. "', "Rồi anh đi."]
    assert split('Rồi anh đi. "Tôi ở lại." Chị nói.') == ["Rồi anh đi.", '"Tôi ở lại."', "Chị nói."]


def test_list_items_keep_their_numbers() -> None:
    """The number or letter of a list item belongs to the item."""
    parts = ["1. Nộp đơn.", "2. Chờ gọi.", "II. Kết quả.", "B. Đáp án."]
    assert split(" ".join(parts)) == parts
    assert split("a. Xem lại.\nb. Ký tên.") == ["a. Xem lại.", "b. Ký tên."]


def test_paragraphs_always_end() -> None:
    """A line break of any kind ends a sentence."""
    assert split("Tin vắn\nÔng H.\r\n\r\nvề quê\u2029hôm qua") == ["Tin vắn", "Ông H.", "về quê", "hôm qua"]


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("Hôm nay trời có mưa.", True),
        ("Anh nói: “Tôi đi đây!”", True),
        ("Anh về lúc nào vậy?)", True),
        ("Họ cứ chờ đợi mãi…", True),
        ("Hà Nội sắp có mưa lớn", False),
        ("Minh Thu.", False),
        ("Các mặt hàng sau đây:", False),
    ],
)
def test_complete(text: str, complete: bool) -> None:
    """A complete sentence has terminal punctuation and four words; headlines and bylines are not complete."""
    assert [sentence.complete for sentence in split_sentences(text)] == [complete]


def test_nothing_in_nothing_out() -> None:
    """Empty and blank texts have no sentences."""
    assert split_sentences("") == split_sentences(" \n\u00a0\t ") == []


MARKS = st.sampled_from(
    [*' .?!…"“”()\n:;,-', "TP.", "Ông ", "anh ", "5.000", "1. ", "H. ", "v.v. ", "\u00a0", "中", "ế"]
)


@given(st.one_of(st.lists(MARKS).map("".join), st.text()))
def test_any_text_is_covered(text: str) -> None:
    """For any text, sentences cover it and contain no line break."""
    found = split_sentences(text)
    assert_covers(text, found)
    assert all(len(text[one.start : one.end].splitlines()) == 1 for one in found)


SPOTS = st.sampled_from(
    [
        *' .?!…"“”’()\n,;:-/',
        *("TP.", "Ông ", "anh ", "5.000", "1. ", "H. ", "USD. ", "PGS. ", "2024. ", "26-3. ", "đ.", ". ", ". Theo "),
        *(
            "mưa.",
            "Prof. A",
            "vol. ",
            "Nam",
            '." ',
            ".” ",
            "(?) ",
            "III. ",
            "vs",
            "\u00a0",
            "ß",
            "٣",
            "\u0301",
            "\u2028",
            "\r\n",
            "\x85",
        ),
    ]
)


@given(st.lists(SPOTS, max_size=40).map("".join))
def test_no_sentence_contains_a_line_break(text: str) -> None:
    """Text that resembles Vietnamese has no sentence with a line break."""
    assert all(len(text[one.start : one.end].splitlines()) == 1 for one in split_sentences(text))


@given(st.lists(SPOTS, max_size=40).map("".join))
def test_the_quick_pattern_changes_nothing(text: str) -> None:
    """The pattern that skips marks without the rules gives the same sentences as the rules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sentences, "_PLACE", re.compile(f"[.?!…。？！]+|[{sentences._BREAKS}]()"))
        looked_at = split_sentences(text)
    assert split_sentences(text) == looked_at


@pytest.mark.parametrize("run", ["a", " ", ".", '"', ". ", "A. ", '."', "a\n", ". ”", "xin.Chào"])
def test_long_runs(run: str) -> None:
    """Very long repetitions are split."""
    text = run * (200_000 // len(run))
    assert_covers(text, split_sentences(text))


def test_real_news(news_dir: Path) -> None:
    """Real articles are covered, and most of their sentences are complete."""
    file = pq.ParquetFile(sorted(news_dir.glob("*.parquet"))[0])
    texts = next(file.iter_batches(batch_size=300, columns=["text"])).column("text").to_pylist()
    split_up = [split_sentences(text) for text in texts]
    for text, made in zip(texts, split_up, strict=True):
        assert_covers(text, made)
    flat = [sentence.complete for made in split_up for sentence in made]
    assert sum(flat) > 0.85 * len(flat)
