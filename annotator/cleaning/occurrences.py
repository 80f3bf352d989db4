"""Project predicted entities to mentions: an occurrence inside another name is no mention.

"Nam" predicted as a person does not mark the "Nam" of "Nam Định". An occurrence is left out when it is inside a longer
predicted span or inside a word, and the string also occurs on its own. A string that never occurs on its own is a
nested entity ("Hà Nội" in "Đại học Hà Nội") and keeps all its occurrences.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Final

from annotator.passages.dictionary import dictionary
from normalizers.text import fold_tones, is_syllable

Span = tuple[int, int]
"""``(start, end)`` in code points of the passage, half open."""

INSIDE_ENTITY: Final = "inside a longer entity"
INSIDE_WORD: Final = "inside a word"

_BEFORE: Final = re.compile(r"([^\W\d_]+) \Z")
_AFTER: Final = re.compile(r" ([^\W\d_]+)(?: ([^\W\d_]+))?")
_REACH: Final = 10
"""Code points within which a neighbouring syllable (seven letters at most) and its space are."""
_OPENING: Final = re.compile(r"(?:\A|\n|[.!?…:;\"“”‘'*•–(\[-])\s*\Z")
_ADDRESSES: Final = frozenset(
    ("ông", "bà", "anh", "chị", "cô", "chú", "bác", "em", "cháu", "thầy", "cụ", "bé", "dì", "cậu")
)
"""Words before a name that are not part of it, with a capital too."""
_OPENERS: Final = frozenset(
    ("theo", "trong", "tại", "khi", "ngày", "sau", "hôm", "tuy", "trước", "cùng", "ảnh", "hãng")
)
"""Words that have a capital because a sentence or caption begins, where the news has lost the line break."""


@dataclass(frozen=True, slots=True)
class Projection:
    """Where one predicted entity has mentions, and the other occurrences of its string."""

    kept: tuple[Span, ...]
    left_out: tuple[tuple[Span, str], ...] = ()
    """Each with ``INSIDE_ENTITY`` or ``INSIDE_WORD``."""


def project(text: str, found: Sequence[Sequence[Span]]) -> list[Projection]:
    """Return the mentions of each predicted entity; ``found`` has the occurrences of each, in order of start."""
    predicted = {span for spans in found for span in spans}
    nested, edges = _nested(predicted), frozenset(edge for span in predicted for edge in span)
    projections = []
    for spans in found:
        left_out = {span: reason for span in spans if (reason := _why_not(text, span, nested, edges))}
        if len(left_out) == len(spans):
            left_out = {}
        projections.append(Projection(tuple(span for span in spans if span not in left_out), (*left_out.items(),)))
    return projections


def _nested(spans: Iterable[Span]) -> set[Span]:
    """Return the spans that lie inside another one."""
    inside, furthest = set(), -1
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        if end <= furthest:
            inside.add((start, end))
        furthest = max(furthest, end)
    return inside


def _why_not(text: str, span: Span, nested: Set[Span], edges: Set[int]) -> str:
    if span in nested:
        return INSIDE_ENTITY
    return INSIDE_WORD if _is_inside_a_word(text, span, edges) else ""


def _is_inside_a_word(text: str, span: Span, edges: Set[int]) -> bool:
    """Whether a single syllable is part of a longer name or word: "Nam" of "Nam Định", "Chính" of "Chính phủ".

    A neighbour that begins or ends another predicted entity is part of that: "Nga" is on its own before "Vladimir
    Putin". The word after an address is a name: "chị Thanh" in "chị Thanh thoát nạn".
    """
    start, end = span
    syllable = text[start:end]
    if syllable.isupper() or not (syllable.isalpha() and is_syllable(syllable)):
        return False
    first = max(0, start - _REACH)
    before = _BEFORE.search(text[first:start])
    addressed = before is not None and before[1].lower() in _ADDRESSES
    after = _AFTER.match(text, end, end + 2 * _REACH)
    if after and end + 1 not in edges and is_syllable(after[1]):
        if syllable[0].isupper() and after[1][0].isupper():
            one = _is_name(syllable, after[1])
        else:
            one = not addressed and _is_word(syllable, after[1])
        if one and not (after[2] and _is_word(after[1], after[2])):
            return True
    if before is None or addressed or start - 1 in edges or not is_syllable(before[1]):
        return False
    at = first + before.start(1)
    opens = _OPENING.search(text[max(0, at - 3) : at]) is not None  # then its capital means nothing
    return _is_word(before[1], syllable) or (not opens and _is_name(before[1], syllable))


def _is_name(first: str, second: str) -> bool:
    """Whether two neighbouring syllables are one name by their capitals."""
    return first.istitle() and second.istitle() and second.lower() not in _OPENERS


def _is_word(first: str, second: str) -> bool:
    """Whether the dictionary has two neighbouring syllables as one word; in a name the second has a capital."""
    return second.islower() and fold_tones(f"{first} {second}".lower()) in dictionary()
