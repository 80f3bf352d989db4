"""Count the records of each stage and store the rejected ones. For every stage, in = out + rejected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import pyarrow as pa

from annotator.config.settings import STAGES
from annotator.records import Rejected
from annotator.storage import tables
from annotator.storage.atomic import replacing
from annotator.storage.rundir import RunDir

Record = TypeVar("Record")
PREDICTION: Final = "claim"
"""The unit of predicted entities, as files store it."""


def shown_unit(unit: str) -> str:
    """Return the unit of a flow as it is shown."""
    return "prediction" if unit == PREDICTION else unit


@dataclass
class Flow:
    """Counts of one stage, in its own unit."""

    stage: str
    unit: str
    out: int = 0
    """Units that passed."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Rejected units by reason."""
    made: dict[str, int] = field(default_factory=dict)
    """Counts of results in another unit: passages of sentences, mentions of predicted entities."""

    @property
    def taken(self) -> int:
        """The units of the input."""
        return self.out + self.rejected.total()

    def as_dict(self) -> dict[str, Any]:
        """Return the counts for the manifest and audit.json; the most frequent reason first."""
        by_reason = dict(sorted(self.rejected.items(), key=lambda item: (-item[1], item[0])))
        counts = {"in": self.taken, "out": self.out, "rejected": by_reason, "made": self.made}
        return {"stage": self.stage, "unit": self.unit, **counts}


class Rejects:
    """Counts and writes rejected records as they arrive."""

    def __init__(self, write: Callable[[Any], None], flows: dict[str, Flow]) -> None:
        self._write, self._flows = write, flows

    def add(self, rejected: Rejected) -> None:
        """Add one record."""
        self._flows[rejected.stage].rejected[rejected.reason] += 1
        self._write(rejected)

    def add_all(self, rejected: pa.RecordBatch) -> None:
        """Add a batch of records."""
        pairs = zip(rejected.column("stage").to_pylist(), rejected.column("reason").to_pylist(), strict=True)
        for (stage, reason), number in Counter(pairs).items():
            self._flows[stage].rejected[reason] += number
        self._write(rejected)

    def sift(self, stream: Iterable[Record | Rejected]) -> Iterator[Record]:
        """Yield the kept records of a stage; add the others."""
        for record in stream:
            if isinstance(record, Rejected):
                self.add(record)
            else:
                yield record


@contextmanager
def rejects(path: Path, *flows: Flow) -> Iterator[Rejects]:
    """Write the rejected records of the stages of ``flows`` to ``path``, all or nothing."""
    with replacing(path) as file, tables.writer(file, tables.REJECTED) as write:
        yield Rejects(write, {flow.stage: flow for flow in flows})


def merge_rejected(run: RunDir) -> None:
    """Write ``rejected.parquet`` from the rejected records of each stage, in the order of the stages."""
    with replacing(run.rejected) as file, tables.writer(file, tables.REJECTED) as write:
        for path in filter(Path.exists, map(run.rejected_by, STAGES)):
            for batch in tables.batches(path):
                write(batch)
