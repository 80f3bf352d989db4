"""Datasets that can be audited: a run directory, a folder of samples, or a Hub dataset of the same form."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from annotator.errors import SourceError, did_you_mean, one_line
from annotator.sources.hub import pin
from annotator.sources.locating import HubDataset
from annotator.storage.rundir import SPLITS, RunDir, unfinished
from annotator.storage.tables import ROWS, batches, damaged

COLUMNS: Final = ("input", "output", "entity_type")
"""Columns that samples must have; ``negative`` and ``passage_id`` are optional."""
_HUB: Final = re.compile(r"[\w.-]+/[\w.-]+")

Batches = Callable[[], Iterator[pa.RecordBatch]]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Samples by split, and their run directory, if any."""

    name: str
    run: RunDir | None
    splits: Mapping[str, Batches]


def find(target: str) -> Dataset:
    """Return the dataset that ``target`` names: a path, or ``org/name`` on the Hub.

    Raises:
        SourceError: there is no dataset, or it lacks columns.
        RunDirError: a file is damaged.
    """
    path = Path(target)
    if path.is_dir():
        return of_run(RunDir(path)) if RunDir(path).recognised() else _of_folder(path)
    beside = [str(folder) for folder in path.parent.iterdir()] if path.parent.is_dir() else []
    if not path.exists() and _HUB.fullmatch(target) and not beside:  # runs/mistyped is no dataset of the Hub
        return _of_hub(target)
    raise SourceError(
        f"{target} is no folder and no Hub dataset; give a run directory, a folder of samples or org/name"
        + did_you_mean(str(path), beside)
    )


def of_run(run: RunDir) -> Dataset:
    """Return the dataset of a run directory.

    Raises:
        RunDirError: the run is not finished, or a file is damaged.
    """
    if not all(run.samples(split).exists() for split in SPLITS):
        raise unfinished(run)
    return _of_files(str(run.root), run, {split: [run.samples(split)] for split in SPLITS})


def _of_folder(root: Path) -> Dataset:
    files: dict[str, list[Path]] = {}
    for folder in (root / "samples", root / "data", root):
        for path in sorted(folder.glob("*.parquet")):
            if set(COLUMNS) <= set((schema := _schema(path)).names):
                _check_text(str(path), schema)
                files.setdefault(re.split(r"-\d", path.stem)[0], []).append(path)
        if files:
            return _of_files(str(root), None, files)
    raise SourceError(f"{root} holds no Parquet files with the columns {', '.join(COLUMNS)}; give a folder that does")


def _of_files(name: str, run: RunDir | None, files: Mapping[str, list[Path]]) -> Dataset:
    order = sorted(files, key=lambda split: (SPLITS.index(split) if split in SPLITS else len(SPLITS), split))
    return Dataset(name, run, {split: partial(_read, files[split]) for split in order})


def _read(paths: list[Path]) -> Iterator[pa.RecordBatch]:
    for path in paths:
        there = _schema(path).names
        yield from batches(path, [name for name in (*COLUMNS, "negative", "passage_id") if name in there])


def _of_hub(name: str) -> Dataset:
    import datasets

    if not datasets.config.HF_HUB_OFFLINE:
        pin(HubDataset(name))  # one request; without a network, load_dataset would try for half a minute
    try:
        loaded = datasets.load_dataset(name)
    except Exception as error:
        raise SourceError(f"cannot load {name} from the Hub: {one_line(error)}; check name and network") from error
    for split, table in loaded.items():
        if missing := set(COLUMNS) - set(table.column_names):
            raise SourceError(f"{name}, split {split}, has no column {min(missing)}; it is no dataset of this form")
        _check_text(f"{name}, split {split}", table.features.arrow_schema)
    return Dataset(name, None, {split: partial(_of_table, table) for split, table in loaded.items()})


def _of_table(table: Any) -> Iterator[pa.RecordBatch]:
    for part in table.with_format("arrow").iter(batch_size=ROWS):
        yield from part.to_batches()


def _check_text(where: str, schema: pa.Schema) -> None:
    for name in COLUMNS:
        if len(schema.get_all_field_indices(name)) > 1:
            raise SourceError(f"{where} has several columns {name}; rename all but one")
        kind = schema.field(name).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
            raise SourceError(f"{where}: column {name} holds {kind}, not text; it is no dataset of this form")


def _schema(path: Path) -> pa.Schema:
    try:
        return pq.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        raise damaged(path, error) from error
