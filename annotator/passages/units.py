"""Split texts into the units of passages: sentences, and parts of sentences that are too long for a passage."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain, pairwise
from typing import Final, NamedTuple

import numpy as np

from annotator.errors import ConfigError
from annotator.passages.sentences import sentence_columns
from annotator.passages.tokenizers import Tokenizer

_CLAUSE: Final = re.compile(r"[;:,)\]”»…]+(?=\s)|\s(?=[-–—(\[“«])")
_SPACE: Final = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Units:
    """The units of one text, in order, as columns: a corpus has too many for an object each."""

    starts: list[int]
    ends: list[int]
    """End of the slice ``[start, end)``, without white space around it."""
    can_stand: list[bool]
    """Whether a passage may consist of this unit alone: a complete sentence, or a part of an over-long one."""
    tokens: list[int]
    """Tokens of the unit alone."""
    added: list[int]
    """Tokens that the unit adds to a text that ends with the one before it; see ``Tokenizer.count_spans``."""
    cuts: Mapping[int, str] = field(default_factory=dict)
    """Where an over-long sentence was cut, by number of the unit: ``clause``, or ``space`` (or inside a word)."""

    def __len__(self) -> int:
        return len(self.starts)


class _Part(NamedTuple):
    """A part of a sentence."""

    start: int
    end: int
    tokens: int
    cut: str


def units_of(texts: Sequence[str], tokenizer: Tokenizer, max_tokens: int) -> list[Units]:
    """Split each text into units of at most ``max_tokens`` tokens: in order, disjoint, all of it but white space.

    Raises:
        ConfigError: a single character takes more than ``max_tokens``.
    """
    if not texts:
        return []
    rows = [sentence_columns(text) for text in texts]
    starts, ends, _ = zip(*rows, strict=True)
    counts = _counts(texts, starts, ends, tokenizer)
    units = [Units(*row, *counted) for row, counted in zip(rows, counts, strict=True)]
    return [
        row if max(row.tokens, default=0) <= max_tokens else _shortened(text, row, tokenizer, max_tokens)
        for text, row in zip(texts, units, strict=True)
    ]


def _counts(
    texts: Sequence[str], starts: Sequence[list[int]], ends: Sequence[list[int]], tokenizer: Tokenizer
) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the tokens of the spans of each text, and those that they add to what precedes them."""
    sizes = list(map(len, starts))
    bases = np.repeat([0, *accumulate(len(text) + 1 for text in texts[:-1])], sizes)
    first, end = (np.fromiter(chain.from_iterable(rows), np.int64, len(bases)) for rows in (starts, ends))
    alone, added = tokenizer.count_spans("\n".join(texts), first + bases, end + bases)
    tokens, more = alone.tolist(), added.tolist()
    for i, j in pairwise([0, *accumulate(sizes)]):
        yield tokens[i:j], more[i:j]


def _shortened(text: str, units: Units, tokenizer: Tokenizer, max_tokens: int) -> Units:
    """Return the units with those longer than ``max_tokens`` cut into parts."""
    parts: list[_Part] = []
    can_stand: list[bool] = []
    for start, end, stands, tokens in zip(units.starts, units.ends, units.can_stand, units.tokens, strict=True):
        parts += _parts(text, _Part(start, end, tokens, ""), tokenizer, max_tokens)
        can_stand += [stands or tokens > max_tokens] * (len(parts) - len(can_stand))
    starts, ends, tokens_of, cuts = map(list, zip(*parts, strict=True))
    ((_, added),) = _counts([text], [starts], [ends], tokenizer)
    return Units(starts, ends, can_stand, tokens_of, added, {index: cut for index, cut in enumerate(cuts) if cut})


def _parts(text: str, whole: _Part, tokenizer: Tokenizer, max_tokens: int) -> Iterator[_Part]:
    """Cut a unit in two until each part fits, aiming at parts of equal size and as few as will do.

    The cut is where a clause ends near the aim, else at the nearest white space, else between two characters.
    """
    if whole.tokens <= max_tokens:
        yield whole
        return
    start, end, _, cut = whole
    length = end - start
    if length == 1:
        raise ConfigError(f"one character takes {whole.tokens} tokens: raise --max-tokens above {max_tokens}")
    parts = -(-whole.tokens // max_tokens)
    aim, reach = start + length * (parts // 2) // parts, length // (2 * parts)
    at = _nearest(_CLAUSE, text, range(aim - reach, aim + reach), aim)
    cut = cut or "clause"
    if at is None:
        everywhere = range(start, end)
        at, cut = _nearest(_SPACE, text, everywhere, aim) or _between_characters(text, everywhere, aim), "space"
    for low, high in ((start, at), (at, end)):
        part = text[low:high].strip()
        first = text.index(part, low)
        smaller = _Part(first, first + len(part), tokenizer.count(part), cut)
        yield from _parts(text, smaller, tokenizer, max_tokens)


def _nearest(pattern: re.Pattern[str], text: str, where: range, aim: int) -> int | None:
    """Return the end of the match inside ``where`` that is nearest to ``aim``, or None."""
    ends = (match.end() for match in pattern.finditer(text, where.start, where.stop))
    return min(ends, key=lambda at: abs(at - aim), default=None)


def _between_characters(text: str, where: range, aim: int) -> int:
    """Return a position from ``aim`` on, else before it, that does not separate a letter from its marks."""
    aim = max(aim, where.start + 1)
    places = chain(range(aim, where.stop), range(aim - 1, where.start, -1))
    return next((at for at in places if not unicodedata.category(text[at]).startswith("M")), aim)
