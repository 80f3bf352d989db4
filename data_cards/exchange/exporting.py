"""Write the annotations of a run in the format of another tool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from annotator.config import RunConfig, make_config
from annotator.errors import ConfigError, RunDirError
from annotator.records import Annotation
from annotator.run.stored_settings import stored_settings
from annotator.samples.explode import Negatives, type_frequency
from annotator.samples.splits import assign_splits, in_step
from annotator.storage import tables
from annotator.storage.atomic import replacing
from annotator.storage.outputs import check_output
from annotator.storage.rundir import SPLITS, RunDir, existing
from data_cards.exchange.carrying import Job
from data_cards.exchange.formats import format_named

EVERYTHING: Final = "all"


def export(root: Path, name: str, out: Path, split: str = EVERYTHING) -> dict[str, Any]:
    """Write the annotated passages of the run ``root`` to ``out``, those of one split or all.

    Returns:
        What was written and what the format could not hold; spans = carried + the sum of ``left_out``.

    Raises:
        ConfigError: an unknown format or split, or ``out`` is a folder or a file of a run directory.
        RunDirError: no finished run, or ``out`` cannot be written.
    """
    form = format_named(name)
    if split not in {EVERYTHING, *SPLITS}:
        raise ConfigError(f"unknown --split {split!r}; known: {', '.join((EVERYTHING, *SPLITS))}")
    companion = out.with_name(out.stem + form.beside[0]) if form.beside else None
    for path in filter(None, (out, companion)):
        check_output(path, "--out")
    run = existing(root)
    if not run.annotations.exists():
        raise RunDirError(f"{root} has no annotations yet; finish it with: vner-annotate build --out {root}")
    config = config_of(run)
    frequency = type_frequency(tables.read_annotations(run.annotations)) if config.negatives or form.negatives else {}
    job = Job(Negatives(Counter(frequency), config.negatives or form.negatives, config.seed))
    with replacing(out) as file:
        form.write(file, _wanted(run, config, split), job)
    files = [str(out)]
    if form.beside and companion:
        with replacing(companion) as file:
            file.write(form.beside[1]([label for label, _ in _by_frequency(job.carried)]))
        files.append(str(companion))
    return {
        "format": name,
        "files": files,
        "split": split,
        "passages": job.passages.total(),
        "spans": job.carried.total() + job.left_out.total(),
        "carried": job.carried.total(),
        "left_out": dict(_by_frequency(job.left_out)),
        "examples": dict(sorted(job.examples.items())),
        "types": len(job.carried),
    }


def config_of(run: RunDir) -> RunConfig:
    """The settings that the run was made with."""
    return make_config(stored_settings(run.read_manifest()))


def _wanted(run: RunDir, config: RunConfig, split: str) -> Iterator[Annotation]:
    annotations = tables.read_annotations(run.annotations)
    if split == EVERYTHING:
        yield from annotations
        return
    split_of = in_step(assign_splits(partial(tables.batches, run.passages), config.split_shares, config.seed)())
    wanted = SPLITS.index(split)
    yield from (annotation for annotation in annotations if split_of(annotation.passage_id) == wanted)


def _by_frequency(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
