"""Split a text into words, as arrays, and cache a number for each word: tokens are counted by them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice, repeat
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Positions: TypeAlias = NDArray[np.int64]
"""Integers: code points of a text, or tokens."""

WORD: Final = 48
"""Bytes of the longest word that a table keeps."""
_WORDS: Final = 87_000
"""Words that a table keeps, some 9 MB: as many as a dict of 2 ** 17 slots holds. News of 18 million characters has
90,000 different words, with the punctuation at their ends."""
_CODEC: Final = "utf-32-le"
"""Four bytes for each code point, so that positions are those of the text."""
_NOT_HERE: Final = -(1 << 40)
"""Less than any value of a word."""


class Words(NamedTuple):
    """The words of a text, separated by single spaces and line breaks."""

    known: list[bytes]
    """The distinct words in UTF-8."""
    which: Positions
    """For each word its number in ``known``."""
    begins: Positions
    """Where each word begins, in code points; the last is the length of the text plus one."""
    by_space: NDArray[np.bool_]
    """Whether a space follows each word, not a line break."""


def words_of(text: str) -> Words:
    """Split a text into words."""
    letters = np.frombuffer(f"{text} ".encode(_CODEC), "<u4")
    is_break = letters == ord("\n")
    ends = np.flatnonzero((letters == ord(" ")) | is_break)
    begins = np.zeros(len(ends) + 1, np.int64)
    np.add(ends, 1, out=begins[1:])  # a word includes the space after it
    flat = np.where(is_break, letters.dtype.type(ord(" ")), letters)
    buffers = [None, pa.py_buffer(begins * 4), pa.py_buffer(flat)]
    words = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(ends), buffers).dictionary_encode()
    _, offsets, known = words.dictionary.buffers()
    end = np.frombuffer(offsets, np.int64)[len(words.dictionary)] - 4  # without the last space
    return Words(str(known[:end], _CODEC).encode().split(b" "), words.indices.to_numpy(), begins, ~is_break[ends])


class Table(dict[bytes, int]):
    """A cache of ``measure``, by words in UTF-8, which take half the memory of Vietnamese strings.

    The first words stay, which are the frequent ones. When the table is full, other words are measured each time.
    """

    def __init__(self, measure: Callable[[Sequence[str]], list[int]]) -> None:
        self._measure = measure

    def __missing__(self, word: bytes) -> int:
        return self._learn([word])[0]

    def many(self, words: Sequence[bytes]) -> Positions:
        """Return the value of each word; unknown words are measured together."""
        values = np.fromiter(map(self.get, words, repeat(_NOT_HERE)), np.int64, len(words))
        unknown = np.flatnonzero(values == _NOT_HERE).tolist()
        if unknown:
            values[unknown] = self._learn([words[index] for index in unknown])
        return values

    def _learn(self, words: Sequence[bytes]) -> list[int]:
        values = self._measure([word.decode() for word in words])
        short = (pair for pair in zip(words, values, strict=True) if len(pair[0]) <= WORD)
        self.update(islice(short, _WORDS - len(self)))
        return values
