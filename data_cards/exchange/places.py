"""Convert places in a text between code points, UTF-16 units, Unicode forms and tokens."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from annotator.passages.segmenter import segmenter, without_addresses
from annotator.passages.sentences import split_sentences
from normalizers.text import nfc

Places = list[tuple[int, int]]
"""Start and end of each token: in order, disjoint, only white space between them."""
Tokenize = Callable[[str], Places]

_SYLLABLE = re.compile(r"\w[\w\u0300-\u036f]*|[^\w\s][\u0300-\u036f\u200d\ufe0e\ufe0f]*")


def syllables(text: str) -> Places:
    """Split at white space and around punctuation marks: ``TP.HCM`` is three tokens."""
    return [match.span() for match in _SYLLABLE.finditer(text)]


@lru_cache(maxsize=1)  # ``lost`` and ``write`` of a format need the tokens of the same passage
def words(text: str) -> Places:
    """Split into Vietnamese words, such as ``Đại học`` and ``Hà Nội``, with underthesea."""
    return [place for sentence in split_sentences(text) for place in _words(text, sentence.start, sentence.end)]


def _words(text: str, start: int, end: int) -> Places:
    segment, token_pattern = segmenter()
    sentence = without_addresses(text[start:end])
    atoms = [match.span() for match in token_pattern.finditer(sentence) if match[0].strip()]
    sizes = [word.count(" ") + 1 for word in segment(sentence, use_token_normalize=False)]
    if sum(sizes) != len(atoms):
        return [(start + left, start + right) for left, right in syllables(text[start:end])]
    places, index = [], 0
    for size in sizes:
        places.append((start + atoms[index][0], start + atoms[index + size - 1][1]))
        index += size
    return places


def locate(text: str, tokens: Sequence[str]) -> Places | None:
    """Find ``tokens`` in ``text``, one after the other; ``_`` in a token may stand for white space.

    None if something other than white space is between them: they are tokens of another text.
    """
    places: Places = []
    position = 0
    for token in tokens:
        while position < len(text) and text[position].isspace():
            position += 1
        end = _match(text, position, token)
        if end is None:
            return None
        places.append((position, end))
        position = end
    return None if text[position:].strip() else places


def _match(text: str, position: int, token: str) -> int | None:
    for char in token:
        if position < len(text) and text[position] == char:
            position += 1
        elif char == "_" and position < len(text) and text[position].isspace():
            while position < len(text) and text[position].isspace():
                position += 1
        else:
            return None
    return position


def covered(places: Sequence[tuple[int, int]], start: int, end: int) -> tuple[int, int]:
    """Return the first and the last token, inclusive, of the span ``[start, end)``, which has token boundaries."""
    firsts = {left: index for index, (left, _) in enumerate(places)}
    lasts = {right: index for index, (_, right) in enumerate(places)}
    return firsts[start], lasts[end]


def to_utf16(text: str, offset: int) -> int:
    """Convert an offset in code points to UTF-16 code units, in which a browser counts: an emoji is two of them."""
    return offset + sum(char > "\uffff" for char in text[:offset])


def from_utf16(text: str, offset: int) -> int:
    """Convert an offset in UTF-16 code units to code points.

    Raises:
        ValueError: it lies in the middle of a character or outside the text.
    """
    if text.isascii() and 0 <= offset <= len(text):
        return offset
    units = text.encode("utf-16-le", "surrogatepass")
    if not 0 <= 2 * offset <= len(units):
        raise ValueError(f"offset {offset} is outside the text")
    try:
        return len(units[: 2 * offset].decode("utf-16-le"))
    except UnicodeDecodeError:
        raise ValueError(f"offset {offset} is in the middle of a character") from None


def to_composed(text: str, offset: int, composed: str) -> int:
    """Convert an offset in ``text`` to one in ``composed``, its NFC.

    Raises:
        ValueError: it lies inside a composed character.
    """
    if text == composed:
        return offset
    before = nfc(text[:offset])
    if before + nfc(text[offset:]) != composed:
        raise ValueError(f"offset {offset} is inside a character")
    return len(before)
