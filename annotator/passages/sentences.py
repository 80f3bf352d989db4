"""Split Vietnamese text into sentences.

Rules, not a model: the same text always gives the same sentences, at several million characters a second. A paragraph
break always ends a sentence. A full stop ends one unless it follows an abbreviation, an initial or the number of a list
item, or the text continues in lower case.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple


class Sentence(NamedTuple):
    """The slice ``[start, end)`` of a text, without white space around it."""

    start: int
    end: int
    complete: bool
    """It closes with terminal punctuation and has four words or more; headlines and captions do not."""


_VOWELS: Final = "aàáảãạăằắẳẵặâầấẩẫậeèéẻẽẹêềếểễệiìíỉĩịoòóỏõọôồốổỗộơờớởỡợuùúủũụưừứửữựyỳýỷỹỵ"
_CLOSERS: Final = "\"'”’»›)]}"
_STOP: Final = re.compile(rf"([.?!…。？！]+)(?:[{re.escape(_CLOSERS)}]|\s(?=[”»›)\]}}]))*")
"""A run of terminal punctuation with the quotes and brackets that close after it."""
_STRAY_QUOTE: Final = re.compile(r"\s\"(?=\s|$)")
_NEXT: Final = re.compile(r"(\s*)([\s“\"‘'«‹(\[{–—•*▪►+>-]*)(\d+|[^\W\d_]+)?(?:\s+(\w))?")
"""What follows a stop: white space, opening marks, a number or a word, and the first letter of the next word."""
_TAIL: Final = re.compile(r"([\w.&/-]*)(?:\s+(\w+|[:;]))?")
"""What stands before a stop, read backwards: the last token with its inner full stops, the word or colon before it."""
_MARKS: Final = ".?!…。？！"
_LOWER: Final = f"a-z{_VOWELS}đ"
_UPPER: Final = _LOWER.upper()
_ABBREVIATED: Final = "tp|ty|vd|tr|rs|of|te|en|ep|ol|pt|gt|ev|os|vs|ig|tl|hs"
"""The last two letters of each of ``_PREFIX`` that ends in two small ones."""
_BREAKS: Final = "\n\r\v\f\x1c-\x1e\x85\u2028\u2029"
_LINE_BREAK: Final = re.compile(f"[{_BREAKS}]")
_PLACE: Final = re.compile(
    rf"[{_MARKS}{_BREAKS}](?:(?<=[{_BREAKS}])()|(?<![{_MARKS}]{{2}})(?:"
    rf"(?:(?<=[{_LOWER}]{{2}}\.)(?<!(?:{_ABBREVIATED})\.)|(?<=[^\w\s.&/-]\.)|(?<=\d{{4}}\.)|(?<=[/-]\d\.)|(?<=[/-]\d\d\.)"
    rf"|(?<=[{_UPPER}]{{3}}\.)(?<!PGS\.|SCK\.|KTS\.|SND\.|SƯT\.|GƯT\.|GND\.|TND\.|TƯT\.|[IVXLC]{{3}}\.)"
    rf"|(?:(?<=[^({_MARKS}].)|[{_MARKS}]++)(?:(?<!\.)|(?<=\.\.)|[{re.escape(_CLOSERS)}]++))"
    rf"(?=( )(?:[“\"‘'(\[]|[-–•] )?[{_UPPER}])"
    rf"|[{_MARKS}]*+(?![\d,;:/]| ?[{_LOWER}]|[{_UPPER}](?:[{_UPPER}]|[^\w])|[^\S{_BREAKS}]*+[{_BREAKS}])))"
)
"""Where a sentence may end, in a text with a line break at its end: there, and at terminal punctuation.

A run of punctuation ends a sentence as a whole or not at all: it is looked at from its first mark only.
"""
_BREAK, _SURE = 1, 2
"""Groups of ``_PLACE``: one is there at line breaks, one where a sentence surely ends, so that no rule is asked."""
_CLOSED: Final = re.compile(rf"[.?!…。？！][\s{re.escape(_CLOSERS)}]*$")
_WORD: Final = re.compile(r"\w+")
_FOUR_WORDS: Final = re.compile(r"\w[^ ]*+ \w[^ ]*+ \w[^ ]*+ \w|\W*+\w++\W++\w++\W++\w++\W++\w")
"""The first half is enough for nearly all, and quicker."""
_LOOK_BACK: Final = 40
"""Characters before a stop that can matter; longer tokens are no abbreviations."""

_ITEM: Final = re.compile(r"\d{1,3}|[^\W\d_]|[IVXLC]+")
"""The number or letter of a list item: 1. Hồ sơ; a. Điều kiện; II. Nội dung."""
_DAY: Final = re.compile(r"\d{1,2}[./-]\d{1,2}")
_YEAR: Final = re.compile(r"(?:19|20)\d\d")
_PREFIX: Final = re.compile(
    "TP|Tp|tp|TX|Tx|TT|KP|P?GS|TS|Ts|Th[Ss]|BS|Bs|BSCK|KS|KTS|LS|Ls|NSND|NSƯT|NGƯT|NGND|TTND|TTƯT|CTy|Cty|Đc|VD|Vd|vd|"
    "tr|Mr|Mrs|Ms|Dr|Prof|St|Ste|Gen|Sen|Rep|Lt|Col|Capt|Sgt|Rev|Nos?|[Vv]ol|vs|Fig|Atl"
)
"""Abbreviations that a word follows: places, titles, numbers."""
_INITIAL: Final = re.compile("[^\\W\\d_]|Th|Tr|Ph|Kh|Ng|Nh|Ch|Gi|Qu|Jr|Sr")
"""One letter of a shortened name, or the digraph that stands for it: Nguyễn Văn T., cháu Ng. T. H., Neymar Jr."""
_CLASS: Final = re.compile(
    "độ|o|º|vitamin|khối|bảng|hạng|nhóm|loại|lớp|tuyến|serie|quý|kho[áà]|khóa|kỳ|thứ|gan|cúm|phụ|lục|mẫu|khu|lô|t[oò][aà]",
    re.IGNORECASE,
)
"""Words after which a single capital is a class or a unit, not a name: 37 độ C, bảng A, viêm gan B, quý I."""
_STARTER: Final = re.compile(
    "Theo|Trong|Tuy|Sau|Các|Khi|Nhưng|Một|Trước|Đây|Những|Nếu|Ngoài|Không|Hiện|Có|Vì|Tại|Với|Nhiều|Do|Và|Bên|Điều|Còn|"
    "Đến|Để|Họ|Ngay|Cũng|Chúng|Việc|Về|Dù|Đó|Ở|Chỉ|Đặc|Trên|Đối|Được|Sự|Lúc|Cùng|Bởi|Mỗi|Mặc|Qua|Cuộc|Con|Nguồn|Vậy|"
    "Cho|Cả|Cách|Nói|Ngày|Thấy|Đáng|Nó|Vào|Mọi|Hãy|Nhìn|Hơn|Tiếp|Chưa|Rất|Là|Giờ|Thay|Riêng|Đã|Bị|Nhờ|Lần|Quá|Kể|Chẳng|"
    "Rồi|Ông|Tôi|Thế|Từ|Cụ|Thậm|Kết|Thực|Ảnh|Vụ|Nên|Hôm|Phải|Khoảng|Khác"
)
"""Words that open a sentence and hardly ever a name."""

_ONSET: Final = "(?:ngh?|nh|gh|gi|kh|ph|qu|th|tr|ch|[bcdđghklmnprstvx])?"
_SYLLABLE: Final = re.compile(
    rf"{_ONSET}(?:([{_VOWELS}])(?!\1)){{1,3}}(?:ng|nh|[mn])?"
    rf"|(?=.*[áạắặấậéẹếệíịóọốộớợúụứựýỵ]){_ONSET}[{_VOWELS}]{{1,3}}(?:ch|[cpt])"
)
"""A Vietnamese syllable in lower case; foreign names are seldom one. A final c, p or t needs a sharp or heavy tone."""


def split_sentences(text: str) -> list[Sentence]:
    """Split NFC ``text`` into sentences: in order, disjoint, covering all but white space. Takes linear time."""
    return [*map(Sentence, *sentence_columns(text))]


def sentence_columns(text: str) -> tuple[list[int], list[int], list[bool]]:
    """Split as ``split_sentences`` does, into columns of starts, ends and completeness."""
    starts: list[int] = []
    ends: list[int] = []
    complete: list[bool] = []
    has_four_words = _FOUR_WORDS.match
    text += "\n"  # so that every paragraph has one
    start = counted = quotes = 0  # straight quotes of the paragraph so far: an odd number means that one is open
    paragraph_end = 0
    for place in _PLACE.finditer(text):
        kind = place.lastindex
        if kind == _SURE:
            end = place.end()
        elif kind == _BREAK:
            end = _stripped(text, start, place.start())
        else:
            at = place.start()
            if paragraph_end <= at:
                paragraph_end = _stripped(text, at, next(_LINE_BREAK.finditer(text, at)).start())
            quotes += text.count('"', counted, at)
            counted = at
            end = _stop(text, start, at, paragraph_end, quotes % 2 == 1)
        if start < end:
            while text[start].isspace():
                start += 1
            closed = text[end - 1] in _MARKS or _CLOSED.search(text, max(start, end - 20), end) is not None
            starts.append(start)
            ends.append(end)
            complete.append(closed and has_four_words(text, start, end) is not None)
            start = end
        if kind == _BREAK:
            start = counted = place.end()
            quotes = 0
    return starts, ends, complete


def _stripped(text: str, start: int, end: int) -> int:
    """Return where ``text[start:end]`` ends without white space."""
    while start < end and text[end - 1].isspace():
        end -= 1
    return end


def _stop(text: str, start: int, at: int, end: int, quoting: bool) -> int:
    """Return the end of the sentence from ``start`` if the punctuation at ``at`` ends it; else 0."""
    stop = _STOP.match(text, at, end)
    if not stop:
        return 0
    after = stop.end()
    closers = text[stop.end(1) : after]
    if quoting:
        stray = None if '"' in closers else _STRAY_QUOTE.match(text, after, end)
        after = stray.end() if stray else after
    elif closers == '"' and text[after : after + 1].isalnum():
        after -= 1  # it opens the next one, without a space before it: ... đi."Anh nói
    return after if after < end and _ends(text, start, stop, after) else 0


def _ends(text: str, start: int, stop: re.Match[str], after: int) -> bool:
    """Return whether ``stop``, with closing marks up to ``after``, ends the sentence from ``start``."""
    following = _NEXT.match(text, after)
    gap, marks, word, then = following.groups() if following else ("", "", None, None)
    if word is None or word[0].islower():
        return False
    at = stop.start()
    tail = _TAIL.match(text[max(start, at - _LOOK_BACK) : at][::-1])
    token, before = (part[::-1] for part in tail.groups("")) if tail else ("", "")
    is_item = _ITEM.fullmatch(token) is not None and (before in (":", ";") or _opens(text, start, at - len(token)))
    goes_on = then is not None and not then.isupper()  # names have capitals throughout
    if not gap:
        return not is_item and _ends_without_gap(text, start, at, after, word, goes_on)
    if stop[1] != "." or after > at + 1:
        is_comment = stop[1] in ("?", "!") and text[at - 1 : at] == "("  # (?) and (!) judge a word
        is_pause = stop[1].endswith(("..", "…")) and word.isdigit()  # trúng... 400 tỉ
        return not is_comment and not is_pause
    last = token.rpartition(".")[2]
    if is_item or _PREFIX.fullmatch(last):
        return not is_item and goes_on and _STARTER.fullmatch(word) is not None
    if last[:1].isupper() and _INITIAL.fullmatch(last):
        return "(" not in marks and _ends_after_initial(before, token, word, goes_on)
    return not (_DAY.fullmatch(token) and _YEAR.fullmatch(word))  # 14.08. 2015


def _opens(text: str, start: int, at: int) -> bool:
    """Return whether there are only marks between ``start`` and ``at``."""
    return at - start < _LOOK_BACK and _WORD.search(text, start, at) is None


def _ends_after_initial(before: str, token: str, word: str, goes_on: bool) -> bool:
    """Return whether an initial ends a sentence: ``Trần Văn H. Sau đó``, not ``Q. Tân Bình`` or ``F. Smolov``."""
    if "." not in token and _CLASS.fullmatch(before):
        return True
    if word.isdigit():
        return "." in token  # Ảnh: N.P. 18 người; but Q. 1
    if len(word) == 1:
        return word == "Ở"
    return word.isupper() or _STARTER.fullmatch(word) is not None or (goes_on and _is_syllable(word))


def _ends_without_gap(text: str, start: int, at: int, after: int, word: str, goes_on: bool) -> bool:
    """Return whether a sentence ends without a space: ``đó.Theo ông``; never inside an address or abbreviation."""
    if len(word) < 2 or not word[1:].islower() or not _is_syllable(word) or word == "Com":
        return False
    token = text[max(start, at - 2 * _LOOK_BACK) : at].rpartition(" ")[2]
    if "@" in token or "://" in token or "www." in token:
        return False
    if after > at + 1 or not token[-1:].isalnum():
        return True
    previous = _WORD.findall(token)[-1]
    if previous.isdigit() or (previous.islower() and len(previous) > 1 and _is_syllable(previous)):
        return True
    return goes_on and len(previous) > 1 and (_is_syllable(previous) or _STARTER.fullmatch(word) is not None)


def _is_syllable(word: str) -> bool:
    """Return whether ``word`` could be one Vietnamese syllable."""
    return len(word) <= 7 and _SYLLABLE.fullmatch(word.lower()) is not None
