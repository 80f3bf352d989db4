"""Slips of people who type Vietnamese: keys that an input method left in the text, and wrong keys.

Telex and VNI write marks as letters or digits: ``dduwowcj`` or ``d9u7o7c5`` for ``được``.
"""

from __future__ import annotations

import random
import unicodedata
from typing import Final

from normalizers.text import strip_diacritics

_ROWS: Final = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
# The Telex and VNI key of each combining mark: marks of vowels, then tones.
_MARKS: Final = {
    "\u0302": ("", "6"),  # circumflex: in Telex the letter is repeated
    "\u0306": ("w", "8"),  # breve
    "\u031b": ("w", "7"),  # horn
    "\u0300": ("f", "2"),
    "\u0301": ("s", "1"),
    "\u0309": ("r", "3"),
    "\u0303": ("x", "4"),
    "\u0323": ("j", "5"),
}
TONES: Final = "\u0300\u0301\u0309\u0303\u0323"
TELEX, VNI = 0, 1


def mistype(word: str, rng: random.Random) -> str:
    """Return ``word`` with one slip: keys of its marks, or a neighbouring, swapped, missing or doubled letter."""
    if word.isascii() or rng.random() < 0.5:
        return rng.choice((_neighbour, _swapped, _left_out, _doubled))(word, rng)
    method = rng.choice((TELEX, VNI))
    return keys(word, method) if rng.random() < 0.5 else tone_key_left(word, method)


def keys(word: str, method: int) -> str:
    """Return the keys that write ``word``, with the tone at its end: ``dduwowcj`` or ``d9u7o7c5`` for ``được``."""
    letters: list[str] = []
    tone = ""
    for char in unicodedata.normalize("NFD", word):
        if char in TONES:
            tone = _MARKS[char][method]
        elif char in _MARKS:
            letters.append(_MARKS[char][method] or letters[-1].lower())
        elif char in "đĐ":
            letters.append(("d" if char == "đ" else "D") + ("d" if method == TELEX else "9"))
        else:
            letters.append(char)
    return "".join(letters) + tone


def tone_key_left(word: str, method: int) -> str:
    """Return ``word`` with the key of its tone at the end: ``trước`` becomes ``trươcs``; no tone, no change."""
    decomposed = unicodedata.normalize("NFD", word)
    tones = [char for char in decomposed if char in TONES]
    level = unicodedata.normalize("NFC", "".join(char for char in decomposed if char not in TONES))
    return level + "".join(_MARKS[tone][method] for tone in tones)


def _neighbour(word: str, rng: random.Random) -> str:
    at = rng.randrange(len(word))
    key = strip_diacritics(word[at]).lower()
    row = next((row for row in _ROWS if key in row), "")
    beside = [row[place] for place in (row.find(key) - 1, row.find(key) + 1) if row and 0 <= place < len(row)]
    return word[:at] + rng.choice(beside) + word[at + 1 :] if beside else word


def _swapped(word: str, rng: random.Random) -> str:
    at = rng.randrange(len(word) - 1)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _left_out(word: str, rng: random.Random) -> str:
    at = rng.randrange(len(word))
    return word[:at] + word[at + 1 :]


def _doubled(word: str, rng: random.Random) -> str:
    at = rng.randrange(len(word))
    return word[: at + 1] + word[at] + word[at + 1 :]
