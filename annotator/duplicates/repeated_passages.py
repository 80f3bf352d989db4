"""Reject passages of a benchmark, and passages seen before.

A passage is of a benchmark when they share a 13-gram of syllables, or when it has a whole short text of the benchmark.
Thirteen syllables are eight or nine Vietnamese words: rarely written twice by chance, and found however little of a
passage was copied. (GPT-3, appendix C, uses 13 words; UniversalNER's sentences are short, and so are PhoNER's.)

A passage was seen before when half of its 8-grams are in earlier passages.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.duplicates.ngrams import Hashes, ngrams, syllable_spans, syllables
from annotator.records import Rejected
from normalizers.text import nfc

STAGE: Final = "overlap"
"""The name under which these passages are counted."""
BENCHMARK_N: Final = 13
"""Syllables of an n-gram that a passage may not share with a benchmark."""
WHOLE: Final = 8
"""Syllables from which on a shorter text of a benchmark is looked for as a whole."""
SEEN_N: Final = 8
"""Syllables of an n-gram by which passages are compared with earlier ones."""
SEEN: Final = 0.5
"""Share of its n-grams in earlier passages from which on a passage is rejected."""
_SHOWN: Final = 300  # characters of what is shared
_ONE_IN: Final = 8  # n-grams that are compared, chosen by their hashes
_BITS: Final = 16  # of the first filter for each n-gram that is compared
_DOUBLED: Final = 4  # times that later filters have twice the bits of the one before
_NGRAMS_OF_A_DOCUMENT: Final = 128  # that are compared: 1,000 syllables
_LARGEST: Final = 1 << 34  # bits of the filter, 2 GB: enough for 8.4 million documents


class Shared(NamedTuple):
    """What a passage has in common with a benchmark."""

    file: str
    text: str
    """The longest slice of the passage that they share."""
    share: float
    """Share of the passage's syllables that are in shared n-grams."""


class Benchmarks:
    """The n-grams of some benchmarks: 8 bytes each, so 100 MB for ten million syllables."""

    def __init__(self, files: Iterable[tuple[str, Iterable[str]]]) -> None:
        """Compute the n-grams of files, each given by its name and its texts."""
        self._files = [(name, _ngrams_of(texts)) for name, texts in files]

    def find(self, text: str) -> Shared | None:
        """Return what ``text`` shares with the first benchmark that shares anything, or None."""
        text = nfc(text)
        own = syllables(text)
        for name, of_length in self._files:
            covered = np.zeros(len(own), bool)
            for length, sorted_ngrams in of_length.items():
                found = ngrams(own, length)
                at = np.minimum(np.searchsorted(sorted_ngrams, found), len(sorted_ngrams) - 1)
                for start in np.flatnonzero(sorted_ngrams[at] == found).tolist():
                    covered[start : start + length] = True
            if covered.any():
                return Shared(name, _longest(text, covered.tolist()), float(covered.mean()))
        return None


def fingerprints(texts: Iterable[str]) -> list[Hashes]:
    """Return the n-grams by which each text is compared with earlier ones: one in eight of its distinct ones.

    This takes most of the time of a comparison, and can run in any process.
    """
    found = (ngrams(syllables(text), SEEN_N) for text in texts)
    return [np.unique(own[own % np.uint64(_ONE_IN) == 0]) // np.uint64(_ONE_IN) for own in found]


class SeenPassages:
    """Remembers the n-grams of passages in Bloom filters with one hash: 256 bytes for each document, at most 2 GB.

    Documents that are added later get a filter of their own, so that nothing changes for those before. Each filter has
    twice the bits a document of the one before it, up to 4 kB: all together answer wrongly hardly more often than two.
    Almeida et al., "Scalable Bloom filters" (2007).
    """

    def __init__(self, documents: int) -> None:
        """Begin with no passage, and a filter for those of the first ``documents``."""
        self._filters: list[NDArray[np.uint8]] = []
        self.expect(documents)

    def expect(self, documents: int) -> None:
        """Keep the filters as they are, and remember the passages of the next ``documents`` in another one."""
        bits = _BITS << min(len(self._filters), _DOUBLED)
        size = min(max(documents, 64) * _NGRAMS_OF_A_DOCUMENT * bits, _LARGEST)
        self._filters.append(np.zeros(size // 8, np.uint8))

    def shares(self, texts: Sequence[Hashes]) -> list[float]:
        """Return for each text the share of its n-grams that texts before it have, and remember all of them.

        Args:
            texts: their ``fingerprints``.
        """
        sizes = np.array([len(own) for own in texts], np.int64)
        found = np.concatenate([np.zeros(0, np.uint64), *texts])
        owner = np.repeat(np.arange(len(sizes)), sizes)
        seen = np.zeros(len(found), bool)
        for newest in self._filters:
            bits = found % np.uint64(8 * len(newest))
            byte, mask = bits >> np.uint64(3), np.uint8(1) << (bits & np.uint64(7)).astype(np.uint8)
            seen |= (newest[byte] & mask) != 0
        # An n-gram of these texts is seen, too, where an earlier one of them has it. The newest filter remembers all.
        _, first, which = np.unique(bits, return_index=True, return_inverse=True)
        seen |= owner[first[which]] < owner
        np.bitwise_or.at(newest, byte, mask)
        shares: list[float] = (np.bincount(owner, seen, len(sizes)) / np.maximum(sizes, 1)).tolist()
        return shares


def rejections(
    ids: Sequence[str],
    texts: Sequence[str],
    benchmarks: Benchmarks | None,
    seen: SeenPassages | None,
    compared: Sequence[Hashes] | None,
) -> list[Rejected | None]:
    """Return for each passage the rejection of one that a benchmark or an earlier passage has, and None for others.

    Args:
        ids: of passages in the order of the run.
        texts: of the same passages.
        benchmarks: texts with which no passage may share an n-gram.
        seen: the earlier passages; remembers these too.
        compared: the fingerprints of these passages, where there is ``seen``.
    """
    found: list[Rejected | None] = [None] * len(ids)
    for number, text in enumerate(texts):
        if benchmarks and (shared := benchmarks.find(text)):
            detail = f"{shared.share:.0%} of its syllables, {BENCHMARK_N} or more in a row: {shared.text}"
            found[number] = Rejected(STAGE, "in a benchmark", ids[number], text, f"{shared.file}: {detail}")
    if seen and compared:
        left = [number for number, rejected in enumerate(found) if rejected is None]
        for number, share in zip(left, seen.shares([compared[number] for number in left]), strict=True):
            if share >= SEEN:
                detail = f"{share:.0%} of its runs of {SEEN_N} syllables are in earlier passages"
                found[number] = Rejected(STAGE, "near duplicate", ids[number], texts[number], detail)
    return found


def _ngrams_of(texts: Iterable[str]) -> dict[int, Hashes]:
    """Return the sorted n-grams of a benchmark by n: ``BENCHMARK_N``, and the lengths of shorter texts."""
    found: defaultdict[int, list[Hashes]] = defaultdict(list)
    for text in texts:
        own = syllables(text)
        n = min(len(own), BENCHMARK_N)
        if n >= WHOLE:
            found[n].append(ngrams(own, n))
    return {n: np.unique(np.concatenate(found[n])) for n in sorted(found)}


def _longest(text: str, covered: Sequence[bool]) -> str:
    """Return the text of the longest row of covered syllables."""
    rows = [list(row) for inside, row in groupby(range(len(covered)), key=covered.__getitem__) if inside]
    longest, spans = max(rows, key=len), syllable_spans(text)
    return text[spans[longest[0]][0] : spans[longest[-1]][1]][:_SHOWN]
