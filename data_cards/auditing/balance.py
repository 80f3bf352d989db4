"""Whether the samples are exactly those that follow from the annotations, whatever their order, in fixed memory.

What must be there is added to a table of sums, what is there is taken away. If all is well nothing remains; if not,
what remains tells in which of the cells to look.
"""

from __future__ import annotations

import hashlib
import json
from typing import Final

import numpy as np

from annotator.spill import looked_up
from data_cards.auditing.arrays import Hashes, hashed, mixed

_CELLS: Final = 1 << 16


class Balance:
    """Sums of hashes of (passage, type, answer), by passage."""

    def __init__(self, too_long: Hashes) -> None:
        """``too_long``: hashes of the ids of samples that the length filter left out, in order."""
        self._cells = np.zeros(_CELLS, np.uint64)
        self._too_long = too_long

    def expect(self, passages: Hashes, labels: Hashes, outputs: Hashes, names: list[tuple[str, str]]) -> None:
        """What follows from annotations; ``names`` are the ids of the passages and the types."""
        keys = mixed(passages, labels, outputs)
        if len(self._too_long):
            left = looked_up(self._too_long, hashed([sample_id(*name) for name in names])) < 0
            passages, keys = passages[left], keys[left]
        np.add.at(self._cells, self._cell(passages), keys)

    def found(self, passages: Hashes, labels: Hashes, outputs: Hashes) -> None:
        """What stands in the samples."""
        np.subtract.at(self._cells, self._cell(passages), mixed(passages, labels, outputs))

    def wrong(self) -> int:
        """Passages, at least, whose samples are not what follows from their annotations."""
        return int((self._cells != 0).sum())

    @staticmethod
    def _cell(passages: Hashes) -> Hashes:
        return passages % np.uint64(_CELLS)


def sample_id(passage_id: str, entity_type: str) -> str:
    """The id that exploding gives to the sample of a passage and a type."""
    return hashlib.sha256(json.dumps([passage_id, entity_type], ensure_ascii=False).encode("utf-8")).hexdigest()[:16]
