"""What goes in and out of a stage. For every stage, in = out + rejected, and each rejected record is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from annotator.records import Rejected
from annotator.storage import tables
from annotator.storage.rundir import replacing

Record = TypeVar("Record")


@dataclass
class Flow:
    """The counts of one stage, in its own unit."""

    stage: str
    unit: str
    out: int = 0
    """Units that went on."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Units that did not, by reason."""
    made: dict[str, int] = field(default_factory=dict)
    """What the stage made in another unit: passages of sentences, mentions of claims."""

    @property
    def taken(self) -> int:
        """Units that came in."""
        return self.out + self.rejected.total()

    def as_dict(self) -> dict[str, Any]:
        """As it stands in the manifest and in audit.json; the most frequent reason first."""
        by_reason = dict(sorted(self.rejected.items(), key=lambda item: (-item[1], item[0])))
        counts = {"in": self.taken, "out": self.out, "rejected": by_reason, "made": self.made}
        return {"stage": self.stage, "unit": self.unit, **counts}


class Rejects:
    """Takes what the stages leave out: counts it, and writes it down as it comes."""

    def __init__(self, write: Callable[[Any], None], flows: dict[str, Flow]) -> None:
        self._write, self._flows = write, flows

    def add(self, rejected: Rejected) -> None:
        """Take one."""
        self._flows[rejected.stage].rejected[rejected.reason] += 1
        self._write(rejected)

    def add_all(self, rejected: pa.RecordBatch) -> None:
        """Take a batch of them."""
        pairs = zip(rejected.column("stage").to_pylist(), rejected.column("reason").to_pylist(), strict=True)
        for (stage, reason), number in Counter(pairs).items():
            self._flows[stage].rejected[reason] += number
        self._write(rejected)

    def sift(self, stream: Iterable[Record | Rejected]) -> Iterator[Record]:
        """Pass on the kept records of a stage; take the others."""
        for record in stream:
            if isinstance(record, Rejected):
                self.add(record)
            else:
                yield record


@contextmanager
def rejects(path: Path, *flows: Flow) -> Iterator[Rejects]:
    """Write to ``path`` what the stages of ``flows`` leave out; whole or not at all."""
    with replacing(path) as file, tables.record_writer(file, tables.REJECTED) as write:
        yield Rejects(write, {flow.stage: flow for flow in flows})
