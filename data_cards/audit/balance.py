"""Whether the samples are exactly those that follow from the annotations, whatever their order, in fixed memory.

What must be there is added to a table of sums, what is there is taken away. If all is well nothing remains; if not,
what remains tells in which of the cells to look.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Final

import numpy as np

from annotator.storage.spill import looked_up
from data_cards.audit.arrays import Hashes, hashed

_CELLS: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Due:
    """Samples, by the hashes of their passages, each with a hash of passage, type and answer."""

    passages: Hashes
    keys: Hashes


def without(due: Due, too_long: Hashes, names: list[tuple[str, str]]) -> Due:
    """Those that the length filter did not leave out; ``names`` are the ids of the passages and the types."""
    if not len(too_long):
        return due
    left = looked_up(too_long, hashed([sample_id(*name) for name in names])) < 0
    return Due(due.passages[left], due.keys[left])


class Balance:
    """Sums of hashes of (passage, type, answer), by passage."""

    def __init__(self, too_long: Hashes) -> None:
        """``too_long``: hashes of the ids of samples that the length filter left out, in order."""
        self._cells = np.zeros(_CELLS, np.uint64)
        self.too_long = too_long

    def expect(self, due: Due) -> None:
        """What follows from annotations."""
        np.add.at(self._cells, self._cell(due.passages), due.keys)

    def found(self, there: Due) -> None:
        """What stands in the samples."""
        np.subtract.at(self._cells, self._cell(there.passages), there.keys)

    def wrong(self) -> int:
        """Passages, at least, whose samples are not what follows from their annotations."""
        return int((self._cells != 0).sum())

    @staticmethod
    def _cell(passages: Hashes) -> Hashes:
        return passages % np.uint64(_CELLS)


def sample_id(passage_id: str, entity_type: str) -> str:
    """The id that exploding gives to the sample of a passage and a type."""
    return hashlib.sha256(json.dumps([passage_id, entity_type], ensure_ascii=False).encode("utf-8")).hexdigest()[:16]
