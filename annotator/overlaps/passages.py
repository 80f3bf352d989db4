"""Leaves out passages that a student must not learn: those of a benchmark, and those that were there already.

A passage is of a benchmark when it shares a run of thirteen syllables with it, or holds a whole short text of it. In
thirteen syllables there are eight or nine Vietnamese words: rarely said twice by chance, and found however little of a
passage was copied. (GPT-3, appendix C, uses 13 words; UniversalNER's sentences are short, and so are PhoNER's.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from annotator.overlaps.benchmarks import texts
from annotator.overlaps.runs import places, runs, syllables
from annotator.records import Passage, Rejected
from normalizers.text import nfc

if TYPE_CHECKING:
    from annotator.overlaps.runs import Hashes

STAGE: Final = "overlap"
"""The name under which these passages are counted."""
RUN: Final = 13
"""Syllables of a run that a passage may not share with a benchmark."""
WHOLE: Final = 8
"""Syllables that a shorter text of a benchmark must have to be looked for as a whole."""
KNOWN_RUN: Final = 8
"""Syllables of a run by which a passage is known again."""
KNOWN: Final = 0.5
"""Share of its runs that earlier passages have, from which on a passage brings nothing new."""
_SHOWN: Final = 300  # characters of what is shared
_HELD: Final = 1 << 20  # hashes of a benchmark that wait to be sorted
_LOOKED_AT: Final = 8  # one run in so many is remembered, chosen by its hash
_BITS: Final = 16  # a run that is remembered
_RUNS_OF_A_DOCUMENT: Final = 128  # remembered ones: 1,000 syllables


@dataclass(frozen=True, slots=True)
class Shared:
    """What a passage has in common with a benchmark."""

    file: str
    text: str
    """The longest stretch that they share, as the passage has it."""
    share: float
    """Share of the passage's syllables that are in shared stretches."""


class Benchmarks:
    """The runs of some benchmarks: 8 bytes each, so 100 MB for ten million syllables."""

    def __init__(self, files: Iterable[Path]) -> None:
        """Read the files.

        Raises:
            ConfigError: a file cannot be read, or holds no text.
        """
        self._files = [(file.name, _runs_of(file)) for file in files]

    def find(self, text: str) -> Shared | None:
        """Return what ``text`` shares with the first benchmark that has something of it, or nothing."""
        import numpy as np

        text = nfc(text)
        own = syllables(text)
        for name, of_length in self._files:
            covered = np.zeros(len(own), bool)
            for length, known in of_length.items():
                for start in np.flatnonzero(_among(runs(own, length), known)).tolist():
                    covered[start : start + length] = True
            if covered.any():
                return Shared(name, _longest(text, covered.tolist()), float(covered.mean()))
        return None


class Known:
    """Remembers which runs passages had, in bits: of a size that is set at the beginning, and never grows."""

    def __init__(self, documents: int) -> None:
        """Begin with nothing known.

        Args:
            documents: how many the passages come from; 256 bytes each.
        """
        import numpy as np

        self._bits = np.zeros(max(documents, 64) * _RUNS_OF_A_DOCUMENT * _BITS // 8, np.uint8)

    def share(self, text: str) -> float:
        """Return the share of the runs of ``text`` that were there before, and remember all of them."""
        import numpy as np

        own = np.unique(runs(syllables(text), KNOWN_RUN))
        own = own[own % np.uint64(_LOOKED_AT) == 0] // np.uint64(_LOOKED_AT)
        if not len(own):
            return 0.0
        at, bit = np.divmod(own % np.uint64(8 * len(self._bits)), np.uint64(8))
        mask = np.uint8(1) << bit.astype(np.uint8)
        share = float(((self._bits[at] & mask) != 0).mean())
        np.bitwise_or.at(self._bits, at, mask)
        return share


def unseen(
    passages: Iterable[Passage | Rejected], benchmarks: Benchmarks | None, known: Known | None
) -> Iterator[Passage | Rejected]:
    """Pass on what neither a benchmark nor an earlier passage has, if asked; what is rejected already goes by."""
    for passage in passages:
        if isinstance(passage, Rejected):
            yield passage
        elif benchmarks and (shared := benchmarks.find(passage.text)):
            detail = f"{shared.file}: {shared.share:.0%} of its syllables, {RUN} or more in a row: {shared.text}"
            yield Rejected(STAGE, "in a benchmark", passage.id, passage.text, detail)
        elif known and (share := known.share(passage.text)) >= KNOWN:
            detail = f"{share:.0%} of its runs of {KNOWN_RUN} syllables are in earlier passages"
            yield Rejected(STAGE, "near duplicate", passage.id, passage.text, detail)
        else:
            yield passage


def _runs_of(file: Path) -> dict[int, Hashes]:
    """The sorted runs of a benchmark by their length: ``RUN``, and the lengths of shorter texts."""
    import numpy as np

    waiting: defaultdict[int, list[Hashes]] = defaultdict(list)
    held: defaultdict[int, int] = defaultdict(int)
    for text in texts(file):
        own = syllables(text)
        length = min(len(own), RUN)
        if length >= WHOLE:
            found = runs(own, length)
            waiting[length].append(found)
            held[length] += len(found)
            if held[length] >= _HELD:
                waiting[length] = [np.unique(np.concatenate(waiting[length]))]
                held[length] = 0
    return {length: np.unique(np.concatenate(found)) for length, found in sorted(waiting.items())}


def _among(found: Hashes, known: Hashes) -> Hashes:
    import numpy as np

    at = np.minimum(np.searchsorted(known, found), len(known) - 1)
    same: Hashes = known[at] == found
    return same


def _longest(text: str, covered: Sequence[bool]) -> str:
    """The longest stretch of covered syllables, from the first to the last of them."""
    best, start = (0, 0), None
    for index, inside in enumerate([*covered, False]):
        if inside and start is None:
            start = index
        elif not inside and start is not None:
            best, start = max(best, (start, index), key=lambda span: span[1] - span[0]), None
    spans = places(text)
    return text[spans[best[0]][0] : spans[best[1] - 1][1]][:_SHOWN]
