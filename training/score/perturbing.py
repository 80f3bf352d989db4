"""Score a predictor on a benchmark and its variants: text as people type it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from annotator.errors import ConfigError
from annotator.storage import tables
from annotator.storage.atomic import replacing
from training.benchmarks import fingerprint, read_benchmark
from training.predict.running import note_of
from training.score.evaluating import Say, evaluate
from training.score.metrics import LEVEL
from training.score.variants import VARIANTS, variant
from training.tables import Grid, percent

ORIGINAL: Final = "original"


def files(benchmark: Path, folder: Path, predictions: Path | None) -> dict[str, tuple[Path, Path]]:
    """Return benchmark and predictions of the original and of each variant, by name; variants are in ``folder``."""
    variants = {name: (folder / f"{name}.parquet", folder / f"{name}.jsonl") for name in VARIANTS}
    return {ORIGINAL: (benchmark, predictions or folder / f"{ORIGINAL}.jsonl"), **variants}


def evaluate_variants(
    files: Mapping[str, tuple[Path, Path]],
    predict: Callable[[Path, Path], Any] | None,
    say: Say,
    *,
    draws: int,
    seed: int,
) -> dict[str, Any]:
    """Write the variants of a benchmark, and score them and the original; see ``evaluate``.

    ``predict`` answers a benchmark in a file; without it only predictions that are there are scored.

    Returns:
        By name, the report of ``evaluate`` with the share of queries whose text is ``changed``, or None.

    Raises:
        ConfigError: predictions belong to another benchmark or seed.
    """
    originals = read_benchmark(files[ORIGINAL][0])
    for name in VARIANTS:
        with replacing(files[name][0]) as file:
            tables.write_records(file, tables.SAMPLE, variant(name, originals, seed))
    reports: dict[str, Any] = {}
    for name, (benchmark, predictions) in files.items():
        if predict:
            predict(benchmark, predictions)
        reports[name] = None
        if predictions.exists():
            samples = read_benchmark(benchmark)
            note = note_of(predictions)
            if note.exists() and json.loads(note.read_text("utf-8")).get("benchmark") != fingerprint(samples):
                raise ConfigError(
                    f"{predictions} answers another benchmark, or variants of another seed; choose another --out"
                )
            changed = sum(one.input != other.input for one, other in zip(samples, originals, strict=True))
            report = evaluate(benchmark, predictions, say, draws=draws, seed=seed)
            reports[name] = {**report, "changed": changed / len(samples)}
    return reports


def variant_grids(reports: Mapping[str, Any]) -> list[Grid]:
    """Return the table of ``--perturb``: F1 of each variant in percent, and the loss against the original."""
    scored = {name: found for name, found in reports.items() if found}
    original = scored.get(ORIGINAL)
    rows = []
    for name, found in scored.items():
        scores = []
        for matching in ("strict", "relaxed"):
            f1 = found[matching]["micro"]["f1"]
            lost = f"{100 * (f1 - original[matching]['micro']['f1']):+.2f}" if original and name != ORIGINAL else ""
            scores += [percent(f1), lost]
        interval = found["intervals"]["strict"]["micro"]["f1"] if found["intervals"] else ()
        between = "–".join(map(percent, interval)) or "-"  # short: the table fits into 80 columns
        rows.append([name, f"{found['changed']:.0%}", scores[0], between, *scores[1:], f"{found['unparsable']:,}"])
    header = ["variant", "changed", "strict", f"{LEVEL:.0%}", "lost", "relaxed", "lost", "no list"]
    note = (
        "changed: share of the queries whose text differs from the original's; lost: points of F1 against the original"
    )
    return [Grid("Micro F1 on variants of the benchmark", header, rows, note)]
