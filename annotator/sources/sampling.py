"""Draws documents from a source, uniformly and reproducibly.

Every source becomes a stream of numbered rows in a seeded order; rows are screened in that order until enough stand, so
that a rejected one is replaced by the next, and a larger draw with the same seed begins with the smaller one.
"""

from __future__ import annotations

import heapq
import os
import random
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import TypeAlias

from annotator.errors import ConfigError, SourceError
from annotator.records import Document, Rejected
from annotator.sources.locating import HubDataset, SourceFile, locate
from annotator.sources.parquet import ParquetFiles
from annotator.sources.readers import read_file, read_hub
from annotator.sources.rows import Columns, Row
from annotator.sources.screening import Screen

Progress: TypeAlias = Callable[[int, int | None], None]
"""Told now and then how many rows have been read, and of how many where that is known."""

_Draws: TypeAlias = Generator[tuple[int, Row], None, None]
_PROGRESS_EVERY = 1000  # rows


@dataclass(slots=True)
class SampleReport:
    """What a draw cost; filled while ``sample`` is consumed."""

    rows_total: int | None = None
    """Rows of the source; None for a Hub dataset, which is not read to its end."""
    rows_taken: int = 0
    """Rows that were judged: documents and rejections together."""
    row_groups_total: int = 0
    """Parquet row groups of the source; 0 unless all of its files are Parquet."""
    row_groups_read: int = 0


def sample(
    source: str | os.PathLike[str] | None,
    docs: int,
    seed: int,
    columns: Columns | None = None,
    report: SampleReport | None = None,
    on_progress: Progress | None = None,
) -> Iterator[Row]:
    """Yield rejections as they turn up, then ``docs`` documents (or all there are) in the order of the source.

    Memory holds the drawn documents and an eighth more, never the source.

    Raises:
        ConfigError: fewer than one document is wanted.
        SourceError: the source cannot be read, or nothing in it is a usable document.
    """
    if docs < 1:
        raise ConfigError(f"--docs is {docs}; give 1 or more")
    located = locate(source)
    columns = columns or Columns()
    report = report or SampleReport()
    tell = on_progress or _say_nothing
    if isinstance(located, HubDataset):
        draws = _hub_draws(located, seed, columns, tell)
    elif all(file.suffix == ".parquet" for file in located):
        draws = _parquet_draws(ParquetFiles(located, columns), docs, seed, report, tell)
    else:
        draws = _stream_draws(located, docs, seed, columns, report, tell)
    return _screened(draws, docs, report, str(source or "sample"))


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


def _parquet_draws(files: ParquetFiles, docs: int, seed: int, report: SampleReport, tell: Progress) -> _Draws:
    """Yield rows in the order of a seeded permutation; a batch at a time is read in the order of the files."""
    report.rows_total, report.row_groups_total = files.row_count, files.row_groups
    order = permutation(files.row_count, seed)
    asked = done = 0
    size = min(docs, files.row_count)
    while batch := list(islice(order, size)):
        asked += len(batch)
        rows: dict[int, Row] = {}
        for number, row in files.take(sorted(batch)):
            rows[number] = row
            done += 1
            if done % _PROGRESS_EVERY == 0 or done == asked:
                tell(done, asked)
        report.row_groups_read = files.row_groups_read
        yield from ((number, rows[number]) for number in batch)
        size = _spare(docs)


def _stream_draws(
    files: tuple[SourceFile, ...], docs: int, seed: int, columns: Columns, report: SampleReport, tell: Progress
) -> _Draws:
    """Yield rows in the order of a random priority, which each gets as it passes by; a heap holds the foremost ones.

    What cannot be a document is yielded at once. If all that the heap held is used up, the files are read again for the
    next ones.
    """
    floor = (-1.0, -1)  # priority and number of the last row that was yielded
    while True:
        rng = random.Random(seed)
        heap: list[tuple[float, int, Document]] = []  # negated, so that the hindmost row lies on top
        size = docs + _spare(docs)
        first_pass, more = floor[1] < 0, False
        rows = (row for file in files for row in read_file(file, columns))
        number = -1
        for number, row in enumerate(rows):
            priority = rng.random()
            if isinstance(row, Rejected):
                if first_pass:
                    yield number, row
            elif (priority, number) > floor:
                entry = (-priority, -number, row)
                if len(heap) < size:
                    heapq.heappush(heap, entry)
                else:
                    heapq.heappushpop(heap, entry)
                    more = True
            if (number + 1) % _PROGRESS_EVERY == 0:
                tell(number + 1, report.rows_total)
        report.rows_total = number + 1
        tell(report.rows_total, report.rows_total)
        for negated, place, document in sorted(heap, reverse=True):
            floor = (-negated, -place)
            yield -place, document
        if not more:
            return


def _hub_draws(dataset: HubDataset, seed: int, columns: Columns, tell: Progress) -> _Draws:
    """Yield rows as the shuffled stream brings them, see ``read_hub``."""
    for number, row in enumerate(read_hub(dataset.name, columns, seed)):
        if (number + 1) % _PROGRESS_EVERY == 0:
            tell(number + 1, None)
        yield number, row


def _screened(draws: _Draws, docs: int, report: SampleReport, source: str) -> Iterator[Row]:
    """Screen rows until ``docs`` documents stand; they come last, in the order of their numbers."""
    screen = Screen()
    kept: list[tuple[int, Document]] = []
    reasons: Counter[str] = Counter()
    first = ""
    with closing(draws) as rows:
        for number, row in rows:
            report.rows_taken += 1
            judged = row if isinstance(row, Rejected) else screen(row)
            if isinstance(judged, Rejected):
                first = first or f"; the first: {judged.record_id}: {judged.detail}"
                reasons[judged.reason] += 1
                yield judged
            else:
                kept.append((number, judged))
                if len(kept) == docs:
                    break
    if not kept:
        counts = ", ".join(f"{reason} {count}" for reason, count in reasons.items()) or "it has no rows"
        raise SourceError(
            f"no usable Vietnamese document in {source}: {counts}{first}; check the files and --text-field"
        )
    kept.sort(key=itemgetter(0))
    yield from (document for _, document in kept)


def _spare(docs: int) -> int:
    """Rows tried beyond ``docs`` in one go: enough where few are rejected."""
    return docs // 8 + 64


def _say_nothing(done: int, total: int | None) -> None:
    """Stand in where nobody wants to know."""
