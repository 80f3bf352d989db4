"""The steps of a run: the first build, then each update. In every file their rows follow each other.

Splits and negatives of a step depend on that step and earlier ones alone, so that an update changes no sample.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import accumulate, pairwise

from annotator.config.settings import RunConfig
from annotator.samples.explode import Negatives, type_frequency
from annotator.samples.splits import assign_splits, in_order
from annotator.storage import tables
from annotator.storage.rundir import RunDir


def document_steps(run: RunDir, config: RunConfig) -> list[range]:
    """Return the rows of ``documents.parquet`` by step; a step has fewer than its setting where the source ended."""
    total = tables.count(run.documents)
    return _rows(min(wanted, total) for wanted in accumulate(config.steps))


def passage_steps(run: RunDir) -> list[range]:
    """Return the rows of ``passages.parquet`` by step, as chunking has recorded them in the manifest."""
    counts = _passages_by_step(run) or [tables.count(run.passages)]
    return _rows(accumulate(counts))


def passages_added(run: RunDir) -> list[range]:
    """Return the rows of ``passages.parquet`` that each update added; none for a run that was not updated."""
    return passage_steps(run)[1:] if _passages_by_step(run) else []


def annotation_steps(run: RunDir) -> list[range]:
    """Return the rows of ``annotations.parquet`` by step."""
    if not _passages_by_step(run):
        return [range(tables.count(run.annotations))]
    steps = passage_steps(run)
    step_of = in_order(
        (identity, step)
        for step, rows in enumerate(steps)
        for batch in tables.batches(run.passages, ["id"], rows=rows)
        for identity in batch.column("id").to_pylist()
    )
    counts = Counter(
        step_of(identity)
        for batch in tables.batches(run.annotations, ["passage_id"])
        for identity in batch.column("passage_id").to_pylist()
    )
    return _rows(accumulate(counts[step] for step in range(len(steps))))


def splits_of_passages(run: RunDir, config: RunConfig) -> Iterator[tuple[str, int]]:
    """Yield the id of every passage and the number of its split, in the order of the passages."""
    reads = [partial(tables.batches, run.passages, rows=rows) for rows in passage_steps(run)]
    return assign_splits(reads, config.split_shares, config.seed)


def splits_of(run: RunDir, config: RunConfig) -> Callable[[str], int]:
    """Return a function from passage id to split, to be called in the order of the passages."""
    return in_order(splits_of_passages(run, config))


def negatives_of(run: RunDir, ratio: float, seed: int) -> list[tuple[range, Negatives]]:
    """Return the rows of ``annotations.parquet`` by step, each with the negatives to draw for them.

    The frequency of a type is that in the annotations of the step and of earlier ones.
    """
    frequency: Counter[str] = Counter()
    found = []
    for rows in annotation_steps(run):
        if ratio:
            frequency.update(type_frequency(tables.read_annotations(run.annotations, rows)))
        found.append((rows, Negatives(frequency, ratio, seed)))
    return found


def _passages_by_step(run: RunDir) -> list[int]:
    """Return the passages of each step; none for a run that was not updated."""
    chunked = run.read_manifest().get("stages", {}).get("chunk", {})
    found: list[int] = chunked.get("report", {}).get("passages_by_step", [])
    return found


def _rows(ends: Iterable[int]) -> list[range]:
    return [range(*bounds) for bounds in pairwise([0, *ends])]
