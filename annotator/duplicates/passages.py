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
from typing import TYPE_CHECKING, Final, NamedTuple

from annotator.duplicates.benchmarks import texts
from annotator.duplicates.ngrams import places, runs, runs_of_texts, syllables
from annotator.records import Passage, Rejected
from annotator.storage.slots import Slots
from annotator.storage.spill import runs_of
from normalizers.text import nfc

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from annotator.duplicates.ngrams import Hashes, Numbers

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
_TOGETHER: Final = 256  # texts whose runs, before there is a choice of them, are in memory at once
_PAGE: Final = 4096  # bytes of what is remembered that are read at once
_PAGES: Final = 64  # in memory


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


class LookedAt(NamedTuple):
    """The runs by which some texts are known again, text after text: of those of each the ones that are remembered."""

    runs: Hashes
    sizes: Numbers
    """Runs of each text."""


def look_at(texts: Sequence[str]) -> LookedAt:
    """Find the runs by which texts are known again: what takes time, and can be done wherever the texts are."""
    import numpy as np

    some = [_look_at(texts[begin : begin + _TOGETHER]) for begin in range(0, len(texts), _TOGETHER)] or [_look_at([])]
    return LookedAt(*map(np.concatenate, zip(*some, strict=True)))


def _look_at(texts: Sequence[str]) -> LookedAt:
    import numpy as np

    found, owner = runs_of_texts(texts, KNOWN_RUN)
    some = found % np.uint64(_LOOKED_AT) == 0
    found, owner = found[some], owner[some]
    order = np.lexsort((found, owner))
    found, owner = found[order], owner[order]
    distinct = runs_of(owner, found)
    return LookedAt(found[distinct] // np.uint64(_LOOKED_AT), np.bincount(owner[distinct], minlength=len(texts)))


class Known:
    """Remembers which runs passages had, in bits on the disk: of a size that is set at the beginning, never to grow."""

    def __init__(self, documents: int) -> None:
        """Begin with nothing known.

        Args:
            documents: how many the passages come from; 256 bytes each, of a temporary file.
        """
        self._bits = max(documents, 64) * _RUNS_OF_A_DOCUMENT * _BITS
        self._pages = Slots(-(-self._bits // (8 * _PAGE)), _PAGE)

    def shares(self, texts: LookedAt) -> list[float]:
        """Return for each text the share of its runs that were there before it, and remember all of them."""
        import numpy as np

        place, owner = texts.runs % np.uint64(self._bits), np.repeat(np.arange(len(texts.sizes)), texts.sizes)
        order = np.argsort(place, kind="stable")
        place, owner = place[order], owner[order]
        begins = runs_of(place)
        first = np.repeat(owner[begins], np.diff(begins, append=len(place)))
        known = self._were_set(place) | (first < owner)
        shares: list[float] = (np.bincount(owner, known, len(texts.sizes)) / np.maximum(texts.sizes, 1)).tolist()
        return shares

    def _were_set(self, places: Hashes) -> NDArray[np.bool_]:
        """Whether these bits, in order, were set; now they are."""
        import numpy as np

        were = np.zeros(len(places), bool)
        pages = places // np.uint64(8 * _PAGE)
        begins = np.append(runs_of(pages), len(places))
        for start in range(0, len(begins) - 1, _PAGES):
            bounds = begins[start : start + _PAGES + 1]
            some, numbers = slice(bounds[0], bounds[-1]), pages[bounds[:-1]]
            content = self._pages.get(numbers)
            at, bit = np.divmod(places[some] % np.uint64(8 * _PAGE), np.uint64(8))
            at += np.repeat(np.arange(len(numbers), dtype=np.uint64) * np.uint64(_PAGE), np.diff(bounds))
            mask = np.uint8(1) << bit.astype(np.uint8)
            were[some] = (content.reshape(-1)[at] & mask) != 0
            np.bitwise_or.at(content.reshape(-1), at, mask)
            self._pages.put(numbers, content)
        return were


def unseen(
    passages: Sequence[Passage], benchmarks: Benchmarks | None, known: Known | None, looked_at: LookedAt | None
) -> Iterator[Passage | Rejected]:
    """Pass on what neither a benchmark nor an earlier passage has, if asked.

    Args:
        passages: the more are given at once, the fewer times is read what is known.
        benchmarks: what no passage may share a run with.
        known: the earlier passages; remembers these too.
        looked_at: the runs of the texts of these passages, where there is ``known``.
    """
    judged = [_outside(passage, benchmarks) if benchmarks else passage for passage in passages]
    shares = iter(known.shares(_of_passages(looked_at, judged)) if known and looked_at else ())
    for passage in judged:
        if known and isinstance(passage, Passage) and (share := next(shares)) >= KNOWN:
            detail = f"{share:.0%} of its runs of {KNOWN_RUN} syllables are in earlier passages"
            yield Rejected(STAGE, "near duplicate", passage.id, passage.text, detail)
        else:
            yield passage


def _of_passages(looked_at: LookedAt, judged: Sequence[Passage | Rejected]) -> LookedAt:
    """The runs of what is still a passage."""
    import numpy as np

    kept = np.array([isinstance(item, Passage) for item in judged], bool)
    return LookedAt(looked_at.runs[np.repeat(kept, looked_at.sizes)], looked_at.sizes[kept])


def _outside(passage: Passage, benchmarks: Benchmarks) -> Passage | Rejected:
    """Reject what a benchmark has."""
    if not (shared := benchmarks.find(passage.text)):
        return passage
    detail = f"{shared.file}: {shared.share:.0%} of its syllables, {RUN} or more in a row: {shared.text}"
    return Rejected(STAGE, "in a benchmark", passage.id, passage.text, detail)


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
