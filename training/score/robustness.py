"""Measure robustness: variants of a benchmark as people type, predicted and scored in one table.

A folder holds all of it: ``VARIANT.parquet``, and beside it the predictions ``VARIANT.jsonl``, by whatever made them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from annotator.errors import ConfigError
from annotator.storage import tables
from annotator.storage.atomic import replacing
from training.benchmarks import fingerprint, read_benchmark
from training.predict.running import note_of
from training.score.evaluating import evaluate
from training.score.metrics import Draws
from training.score.variants import VARIANTS, variant

ORIGINAL: Final = "original"

Predict = Callable[[Path, Path], Any]
"""Answers the queries of a benchmark in a file of predictions."""


@dataclass(frozen=True, slots=True)
class Place:
    """Paths of benchmark, variants and predictions."""

    benchmark: Path
    folder: Path
    predictions: Path | None = None
    """Of the original, where they are not in the folder."""

    def parquet(self, name: str) -> Path:
        """The samples of a variant."""
        return self.benchmark if name == ORIGINAL else self.folder / f"{name}.parquet"

    def answers(self, name: str) -> Path:
        """The predictions for a variant."""
        own = self.predictions if name == ORIGINAL else None
        return own or self.folder / f"{name}.jsonl"


def score_variants(place: Place, predict: Predict | None, draws: Draws, say: Callable[[str], Any]) -> dict[str, Any]:
    """Write each variant, then score it and the original. The same benchmark and seed give the same bytes.

    Args:
        place: where everything is.
        predict: makes predictions; without it only those that are there are scored.
        draws: of the intervals; its seed is that of the variants.
        say: prints lines that a reader of the figures must see.

    Returns:
        ``variants``: name to the report of ``evaluate`` with ``changed``, the share of queries whose text differs from
        the original's; None for one without predictions.

    Raises:
        SourceError: the benchmark cannot be read.
        ConfigError: predictions belong to another benchmark or seed.
        AnnotateError: as ``predict`` does.
    """
    originals = read_benchmark(place.benchmark)
    for name in VARIANTS:
        with replacing(place.parquet(name)) as file:
            tables.write_records(file, tables.SAMPLE, variant(name, originals, draws.seed))
    reports: dict[str, Any] = {}
    for name in (ORIGINAL, *VARIANTS):
        answers = place.answers(name)
        if predict and answers != place.predictions:
            predict(place.parquet(name), answers)
        samples = read_benchmark(place.parquet(name))
        reports[name] = None
        if answers.exists():
            note = note_of(answers)
            if note.exists() and json.loads(note.read_text("utf-8")).get("benchmark") != fingerprint(samples):
                raise ConfigError(
                    f"{answers} answers another benchmark, or variants of another seed; choose another --out"
                )
            changed = sum(one.input != other.input for one, other in zip(samples, originals, strict=True))
            reports[name] = {**evaluate(samples, answers, draws, say), "changed": changed / len(samples)}
    return {"folder": str(place.folder), "variants": reports}
