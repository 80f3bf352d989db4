"""Score whether a string of a reply is a mention or a type, by the passage and by the look of the string.

A mention stands in the passage, and a type seldom does. A type is a common one, or a few plain words in lower case.
Neither is enough alone ("bệnh nhân" is a type and stands in most news about health), so the scores are added up.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

from annotator.cleaning.replies.cells import MARKS, cells
from annotator.cleaning.replies.names import fold, names
from annotator.cleaning.replies.words import PASSAGE_ADDS, is_plain, look
from normalizers.text import fold_tones, nfc

Pair = tuple[str, str]
"""A mention and its type."""

_WHOLE_TYPES = names("date time datetime address ngày thời_gian ngày_tháng địa_chỉ quote title work_of_art law luật")
_SPLIT = re.compile(r"\s*[;、]\s*|,\s+|,(?=[^\W\d])")
_AND = re.compile(r"\s*[;、]\s*|,\s+(?:(?:và|and)\s+)?|\s+(?:và|and|&)\s+")
_NO_WORD = re.compile(r"[^\w\s]|_")


class Evidence:
    """What a passage shows about the strings of a reply to it. An empty passage shows nothing."""

    def __init__(self, passage: str) -> None:
        """Take a passage; an empty one is unknown."""
        self._passage = nfc(passage)
        self._seen: dict[str, bool] = {}
        self._weights: dict[str, float] = {}
        self.known = bool(passage.strip())

    @cached_property
    def _words(self) -> str:
        return f" {_plain(self._passage)} "

    def has(self, text: str) -> bool:
        """Whether the passage has ``text`` letter for letter."""
        return text in self._passage

    def stands(self, text: str) -> bool:
        """Whether the words of ``text`` stand in the passage in a row, whatever their case and punctuation."""
        if not self.known or len(text) > 1000:
            return False
        if (seen := self._seen.get(text)) is None:
            words = _plain(text)
            seen = self._seen[text] = bool(words) and f" {words} " in self._words
        return seen

    def holds(self, text: str) -> bool:
        """Whether the passage has ``text``, or each part of it between commas."""
        return self.stands(text) or any(parts and all(map(self.stands, parts)) for parts in _cuts(text))

    def some_hold(self, text: str) -> bool:
        """Whether the passage has ``text``, or half of its parts."""
        return self.holds(text) or any(
            len(parts) > 1 and 2 * sum(map(self.stands, parts)) >= len(parts) for parts in _cuts(text)
        )

    def first_that_stands(self, text: str) -> str:
        """Return ``text`` if the passage has half of it, else the first cell that the passage has, else ""."""
        if self.some_hold(text):
            return text
        return next((way[0] for way in cells(text[:1000]) if self.stands(way[0])), "")

    def type_weight(self, word: str) -> float:
        """Rate from 0 to 3 how likely ``word`` is a type: by the lexicon, its look, and the passage."""
        if (weight := self._weights.get(word)) is None:
            weight = self._weights[word] = self._type_weight(word)
        return weight

    def _type_weight(self, word: str) -> float:
        if (weight := look(word)) or not self.known:
            return weight
        is_phrase = is_plain(word) or (1 < len(word.split()) < 5 and word[1:].islower())  # "Đơn vị tổ chức"
        return PASSAGE_ADDS if is_phrase and not self.stands(word) else 0

    def weigh(self, mention: str, label: str) -> float:
        """Rate how well the two fit these roles; above zero where they fit rather than not."""
        weight = (self.type_weight(label) - self.type_weight(mention)) / 1.5
        if self.known:
            weight += (1 if self.holds(mention) else -1) - (0.5 if self.stands(label) else 0)
        return weight

    def order(self, pairs: Sequence[Pair]) -> float:
        """Rate how much better the first strings of ``pairs`` (at least one) fit as mentions, on average."""
        lean = sum(self.weigh(one, other) - self.weigh(other, one) for one, other in pairs[:500]) / len(pairs[:500])
        firsts, seconds = (len({pair[side] for pair in pairs}) / len(pairs) for side in (0, 1))
        return lean + 2 * (firsts - seconds)

    def mentions(self, text: str, label: str) -> list[str]:
        """Return the mentions in ``text``: several where it is a list with commas or "and", else ``text`` itself."""
        parts = _cut(_SPLIT, text)
        if len(parts) < 2:
            joined = _cut(_AND, text)
            return joined if len(joined) > 1 and not self.stands(text) and all(map(self.stands, joined)) else [text]
        if not self.known:
            single = fold(label) in _WHOLE_TYPES or any(len(part.split()) > 6 or part[:1].isdigit() for part in parts)
            return [text] if single else parts
        both = _cut(_AND, text)
        have_letters = all(any(map(str.isalpha, part)) for part in parts)
        is_one = fold(label) in _WHOLE_TYPES or len(both) > len(parts) or not have_letters
        if is_one and self.stands(text):  # "Sở Văn hóa, Thể thao và Du lịch"
            return [text]
        if not all(map(self.stands, parts)) and all(map(self.stands, both)):
            return both
        return parts if 2 * sum(map(self.stands, parts)) >= len(parts) else [text]


def _plain(text: str) -> str:
    """Return the words of ``text``, and brackets, commas and semicolons, with one space between them."""
    folded = fold_tones(nfc(text)).lower()
    return " ".join(_NO_WORD.sub(lambda mark: f" {mark[0]} " if mark[0] in "(),;" else " ", folded).split())


def has_parts(text: str) -> bool:
    """Whether ``text`` has a comma or a conjunction at which it could be cut into several mentions."""
    return (_SPLIT.search(text) or _AND.search(text)) is not None


def _cut(at: re.Pattern[str], text: str) -> list[str]:
    """Return the parts of ``text``; brackets stay whole."""
    if "(" in text:
        return [text.strip(MARKS)]
    return [part.strip(MARKS) for part in at.split(text[:5000]) if part.strip(MARKS)]


def _cuts(text: str) -> tuple[list[str], list[str]]:
    return _cut(_SPLIT, text), _cut(_AND, text)
