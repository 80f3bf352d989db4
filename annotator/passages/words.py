"""Words of a text, found in columns: what tokens are counted by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice, repeat
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Positions: TypeAlias = "NDArray[np.int64]"
"""Whole numbers: code points of a text, or tokens."""

WORD: Final = 48
"""Bytes of a word that is kept in a table."""
_WORDS: Final = 87_000
"""Words kept, some 9 MB: as many as a table of 2 ** 17 places takes. News of 18 million characters has 90,000
different ones, marks at their ends included."""
_NOT_HERE: Final = -(1 << 40)
"""Less than anything that is said of a word."""


class Words(NamedTuple):
    """A text of words, parted by single spaces and line breaks."""

    known: list[bytes]
    """The different words in UTF-8."""
    which: Positions
    """Which of them each word is."""
    begins: Positions
    """Where each word begins, in code points; one more where the text has ended and a space after it."""
    by_space: NDArray[np.bool_]
    """Whether a space stands after each word, and no line break."""


def words_of(text: str) -> Words:
    """Part a text into words."""
    import numpy as np
    import pyarrow as pa

    # As many bytes for each code point: a place in them is one in the text, and they are had faster than UTF-8.
    codec, width = "utf-16-le", 2
    data = f"{text} ".encode(codec)
    if len(data) != width * (len(text) + 1):  # there are some, such as emoji, that UTF-16 has as two
        codec, width = "utf-32-le", 4
        data = f"{text} ".encode(codec)
    letters = np.frombuffer(data, f"<u{width}")
    is_break = letters == ord("\n")
    ends = np.flatnonzero((letters == ord(" ")) | is_break)
    begins = np.zeros(len(ends) + 1, np.int64)
    np.add(ends, 1, out=begins[1:])  # a word's space is part of it, so that nothing stands between words
    flat = np.where(is_break, letters.dtype.type(ord(" ")), letters)
    buffers = [None, pa.py_buffer(begins * width), pa.py_buffer(flat)]
    words = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(ends), buffers).dictionary_encode()
    _, offsets, known = words.dictionary.buffers()
    end = np.frombuffer(offsets, np.int64)[len(words.dictionary)] - width  # without the last space
    return Words(str(known[:end], codec).encode().split(b" "), words.indices.to_numpy(), begins, ~is_break[ends])


def sums_of(values: Positions) -> Positions:
    """Return the sums of none, one, two ... and all of ``values``."""
    import numpy as np

    sums = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=sums[1:])
    return sums


class Table(dict[bytes, int]):
    """What ``measure`` says of words, kept by their UTF-8, which takes half the memory of Vietnamese strings.

    The words that come first stay, which are the frequent ones; when it is full, others are measured each time.
    """

    def __init__(self, measure: Callable[[Sequence[str]], list[int]]) -> None:
        self._measure = measure

    def __missing__(self, word: bytes) -> int:
        return self._learn([word])[0]

    def many(self, words: Sequence[bytes]) -> Positions:
        """Return what is said of each word; those that are not here are measured together."""
        import numpy as np

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
