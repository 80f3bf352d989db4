"""The n-grams of passages, by which the audit finds passages of one split in another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_cards.audit.arrays import Hashes, Ints, encoded, hashed, ints, mixed

N: Final = 8
"""Syllables of an n-gram."""
_MARKS: Final = "[\u0300-\u036f]"
"""Combining marks, as decomposed Vietnamese has them."""
_PRIME: Final = np.uint64(0x100000001B3)
_BITS: Final = 48
"""Bits of an n-gram's hash; the number of its text is stored above them while a batch is sorted."""


@dataclass(frozen=True, slots=True)
class NGrams:
    """The distinct n-grams of some texts, text after text."""

    hashes: Hashes
    sizes: Ints
    """N-grams of each text: at least one."""

    @property
    def owners(self) -> Ints:
        """Return the number of the text that each n-gram belongs to."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)


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
