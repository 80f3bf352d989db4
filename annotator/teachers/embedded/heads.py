"""Find names that begin with their kind: "huyện Đức Hòa", "Sở Y tế tỉnh Quảng Nam", "Công ty cổ phần Sao Mai"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from annotator.teachers.embedded.atoms import Atom, is_person, is_word, joined, known, run_end
from annotator.teachers.embedded.lexicon import LOCATION, ORGANIZATION, lexicon

_NUMBER = re.compile(r"\d{1,3}[A-Z]?|[A-ZĐ]{1,3}\d{1,4}")
_TEAM = re.compile(r"U\.?\d\d")
_COMMA_INSIDE = frozenset({"Văn hóa , Thể thao", "Văn hoá , Thể thao", "Lao động , Thương binh"})
_ALLEYS = frozenset(("hẻm", "ngõ", "ngách", "kiệt"))
_ANY_CLUB = frozenset(("clb", "câu lạc bộ", "đội bóng"))
_STREETS = frozenset(("đường", "phố", "trường", "viên", "cầu"))
_CITIES = frozenset(("tp", "tp.", "tỉnh"))
_GOVERNED = frozenset(("tp", "tp.", "thành phố", "phố", "tỉnh", "huyện", "quận"))
_COASTS = frozenset(("bờ", "ven", "điểm", "toàn", "yêu", "nhu"))
"""Before "biển" or "cầu": "bờ biển Libya" is a coast of Libya."""
_PLURAL = frozenset(("các", "những", "hai", "ba", "bốn", "năm", "sáu", "bảy", "mấy", "nhiều"))
"""Before a head in lower case: "hai tỉnh Nghệ An, Hà Tĩnh" are two names."""
_GLUED = frozenset(("sông", "hồ", "đình", "chùa", "đền", "núi", "đèo", "hang"))
"""These begin a place even inside a word of the segmenter: "lòng sông Hương"."""
_LONGEST_BODY = 16


def head(atoms: Sequence[Atom], at: int) -> tuple[int, str]:
    """Return length and kind (of ``Lexicon.heads``) of the longest head at ``at``; ``(0, "")`` if there is none."""
    words = lexicon()
    if not atoms[at].opens and not (at and atoms[at - 1].rule) and atoms[at].text not in _GLUED:
        return 0, ""
    for length in range(min(5, len(atoms) - at - 1), 0, -1):
        written, after = joined(atoms, at, at + length), atoms[at + length]
        kind = words.heads.get(written.lower(), "named" if _TEAM.fullmatch(written) else "")
        if not kind or any(atom.rule for atom in atoms[at : at + length]):
            continue
        if not after.opens and not after.capital:
            continue  # "trường" of "trường hợp"
        if written[0].isupper() and is_person(atoms, at, 3):
            continue  # "Hồ" or "Đoàn" as a family name
        before = atoms[at - 1].text.lower() if at else ""
        if before in _PLURAL and (written[0].islower() or written.isupper()):
            continue
        if before in _COASTS and kind == "place":
            continue
        named = after.capital and after.phrase and words.cues.get(written) != ORGANIZATION  # "phòng Nội vụ"
        if written[0].isupper() or written in words.lower_heads or named:
            return length, kind
    return 0, ""


def headed(atoms: Sequence[Atom], at: int) -> tuple[int, str]:
    """Return end and type of the name that begins with a head at ``at``; ``(at, "")`` if there is none."""
    length, kind = head(atoms, at)
    if not length:
        return at, ""
    words, first = lexicon(), at + length
    wide = kind != "place" or atoms[at].text.lower() == "khu"  # "Khu Di tích Văn hóa đền Trần"
    end = _body_end(atoms, first, kind) if wide else _place_end(atoms, first)
    rest = joined(atoms, first, end)
    if words.known.get(rest) == LOCATION and joined(atoms, at, first).lower() in _ANY_CLUB and rest[0].islower():
        return at, ""  # "một CLB châu Âu"
    if end == first or rest in words.syllables["acronyms"] or words.heads.get(rest.lower(), "place") != "place":
        return at, ""  # "trường ĐH" is no name
    return end, LOCATION if kind == "place" else ORGANIZATION


def _place_end(atoms: Sequence[Atom], at: int) -> int:
    """Return the end of a place: a well-known one, a number, or a run of capitals."""
    before = atoms[at - 1].text.lower()
    city = before in _CITIES or joined(atoms, at - 2, at).lower() == "thành phố"
    length, label = known(atoms, at, "")
    if length > 1 and label == LOCATION:
        return at + length
    if _NUMBER.fullmatch(atoms[at].text) and not atoms[at].rule:
        return _numbered_end(atoms, at, before)
    if before in _STREETS and atoms[at].capital and at + 1 < len(atoms) and is_word(atoms[at].text, atoms[at + 1].text):
        return _phrase_end(atoms, at)
    # a person after "TP" is its chairman; only a street or a ward may be named after a person
    if not atoms[at].capital or atoms[at].phrase or (city and is_person(atoms, at, 3)):
        return at
    end = at + 1
    while end < run_end(atoms, end) and not is_person(atoms, end, 3):
        end += 1
    if end == len(atoms):
        return end
    more = not atoms[end].opens and is_word(atoms[end - 1].text, atoms[end].text)  # "Nhà thờ Đức bà"
    return end + 1 if more or (_NUMBER.fullmatch(atoms[end].text) and not atoms[end].rule) else end


def _numbered_end(atoms: Sequence[Atom], at: int, before: str) -> int:
    """Return the end of a place with its number at ``at``: "quận 3", "hẻm 441 đường Lê Văn Quới"."""
    if before in _ALLEYS and at + 1 < len(atoms):
        length, kind = head(atoms, at + 1)
        return max(at + 1, _place_end(atoms, at + 1 + length)) if kind in {"", "place"} else at + 1
    if before in _STREETS and joined(atoms, at + 1, at + 2) == "tháng" and at + 2 < len(atoms):
        return at + 3  # "đường 30 tháng 4"
    return at + 1 if before in lexicon().syllables["numbered"] else at


def _phrase_end(atoms: Sequence[Atom], at: int) -> int:
    """Return the end of a street's name that is a word, not capitals: "đường Cách mạng tháng 8"."""
    end = at + 1
    while end < len(atoms) and not atoms[end].opens and not atoms[end].rule:
        end += 1
    if end + 1 < len(atoms) and atoms[end].text.lower() == "tháng":
        return end + 2
    return end + 1 if end < len(atoms) and atoms[end - 1].text.lower() == "tháng" else end


def _body_end(atoms: Sequence[Atom], at: int, kind: str) -> int:
    """Return the end of an organization: capitals, phrases, numbers, and links between them in lower case."""
    words = lexicon()
    end = _capitals_end(atoms, at, kind)
    # "Cục Y tế dự phòng"
    while at < end < len(atoms) and atoms[end - 1].text.islower():
        length = next((size for size in (3, 2) if joined(atoms, end, end + size) in words.tails), 0)
        if not length:
            break
        end += length
    return end


def _capitals_end(atoms: Sequence[Atom], at: int, kind: str) -> int:
    words = lexicon()
    end = at
    for here in range(at, min(len(atoms), at + _LONGEST_BODY)):
        atom, before = atoms[here], atoms[here - 1].text.lower()
        if atom.rule or (kind == "state" and atom.capital and _is_chairman(atoms, here)):
            break
        if atom.capital and (here == at or atom.phrase or atom.text not in words.syllables["openers"]):
            end = here + 1
        elif end == here > at and atom.phrase:
            end = here + 1  # no name ends inside a word: "Mỹ phẩm"
        elif _NUMBER.fullmatch(atom.text) and (end == here > at or before in words.syllables["numbered"]):
            return here if known(atoms, max(at, here - 2), "") == (2, LOCATION) else here + 1
        elif atom.text == "," and joined(atoms, here - 2, here + 3) in _COMMA_INSIDE:
            continue
        elif atom.text not in words.links and atom.text not in {"-", "–", "&", "số"}:
            break
        elif atom.text == "và" and _is_name(atoms, here + 1):
            break  # two names: "Trung ương và Hà Nội"
    return end


def _is_name(atoms: Sequence[Atom], at: int) -> bool:
    return at < len(atoms) and bool(known(atoms, at, "")[0] or head(atoms, at)[0])


def _is_chairman(atoms: Sequence[Atom], at: int) -> bool:
    """Whether a person begins at ``at``: "UBND tỉnh Nghệ An Nguyễn Văn ...", but not "phường Trần Hưng Đạo"."""
    if not is_person(atoms, at):
        return False
    before = atoms[at - 1].text.lower()
    if lexicon().heads.get(before) != "place":
        return True
    city = max(at - back + known(atoms, at - back, "")[0] for back in (1, 2) if at >= back)  # "Thành phố Hồ Chí Minh"
    return before in _GOVERNED and is_person(atoms, at, 3) and city <= at
