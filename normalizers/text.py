"""Vietnamese text at the level of code points: marks, tones, case, and the bounds of words."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

ZERO_WIDTH = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
"""Characters without width: soft hyphen, zero-width space and joiners, word joiner, byte order mark."""

BLANK = ZERO_WIDTH + (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""Invisible characters: white space (`str.isspace`) and the characters without width."""

QUOTES = "\"'“”„‟«»‹›‘’‚‛`´′″"
"""Quotation marks and apostrophes, and the characters that people type instead."""

_HYPHENS = "-\u2010\u2011"
_DASHES = "\u2012\u2013\u2014\u2015\u2212"

_VOWEL_MARKS = "\u0302\u0306\u031b"  # circumflex, breve, horn
_CURRENCIES = frozenset({"đ", "đồng", "VND", "VNĐ", "USD", "EUR", "euro"})
_MOMENT = r"(?:\d{1,2}[/.]\d{1,2}[/.]\d{4}|\d{1,2}/\d{4}|\d{1,2}[hg:]\d{0,2})"  # a date with its year, a time of day
_MOMENT_BEFORE = re.compile(rf"(?<![\w/.]){_MOMENT}\Z")
_MOMENT_AFTER = re.compile(rf"{_MOMENT}(?![\w/])")

_AROUND = frozenset(QUOTES + ZERO_WIDTH + "()[]{}<>.,;:!?…¡¿-–—*•·_~|/\\")
# Opener, closer, and how each is recognised inside a text: apostrophes and straight quotes by their neighbours.
_PAIRS = (
    *((pair[0], pair[1], re.escape(pair[0]), re.escape(pair[1])) for pair in ("()", "[]", "{}", "“”", "«»")),
    *((pair[0], pair[1], rf"(?<!\w){pair[0]}(?=\w)", rf"(?<=\S){pair[1]}(?!\w)") for pair in ("‘’", "''", '""')),
)

# A vowel and its six tones: level, huyền, sắc, hỏi, ngã, nặng.
_LOWER = "aàáảãạ ăằắẳẵặ âầấẩẫậ eèéẻẽẹ êềếểễệ iìíỉĩị oòóỏõọ ôồốổỗộ ơờớởỡợ uùúủũụ ưừứửữự yỳýỷỹỵ"
_ROWS = f"{_LOWER} {_LOWER.upper()}".split()
_TONES = {vowel: (row, tone) for row in _ROWS for tone, vowel in enumerate(row)}
_LEVEL = "".join(row[0] for row in _ROWS)
_TONED = "".join(row[1:] for row in _ROWS)
# The look-behind comes after the first vowel, since most characters are not vowels.
_MOVABLE = re.compile(f"[{_LEVEL}](?<![{_LEVEL}{_TONED}].)[{_LEVEL}]*[{_TONED}][{_LEVEL}]*(?![{_TONED}])")
_SYLLABLE = re.compile(
    "(?:ngh?|nh|kh|gh|gi|ph|qu|th|tr|ch|[bcdghklmnprstvx])?[aeiouy]{1,3}(?:ch|ng|nh|[cmnpt])?", re.ASCII
)


def nfc(text: str) -> str:
    """Return ``text`` in Unicode Normalization Form C (UAX #15), the only form used after reading."""
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


def usual_form(letter: str) -> str:
    """Return the NFKC form of one character and the marks on it: each mark once, those of the vowel before the tone."""
    if len(letter) == 1:
        return unicodedata.normalize("NFKC", letter)
    base, *marks = list(unicodedata.normalize("NFD", letter))
    once = dict.fromkeys(sorted(marks, key=lambda mark: mark not in _VOWEL_MARKS))
    return unicodedata.normalize("NFKC", "".join((base, *once)))


def strip_diacritics(text: str) -> str:
    """Return ``text`` without tone and vowel marks, đ as d: ``Tổ chức`` -> ``To chuc``."""
    decomposed = unicodedata.normalize("NFD", text)
    bare = "".join(char for char in decomposed if not unicodedata.combining(char))
    return unicodedata.normalize("NFC", bare).replace("đ", "d").replace("Đ", "D")


_BARE = str.maketrans({vowel: strip_diacritics(vowel) for vowel in (*_TONES, "đ", "Đ")})


def bare(text: str) -> str:
    """Return NFC ``text`` with every Vietnamese letter as its ASCII letter, code point for code point."""
    return text.translate(_BARE)


def fold_case(text: str) -> str:
    """Return ``text`` in lower case, code point for code point (a letter whose lower case is longer stays)."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(char.lower() if len(char.lower()) == 1 else char for char in text)


def fold_tones(text: str) -> str:
    """Return NFC ``text`` with the tone of each group of vowels on its first letter, code point for code point.

    A Vietnamese syllable has one tone, and the place of its mark distinguishes no words: ``hoà`` and ``hòa``, ``thuỷ``
    and ``thủy``, ``quý`` and ``qúy``, ``giá`` and ``gía`` become the same. The result is a key to compare, not a
    spelling.
    """
    return _MOVABLE.sub(lambda group: _tone_first(group[0]), text)


@lru_cache(1000)
def _tone_first(vowels: str) -> str:
    at, (row, tone) = next((i, _TONES[vowel]) for i, vowel in enumerate(vowels) if vowel in _TONED)
    return _TONES[vowels[0]][0][tone] + vowels[1:at] + row[0] + vowels[at + 1 :]


def is_syllable(word: str) -> bool:
    """Whether ``word`` is spelt like one Vietnamese syllable, whatever its case and marks."""
    return _SYLLABLE.fullmatch(bare(word).lower()) is not None


def trim(text: str) -> str:
    """Return ``text`` without the white space, quotes and punctuation around it.

    A bracket or quote whose partner is inside stays (``Công ty A (Hà Nội)``), and so do signs with a meaning (``30%``,
    ``C++``, ``-5``).
    """
    start, end = 0, len(text)
    while start < end and _is_around(text[start]) and not (text[start] in "-–" and text[start + 1 :][:1].isdigit()):
        start += 1
    while start < end and _is_around(text[end - 1]):
        end -= 1
    while (grown := _with_partners(text, start, end)) != (start, end):
        start, end = grown
    return text[start:end]


def _is_around(char: str) -> bool:
    return char in _AROUND or char.isspace()


def _with_partners(text: str, start: int, end: int) -> tuple[int, int]:
    """Widen ``[start, end)`` by a bracket or quote beside it whose partner is inside."""
    core, head, tail = text[start:end], text[:start].rstrip(), text[end:].lstrip()
    for opener, closer, opening, closing in _PAIRS:
        if not (head.endswith(opener) or tail.startswith(closer)):
            continue
        opened = [match.start() for match in re.finditer(opening, core)]
        closed = [match.start() for match in re.finditer(closing, core)]
        if tail.startswith(closer) and opened and opened[-1] > max(closed, default=-1):
            return start, len(text) - len(tail) + 1
        if head.endswith(opener) and closed and closed[0] < min(opened, default=len(core)):
            return len(head) - 1, end
    return start, end


def is_whole(text: str, start: int, end: int) -> bool:
    """Whether ``text[start:end]`` consists of whole words: neither end cuts one in two.

    A word is a run of letters and digits with the marks that combine with them. It continues across a sign when both
    sides are one name or number, so that a part of it is not a mention:

    - a number: ``5.000.000``, ``2,5``, ``19:30``, ``1/7/2024`` (a day without its year is another date), ``3-0``; but
      ``2016-2020`` is two years, ``19h-21h`` two times, ``24/6/1967-24/6/2017`` two dates;
    - an abbreviation and what its full stop ties to it: ``TP.HCM``, ``N.V.A``, ``U.23``, ``Zing.vn``. A name in full
      may start after the stop (``Huế`` in ``TP.Huế``), and a stop after a full word ends a sentence (``Nội.Ông``);
    - a hyphen before a lower-case letter or a digit, beside a single letter, or between abbreviations: ``Covid-19``,
      ``Kim Jong-un``, ``V-League``, ``A-B``, ``GD-ĐT``; but ``Nga-Mỹ`` and ``Bà Rịa-Vũng Tàu`` are two names;
    - a slash beside a single letter, or between an abbreviation and a number: ``km/h``, ``I/2017``, ``2015/NĐ``; but
      ``AFP/TTXVN`` and ``đồng/kg`` are two, and so is any price and what it is for;
    - an apostrophe, ``&`` or ``@``: ``O'Neil``, ``H&M``.

    Characters without width are ignored. An end on a sign that ties nothing needs no boundary.
    """
    return not (_cuts(text, start, opening=True) or _cuts(text, end, opening=False))


def _cuts(text: str, at: int, *, opening: bool) -> bool:
    """Whether a mention that starts (``opening``) or ends at ``at`` cuts a word in two."""
    left, right = at - 1, at
    while right < len(text) and text[right] in ZERO_WIDTH:
        right += 1
    while left >= 0 and (text[left] in ZERO_WIDTH or _is_mark(text[left])):
        left -= 1
    if left < 0 or right >= len(text):
        return False
    if _is_mark(text[right]):
        return True
    before, after = text[left].isalnum(), text[right].isalnum()
    if before == after:
        return before
    sign = right if before else left
    word, rest = _run(text, sign, -1), _run(text, sign, 1)
    if not (word and rest and _ties(word, text[sign], rest)) or _is_range(text, sign):
        return False
    return not (opening and text[sign] == "." and rest[0].isupper() and not _is_abbreviation(rest))


def _is_mark(char: str) -> bool:
    return char > "\u02ff" and unicodedata.category(char)[0] == "M"


def _run(text: str, sign: int, step: int) -> str:
    """Return the word beside the sign at index ``sign``: before it for ``step`` -1, after it for 1; else nothing."""
    at = sign + step
    while 0 <= at < len(text) and (text[at].isalnum() or _is_mark(text[at])):
        at += step
    return text[sign + 1 : at] if step > 0 else text[at + 1 : sign]


def _ties(word: str, sign: str, rest: str) -> bool:
    """Whether ``word + sign + rest`` is one name or number; the cases are those of `is_whole`."""
    numbers = word[-1].isdigit() + rest[0].isdigit()
    if numbers == 2:
        years = len(word) == len(rest) == 4
        return sign in ".,:/" or (sign in _HYPHENS + _DASHES and not years)
    if sign == ".":
        return not word[-1].isdigit() and (rest[0].islower() or _is_abbreviation(word))
    if sign in _HYPHENS + _DASHES:
        goes_on = sign in _HYPHENS and not rest[0].isupper()
        codes = _is_abbreviation(word) and _is_abbreviation(rest)
        return goes_on or codes or _is_initial(word) or _is_initial(rest)
    if sign == "/" and word in _CURRENCIES:
        return False
    if sign == "/":
        codes = _is_abbreviation(word) or _is_abbreviation(rest)
        return (numbers == 1 and codes) or _is_initial(word) or _is_initial(rest)
    return sign in "'’&@"


def _is_range(text: str, sign: int) -> bool:
    """Whether the dash at index ``sign`` stands between two whole dates or times of day."""
    if text[sign] not in _HYPHENS + _DASHES:
        return False
    before, after = _MOMENT_BEFORE.search(text, max(0, sign - 12), sign), _MOMENT_AFTER.match(text, sign + 1)
    return before is not None and after is not None


def _is_initial(word: str) -> bool:
    """Whether ``word`` is a letter that is no word of Vietnamese (Á, Ý, Ô are: Asia, Italy, a ward's name)."""
    return len(word) == 1 and word.isalpha() and (word.isascii() or word in "đĐưƯ")


def _is_abbreviation(word: str) -> bool:
    """Whether ``word`` is an initial, two or more capitals, or consonants alone (``Tp``, ``Mr``)."""
    if len(word) == 1:
        return _is_initial(word)
    return word.isupper() or not (word[0].isdigit() or any(vowel in _TONES for vowel in word))
