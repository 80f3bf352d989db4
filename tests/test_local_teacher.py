"""The embedded teacher: rules, alignment with the text, the CRF's tags, and results for whole sentences."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from annotator.teachers.embedded import tagger
from annotator.teachers.embedded.rules import find_spans
from normalizers.text import nfc
from tests.commands import modules_loaded_by

FOUND = [
    ("date", "Họp ngày 5 tháng 6 năm 2024.", "ngày 5 tháng 6 năm 2024"),
    ("date", "Họp ngày 5/6.", "ngày 5/6"),
    ("date", "Họp ngày 30-4 tới", "ngày 30-4"),
    ("date", "Cập nhật 05-06-2024", "05-06-2024"),
    ("date", "từ 1.7.2024,", "1.7.2024"),
    ("date", "Thứ Hai, ngày 5/6, trời mưa", "Thứ Hai, ngày 5/6"),
    ("date", "vào Chủ nhật", "Chủ nhật"),
    ("date", "sáng 28.6, mưa", "28.6"),
    ("date", "khởi công (28/6)", "28/6"),
    ("date", "có hiệu lực từ 1/7.", "1/7"),
    ("date", "trong tháng 6/2024", "tháng 6/2024"),
    ("date", "Tháng 6 năm 2024, giá tăng", "Tháng 6 năm 2024"),
    ("date", "năm 2024", "năm 2024"),
    ("date", "giai đoạn 2021 - 2025", "giai đoạn 2021 - 2025"),
    ("date", "hết quý II/2024", "quý II/2024"),
    ("date", "mùng 5 tháng Giêng", "mùng 5 tháng Giêng"),
    ("date", "đầu thế kỷ XX", "thế kỷ XX"),
    ("time", "lúc 8h30", "8h30"),
    ("time", "14 giờ 30 phút cùng ngày", "14 giờ 30 phút"),
    ("time", "Đến 20h, mưa tạnh", "20h"),
    ("time", "lúc 7 giờ sáng", "7 giờ sáng"),
    ("time", "chuyến 16:45", "16:45"),
    ("money", "nộp 5.000.000 đồng", "5.000.000 đồng"),
    ("money", "lãi 1,2 tỷ USD", "1,2 tỷ USD"),
    ("money", "giá 20 triệu đồng/m2", "20 triệu đồng"),
    ("money", "hơn 3 tỉ.", "3 tỉ"),
    ("money", "trị giá $5 triệu", "$5 triệu"),
    ("money", "phí 100.000 VNĐ", "100.000 VNĐ"),
    ("money", "vé 50 euro", "50 euro"),
    ("money", "từ 7.000 - 8.000 đồng/kg", "7.000 - 8.000 đồng"),
    ("money", "hàng trăm triệu đồng", "hàng trăm triệu đồng"),
    ("money", "hai mươi triệu đồng", "hai mươi triệu đồng"),
    ("percentage", "tăng 3,5% so với", "3,5%"),
    ("percentage", "khoảng 15-20%", "15-20%"),
    ("percentage", "chiếm 30 phần trăm", "30 phần trăm"),
    ("quantity", "chạy 120 km/h", "120 km/h"),
    ("quantity", "rộng 5 ha", "5 ha"),
    ("quantity", "thu 3.000 tấn lúa", "3.000 tấn"),
    ("quantity", "nóng 38 độ C", "38 độ C"),
    ("quantity", "2,5 triệu tấn", "2,5 triệu tấn"),
    ("phone number", "Hotline: 1900 1234.", "1900 1234"),
    ("phone number", "gọi 024 3825 1234", "024 3825 1234"),
    ("phone number", "gọi 0912.345.678", "0912.345.678"),
    ("phone number", "gọi +84 912 345 678", "+84 912 345 678"),
    ("email", "gửi về toasoan.so1@vidu.com.vn.", "toasoan.so1@vidu.com.vn"),
    ("url", "xem https://vidu.vn/tin-1.html.", "https://vidu.vn/tin-1.html"),
    ("url", "Theo vidu.com.vn, mưa", "vidu.com.vn"),
    ("law document", "Nghị định 100/2019/NĐ-CP", "Nghị định 100/2019/NĐ-CP"),
    ("law document", "Thông tư số 08/2023/TT-BYT", "Thông tư số 08/2023/TT-BYT"),
    ("law document", "Luật Đất đai 2024 có", "Luật Đất đai 2024"),
    ("law document", "Luật Phòng, chống ma túy", "Luật Phòng, chống ma túy"),
    ("law document", "theo Điều 123 Bộ luật Hình sự", "Điều 123 Bộ luật Hình sự"),
    ("law document", "Chỉ thị 16/CT-TTg", "Chỉ thị 16/CT-TTg"),
    ("title", "Chủ tịch nước thăm", "Chủ tịch nước"),
    ("title", "Phó Chủ tịch UBND tỉnh", "Phó Chủ tịch"),
    ("title", "PGS.TS Lê Thị Mai Lan", "PGS.TS"),
    ("title", "đại úy Trần Văn Hưng", "đại úy"),
    ("title", "giám đốc Công ty Sao Mai", "giám đốc"),
]

NOT_FOUND = [
    "Ông về nước hôm nay.Theo ông, trời đẹp",  # a missing space does not make a domain
    "5 đồng chí, 90 triệu dân, 3 tỷ người, 100 đô thị",
    "đi 3 ngày 2 đêm, uống mỗi ngày 2 viên",
    "tỷ số 3-1, số nhà 5-7",
    "chiếm 1/3 dân số, đến 2/3 diện tích",
    "lần thứ ba, thứ hai là",
    "kéo dài 24h, trong 48h",
    "mã số 01234567890123 và 84512345678901",
    "bác sĩ có thể kê đơn, các luật sư cho rằng",
    "19 tuổi, 25 người, 12 cầu thủ",
    "7.000 và 8,5 và 12",
    "Ban Giám đốc họp",
]


@pytest.mark.parametrize(("kind", "text", "mention"), FOUND)
def test_a_rule_finds_the_exact_span(kind: str, text: str, mention: str) -> None:
    """Each rule finds the exact span with its type."""
    assert (mention, kind) in [(text[start:end], label) for start, end, label in find_spans(text)]


@pytest.mark.parametrize("text", NOT_FOUND)
def test_look_alikes_are_left_alone(text: str) -> None:
    """Counts, scores, fractions, durations and common nouns are no entities."""
    assert find_spans(text) == []


_PIECES = st.sampled_from(
    [*(text for _, text, _ in FOUND), *NOT_FOUND, " ", "\n", ".", "Nguyễn", "http://", "TP.", "\0", "👍"]
)
_TEXTS = st.one_of(st.text(max_size=80), st.lists(_PIECES, max_size=6).map("".join))


@given(_TEXTS)
def test_rule_spans_are_ordered_and_apart(text: str) -> None:
    """For any text, spans are inside it, ordered, disjoint and not empty."""
    last = 0
    for start, end, label in find_spans(text):
        assert last <= start < end <= len(text)
        assert label == label.lower().strip()
        last = end


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(_TEXTS.map(nfc))
@example("")
@example(" \n\t ")
@example("👍🏽 ❤️ …")
@example("a" * 5000)
@example("A " * 3000)
@example("http://" + "." * 60)
@example("vidu.vn/" + "!" * 60 + " Ông Nam ở Huế")
def test_mentions_are_distinct_slices_of_any_text(text: str) -> None:
    """For any text, every mention is a slice of it, once per type."""
    pairs = tagger.extract(text)
    assert len(pairs) == len(set(pairs))
    assert all(mention and mention == mention.strip() and mention in text for mention, _ in pairs)


SENTENCES = [
    "Ông Trần Văn Bình, Giám đốc Sở Y tế tỉnh Quảng Nam, cho biết bệnh viện đã mở thêm 50 giường.",
    "Chiều 12/3, Công an TP Đà Nẵng bắt giữ Lê Hoàng Phúc tại quận Hải Châu.",
    "Bà Lan nói rằng Việt Nam sẽ hợp tác với Nhật Bản trong lĩnh vực năng lượng.",
    "Cầu thủ Nguyễn Minh Khôi ghi bàn cho CLB Hà Nội trên sân Hàng Đẫy.",
    "Tổng thống Mỹ John Baker gặp Thủ tướng Đức tại Berlin.",
    "Hoà nhạc diễn ra ở Nhà hát Lớn, thu hút 2.000 khán giả!",
]


@pytest.mark.parametrize("sentence", [*SENTENCES, "x", "Hà Nội", "3 , 4 ."])
def test_tags_are_those_of_underthesea(sentence: str) -> None:
    """The faster features give the same words, parts of speech and entity tags as underthesea."""
    from underthesea import ner

    assert tagger.tag_words(sentence) == [(word, pos, tag) for word, pos, _, tag in ner(sentence)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            SENTENCES[0],
            [
                ("Trần Văn Bình", "person"),
                ("Giám đốc", "title"),
                ("Sở Y tế tỉnh Quảng Nam", "organization"),
            ],
        ),
        (
            SENTENCES[1],
            [
                ("12/3", "date"),
                ("Công an TP Đà Nẵng", "organization"),
                ("Lê Hoàng Phúc", "person"),
                ("quận Hải Châu", "location"),
            ],
        ),
        (SENTENCES[2], [("Lan", "person"), ("Việt Nam", "location"), ("Nhật Bản", "location")]),
        (
            SENTENCES[3],
            [("Nguyễn Minh Khôi", "person"), ("CLB Hà Nội", "organization"), ("sân Hàng Đẫy", "location")],
        ),
        (
            SENTENCES[4],
            [
                ("Tổng thống", "title"),
                ("Mỹ", "location"),
                ("John Baker", "person"),
                ("Thủ tướng", "title"),
                ("Đức", "location"),
                ("Berlin", "location"),
            ],
        ),
        (
            "Bộ trưởng Bộ Giao thông Vận tải Lê Quang Thắng họp với Bộ Văn hóa, Thể thao và Du lịch.",
            [
                ("Bộ trưởng", "title"),
                ("Bộ Giao thông Vận tải", "organization"),
                ("Lê Quang Thắng", "person"),
                ("Bộ Văn hóa, Thể thao và Du lịch", "organization"),
            ],
        ),
        ("Ca sĩ Hồ Ngọc Lam hát bên hồ Tây.", [("Hồ Ngọc Lam", "person"), ("hồ Tây", "location")]),
        ("Sở hữu trí tuệ và trường hợp yêu cầu 9 bộ lọc là chuyện khác.", []),
        (
            "Vụ cháy trên đường Cách mạng tháng 8, gần hẻm 41 đường Lê Văn Thọ, Q.3 và đường 30 tháng 4.",
            [
                ("đường Cách mạng tháng 8", "location"),
                ("hẻm 41 đường Lê Văn Thọ", "location"),
                ("Q.3", "location"),
                ("đường 30 tháng 4", "location"),
            ],
        ),
        (
            "Tổ chức Y tế thế giới và Cục Y tế dự phòng họp ở Nam Mỹ.",
            [
                ("Tổ chức Y tế thế giới", "organization"),
                ("Cục Y tế dự phòng", "organization"),
                ("Nam Mỹ", "location"),
            ],
        ),
        (
            "Phim kể về Tôn Ngộ Không, tức Mỹ hầu vương. Ca sĩ Từ Minh Thuận hát.",
            [("Tôn Ngộ Không", "person"), ("Mỹ hầu vương", "person"), ("Từ Minh Thuận", "person")],
        ),
        (
            "Nokia, Audi, HoREA và Man United dự Asia Song Festival.",
            [(name, "organization") for name in ("Nokia", "Audi", "HoREA", "Man United")],
        ),
        (
            "Chủ tịch UBND TP Nguyễn Văn Thành gặp Thủ tướng Chính phủ, theo báo Lao động.",
            [
                ("Chủ tịch", "title"),
                ("UBND TP", "organization"),
                ("Nguyễn Văn Thành", "person"),
                ("Thủ tướng", "title"),
                ("Chính phủ", "organization"),
                ("Lao động", "organization"),
            ],
        ),
        (
            "Gặp Vandersteen ở Ghent, Tavarez cho biết sẽ nghỉ.",
            [("Vandersteen", "person"), ("Ghent", "location"), ("Tavarez", "person")],
        ),
        ("Ở hai tỉnh Nghệ An, Hà Tĩnh, bờ biển Libya.", [(n, "location") for n in ("Nghệ An", "Hà Tĩnh", "Libya")]),
        ("Ảnh: TRẦN LÂM", [("TRẦN LÂM", "person")]),
        ("Công ty TNHH Mỹ phẩm Sao Khuê", [("Công ty TNHH Mỹ phẩm Sao Khuê", "organization")]),
    ],
)
def test_sentences_give_what_a_reader_sees(text: str, expected: list[tuple[str, str]]) -> None:
    """Heads, titles, honorifics and well-known names decide; a title is not part of an organization."""
    assert tagger.extract(text) == expected


def test_short_forms_follow_the_full_name() -> None:
    """The short form of a person or a company gets the type of the full name."""
    pairs = tagger.extract(
        "Trọng tài phạt Trần Chí Vinh vì lỗi nặng. Theo ban tổ chức, trước đó Chí Vinh đã nhận thẻ vàng. "
        "Công ty Tân Hải Phong nợ thuế, theo báo cáo của Tân Hải Phong."
    )
    assert ("Chí Vinh", "person") in pairs
    assert ("Tân Hải Phong", "organization") in pairs


def test_a_mention_only_inside_longer_ones_is_left_out() -> None:
    """A mention that occurs only inside longer ones of its type is left out."""
    pairs = tagger.extract("Quân đội tiến vào Mosul. Trận đánh ở thành phố Mosul; dân ở thành phố Mosul chạy.")
    assert ("Mosul", "location") in pairs
    pairs = tagger.extract("Bão vào ngoài khơi bang Alaska của Mỹ; các đảo ở bang Alaska bị ngập.")
    assert [mention for mention, _ in pairs if "Alaska" in mention] == ["bang Alaska"]


def test_mentions_keep_the_spelling_of_the_text() -> None:
    """A mention has the spelling of the text, although underthesea's tokens have another tone placement."""
    assert ("xã Hoà Phú", "location") in tagger.extract("Anh sống ở xã Hoà Phú từ nhỏ.")
    assert ("xã Hòa Phú", "location") in tagger.extract("Anh sống ở xã Hòa Phú từ nhỏ.")


def test_pairs_are_distinct_and_ordered() -> None:
    """Pairs are distinct, in the order of first occurrence."""
    text = SENTENCES[4]
    assert tagger.extract(f"{text}\n{text}") == tagger.extract(text)


def test_the_reply_is_json_with_vietnamese_letters() -> None:
    """The reply is a JSON list of pairs, as from a language model."""
    reply = tagger.reply_for(SENTENCES[2])
    assert "Việt Nam" in reply
    assert [tuple(pair) for pair in json.loads(reply)] == tagger.extract(SENTENCES[2])


def test_identity_names_both_versions() -> None:
    """The identity has the versions of rules and model, so that cached answers are not mixed."""
    assert tagger.TEACHER_VERSION in tagger.identity().values()
    assert set(tagger.identity()) == {"underthesea", "rules"}


@pytest.mark.slow
def test_it_loads_only_what_it_uses() -> None:
    """The teacher does not import torch, transformers or underthesea."""
    code = "from annotator.teachers.embedded import tagger; assert tagger.extract('Ông Nguyễn Văn Anh')"
    assert not {"torch", "transformers", "underthesea"} & modules_loaded_by(code)


@pytest.mark.slow
def test_real_news_gives_slices_and_underthesea_tags(news_dir: Path) -> None:
    """On real articles, mentions are slices, common types are found, and tags equal underthesea's."""
    from underthesea import ner

    from annotator.passages.sentences import split_sentences

    file = sorted(news_dir.glob("*.parquet"))[0]
    texts = [nfc(text[:1500]) for text in pq.read_table(file, columns=["text"]).column("text").to_pylist()[:15]]
    pairs = [(text, pair) for text in texts for pair in tagger.extract(text)]
    assert all(mention in text for text, (mention, _) in pairs)
    assert {"person", "location", "organization", "date"} <= {label for _, (_, label) in pairs}
    for text in texts[:3]:
        for place in split_sentences(text):
            sentence = text[place.start : place.end]
            assert tagger.tag_words(sentence) == [(word, pos, tag) for word, pos, _, tag in ner(sentence)]
