"""Small benchmarks and files of predictions for tests of predicting and scoring."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from annotator.records import Sample
from annotator.samples.explode import INSTRUCTION
from annotator.storage import tables


def query(identity: str, text: str, gold: Sequence[str], label: str, passage: str) -> Sample:
    """Return a query with its gold answer."""
    output = json.dumps(list(gold), ensure_ascii=False)
    return Sample(identity, INSTRUCTION.format(entity_type=label), text, output, label, not gold, passage)


def write_benchmark(path: Path, samples: Iterable[Sample]) -> Path:
    """Write samples as a benchmark."""
    with path.open("wb") as file:
        tables.write_records(file, tables.SAMPLE, samples)
    return path


def write_predictions(path: Path, answers: Iterable[tuple[str, Any]]) -> Path:
    """Write predictions as JSON lines with id and output."""
    lines = (json.dumps({"id": identity, "output": output}, ensure_ascii=False) + "\n" for identity, output in answers)
    path.write_text("".join(lines), encoding="utf-8")
    return path
