"""Samples of ours: a run directory, Parquet files, or a folder of them; to filter them and to take a share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from annotator.errors import SourceError
from annotator.records import Rejected, Sample
from annotator.storage import tables
from annotator.storage.rundir import SPLITS, RunDir
from training.converting.inputs import list_files
from training.converting.job import Job
from training.converting.tally import left_out

SUFFIXES: Final = ((".parquet",),)


def find(sources: Sequence[Path], split: str) -> list[Path]:
    """The files of ``sources``; of a run directory and of a folder named alike the splits, or only ``split``.

    Raises:
        SourceError: there are none.
    """
    return [path for source in sources for path in _of(source, split)]


def _of(source: Path, split: str) -> list[Path]:
    run = RunDir(source)
    wanted = SPLITS if split == "all" else (split,)
    folder = run.samples("train").parent if run.manifest.exists() else source
    named = [path for name in wanted if (path := folder / f"{name}.parquet").is_file()]
    if named:
        return named
    if split != "all" and source.is_dir():
        raise SourceError(f"{source} has no samples of the split {split}; --split names one that is there")
    return list_files([folder], SUFFIXES)


def read(job: Job) -> Iterator[Sample | Rejected]:
    """Every sample as it is."""
    job.tally.stage("read", "sample")
    for path in job.files:
        if missing := set(tables.SAMPLE.names) - set(_columns(path)):
            raise SourceError(f"{path} has no column {min(missing)}: these are no samples; give a run directory, "
                              "or what `convert` wrote")  # fmt: skip
        for number, sample in enumerate(tables.read_samples(path), start=1):
            job.tally.found["samples"] += 1
            if sample.instruction and sample.output:
                job.tally.keep("read")
                yield sample
            else:
                yield left_out("read", "empty instruction or output", f"{path}:{number}", sample.id)


def _columns(path: Path) -> list[str]:
    return next((batch.schema.names for batch in tables.batches(path)), tables.SAMPLE.names)
