"""What passages are made of: sentences, and the parts of a sentence that is longer than a passage may be."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final, NamedTuple

from annotator.errors import ConfigError
from annotator.passages.sentences import Sentence, split_sentences
from annotator.tokens import Tokenizer

_CLAUSE: Final = re.compile(r"[;:,)\]”»…]+(?=\s)|\s(?=[-–—(\[“«])")
_SPACE: Final = re.compile(r"\s+")
_JOINERS: Final = "\u200c\u200d"
_SKIN_TONES: Final = range(0x1F3FB, 0x1F400)
_FLAG_LETTERS: Final = range(0x1F1E6, 0x1F200)


class Unit(NamedTuple):
    """The slice ``[start, end)`` of a text, without white space around it."""

    start: int
    end: int
    can_stand: bool
    """A passage may consist of this alone: it is a complete sentence, or a part of an over-long one."""
    tokens: int
    """Of itself alone."""
    added: int | None
    """Tokens that it adds to what ends with the unit before it; None if only counting the whole can tell."""
    cut: str = ""
    """Where an over-long sentence was cut to make this part: ``clause``, ``space`` (or inside a word), or empty."""


def units_of(texts: Sequence[str], tokenizer: Tokenizer, max_tokens: int) -> list[list[Unit]]:
    """Split each text into units of at most ``max_tokens`` tokens: in order, disjoint, all of it but white space.

    Raises:
        ConfigError: a single character takes more than ``max_tokens``.
    """
    sentences = [split_sentences(text) for text in texts]
    counts = _counts(texts, sentences, tokenizer)
    units = [[Unit._make((*sentence, *next(counts), "")) for sentence in row] for row in sentences]
    for number, (text, row) in enumerate(zip(texts, units, strict=True)):
        if any(unit.tokens > max_tokens for unit in row):
            parts = [part for unit in row for part in _parts(text, unit, tokenizer, max_tokens)]
            counts = _counts([text], [parts], tokenizer)
            units[number] = [part._replace(added=added) for part, (_, added) in zip(parts, counts, strict=True)]
    return units


def _counts(
    texts: Sequence[str], rows: Iterable[Sequence[Sentence | Unit]], tokenizer: Tokenizer
) -> Iterator[tuple[int, int | None]]:
    """Return the tokens of each span of each text, and those it adds to what stands before it."""
    spans: list[str] = []
    gaps: list[str | None] = []
    for text, row in zip(texts, rows, strict=True):
        before = None
        for start, end, *_ in row:
            spans.append(text[start:end])
            gaps.append(None if before is None else text[before:start])
            before = end
    return zip(*tokenizer.count_row(spans, gaps), strict=True)


def _parts(text: str, whole: Unit, tokenizer: Tokenizer, max_tokens: int) -> Iterator[Unit]:
    """Cut a unit in two until each part fits, aiming at parts of equal size and as few as will do.

    The cut stands where a clause ends if one does near the aim, else at the white space nearest to it, else between
    two characters.
    """
    if whole.tokens <= max_tokens:
        yield whole
        return
    start, end = whole.start, whole.end
    length = end - start
    if length == 1:
        raise ConfigError(f"one character takes {whole.tokens} tokens: raise --max-tokens above {max_tokens}")
    parts = -(-whole.tokens // max_tokens)
    aim, reach = start + length * (parts // 2) // parts, length // (2 * parts)
    at = _nearest(_CLAUSE, text, range(aim - reach, aim + reach), aim)
    cut = whole.cut or "clause"
    if at is None:
        everywhere = range(start, end)
        at, cut = _nearest(_SPACE, text, everywhere, aim) or _between_characters(text, everywhere, aim), "space"
    for low, high in ((start, at), (at, end)):
        part = text[low:high].strip()
        first = text.index(part, low)
        unit = Unit(first, first + len(part), True, tokenizer.count(part), None, cut)
        yield from _parts(text, unit, tokenizer, max_tokens)


def _nearest(pattern: re.Pattern[str], text: str, where: range, aim: int) -> int | None:
    """Return the end of the match inside ``where`` that is nearest to ``aim``, if there is any."""
    ends = (match.end() for match in pattern.finditer(text, where.start, where.stop))
    return min(ends, key=lambda at: abs(at - aim), default=None)


def _between_characters(text: str, where: range, aim: int) -> int:
    """Find a place from ``aim`` on, else before it, where no character is torn from its marks."""
    aim = max(aim, where.start + 1)
    places = chain(range(aim, where.stop), range(aim - 1, where.start, -1))
    return next((at for at in places if not _are_one(text[at - 1], text[at])), aim)


def _are_one(left: str, right: str) -> bool:
    """Say whether two code points are drawn as one: a letter and its mark, or parts of one emoji."""
    return (
        unicodedata.category(right).startswith("M")
        or left in _JOINERS
        or right in _JOINERS
        or ord(right) in _SKIN_TONES
        or (ord(left) in _FLAG_LETTERS and ord(right) in _FLAG_LETTERS)
    )
