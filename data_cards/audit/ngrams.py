"""The n-grams of passages, by which the audit finds passages of one split in another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data_cards.audit.arrays import Hashes, Ints, encoded, hashed, ints, mixed

N: Final = 8
"""Syllables of an n-gram."""
_MARKS: Final = "[\u0300-\u036f]"
"""Combining marks, as decomposed Vietnamese has them."""
_PRIME: Final = np.uint64(0x100000001B3)
_ODD: Final = np.uint64(0x9E3779B97F4A7C15)
_BITS: Final = 48
"""Bits of an n-gram's hash; the number of its text is stored above them while a batch is sorted."""
_NGRAMS_A_SAMPLE: Final = 64
_LARGEST: Final = 28


@dataclass(frozen=True, slots=True)
class NGrams:
    """The distinct n-grams of some texts, text after text."""

    hashes: Hashes
    sizes: Ints
    """N-grams of each text: at least one."""

    def owners(self, which: Ints) -> Ints:
        """Return the numbers of the texts that the n-grams at these positions belong to."""
        return np.searchsorted(np.cumsum(self.sizes), which, "right")


def ngrams_of(texts: list[str]) -> NGrams:
    """Hash the n-grams of each text, ignoring case, white space and the Unicode form; a shorter text is one n-gram."""
    column = pa.array(texts, pa.string())
    decomposed = pc.match_substring_regex(column, _MARKS)
    if pc.any(decomposed).as_py():
        column = pc.if_else(decomposed, pc.utf8_normalize(column, form="NFC"), column)
    words = pc.utf8_split_whitespace(pc.utf8_trim_whitespace(pc.utf8_lower(column)))
    vocabulary, codes = encoded(words.flatten())
    tokens = hashed(vocabulary)[codes]
    rolling = np.zeros_like(tokens)
    for step in range(N):
        rolling *= _PRIME
        rolling[: max(len(tokens) - step, 0)] += tokens[step:]
    rolling = mixed(rolling, rolling)
    lengths = ints(pc.list_value_length(words))
    owner = np.repeat(np.arange(len(texts)), lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(tokens))
    whole = left >= N
    short = np.flatnonzero(lengths < N)
    owner = np.concatenate([owner[whole], short]).astype(np.uint64)
    rolling = np.concatenate([rolling[whole], hashed(column.take(short).to_pylist())])
    packed = np.unique(owner << np.uint64(_BITS) | rolling >> np.uint64(64 - _BITS))
    sizes = np.bincount((packed >> np.uint64(_BITS)).astype(np.int64), minlength=len(texts))
    return NGrams(packed << np.uint64(64 - _BITS), sizes)


class Filter:
    """A Bloom filter (1970) of at most 32 MB: tells most n-grams that were not added from those that were."""

    def __init__(self, samples: int) -> None:
        """Size the filter for the n-grams of so many samples."""
        self._bits = min(int(max(samples * _NGRAMS_A_SAMPLE * 4, 1 << 16) - 1).bit_length(), _LARGEST)
        self._table = np.zeros(1 << (self._bits - 3), np.uint8)

    def add(self, hashes: Hashes) -> None:
        """Remember n-grams."""
        for byte, bit in self._positions(hashes):
            np.bitwise_or.at(self._table, byte, bit)

    def may_have(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        """Return False for each n-gram that was certainly not added."""
        found = np.ones(len(hashes), bool)
        for byte, bit in self._positions(hashes):
            found &= (self._table[byte] & bit) != 0
        return found

    def _positions(self, hashes: Hashes) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.uint8]]]:
        for one in (hashes, hashes * _ODD):
            position = one >> np.uint64(64 - self._bits)
            yield (position >> np.uint64(3)).astype(np.intp), np.uint8(1) << (position & np.uint64(7)).astype(np.uint8)
