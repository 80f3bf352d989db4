"""Find near-duplicate documents: candidates by MinHash, confirmed by comparing the texts.

A text is the set of its 5-grams of syllables. Texts whose MinHash agrees in one band of several rows are candidates;
they are near duplicates when the Jaccard index of their sets reaches the threshold. Broder, "On the resemblance and
containment of documents" (1997); Leskovec et al., "Mining of Massive Datasets", section 3.4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from rensa import RMinHash

from annotator.duplicates.ngrams import Hashes, ngrams, syllables
from annotator.storage.scratch import full_disk_explained, temporary_database

N: Final = 5
"""Syllables of an n-gram."""
_BANDS: Final = 24
_SEED: Final = 1
_FIND: Final = f"SELECT band, number FROM bands WHERE band IN ({', '.join('?' * _BANDS)})"  # noqa: S608 - no values in it


class Sketch(NamedTuple):
    """The features of a text for comparison."""

    ngrams: Hashes
    """Its distinct n-grams, sorted."""
    bands: list[int]
    """A hash for each band of its MinHash."""


class NearDuplicates:
    """Texts by the bands of their MinHash, in a temporary database of about 1 kB a text.

    A band that two texts share is stored for the newer one only. A text has two dozen bands, of which one is enough to
    find it: of texts with a Jaccard index of 0.8, fewer than one in a thousand is missed.
    """

    def __init__(self, threshold: float, text_of: Callable[[int], str]) -> None:
        """Begin with no text.

        Args:
            threshold: the Jaccard index from which on two texts are near duplicates.
            text_of: returns the text that was added under a number.
        """
        self._threshold, self._text_of = threshold, text_of
        self._rows = 5 if threshold >= 0.7 else 3
        self._database = temporary_database("bands (band INTEGER PRIMARY KEY, number INTEGER)")

    def find(self, sketch: Sketch) -> tuple[int, float] | None:
        """Return the number of a near duplicate and the Jaccard index, or None."""
        found = dict(self._database.execute(_FIND, sketch.bands))
        for number in dict.fromkeys(found[band] for band in sketch.bands if band in found):
            other = _distinct_ngrams(syllables(self._text_of(number)))
            common = len(np.intersect1d(sketch.ngrams, other, assume_unique=True))
            jaccard = common / (len(sketch.ngrams) + len(other) - common)
            if jaccard >= self._threshold:
                return number, jaccard
        return None

    def add(self, number: int, sketch: Sketch) -> None:
        """Remember a text under ``number``.

        Raises:
            RunDirError: the disk is full.
        """
        rows = [(band, number) for band in sketch.bands]
        with full_disk_explained():
            self._database.executemany("INSERT OR REPLACE INTO bands VALUES (?, ?)", rows)

    def sketch(self, hashes: Hashes) -> Sketch:
        """Return what a text is compared by, from the hashes of its syllables."""
        own = _distinct_ngrams(hashes)
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(own, [0, len(own)], _BANDS * self._rows, _SEED)
        rows = np.array(matrix.to_rows()[0], np.uint64).reshape(_BANDS, self._rows)
        bands = np.arange(1, _BANDS + 1, dtype=np.uint64)
        for column in rows.T:
            mixed = (bands ^ (column * np.uint64(0x9E3779B97F4A7C15))) * np.uint64(0xBF58476D1CE4E5B9)
            bands = mixed ^ (mixed >> np.uint64(31))
        return Sketch(own, bands.view(np.int64).tolist())


def _distinct_ngrams(hashes: Hashes) -> Hashes:
    return np.unique(ngrams(hashes, min(N, max(len(hashes), 1))))
