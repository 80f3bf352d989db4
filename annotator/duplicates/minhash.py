"""Texts that are nearly one: found by MinHash, settled by comparing the texts themselves.

A text is the set of its runs of five syllables. Texts whose MinHash agrees in one band of several rows are candidates;
what counts is the Jaccard index of their sets, which is then computed. Broder, "On the resemblance and containment of
documents" (1997); Leskovec et al., "Mining of Massive Datasets", section 3.4.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from annotator.duplicates.ngrams import runs, syllables
from annotator.storage.slots import Slots

if TYPE_CHECKING:
    from annotator.duplicates.ngrams import Hashes

RUN: Final = 5
"""Syllables of a run."""
_BANDS: Final = 24
_SEED: Final = 1
_ROOM: Final = 2  # slots a band of a text


@dataclass(frozen=True, slots=True)
class Sketch:
    """What a text is compared by."""

    runs: Hashes
    """Its distinct runs, sorted."""
    bands: Hashes
    """A hash for each band of its MinHash."""


class NearDuplicates:
    """Texts by the bands of their MinHash, in a table of fixed size on the disk.

    The table has no lists: where two bands meet in a slot the newer stays. A text is in two dozen slots, of which one
    is enough to be found by: of texts that are 80 % the same, fewer than one in a thousand is missed.
    """

    def __init__(self, threshold: float, texts: int, recall: Callable[[int], str]) -> None:
        """Begin with no text.

        Args:
            threshold: the Jaccard index from which on two texts are near duplicates.
            texts: how many will be added, at most; sizes the table (400 bytes a text, of a temporary file).
            recall: brings a text back by the number it was added under.
        """
        self._threshold, self._recall = threshold, recall
        self._rows = 5 if threshold >= 0.7 else 3
        self._table = Slots(_ROOM * _BANDS * max(texts, 64), 8)
        self._numbers = array("q")

    def find(self, sketch: Sketch) -> tuple[int, float] | None:
        """Return the number of a near duplicate and how alike the two are, or nothing."""
        import numpy as np

        there = self._table.get(sketch.bands % np.uint64(self._table.size)).view("<u8").ravel()
        hits = there[((there ^ sketch.bands) >> np.uint64(32) == 0) & (there != 0)]
        for place in dict.fromkeys((hits & np.uint64(0xFFFFFFFF)).tolist()):
            number = self._numbers[place - 1]
            other = _runs(syllables(self._recall(number)))
            common = len(np.intersect1d(sketch.runs, other, assume_unique=True))
            alike = common / (len(sketch.runs) + len(other) - common)
            if alike >= self._threshold:
                return number, alike
        return None

    def add(self, number: int, sketch: Sketch) -> None:
        """Remember a text under ``number``."""
        import numpy as np

        self._numbers.append(number)
        tagged = (sketch.bands >> np.uint64(32) << np.uint64(32)) | np.uint64(len(self._numbers))
        self._table.put(sketch.bands % np.uint64(self._table.size), tagged.astype("<u8").view(np.uint8).reshape(-1, 8))

    def sketch(self, hashes: Hashes) -> Sketch:
        """Return what a text is compared by, from the hashes of its syllables."""
        import numpy as np
        from rensa import RMinHash

        own = _runs(hashes)
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(own, [0, len(own)], _BANDS * self._rows, _SEED)
        rows = np.array(matrix.to_rows()[0], np.uint64).reshape(_BANDS, self._rows)
        bands = np.arange(1, _BANDS + 1, dtype=np.uint64)
        for column in rows.T:
            bands = _paired(bands, column)
        return Sketch(own, bands)


def _paired(first: Hashes, second: Hashes) -> Hashes:
    """Return a hash for each pair."""
    import numpy as np

    mixed = (first ^ (second * np.uint64(0x9E3779B97F4A7C15))) * np.uint64(0xBF58476D1CE4E5B9)
    return mixed ^ (mixed >> np.uint64(31))


def _runs(hashes: Hashes) -> Hashes:
    import numpy as np

    return np.unique(runs(hashes, min(RUN, max(len(hashes), 1))))
