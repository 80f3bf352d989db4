"""People, organisations and places: capital letters say where a name is, cues and the CRF say what it is.

The CRF alone is not enough on news: it calls whatever surprises it a place and swallows the words before a name. So a
name is a run of capitalised syllables. Its type is taken from a cue where there is one (a head such as "Sở" or
"huyện", a title or an honorific before it, a family name, a short list of well-known names), else from the CRF; then
the occurrences of one name in a passage vote. Pure, standard library only.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from annotator.teachers.embedded.rules import words

PERSON, ORGANIZATION, LOCATION = "person", "organization", "location"
_CRF = {"PER": PERSON, "ORG": ORGANIZATION, "LOC": LOCATION}

# ------------------------------------------------------------------ word lists
_CUES = {
    # what the words before a name announce: a type, or one of
    # "role" (a person, or the country or body he is of), "where", "source" (of a report), "none" (no name)
    "theo": "source",
    **dict.fromkeys(
        words(
            "ông, bà, anh, chị, em, cháu, cô, chú, bác, cụ, thầy, bé, nàng, chàng, đồng chí, bị cáo, bị can, "
            "nghi phạm, đối tượng, nạn nhân, vợ, chồng, con trai, con gái, bạn trai, bạn gái, thiếu nữ, họ tên, tài xế"
        ),
        PERSON,
    ),
    **dict.fromkeys(
        words(
            "cầu thủ, tiền vệ, hậu vệ, trung vệ, thủ môn, thủ thành, tiền đạo, chân sút, trung phong, trọng tài, "
            "tay vợt, võ sĩ, vđv, ca sĩ, ca sỹ, diễn viên, nghệ sĩ, nghệ sỹ, danh hài, đạo diễn, nhạc sĩ, người mẫu, "
            "siêu mẫu, hoa hậu, á hậu, mc, ctv, nhà báo, nhà văn, nhà thơ, họa sĩ, doanh nhân, tỷ phú, thí sinh, "
            "đại biểu, chiến sĩ, hlv, bác sĩ, luật sư, giáo sư, tiến sĩ, linh mục, cựu, nữ sinh, nam sinh, học sinh, "
            "sinh viên"
        ),
        "role",
    ),
    **dict.fromkeys(
        words(
            "pv, phóng viên, báo, tờ, hãng, hãng tin, tạp chí, nhật báo, trang, trang tin, kênh, thương hiệu, nhà mạng"
        ),
        ORGANIZATION,
    ),
    **dict.fromkeys(
        words("tiếng, ngôn ngữ, chữ, môn, hạng, lớp, bậc, loại, nhóm, vitamin, điểm, khối"),
        "none",
    ),
    **dict.fromkeys(
        words("tại, ở, từ, đến, tới, khắp, khu vực, vùng, vùng biển, người, nước"),
        "where",
    ),
}
_HEADS = {
    # what the first words of a name make it; a "state" body is not named after a person, what is "named" may be
    **dict.fromkeys(
        words(
            "tỉnh, thành phố, tp, tp., t.p, quận, huyện, thị xã, thị trấn, phường, xã, thôn, ấp, bản, làng, buôn, "
            "khu phố, khu đô thị, khu công nghiệp, khu chế xuất, khu du lịch, khu dân cư, khu kinh tế, khu bảo tồn, "
            "kcn, đường, phố, ngõ, quốc lộ, tỉnh lộ, đại lộ, cao tốc, cầu, hầm, đèo, dốc, ngã ba, ngã tư, bến xe, "
            "bến cảng, ga, sân bay, sân vận động, svđ, sân, cảng, chợ, chùa, đền, đình, miếu, nhà thờ, hồ, sông, suối, "
            "kênh, rạch, vịnh, biển, bãi biển, đảo, bán đảo, quần đảo, cù lao, hòn, mũi, núi, đồi, thác, động, "
            "vườn quốc gia, rừng, công viên, cửa khẩu, thủy điện, nhà máy thủy điện, châu, eo biển, cao nguyên, "
            "đồng bằng, quảng trường, bang, tiểu bang, thủ đô, tòa nhà, chung cư, trại giam, lăng, phủ, hẻm, vùng biển"
        ),
        "place",
    ),
    **dict.fromkeys(
        words(
            "bộ, sở, ban, cục, tổng cục, chi cục, vụ, phòng, ủy ban, uỷ ban, ủy ban nhân dân, uỷ ban nhân dân, ubnd, "
            "hđnd, hội đồng nhân dân, hội đồng, công an, cảnh sát, tòa án, toà án, tand, viện kiểm sát, vks, vksnd, "
            "viện ksnd, thanh tra, kiểm toán, tỉnh ủy, tỉnh uỷ, thành ủy, thành uỷ, huyện ủy, quận ủy, đảng ủy, đảng, "
            "kho bạc, hải quan, chi nhánh, quân khu, quân đoàn, binh đoàn, bộ tư lệnh, bộ chỉ huy, văn phòng, "
            "đại sứ quán, mặt trận, đoàn, hội, hội nông dân, liên đoàn, hiệp hội, liên minh, tổng công ty, "
            "ban quản lý, ban chỉ đạo, cơ quan, trung ương, đội, tổ, bch, btc, báo, tạp chí"
        ),
        "state",
    ),
    **dict.fromkeys(
        words(
            "công ty, cty, công ty cổ phần, công ty tnhh, tập đoàn, ngân hàng, nhnn, trường, đại học, trường đại học, "
            "học viện, cao đẳng, đh, đhqg, trường đh, trường thpt, trường thcs, thpt, thcs, trường tiểu học, "
            "trường mầm non, bệnh viện, bv, viện, bảo tàng, nhà hát, thư viện, trung tâm, trung tâm y tế, câu lạc bộ, "
            "clb, đội tuyển, đội bóng, đài, đài truyền hình, nhà xuất bản, nxb, quỹ, hãng hàng không, hợp tác xã, htx, "
            "nhà máy, xí nghiệp, xưởng"
        ),
        "named",
    ),
}
_LOWER_HEADS = frozenset(
    # these begin a name in lower case too ("công an huyện ..."); the other bodies are common words then
    words(
        "công ty, cty, tập đoàn, ngân hàng, trường, đại học, trường đại học, học viện, trường đh, trường thpt, "
        "trường thcs, trường tiểu học, trường mầm non, bệnh viện, bv, bảo tàng, nhà hát, thư viện, câu lạc bộ, clb, "
        "đội tuyển, đài truyền hình, nhà xuất bản, nxb, hãng hàng không, hợp tác xã, htx, công an, ubnd, sở, "
        "tổng công ty, hiệp hội, liên đoàn, tòa án, toà án, đại sứ quán, công ty cổ phần, công ty tnhh"
    )
)
_LINKS = frozenset(
    # syllables in lower case that may stand inside the name of a body
    words(
        "và, nhân, dân, tỉnh, thành, phố, tp, quận, huyện, xã, phường, thị, trấn, cổ, phần, tnhh, thương, mại, đầu, "
        "tư, xây, dựng, sản, xuất, dịch, vụ, phát, triển, kinh, doanh, trách, nhiệm, hữu, hạn, quốc, tế, gia, lâm, "
        "nghiệp, nông, công, truyền, hình, thanh, tiểu, học, mầm, non, trung, cấp, cao, đẳng, cơ, điện, tử, y, khoa, "
        "đa, bảo, hiểm, chứng, khoán, môi, giới, vận, tải, du, lịch, một, viên, thể, thao, phòng, chống, tội, phạm, "
        "điều, tra, đường, thủy, bộ, sắt, hàng, không, châu"
    )
)
_COMMON = frozenset(
    # words that begin sentences, whatever underthesea says; no name has them in it
    words(
        "Luật, Theo, Tại, Tuy, Khi, Sau, Trong, Với, Từ, Đây, Đó, Dù, Nếu, Vì, Còn, Cả, Các, Những, Như, Để, Trên, "
        "Dưới, Nhưng, Và, Cũng, Hiện, Vừa, Đến, Cùng, Bên, Ngoài, Trước, Giữa, Qua, Về, Riêng, Bởi, Ảnh, Nguồn, Video, "
        "Người, Nhiều, Mỗi, Lúc, Có, Không, Đã, Đang, Sẽ, Là, Cho, Nên, Thì, Mà, Rồi, Vậy, Vào, Ở, Bị, Được, Hãy, "
        "Đừng, Chỉ, Vẫn, Việc, Cuộc, Điều, Xem, Tùy, Clip, Tới, Lễ, Chương, Mục, Ngành, Ngày, Hôm, Chiều, Tối, Đêm, "
        "Trưa, Khoảng"
    )
)
_FAMILY = frozenset(
    words(
        "Nguyễn, Trần, Lê, Phạm, Hoàng, Huỳnh, Phan, Vũ, Võ, Đặng, Bùi, Đỗ, Hồ, Ngô, Dương, Lý, Đinh, Trịnh, Đoàn, "
        "Lương, Mai, Trương, Tô, Tạ, Cao, Hà, Lâm, Tống, Phùng, Đào, Vương, Chu, La, Kiều, Quách, Thái, Thạch, Tăng, "
        "Nghiêm, Lưu, Hứa, Đàm, Khổng, Diệp, Thân, Mạc, Cù, Doãn, Triệu, Văn, Lã, Lại, Bạch, Ông, Châu, Từ, Tôn, Viên, "
        "Phí, Khuất, Giáp"
    )
)
_PLACES = frozenset(
    words(
        "Việt Nam, Hà Nội, TP.HCM, TP HCM, TPHCM, Tp.HCM, TP. HCM, Sài Gòn, Thành phố Hồ Chí Minh, TP Hồ Chí Minh, "
        "TP.Hồ Chí Minh, TP. Hồ Chí Minh, Đà Nẵng, Hải Phòng, Cần Thơ, Huế, Thừa Thiên Huế, Thừa Thiên - Huế, "
        "An Giang, Bà Rịa - Vũng Tàu, Bà Rịa, Vũng Tàu, Bạc Liêu, Bắc Giang, Bắc Kạn, Bắc Ninh, Bến Tre, Bình Dương, "
        "Bình Định, Bình Phước, Bình Thuận, Cà Mau, Cao Bằng, Đắk Lắk, Đắk Nông, Đăk Lăk, Đăk Nông, Đắc Lắc, "
        "Điện Biên, Đồng Nai, Đồng Tháp, Gia Lai, Hà Giang, Hà Nam, Hà Tĩnh, Hải Dương, Hậu Giang, Hòa Bình, Hoà Bình, "
        "Hưng Yên, Khánh Hòa, Khánh Hoà, Kiên Giang, Kon Tum, Lai Châu, Lạng Sơn, Lào Cai, Lâm Đồng, Long An, "
        "Nam Định, Nghệ An, Ninh Bình, Ninh Thuận, Phú Thọ, Phú Yên, Quảng Bình, Quảng Nam, Quảng Ngãi, Quảng Ninh, "
        "Quảng Trị, Sóc Trăng, Sơn La, Tây Ninh, Thái Bình, Thái Nguyên, Thanh Hóa, Thanh Hoá, Tiền Giang, Trà Vinh, "
        "Tuyên Quang, Vĩnh Long, Vĩnh Phúc, Yên Bái, Đà Lạt, Nha Trang, Hội An, Hạ Long, Quy Nhơn, Biên Hòa, Phú Quốc, "
        "Côn Đảo, Sa Pa, Buôn Ma Thuột, Hoàng Sa, Trường Sa, Tây Nguyên, Biển Đông, Đông Nam Á, Trung Đông, Châu Âu, "
        "Châu Á, Châu Phi, Bắc Kinh, Thượng Hải, Hồng Kông, Hong Kong, Đài Loan, Ma Cao, Mỹ, Nga, Anh, Pháp, Đức, Ý, "
        "Italia, Italy, Tây Ban Nha, Bồ Đào Nha, Hà Lan, Bỉ, Áo, Thụy Sĩ, Thụy Sỹ, Thụy Điển, Na Uy, Đan Mạch, "
        "Phần Lan, Ba Lan, Ukraine, Hy Lạp, Thổ Nhĩ Kỳ, Trung Quốc, Nhật Bản, Nhật, Hàn Quốc, Triều Tiên, Ấn Độ, "
        "Pakistan, Afghanistan, Iran, Iraq, Syria, Israel, Qatar, Saudi Arabia, Ả Rập Xê Út, UAE, Ai Cập, Libya, "
        "Nam Phi, Úc, Australia, New Zealand, Canada, Mexico, Brazil, Argentina, Cuba, Venezuela, Hoa Kỳ, "
        "Vương quốc Anh, Lào, Campuchia, Thái Lan, Singapore, Malaysia, Indonesia, Philippines, Myanmar, Mông Cổ, "
        "Washington, New York, London, Paris, Berlin, Moscow, Moskva, Matxcơva, Tokyo, Seoul, Bangkok, Bình Nhưỡng, "
        "California, Palestine, Sudan, Hồ Hoàn Kiếm, Châu Đại Dương, Châu Mỹ, Morocco, Bulgaria, Romania, Hungary, "
        "Croatia, Serbia, Bangladesh, Sri Lanka, Nepal, Chile, Colombia, Peru, Kuwait, Yemen, Jordan, Somalia, "
        "Nigeria, Kenya, Manila, Jakarta, Manchester, Hawaii, Texas, Florida, Thủ Đức, Gò Vấp, Bình Thạnh, Hoàn Kiếm, "
        "Ba Đình, Đống Đa, Cầu Giấy, Hà Đông"
    )
)
_ORGANISATIONS = frozenset(
    words(
        "Quốc hội, Chính phủ, Nhà nước, Nhà Trắng, Lầu Năm Góc, Điện Kremlin, Liên Hợp Quốc, Liên Hiệp Quốc, "
        "Liên hợp quốc, LHQ, NATO, ASEAN, EU, WHO, UNESCO, UNICEF, IMF, WTO, FIFA, UEFA, AFC, AFF, VFF, VPF, FBI, CIA, "
        "NASA, IS, TTXVN, Thông tấn xã Việt Nam, Báo Quân đội nhân dân, Quân đội nhân dân, Bộ Chính trị, Ban Bí thư, "
        "Reuters, AFP, AP, BBC, CNN, Tân Hoa Xã, Sputnik, VnExpress, VTV, VOV, VTC, CSGT, Facebook, Google, Apple, "
        "Microsoft, Samsung, Toyota, Honda, Vingroup, Viettel, VNPT, FPT, EVN, Vietcombank, Vietjet, Vietnam Airlines, "
        "Real Madrid, Barcelona, Manchester United, Manchester City, Man City, M.U, MU, Chelsea, Arsenal, Liverpool, "
        "Tottenham, Juventus, Bayern Munich, HAGL, SLNA, Bộ Nông nghiệp và Phát triển nông thôn, "
        "Sở Nông nghiệp và Phát triển nông thôn, Youtube, YouTube, Twitter, Boeing, Airbus, Hyundai"
    )
)
_NUMBER = re.compile(r"\d{1,3}[A-Z]?|[A-ZĐ]{1,3}\d{1,4}")
_NUMBERED = frozenset(words("quận, phường, lộ, phố, ấp, thôn, khu, đoàn, ty, cty, đội, tổ, số"))
_DISTRICT = re.compile(r"(?:H|Q|P|TX|TT)\.\w+")
_TEAM = re.compile(r"U\.?\d\d")
_ROLE_IN_CAPITALS = frozenset(words("mc, pv, ctv, vđv"))
_COMMA_INSIDE = frozenset({"Văn hóa , Thể thao", "Văn hoá , Thể thao", "Lao động , Thương binh"})
_CONTEST = frozenset(words("League, Cup, Liga, Open, Championship"))
_CLUB = frozenset(words("FC, BC, T&T, United, City"))
_BEFORE_SENTENCE = frozenset("\"“‘'*•:-–.?!…)")
_LONGEST_RUN, _LONGEST_NAME, _LONGEST_BODY, _LONGEST_KNOWN = 12, 5, 16, 8  # atoms


# ------------------------------------------------------------------ records
@dataclass(frozen=True, slots=True)
class Atom:
    """A syllable, number or sign of a passage, and what is known about it."""

    start: int
    """Code points into the passage, ``end`` too."""
    end: int
    text: str
    opens: bool
    """It is the first of its word."""
    phrase: bool
    """Its word goes on in lower case after the first syllable ("Tuy nhiên", "Thú y"): no proper name."""
    pos: str
    """Part of speech of its word in underthesea's tag set: ``Np`` is a proper noun."""
    tag: str
    """What the CRF says of its word: ``O``, ``B-PER``, ``I-LOC``, ..."""
    rule: str
    """Type of the rule span that covers it, or empty."""

    @property
    def capital(self) -> bool:
        """It begins with an upper-case letter, and no rule has claimed it."""
        return self.text[0].isupper() and not self.rule

    @property
    def proper(self) -> bool:
        """It may be a syllable of a person's or a place's name."""
        return self.capital and not self.phrase and self.text not in _COMMON


@dataclass(frozen=True, slots=True)
class Claim:
    """A name at ``[start, end)`` that may be of type ``label``, which is empty where nothing tells."""

    start: int
    end: int
    name: str
    label: str
    sure: bool
    """A cue says so, not the CRF alone."""
    opens_sentence: bool
    """A common word would have a capital there too."""


# ------------------------------------------------------------------ one sentence
def _joined(atoms: Sequence[Atom], start: int, end: int) -> str:
    """The texts of ``atoms[start:end]`` with single spaces."""
    return " ".join(atom.text for atom in atoms[max(start, 0) : end])


def _cue(atoms: Sequence[Atom], at: int) -> str:
    """What the words before ``at`` announce: a value of ``_CUES``, ``title`` (as "role", by a rule), or nothing."""
    if at and atoms[at - 1].rule == "title":
        return "title"
    announced = (_CUES.get(_joined(atoms, at - length, at).lower()) for length in (3, 2, 1))
    return next(filter(None, announced), "")


def _opens_sentence(atoms: Sequence[Atom], at: int) -> bool:
    return at == 0 or atoms[at - 1].text in _BEFORE_SENTENCE


def _run_end(atoms: Sequence[Atom], at: int) -> int:
    """End of the run of capitalised syllables that starts at ``at``."""
    end = at
    while end < min(len(atoms), at + _LONGEST_RUN) and atoms[end].proper:
        end += 1
    return end


def _known(atoms: Sequence[Atom], at: int, cue: str) -> tuple[int, str]:
    """Length and type of the longest well-known name at ``at``; ``(0, "")`` if there is none."""
    if not atoms[at].capital:
        return 0, ""
    for length in range(min(_LONGEST_KNOWN, len(atoms) - at), 0, -1):
        name = _joined(atoms, at, at + length)
        if length > 1 and name.isupper():
            name = name.title()
        if name in _ORGANISATIONS:
            return length, ORGANIZATION
        if name in _PLACES:
            if at + length < len(atoms) and atoms[at + length].text in _CLUB:
                return length + 1, ORGANIZATION
            # "Nga" or "Đức" is rather a syllable of a longer name, unless it stands alone or behind a title
            if length > 1 or len(name) > 4 or cue == "title" or _run_end(atoms, at) <= at + 1:
                return length, LOCATION
    return 0, ""


def _is_acronym(atom: Atom) -> bool:
    return len(atom.text) > 1 and atom.text.isupper()


def _is_person(atoms: Sequence[Atom], at: int, shortest: int = 2) -> bool:
    """A Vietnamese family name begins a run of ``shortest`` to four syllables at ``at``."""
    if atoms[at].text.capitalize() not in _FAMILY or not atoms[at].opens or _known(atoms, at, "")[0]:
        return False
    return shortest <= _run_end(atoms, at) - at <= 4


def _head(atoms: Sequence[Atom], at: int) -> tuple[int, str]:
    """Length and kind (a value of ``_HEADS``) of the longest head noun at ``at``; ``(0, "")`` if there is none."""
    if not atoms[at].opens and not (at and atoms[at - 1].rule):
        return 0, ""
    for length in range(min(4, len(atoms) - at - 1), 0, -1):
        written, after = _joined(atoms, at, at + length), atoms[at + length]
        kind = _HEADS.get(written.lower(), "named" if _TEAM.fullmatch(written) else "")
        if not kind or any(atom.rule for atom in atoms[at : at + length]):
            continue
        if not after.opens and not after.capital:
            continue  # "trường" of "trường hợp"
        if written[0].isupper() and _is_person(atoms, at, shortest=3):
            continue  # "Hồ" or "Đoàn" as a family name
        if kind == "place" or written[0].isupper() or written in _LOWER_HEADS:
            return length, kind
    return 0, ""


def _extent(atoms: Sequence[Atom], at: int, kind: str) -> int:
    """End of the name whose head ends at ``at``; ``at`` itself when no name follows."""
    if kind == "place":
        length, label = _known(atoms, at, "")
        if length > 1 and label == LOCATION:
            return at + length
    end = at
    for here in range(at, min(len(atoms), at + _LONGEST_BODY)):
        atom, before = atoms[here], atoms[here - 1].text.lower()
        # "UBND tỉnh Nghệ An Nguyễn Văn ...": its chairman is no part of the name; of a street's or a school's he may be
        chairman = kind == "state" or (kind == "place" and here > at)
        if atom.rule or (chairman and _HEADS.get(before) != "place" and atom.capital and _is_person(atoms, here)):
            break
        if atom.proper or (kind != "place" and (atom.capital or (atom.phrase and end == here > at))):
            end = here + 1
        elif _NUMBER.fullmatch(atom.text) and (end == here > at or before in _NUMBERED):
            return here + 1
        elif atom.text == "," and _joined(atoms, here - 2, here + 3) in _COMMA_INSIDE:
            continue
        elif kind == "place" or (atom.text not in _LINKS and atom.text not in {"-", "–", "&"}):
            break
        elif (
            atom.text == "và"
            and here + 1 < len(atoms)
            and (_known(atoms, here + 1, "")[0] or _head(atoms, here + 1)[0])
        ):
            break  # two names: "Trung ương và Hà Nội"
    return end


def _name_end(atoms: Sequence[Atom], at: int, cue: str) -> int:
    """End of the name at ``at`` in a run that may hold several."""
    run = _run_end(atoms, at)
    if _is_person(atoms, at):
        return run
    end = at + 1
    while end < run and not _head(atoms, end)[0] and (cue == PERSON or _known(atoms, end, "")[0] < 2):
        if end == at + 1 and _is_acronym(atoms[at]) and _is_person(atoms, end):
            break
        end += 1
    return end


def _label(atoms: Sequence[Atom], at: int, end: int, cue: str) -> tuple[str, bool]:
    """The type of the name ``atoms[at:end]`` and whether a cue says so."""
    acronym = end == at + 1 and _is_acronym(atoms[at])
    if (cue == ORGANIZATION and not _is_person(atoms, at)) or (cue in {"role", "title"} and acronym):
        return ORGANIZATION, True
    if cue in {PERSON, "role", "title"} or _is_person(atoms, at, shortest=3):
        return PERSON, True
    tags = Counter(atom.tag[2:] for atom in atoms[at:end] if atom.tag[2:] in _CRF)
    label = _CRF[tags.most_common(1)[0][0]] if tags else ""
    if label == PERSON and (atoms[end - 1].text in _CONTEST or re.search(r"\d", _joined(atoms, at, end))):
        return "", False
    if label != LOCATION or cue == "where":
        return label, False
    # "place" is also what the CRF says when it is lost
    return (ORGANIZATION, False) if cue == "source" else (LOCATION if _DISTRICT.match(atoms[at].text) else "", True)


def _is_common(atoms: Sequence[Atom], at: int) -> bool:
    """The capital at ``at`` marks a sentence or a role, not a name."""
    word = atoms[at].text.lower()
    return word in _ROLE_IN_CAPITALS or (
        _opens_sentence(atoms, at) and not _is_acronym(atoms[at]) and (word in _CUES or atoms[at].pos != "Np")
    )


def find_claims(atoms: Sequence[Atom]) -> Iterator[Claim]:
    """Yield the names of one sentence in order, without overlaps."""

    def claim(end: int, label: str, *, sure: bool) -> Claim:
        name = _joined(atoms, at, end)
        return Claim(atoms[at].start, atoms[end - 1].end, name, label, sure, _opens_sentence(atoms, at))

    at, carried = 0, ""
    while at < len(atoms):
        cue, carried = carried or _cue(atoms, at), ""
        length, kind = _head(atoms, at)
        end = _extent(atoms, at + length, kind) if length else at
        known, label = _known(atoms, at, cue)
        if end > at + max(length, known):
            yield claim(end, LOCATION if kind == "place" else ORGANIZATION, sure=True)
        # "Tổng thống Nga" is Russia's, "chị Nga" is not; "Anh" may be "he" at the head of a sentence
        elif known > 1 or (known and cue not in {PERSON, "none"} and not (_is_common(atoms, at) and label == LOCATION)):
            end = at + known
            yield claim(end, label, sure=True)
            carried = cue if cue == "title" else ""  # "Tổng thống Nga Vladimir ..."
        elif not atoms[at].proper or _is_common(atoms, at):
            end = at + 1
        else:
            end = _name_end(atoms, at, cue)
            a_name = cue == PERSON or (cue != "none" and _joined(atoms, at, end).lower() not in _HEADS)
            if a_name and end - at <= _LONGEST_NAME:
                label, sure = _label(atoms, at, end, cue)
                yield claim(end, label, sure=sure)
        at = end


# ------------------------------------------------------------------ one passage
def decide(claims: Iterable[Claim]) -> Iterator[tuple[int, int, str]]:
    """Give each name of a passage the type its occurrences agree on, in order; names of no type are left out."""
    claims = list(claims)
    votes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for claim in claims:
        if claim.label:
            votes[claim.name][claim.label] += len(claims) if claim.sure else 1  # one cue outweighs the CRF
    types = {name: ballot.most_common(1)[0][0] for name, ballot in votes.items()}
    certain = {claim.name for claim in claims if claim.sure and claim.label}
    inside = {claim.name for claim in claims if not claim.opens_sentence}
    people = " | ".join(name for name, label in types.items() if label == PERSON and " " in name)
    bodies = " | ".join(name for name in certain if types[name] == ORGANIZATION)
    for claim in claims:
        label = types.get(claim.name, "")
        if claim.name not in certain:
            if " " in claim.name and f" {claim.name} |" in f"{bodies} |":
                label = ORGANIZATION  # "Tân Phong", once "Công ty Tân Phong" has been named
            elif f" {claim.name} " in f" {people} ":
                label = PERSON  # "Chí Công", once "Trần Chí Công" has
            elif (claim.name.isalnum() and claim.name not in inside) or (claim.name.isupper() and label == PERSON):
                label = ""  # a common word at the head of a sentence, an acronym: the CRF has nothing to go by
        if label:
            yield claim.start, claim.end, label
