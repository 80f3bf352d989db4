"""Draw documents from a source, uniformly and reproducibly.

Every source becomes rounds of numbered rows in a seeded order; rows are screened in that order until enough pass, so
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
from itertools import islice, starmap
from typing import TypeAlias

import numpy as np

from annotator.errors import ConfigError, SourceError
from annotator.records import Document, Rejected
from annotator.sources.documents import Columns, Row, read_documents, text_hash
from annotator.sources.drawn_documents import Drawn
from annotator.sources.formats.files import SourceFile
from annotator.sources.hub import parquet_files, stream
from annotator.sources.locating import HubDataset, locate
from annotator.sources.parquet_rows import ParquetFiles
from annotator.sources.sample_report import SampleReport
from annotator.sources.screening import Screen, Screening
from normalizers.encodings import is_damaged, repair

_PROGRESS_EVERY = 1000  # rows

_Rounds: TypeAlias = Generator[list[int], None, None]
"""Rounds of rows in the order in which they are screened: the place of each, see ``_Draw.put``."""


def sample(
    source: str | os.PathLike[str] | None,
    docs: int | Sequence[int],
    seed: int,
    columns: Columns | None = None,
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
    draw = _Draw(steps, seed, columns or Columns(), screening or Screening(), report or SampleReport())
    files = parquet_files(located) if isinstance(located, HubDataset) else located
    if isinstance(located, HubDataset) and not files:
        rounds = draw.from_hub(located)
    elif all(file.suffix == ".parquet" for file in files):
        rounds = draw.from_parquet(files)
    else:
        rounds = draw.from_streams(files)
    return draw.screened(rounds, str(source or "sample"))


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


class _Draw:
    """The state of one draw: its settings, the rows that wait, its costs."""

    def __init__(
        self, steps: tuple[int, ...], seed: int, columns: Columns, screening: Screening, report: SampleReport
    ) -> None:
        self.steps, self.docs, self.seed = steps, sum(steps), seed
        self.columns, self.screening, self.report = columns, screening, report
        self.drawn = Drawn()
        self.rejections: list[Rejected] = []
        self.repaired: set[int] = set()
        """Places of documents whose encoding was repaired."""
        self.began = time.monotonic()

    def put(self, number: int, row: Row) -> int:
        """Store the row with this number in the source, and return its place.

        That is the number of a document in ``drawn``, or a negative number for a rejection. The encoding of a document
        is repaired where that is wanted and certain.
        """
        if isinstance(row, Rejected):
            self.rejections.append(row)
            return -len(self.rejections)
        repairs = self.screening.repairs_encoding and is_damaged(row.text)
        if not (text := repair(row.text) if repairs else None):
            return self.drawn.put(row, number)
        has_own_id = row.id != text_hash(row.text)[:16]
        place = self.drawn.put(Document(row.id if has_own_id else text_hash(text)[:16], text, row.source), number)
        self.repaired.add(place)
        return place

    def from_parquet(self, sources: Sequence[SourceFile]) -> _Rounds:
        """Yield rows in the order of a seeded permutation; a round is read in the order of the files."""
        report, files = self.report, ParquetFiles(sources, self.columns)
        report.rows_total, report.row_groups_total = files.row_count, files.row_groups
        report.bytes_total, report.bytes_read, report.row_groups_read = files.bytes_total, files.bytes_read, 0
        yield [self.put(-1, row) for row in files.empty]
        order = permutation(files.row_count, self.seed)
        asked = done = 0
        size = self.steps[0]
        while len(numbers := np.fromiter(islice(order, size), np.int64)):
            asked += len(numbers)
            places = np.zeros(len(numbers), np.int64)
            by_number = np.argsort(numbers)
            for at, (number, row) in zip(by_number, files.take(numbers[by_number].tolist()), strict=True):
                places[at] = self.put(number, row)
                done += 1
                if done % _PROGRESS_EVERY == 0 or done == asked:
                    report.on_progress(done, asked)
            report.row_groups_read, report.bytes_read = files.row_groups_read, files.bytes_read
            yield places.tolist()
            size = self._next_round()

    def from_streams(self, files: Sequence[SourceFile]) -> _Rounds:
        """Yield rows in the order of random priorities; a heap holds the first ones.

        This is reservoir sampling with priorities: one pass, and memory for the reservoir only. What cannot be a
        document comes first. When all rows of the heap are used up, the files are read again for the next ones.
        """
        report = self.report
        report.bytes_total, report.bytes_read = sum(file.size for file in files), 0
        last = -1.0  # priority of the last row that was yielded
        first_round, size = self.steps[0] + _spare(self.steps[0]), self.docs + _spare(self.docs)
        more = True
        while more:
            is_first_pass, more, number = last < 0, False, -1
            rng = random.Random(self.seed)
            heap: list[tuple[float, int]] = []  # negated priority, so that the last row is on top
            broken: list[int] = []
            rows = (row for file in files for row in read_documents(file, self.columns))
            for number, row in self._counted(rows, report.rows_total):
                priority = rng.random()
                if isinstance(row, Rejected):
                    if is_first_pass:
                        broken.append(self.put(number, row))
                elif priority > last and len(heap) < size:
                    heapq.heappush(heap, (-priority, self.put(number, row)))
                elif priority > last:
                    more = True
                    if -priority > heap[0][0]:
                        heapq.heapreplace(heap, (-priority, self.put(number, row)))
            report.rows_total, report.bytes_read = number + 1, report.bytes_total
            report.on_progress(report.rows_total, report.rows_total)
            ordered = sorted(heap, reverse=True)
            last = -ordered[-1][0] if ordered else last
            end = first_round if is_first_pass else 0
            yield broken
            for part in (ordered[:end], ordered[end:]):
                yield [place for _, place in part]

    def from_hub(self, dataset: HubDataset) -> _Rounds:
        """Yield rows as the shuffled stream brings them, see ``stream``."""
        rows = self._counted(stream(dataset, self.columns, self.seed), None)
        size = self.steps[0]
        while places := list(starmap(self.put, islice(rows, size))):
            yield places
            size = self._next_round()

    def screened(self, rounds: _Rounds, source: str) -> Iterator[Row]:
        """Screen rows until a step has its documents, then yield these in the order of their numbers."""
        report = self.report
        first = ""
        with self.drawn, closing(rounds):
            screen = Screen(self.screening, self.drawn)
            rows = self._one_by_one(rounds, screen)
            for docs in self.steps:
                numbers, places = array("q"), array("q")
                while len(places) < docs and (place := next(rows, 0)):
                    report.rows_taken += 1
                    judged, removed = screen(place) if place > 0 else (self.rejections[-place - 1], [])
                    if isinstance(judged, Rejected):
                        first = first or f"; the first: {judged.record_id}: {judged.detail}"
                        report.screened[judged.reason] += 1
                        yield judged
                    else:
                        numbers.append(self.drawn.row(place))
                        places.append(self.drawn.put(judged))
                        report.documents += 1
                        report.encodings_repaired += place in self.repaired
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

    def _one_by_one(self, rounds: _Rounds, screen: Screen) -> Iterator[int]:
        for places in rounds:
            if documents := [place for place in places if place > 0]:
                screen.learn(map(self.drawn.get, documents))
            yield from places

    def _counted(self, rows: Iterable[Row], total: int | None) -> Iterator[tuple[int, Row]]:
        """Yield rows with their numbers, and report the progress."""
        for number, row in enumerate(rows):
            yield number, row
            if (number + 1) % _PROGRESS_EVERY == 0:
                self.report.on_progress(number + 1, total)

    def _next_round(self) -> int:
        """Return the number of rows to try next, by the share of rows that were accepted so far."""
        missing = self.docs - self.report.documents
        share = max(self.report.documents, 1) / max(self.report.rows_taken, 1)
        return min(int(missing / share * 1.25), 4 * self.docs) + 8


def _spare(docs: int) -> int:
    """Return the number of rows to try beyond ``docs``: enough where few are rejected."""
    return docs // 8 + 64
