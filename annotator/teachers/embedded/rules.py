"""Find entities of a fixed form: contacts, law documents, dates, times, amounts, titles.

Each rule is one pattern. They run in the order of ``_RULES``, and a span that one finds is hidden from the next, so
spans never overlap. No number begins inside another, and every quantifier is bounded or cannot backtrack: the time is
linear in the length of the text.
"""

from __future__ import annotations

import re
from functools import cache

Span = tuple[int, int, str]
"""``(start, end, type)``: code points, half open; the type in lower-case English."""


def words(listed: str) -> tuple[str, ...]:
    """Return the comma-separated entries of ``listed``."""
    return tuple(entry.strip() for entry in listed.split(","))


def one_of(entries: tuple[str, ...], around: str = "{}") -> str:
    """Return a group that matches any of ``entries``, the longest first; ``around`` is put around each."""
    return "(?:" + "|".join(around.format(re.escape(e)) for e in sorted(entries, key=len, reverse=True)) + ")"


UPPER = "A-Z" + "".join(c for c in map(chr, (*range(0xC0, 0x1B1), *range(0x1EA0, 0x1EFA))) if c.isupper())
"""The inside of a character class: the capitals of Vietnamese and other Latin letters."""

# ------------------------------------------------------------------ parts
_EDGE = r"(?<!\w)(?<!\d[.,/:])(?<!\w[-–])"  # a number may begin: not inside a word, an amount, a date or a code
_END = r"(?!\w)"
_SP = "[ \\u00a0]"
_DASH = f"{_SP}?[-–—]{_SP}?"
_NUMBER = r"(?:\d{1,3}(?:\.\d{3})++(?:,\d++)?|\d{1,3}(?:,\d{3})++(?:\.\d++)?|\d++(?:[.,]\d++)?)(?!\d)"
_AMOUNT = f"{_NUMBER}(?:{_DASH}{_NUMBER})?"
_NUMERAL = "(?:một|hai|ba|bốn|năm|sáu|bảy|tám|chín|mười|vài|mấy|hàng)(?: mươi)?"
_SCALE = "(?:chục|trăm|nghìn|ngàn|vạn|triệu|tỷ|tỉ)"

# ------------------------------------------------------------------ contacts
_EMAIL = r"(?<![\w.%+@-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,4}[A-Za-z]{2,10}(?![\w-])"
_TAIL = r"[^\s<>\"“”'’()\[\]\0]*[^\s<>\"“”'’()\[\]\0.,;:!?…]"
_PATH = r"[!#-&*-;=?-Z^-~]*[#-&*+/-9=@-Z^-~]"
_URL = (
    rf"(?<!\w)(?i:https?://|www\.){_TAIL}"
    # a bare domain has a known ending in lower case: "hôm nay.Theo" is a missing space
    r"|(?<![\w@.-])(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,4}"
    rf"(?:vn|com|net|org|gov|edu|info|biz|asia|tv|io)(?![\w-])(?!\.[a-z])(?:/{_PATH}(?!\w))?"
)
_PHONE = (
    r"(?<![\w+])(?<!\d[.,/: -])(?:"
    r"(?:\(\+84\)|\+84)[ .-]?\d{1,3}(?:[ .-]?\d{3,4}){2}"  # +84 912 345 678
    r"|\(0\d{1,3}\)[ .-]?\d{3,4}[ .-]?\d{3,4}"  # (024) 3825 1234
    r"|0\d{9,10}|0\d{1,3}[ .-]\d{3,4}[ .-]?\d{3,4}|0\d{3}(?:[ .]\d{2}){3}"  # 0912345678, 024.3825.1234, 0912 34 56 78
    r"|1[89]00(?:[ .]?\d{4}|(?:[ .]\d{2}){2})"  # 1900 1234
    r")(?![\w%])(?![.,-]\d)(?! ?(?:%|(?:đồng|VN[DĐ]|USD|euro|triệu|tỷ|tỉ)\b))"
)

# ------------------------------------------------------------------ law documents
_LAW_NAMES = words(
    "An ninh mạng, An ninh quốc gia, An toàn thực phẩm, An toàn vệ sinh lao động, Bảo hiểm xã hội, Bảo hiểm y tế, "
    "Bảo vệ môi trường, Biển Việt Nam, Bình đẳng giới, Báo chí, Các tổ chức tín dụng, Cán bộ công chức, Chứng khoán, "
    "Công an nhân dân, Công chứng, Công đoàn, Cạnh tranh, Cư trú, Di sản văn hóa, Doanh nghiệp, Du lịch, Dân sự, Dược, "
    "Giao thông đường bộ, Giáo dục, Giáo dục nghề nghiệp, Giáo dục đại học, Giá, Hàng hải, Hải quan, Hình sự, "
    "Hôn nhân và gia đình, Khiếu nại, Khoáng sản, Kinh doanh bất động sản, Kiểm toán nhà nước, Kế toán, Lao động, "
    "Luật sư, Lâm nghiệp, Nghĩa vụ quân sự, Ngân sách nhà nước, Nhà giáo, Nhà ở, Nuôi con nuôi, Phá sản, "
    "Phòng cháy chữa cháy, Phòng chống bạo lực gia đình, Phòng chống ma túy, Phòng chống tham nhũng, Quy hoạch, "
    "Quản lý thuế, Quốc phòng, Quốc tịch, Sở hữu trí tuệ, Thi hành án dân sự, Thi hành án hình sự, "
    "Thuế giá trị gia tăng, Thuế thu nhập cá nhân, Thương mại, Thể dục thể thao, Thủ đô, Thủy lợi, Thủy sản, "
    "Tiếp cận thông tin, Trẻ em, Tài nguyên nước, Tố cáo, Trật tự an toàn giao thông đường bộ, Tố tụng dân sự, "
    "Tố tụng hành chính, Tố tụng hình sự, Viên chức, Viễn thông, Xuất bản, Xây dựng, Xử lý vi phạm hành chính, "
    "Điện lực, Đầu tư, Đầu tư công, Đất đai, Đấu giá tài sản, Đấu thầu, Đê điều, Đường bộ, Đường sắt"
)
_LAW = (
    rf"(?:(?:[Bb]ộ )?[Ll]uật (?i:{one_of(_LAW_NAMES)})|Hiến pháp|BLHS|BLTTHS|BLDS){_END}"
    r"(?:(?: năm)? (?:19|20)\d\d(?!\d))?"
    # "Phòng, chống ..." and "Phòng cháy, chữa cháy" are written with and without the comma
).replace(r"\ ch", r",?\ ch")
_DOCUMENT = one_of(
    words(
        "Nghị định, Thông tư, Thông tư liên tịch, Quyết định, Chỉ thị, Nghị quyết, Công văn, Công điện, Pháp lệnh, Luật"
    )
)
_CODE = r"\d{1,5}[A-Za-z]?(?:[/-][A-Za-zĐđƯư0-9&]{1,12}){0,5}"
_NUMBERED = rf"(?i:{_DOCUMENT})(?: số:?)? {_CODE}"
_CLAUSE = r"(?:[Đđ]iểm [a-zđ],? )?(?:[Kk]hoản \d{1,2},? )?"
_LAW_DOCUMENT = (
    rf"(?<!\w)(?:{_CLAUSE}(?:[Đđ]iều \d{{1,3}}[a-z]?,? (?:của )?(?:{_LAW}|{_NUMBERED})|Điều \d{{1,3}}[a-z]?)"
    rf"|{_LAW}|{_NUMBERED}|\d{{1,5}}/(?:19|20)\d\d/[A-ZĐ]{{2}}[A-ZĐa-z0-9-]{{0,20}}){_END}"
)

# ------------------------------------------------------------------ dates
_DAY = r"(?:3[01]|[12]\d|0?[1-9])(?!\d)"
_MONTH = r"(?:1[0-2]|0?[1-9])(?!\d)"
_YEAR = r"(?:1\d{3}|20\d\d)(?!\d)"
_MONTH_NAME = "(?:giêng|hai|ba|tư|năm|sáu|bảy|tám|chín|mười một|mười hai|mười|chạp)(?!\\w)"
_FULL = "(?:" + "|".join(f"{_DAY}{sep}{_MONTH}{sep}{_YEAR}" for sep in (" ?/ ?", "-", r"\.")) + ")"
_SHORT = rf"{_DAY}(?:/|-|\.){_MONTH}(?:/\d\d)?(?![/.,-]?\d)"
_DAYS = rf"{_DAY}(?:[/.]{_MONTH})?{_DASH}{_DAY}[/.]{_MONTH}(?:[/.]{_YEAR})?"
_OF_YEAR = rf"(?:(?: năm | ?[/-] ?|\.){_YEAR})?"
_WRITTEN = rf"{_DAY},? tháng (?:{_MONTH}|{_MONTH_NAME}){_OF_YEAR}"
_WEEKDAY = r"(?:thứ (?:hai|ba|tư|năm|sáu|bảy|[2-7])|chủ nhật)"
_PARTS = words("sáng, trưa, chiều, tối, đêm, khuya")
_SAYS_DATE = one_of((*_PARTS, "hôm"), "(?<={} )")
_HINTS_DATE = one_of(words("từ, đến, tới, vào, lễ, dịp"), "(?<={} )")
_DATE = "|".join(
    (
        rf"(?<!\w)(?:{_WEEKDAY},? )?(?:ngày|mùng|mồng) (?:{_DAYS}|{_FULL}|{_SHORT}|{_WRITTEN}){_END}"
        "(?: (?:âm|dương) lịch)?",
        rf"(?<!\w){_WEEKDAY},? (?:{_FULL}|{_SHORT}){_END}",
        rf"(?<!\w)(?:mùng|mồng) (?:{_DAY}|{_MONTH_NAME})(?: tháng (?:{_MONTH}|{_MONTH_NAME}))?{_END}",
        rf"(?<!\w)rằm tháng (?:{_MONTH}|{_MONTH_NAME}){_END}",
        # a day alone, but not "3 ngày 2 đêm" or "mỗi ngày 2 lần"
        rf"(?<!\w)(?<!\d )(?<!mỗi )(?<!một )ngày {_DAY}(?!\w|[.,/-]\d|{_DASH}\d)"
        r"(?! (?:lần|bữa|viên|đêm|giờ|tiếng|ly|cốc|gói|chuyến|vụ|ca|suất)\b)",
        rf"{_EDGE}(?<!đường )(?<!phố ){_WRITTEN}{_END}",  # "đường 30 tháng 4"
        rf"{_EDGE}(?:{_FULL}|{_YEAR}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])){_END}",
        rf"{_SAYS_DATE}(?:{_DAYS}|{_SHORT}){_END}",
        # weaker signs: slashes only, and none of the common fractions
        rf"(?:{_HINTS_DATE}(?!1/[2-5]\b|2/[35]\b|3/[45]\b)|(?<=\()){_DAY}/{_MONTH}(?![/.,-]?\d){_END}",
        rf"(?<!\w)(?<!\d )(?<!cách mạng )tháng (?:{_MONTH}(?! (?:ngày|tuổi)\b)|(?:giêng|chạp)(?!\w))"
        rf"{_OF_YEAR}(?![\w%]|[.,]\d)",
        rf"(?<!\w)quý (?:[1-4]|I{{1,3}}|IV)(?!\w)(?:(?: năm | ?[/-] ?|\.){_YEAR})?",
        rf"(?<!\w)(?:những năm|thập niên|thập kỷ) (?:{_YEAR}|[1-9]0){_END}",
        rf"(?<!\w)(?:năm học|niên khóa|giai đoạn|nhiệm kỳ|năm) {_YEAR}(?:{_DASH}{_YEAR})?{_END}(?![.,]\d)",
        rf"(?<!\w)thế k[ỷỉ] (?:thứ )?(?:[IVX]{{1,5}}|\d{{1,2}}){_END}",
        rf"{_EDGE}(?:1[6-9]|20)\d\d{_DASH}(?:1[6-9]|20)\d\d(?![\w%]|[.,]\d)",
        # a capital tells the weekday from "third", "fourth"
        r"(?<!\w)(?-i:[Tt]hứ (?:Hai|Ba|Tư|Năm|Sáu|Bảy)|[Cc]hủ [Nn]hật)(?!\w)",
    )
)

# ------------------------------------------------------------------ times of day
_HOUR = r"(?:2[0-4]|1\d|0?\d)"
_PART_OF_DAY = rf" (?:rạng sáng|sáng sớm|chiều tối|{'|'.join(_PARTS)})(?!\w)"
_LASTS = one_of(words("sau, trong, suốt, hơn, mất, gần, trước, kéo dài, vòng"), "(?<!{} )").replace("|", "")
_TIME = (
    rf"(?<![\w/])(?<!\d[.,/:-])(?:{_HOUR}[hg][0-5]\d(?:['’]|ph(?:út)?)?"  # 8h30
    rf"|{_HOUR}:[0-5]\d(?::[0-5]\d)?"  # 16:45
    rf"|{_HOUR} giờ [0-5]?\d(?: phút)?(?![/.]\d)"  # 14 giờ 30 phút
    rf"|{_HOUR} ?(?:h|giờ)(?={_PART_OF_DAY})"  # 7 giờ sáng
    rf"|{one_of(words('lúc, hồi, vào'), '(?<={} )')}{_HOUR} ?(?:h|giờ)"
    rf"|{_LASTS}{_HOUR}h(?!/| (?:tới|qua)\b)"  # 20h, no duration
    rf"){_END}(?![:/]\d)(?:{_PART_OF_DAY})?"
)

# ------------------------------------------------------------------ amounts
_CURRENCY = (
    r"(?:đồng(?! (?:chí|bào|đội|minh|nghiệp|phạm|hương|tính|tiền)\b)|VN[DĐ]|vn[dđ]|đ|USD|usd|US\$|EUR|[Ee]uro|GBP|JPY"
    r"|CNY|SGD|AUD|đô[ -]?la(?: Mỹ| Úc| Singapore| Hồng Kông)?|đô(?! (?:thị|vật|đốc)\b)|bảng Anh|yên(?: Nhật)?"
    r"|nhân dân tệ|tệ|won|rúp|rupee|baht|franc)(?!\w)|[$€£¥]"
)
_MONEY = (
    rf"(?:US)?[$€£¥]{_SP}?{_NUMBER}(?:m|M|bn|k|{_SP}(?:{_SCALE}|million|billion))?{_END}"
    rf"|{_EDGE}(?:{_AMOUNT}|{_NUMERAL})(?:{_SP}{_SCALE}){{1,2}}(?:{_SP}{_NUMBER}{_SP}{_SCALE})?"
    rf"{_SP}(?:{_CURRENCY}|bảng(?! đấu)(?!\w))"
    rf"|{_EDGE}{_AMOUNT}{_SP}?(?:{_CURRENCY})"
    # without a currency only where nothing that could be counted follows
    rf"|{_EDGE}{_AMOUNT}{_SP}(?:triệu|tỷ|tỉ)(?= ?[.,;:!?)\n]| (?:để|cho|mua|tiền|mỗi|thì|nhưng|nên|rồi|là)\b|\Z)"
)
_PERCENTAGE = rf"{_EDGE}{_NUMBER}%?(?:{_DASH}{_NUMBER})?{_SP}?(?:%|phần trăm(?!\w))"
_UNIT = one_of(
    words(
        "km/h, km/giờ, km/giây, m/s, m/giây, km2, km², km, m2, m², m3, m³, m 2, m 3, m, cm2, cm², cm3, cm³, cm, mm, "
        "dm, nm, mét vuông, mét khối, mét, ki lô mét, kilômét, kilomet, hải lý, dặm, feet, inch, ha, héc ta, hecta, "
        "hécta, sào, tấn, tạ, kg, kilogam, ki lô gam, g, gr, gram, gam, mg, carat, lít, ml, W, kW, KW, MW, GW, kWh, "
        "kV, Hz, kHz, MHz, GHz, KB, MB, GB, TB, Mbps, Gbps, độ C, độ F, độ Richter, độ, °C, °F, mã lực, HP, calo, "
        "kcal, mAh, megapixel, MP, mmHg"
    )
)
_QUANTITY = (
    rf"{_EDGE}{_AMOUNT}{_SP}?(?:(?:triệu|nghìn|ngàn|tỷ|tỉ|vạn){_SP})?{_UNIT}{_END}(?! (?:tuổi|nét|dày|cao)\b)(?!/\w)"
)

# ------------------------------------------------------------------ titles
_OFFICES = words(
    "Chủ tịch nước, Chủ tịch, Chủ tịch HĐQT, Chủ tịch Hội đồng quản trị, Tổng Bí thư, Bí thư, Thủ tướng, Bộ trưởng, "
    "Thứ trưởng, Ngoại trưởng, Tổng thống, Thống đốc, Tỉnh trưởng, Thị trưởng, Thượng nghị sĩ, Hạ nghị sĩ, Nghị sĩ, "
    "Quốc vương, Giáo hoàng, Đại sứ, Tổng lãnh sự, Tổng Thư ký, Chánh Văn phòng, Chánh thanh tra, Chánh án, "
    "Viện trưởng, Tổng cục trưởng, Cục trưởng, Chi cục trưởng, Vụ trưởng, Hiệu trưởng, Trưởng ban, Trưởng phòng, "
    "Trưởng khoa, Trưởng đoàn, Trưởng thôn, Đội trưởng, Tổ trưởng, Tư lệnh, Chính ủy, Tham mưu trưởng, Chỉ huy trưởng, "
    "Người phát ngôn, Phát ngôn viên, Đại tướng, Thượng tướng, Trung tướng, Thiếu tướng, Chuẩn tướng, Đô đốc, Đại tá, "
    "Thượng tá, Trung tá, Thiếu tá, Đại úy, Thượng úy, Trung úy, Thiếu úy, Đại uý, Thượng uý, Trung uý, Thiếu uý, "
    "Tổng giám đốc, Giám đốc, Giám đốc điều hành, Tổng biên tập, Kế toán trưởng, Huấn luyện viên trưởng"
)
_PROFESSIONS = words(
    "Thư ký, Huấn luyện viên, Phó giáo sư, Giáo sư, Tiến sĩ, Tiến sỹ, Thạc sĩ, Thạc sỹ, Bác sĩ, Bác sỹ, Dược sĩ, "
    "Luật sư, Kỹ sư, Kiến trúc sư, Thẩm phán, Kiểm sát viên, Điều tra viên, Linh mục, Hòa thượng, Thượng tọa, Đại đức, "
    "Cố vấn, Nghệ sĩ nhân dân, Nghệ sĩ ưu tú, Công chúa, Hoàng tử, Nữ hoàng"
)
_DEGREE = r"(?:PGS|GS|TSKH|TS|ThS|Th\.S|BS|CKII|CKI|LS|KTS|KS|NSND|NSƯT)"
_TITLE = (
    rf"(?<!\w)(?<![Bb]an )(?:{_DEGREE}(?:[.-]? ?{_DEGREE}(?!\w)){{0,3}}(?=\.? ?[{UPPER}])(?!\w)"
    rf"|HLV(?: trưởng)?|CEO|(?:Phó )?[Tt]rưởng(?= (?:Ban|Phòng|Khoa|Đoàn|Công an) [{UPPER}])"
    # in lower case, or as a common noun at the head of a sentence, these are titles only before a name
    rf"|(?i:(?:phó )?{one_of((*_OFFICES, *_PROFESSIONS))})(?= [{UPPER}])"
    rf"|(?:Phó )?(?:(?<=Phó )(?i:{one_of(_OFFICES)})|{one_of(_OFFICES)})){_END}"
)

_RULES = (
    # type, pattern, whether letter case matters
    ("email", _EMAIL, True),
    ("url", _URL, True),
    ("law document", _LAW_DOCUMENT, True),
    ("phone number", _PHONE, True),
    ("percentage", _PERCENTAGE, False),
    ("date", _DATE, False),
    ("money", _MONEY, True),
    ("time", _TIME, False),
    ("quantity", _QUANTITY, True),
    ("title", _TITLE, True),
)


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Compile the rules at first use."""
    return tuple((kind, re.compile(pattern, 0 if cased else re.IGNORECASE)) for kind, pattern, cased in _RULES)


def find_spans(text: str) -> list[Span]:
    """Return the spans of the rules in ``text`` (NFC), in order of start, without overlaps."""
    spans: list[Span] = []
    free = text
    for kind, pattern in _patterns():
        pieces: list[str] = []
        last = 0
        for match in pattern.finditer(free):
            start, end = match.span()
            spans.append((start, end, kind))
            pieces += (free[last:start], "\0" * (end - start))  # hidden from later rules, offsets unchanged
            last = end
        if last:
            free = "".join(pieces) + free[last:]
    return sorted(spans)
