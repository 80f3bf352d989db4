"""Draws documents from a source, uniformly and reproducibly.

Every source becomes rounds of numbered rows in a seeded order; rows are screened in that order until enough stand, so
that a rejected one is replaced by the next, and a larger draw with the same seed begins with the smaller one. A draw in
steps goes on in that order where the step before ended. Texts wait in a temporary database, see ``Drawn``: memory holds
some numbers for each document.
"""

from __future__ import annotations

import heapq
import os
import random
import time
from array import array
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeAlias

from annotator.errors import ConfigError, SourceError
from annotator.records import Document, Rejected
from annotator.sources.documents import Reading, Row, read_documents, rejected, text_hash
from annotator.sources.drawn_documents import Drawn
from annotator.sources.formats.files import EmptyFileError, SourceFile
from annotator.sources.hub import parquet_files, stream
from annotator.sources.locating import HubDataset, locate
from annotator.sources.parquet_rows import ParquetFiles
from annotator.sources.sample_report import SampleReport
from annotator.sources.screening import Screen, Screening
from normalizers.encodings import is_damaged, repair

_Draw: TypeAlias = tuple[int, "Rejected | int"]
"""The number of a row, and what it is: a rejection, or the number of a document in ``Drawn``."""
_Rounds: TypeAlias = Generator["_Round | list[_Draw]", None, None]
_PROGRESS_EVERY = 1000  # rows


def sample(
    source: str | os.PathLike[str] | None,
    docs: int | Sequence[int],
    seed: int,
    reading: Reading | None = None,
    screening: Screening | None = None,
    report: SampleReport | None = None,
) -> Iterator[Row]:
    """Yield rejections as they turn up, then ``docs`` documents (or all there are) in the order of the source.

    With several numbers, documents are drawn in as many steps. Those of each step follow those of the step before,
    which are the same, in the same order, as without the later steps.

    Raises:
        ConfigError: fewer than one document is wanted.
        SourceError: the source cannot be read, or nothing in it is a usable document.
    """
    steps = (docs,) if isinstance(docs, int) else tuple(docs)
    if min(steps, default=0) < 1:
        raise ConfigError(f"--docs is {min(steps, default=0)}; give 1 or more")
    located = locate(source)
    drawing = _Drawing(steps, seed, reading or Reading(), report or SampleReport(), Drawn())
    if isinstance(located, HubDataset) and not (files := parquet_files(located)):
        rounds = drawing.from_hub(located)
    elif isinstance(located, HubDataset):
        rounds = drawing.from_parquet(ParquetFiles(files, drawing.reading))
    elif all(file.suffix == ".parquet" for file in located):
        rounds = drawing.from_parquet(ParquetFiles(located, drawing.reading))
    else:
        rounds = drawing.from_streams(located)
    screening = screening or Screening()
    if screening.repairs_encoding:
        rounds = drawing.repaired(rounds)
    screen = Screen(screening, drawing.drawn)
    return drawing.screened(rounds, screen, str(source or "sample"))


def permutation(total: int, seed: int) -> Iterator[int]:
    """Yield the numbers below ``total`` in a uniformly random order; memory grows with what was yielded only.

    Fisher and Yates' shuffle over an array of which only the changed places are kept.
    """
    rng = random.Random(seed)
    moved: dict[int, int] = {}  # where the shuffled array differs from 0, 1, 2, ...
    for step in range(total):
        other = step + int(rng.random() * (total - step))
        here = moved.pop(step, step)
        if other == step:
            yield here
        else:
            yield moved.get(other, other)
            moved[other] = here


class _Round:
    """Numbered rows in the order in which they are to be screened, at 16 bytes each."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self.numbers = array("q", numbers)
        self._rows = array("q", bytes(8 * len(self.numbers)))
        self._rejected: list[Rejected] = []

    def put(self, at: int, row: Rejected | int) -> None:
        """Say what stands ``at`` a place of the order."""
        if isinstance(row, Rejected):
            self._rejected.append(row)
            row = -len(self._rejected)
        self._rows[at] = row

    def __iter__(self) -> Iterator[_Draw]:
        for number, row in zip(self.numbers, self._rows, strict=True):
            yield number, row if row >= 0 else self._rejected[-row - 1]


@dataclass(slots=True)
class _Drawing:
    """One draw on its way: what is wanted, where documents wait, what it cost."""

    steps: tuple[int, ...]
    """Documents of each step. The size of the first one alone decides the first round, of which a screen learns."""
    seed: int
    reading: Reading
    report: SampleReport
    drawn: Drawn
    places_repaired: set[int] = field(default_factory=set)
    began: float = field(default_factory=time.monotonic)

    @property
    def docs(self) -> int:
        """Documents of all steps."""
        return sum(self.steps)

    def from_parquet(self, files: ParquetFiles) -> _Rounds:
        """Yield rows in the order of a seeded permutation; a round is read in the order of the files."""
        import numpy as np

        report = self.report
        report.rows_total, report.row_groups_total = files.row_count, files.row_groups
        report.bytes_total, report.bytes_read, report.row_groups_read = files.bytes_total, files.bytes_read, 0
        if files.empty:
            yield list(enumerate(files.empty))
        order = permutation(files.row_count, self.seed)
        asked = done = 0
        size = min(self.steps[0], files.row_count)
        while (drawn := _Round(islice(order, size))).numbers:
            asked += len(drawn.numbers)
            by_number = np.argsort(drawn.numbers)
            for at, (_, row) in zip(by_number, files.take(array("q", np.sort(drawn.numbers).tobytes())), strict=True):
                drawn.put(at, self._set_aside(row))
                done += 1
                if done % _PROGRESS_EVERY == 0 or done == asked:
                    report.on_progress(done, asked)
            report.row_groups_read, report.bytes_read = files.row_groups_read, files.bytes_read
            yield drawn
            size = report.next_round(self.docs)

    def from_streams(self, files: tuple[SourceFile, ...]) -> _Rounds:
        """Yield rows in the order of a random priority, which each gets as it passes by; a heap knows the foremost.

        This is reservoir sampling with priorities: one pass, and memory for the reservoir only. What cannot be a
        document is yielded at once. If all that the heap held is used up, the files are read again for the next ones.
        """
        report = self.report
        report.bytes_total, report.bytes_read = sum(file.size for file in files), 0
        floor = (-1.0, -1)  # priority and number of the last row that was yielded
        first_round = self.steps[0] + _spare(self.steps[0])
        more = True
        while more:
            rng = random.Random(self.seed)
            heap: list[tuple[float, int, int]] = []  # negated, so that the hindmost row lies on top
            size = self.docs + _spare(self.docs)
            first_pass, more = floor[1] < 0, False
            rows = (row for file in files for row in self._read(file, alone=len(files) == 1))
            number = -1
            for number, row in enumerate(rows):
                priority = rng.random()
                if isinstance(row, Rejected):
                    if first_pass:
                        yield [(number, row)]
                elif (priority, number) > floor:
                    if len(heap) < size:
                        heapq.heappush(heap, (-priority, -number, self.drawn.put(row)))
                    else:
                        more = True
                        if (-priority, -number) > heap[0][:2]:
                            heapq.heapreplace(heap, (-priority, -number, self.drawn.put(row)))
                if (number + 1) % _PROGRESS_EVERY == 0:
                    report.on_progress(number + 1, report.rows_total)
            report.rows_total = number + 1
            report.bytes_read = report.bytes_total
            report.on_progress(report.rows_total, report.rows_total)
            if heap:
                floor = (-min(heap)[0], -min(heap)[1])
                ordered: list[_Draw] = [(-negated, place) for _, negated, place in sorted(heap, reverse=True)]
                if first_pass:
                    yield ordered[:first_round]
                    del ordered[:first_round]
                if ordered:
                    yield ordered

    def repaired(self, rounds: _Rounds) -> _Rounds:
        """Yield the rounds with each text in its own encoding, where that is certain; what is repaired is counted."""
        for rows in rounds:
            yield [(number, row if isinstance(row, Rejected) else self._repaired(row)) for number, row in rows]

    def _repaired(self, place: int) -> int:
        document = self.drawn.get(place)
        text = repair(document.text) if is_damaged(document.text) else None
        if text is None:
            return place
        made = document.id == text_hash(document.text)[:16]
        place = self.drawn.put(Document(text_hash(text)[:16] if made else document.id, text, document.source))
        self.places_repaired.add(place)
        return place

    def _read(self, file: SourceFile, *, alone: bool) -> Iterator[Row]:
        try:
            yield from read_documents(file, self.reading.columns)
        except EmptyFileError:
            if alone:
                raise
            yield rejected("empty file", file.name, "", "it has no content")

    def from_hub(self, dataset: HubDataset) -> _Rounds:
        """Yield rows as the shuffled stream brings them, see ``stream``."""
        rows = enumerate(stream(dataset, self.reading.columns, self.seed))
        size = self.steps[0]
        while batch := [self._counted(number, row) for number, row in islice(rows, size)]:
            yield batch
            size = self.report.next_round(self.docs)

    def _counted(self, number: int, row: Row) -> _Draw:
        if (number + 1) % _PROGRESS_EVERY == 0:
            self.report.on_progress(number + 1, None)
        return number, self._set_aside(row)

    def screened(self, rounds: _Rounds, screen: Screen, source: str) -> Iterator[Row]:
        """Screen rows until the documents of each step stand; they come then, in the order of their numbers."""
        import numpy as np

        report = self.report
        first = ""
        with self.drawn, closing(rounds):
            rows = self._one_by_one(rounds, screen)
            for docs in self.steps:
                numbers, places = array("q"), array("q")
                while len(places) < docs and (drawn := next(rows, None)):
                    number, row = drawn
                    report.rows_taken += 1
                    judged, removed = (row, []) if isinstance(row, Rejected) else screen(row)
                    if isinstance(judged, Rejected):
                        first = first or f"; the first: {judged.record_id}: {judged.detail}"
                        report.screened[judged.reason] += 1
                        yield judged
                    else:
                        numbers.append(number)
                        places.append(self.drawn.put(judged))
                        report.documents += 1
                        report.encodings_repaired += row in self.places_repaired
                        report.characters_cut += sum(len(piece.value) for piece in removed)
                        yield from removed
                report.finish(time.monotonic() - self.began)
                if not report.documents:
                    counts = ", ".join(f"{reason} {count}" for reason, count in report.screened.items())
                    raise SourceError(
                        f"no usable Vietnamese document in {source}: {counts or 'it has no rows'}{first}; "
                        "check the files and --text-field"
                    )
                for at in np.argsort(numbers):
                    yield self.drawn.get(places[at])

    def _one_by_one(self, rounds: _Rounds, screen: Screen) -> Iterator[_Draw]:
        for rows in rounds:
            if any(not isinstance(row, Rejected) for _, row in rows):
                screen.learn(self.drawn.get(row) for _, row in rows if not isinstance(row, Rejected))
            yield from rows

    def _set_aside(self, row: Row) -> Rejected | int:
        return row if isinstance(row, Rejected) else self.drawn.put(row)


def _spare(docs: int) -> int:
    """Rows tried beyond ``docs`` in one go: enough where few are rejected."""
    return docs // 8 + 64
