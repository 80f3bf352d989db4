"""Which parts of an article are removed as boilerplate, and which must not be."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.records import Document
from annotator.sources.boilerplate import common_lines, find, remove
from annotator.sources.documents import Columns, read_documents
from annotator.sources.locating import locate

HEAD = "Mưa to ở thủ đô\nNhiều tuyến phố ngập sâu sau cơn mưa sáng nay.\n"
BODY = "Sáng 6/2, nhiều tuyến phố ở Hà Nội ngập sâu. Ông Nguyễn Văn An cho biết xe chết máy hàng loạt."


def _cut(text: str) -> tuple[list[tuple[str, str]], str]:
    cuts = find(text)
    return [(text[cut.start : cut.end], cut.reason) for cut in cuts], remove(text, cuts)


@pytest.mark.parametrize(
    ("text", "piece", "reason"),
    [
        (
            f"{HEAD}Phố ngập sáng nay. (Ảnh: Minh Sơn/TTXVN) {BODY}",
            "Phố ngập sáng nay. (Ảnh: Minh Sơn/TTXVN)",
            "photo caption",
        ),
        (f"{HEAD}Một góc phố (ảnh minh hoạ) {BODY}", "Một góc phố (ảnh minh hoạ)", "photo caption"),
        (f"{HEAD}{BODY} (Nguồn: Internet)", "(Nguồn: Internet)", "photo credit"),
        (f"{HEAD}{BODY} Ảnh: Minh Sơn. Nước đã rút.", "Ảnh: Minh Sơn.", "photo credit"),
        (f"{HEAD}{BODY} Ảnh: Google Maps Nước đã rút.", "Ảnh: Google Maps", "photo credit"),
        (f"{HEAD}{BODY} Ảnh minh họa. Nước đã rút.", "Ảnh minh họa.", "photo credit"),
        (f"{HEAD}{BODY} Thu Hà", "Thu Hà", "byline"),
        (f"{HEAD}{BODY} TTXVN/Tin Tức", "TTXVN/Tin Tức", "byline"),
        (f"{HEAD}{BODY} An Dương (T/h)", "An Dương (T/h)", "byline"),
        (f"{HEAD}{BODY} Theo Sức khỏe & Đời sống", "Theo Sức khỏe & Đời sống", "byline"),
        (f"{HEAD}{BODY} Xem thêm: Mưa lớn ở miền Trung", "Xem thêm: Mưa lớn ở miền Trung", "see also"),
        (f"{HEAD}{BODY} >> Xem thêm: Mưa lớn. Nước đã rút.", ">> Xem thêm:", "see also"),
        (f"{HEAD}{BODY} Mời bạn đọc xem video dưới đây: Nước đã rút.", "Mời bạn đọc xem video dưới đây:", "invitation"),
    ],
)
def test_boilerplate_is_cut(text: str, piece: str, reason: str) -> None:
    """Each kind of boilerplate is removed completely and alone."""
    cut, left = _cut(text)
    assert cut == [(piece, reason)]
    assert left.startswith(f"{HEAD}{BODY}")
    assert left.removeprefix(f"{HEAD}{BODY}") in {"", " Nước đã rút.", " Mưa lớn. Nước đã rút."}


@pytest.mark.parametrize(
    "text",
    [
        BODY,
        "Ảnh hưởng của bão: mưa to trên diện rộng. Nguồn: nước ngầm, nước mặt và nước mưa.",
        "Bức ảnh (chụp năm 1968) được trưng bày ở Huế. Hình (a) là bản gốc.",
        "Công ty (nguồn vốn nhà nước) báo lãi. Theo ông An, doanh thu tăng. Theo đó, cổ tức là 5%.",
        "Ông mời các bạn học cũ về quê xem hội. Bà mời bạn đọc thơ ở Văn Miếu.",
        "Bạn có thể xem thêm thông tin ở trụ sở. Người xem thêm sợ hãi.",
        "Giải nhất thuộc về Trần Văn Bình. Giải nhì: 1. Lê Thị Hoa 2. Nguyễn Văn An",
        "Ông nói với Reuters. Ông đến từ Hà Nội, Việt Nam",
        "Cô ấy tên Hà. Cô sống ở Huế.",
    ],
)
def test_prose_is_left_alone(text: str) -> None:
    """Words of credits in prose, and names at the end of a sentence, are not boilerplate."""
    assert _cut(text) == ([], text)


@pytest.mark.slow
def test_the_bundled_articles() -> None:
    """Of the 46 bundled articles, only the line that was written as boilerplate is removed."""
    files = locate(None)
    assert isinstance(files, tuple)
    articles = [row.text for file in files for row in read_documents(file, Columns()) if isinstance(row, Document)]
    assert len(articles) == 46
    cuts = [text[cut.start : cut.end] for text in articles for cut in find(text, common_lines(articles))]
    assert cuts == ["<i>[Xem thêm: Bản đồ kho lạnh miền Bắc]</i>"]


def test_common_lines() -> None:
    """A line of five documents is common, in any case and spacing; one of four, or a short one, is not."""
    line = "Mọi chi tiết xin liên hệ văn phòng của báo tại Hà Nội."
    texts = [f"Tin số {number} hôm nay.\n{line.upper() if number else line}" for number in range(5)]
    shared = common_lines(texts)
    assert [texts[0][cut.start : cut.end] for cut in find(texts[0], shared)] == [line]
    assert not common_lines(texts[:4])
    assert not common_lines(["Gió nhẹ."] * 9)


@given(st.text("aẢnh:(). \nTheoVN", max_size=200))
def test_cuts_and_the_rest_are_the_text(text: str) -> None:
    """Cuts are ordered, disjoint and inside the text; the rest has all other letters in order."""
    cuts = find(text)
    assert all(0 <= cut.start < cut.end <= len(text) and text[cut.start : cut.end].strip() for cut in cuts)
    assert all(one.end <= other.start for one, other in pairwise(cuts))
    outside = "".join(char for at, char in enumerate(text) if not any(cut.start <= at < cut.end for cut in cuts))
    assert "".join(remove(text, cuts).split()) == "".join(outside.split())
