"""Hash the syllables and n-grams of texts, by which duplicates are found.

Spellings of one text have the same hashes: case, spacing, punctuation, the Unicode form and the place of the tone mark
in a syllable do not count. The hashes are the same on every machine.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from normalizers.text import ZERO_WIDTH, fold_tones, nfc

Hashes: TypeAlias = NDArray[np.uint64]

_SYLLABLE: Final = re.compile(rf"[^\W_]+(?:[{ZERO_WIDTH}]+[^\W_]+)*")
_NO_WIDTH: Final = re.compile(f"[{ZERO_WIDTH}]")
_FACTOR: Final = 0x100000001B3
_MIX: Final = 0x9E3779B97F4A7C15


def syllable_spans(text: str) -> list[tuple[int, int]]:
    """Return where the syllables of NFC ``text`` are: letters and digits, with zero-width characters inside."""
    return [match.span() for match in _SYLLABLE.finditer(text)]


def syllables(text: str) -> Hashes:
    """Return one hash for each syllable of ``text``, in order."""
    found = _SYLLABLE.findall(nfc(text))
    return np.fromiter(map(_hash, found), np.uint64, len(found))


def ngrams(hashes: Hashes, n: int) -> Hashes:
    """Return one hash for each n-gram of syllables, in order; none for a shorter text."""
    count = max(len(hashes) - n + 1, 0)
    found = np.zeros(count, np.uint64)
    for step in range(n if count else 0):
        found *= np.uint64(_FACTOR)
        found += hashes[step : step + count]
    found ^= found >> np.uint64(29)
    found *= np.uint64(_MIX)
    return found ^ (found >> np.uint64(32))


@lru_cache(maxsize=1 << 15)
def _hash(syllable: str) -> int:
    folded = fold_tones(_NO_WIDTH.sub("", syllable).casefold())
    return int.from_bytes(hashlib.blake2b(folded.encode("utf-8", "replace"), digest_size=8).digest(), "little")
