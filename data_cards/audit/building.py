"""The figures of a dataset, computed from its files alone. Every number shown anywhere is read from ``audit.json``.

The same files give the same bytes: nothing depends on the time, the machine or the order of rows.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass
from typing import Any, Final

from annotator.config import STAGES
from annotator.engines import Engine
from annotator.engines.local import LocalEngine
from annotator.storage.atomic import write_json
from annotator.storage.rundir import RunDir
from data_cards.audit import leaks
from data_cards.audit.agreement import agreement_figures
from data_cards.audit.alike import alike
from data_cards.audit.annotations import Annotations
from data_cards.audit.arrays import distribution
from data_cards.audit.database import Database
from data_cards.audit.dataset import Dataset, of_run
from data_cards.audit.labels import frequency, label_figures, mention_figures
from data_cards.audit.merges import merges
from data_cards.audit.passages import Passages
from data_cards.audit.problems import counted as counted_lines
from data_cards.audit.problems import negatives_note, notes, of_funnel, of_leaks, of_samples
from data_cards.audit.rejections import Rejections
from data_cards.audit.samples import Samples

__all__ = ["Audit", "audit", "audit_dataset", "distribution", "funnel"]

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Audit:
    """The figures, and what is too long for ``audit.json``."""

    figures: dict[str, Any]
    frequency: dict[str, dict[str, int]]
    """Samples and mentions of every type, the most frequent first."""


def audit(run: RunDir, engine: Engine | None = None) -> dict[str, Any]:
    """Compute the figures of ``run`` and write them to ``audit.json``.

    Args:
        run: a finished run.
        engine: reads the parts of the files; default: a process for each core.

    Raises:
        RunDirError: a stage has not been run, or a file is damaged.
    """
    figures = audit_dataset(of_run(run), engine).figures
    write_json(run.audit, figures)
    return figures


def audit_dataset(dataset: Dataset, engine: Engine | None = None) -> Audit:
    """Compute the figures of a run directory, a folder of samples or a Hub dataset; write nothing.

    Args:
        dataset: see ``data_cards.audit.dataset``.
        engine: as for ``audit``.

    Raises:
        RunDirError: a stage has not been run, or a file is damaged.
    """
    with (
        nullcontext(engine) if engine else closing(LocalEngine(os.cpu_count() or 1)) as working,
        Database() as database,
    ):
        if dataset.run:
            return _audit_run(dataset, dataset.run, database, working)
        return _audit_samples(dataset, database, working)


def funnel(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what went in and out of each stage, in order; in = out + rejected."""
    stages = manifest.get("stages", {})
    return [flow for stage in STAGES if stage in stages for flow in stages[stage]["funnel"]]


def _audit_run(dataset: Dataset, run: RunDir, database: Database, engine: Engine) -> Audit:
    manifest = run.read_manifest()
    flows = funnel(manifest)
    rejections = Rejections(run.rejected)
    passages = Passages(run, database, engine)
    annotations = Annotations(run, rejections.too_long, database, engine)
    samples = Samples(dataset, database, engine)
    counted = frequency(database)
    figures = {
        "version": VERSION,
        "funnel": flows,
        "passages": passages.figures(manifest["config"]["min_tokens"], manifest["config"]["max_tokens"]),
        "labels": {
            **label_figures(database, counted),
            "alike": alike(database, counted),
            **merges(run.root / "labels.parquet"),
        },
        "mentions": {**mention_figures(database, annotations.count), **annotations.mention_figures()},
        "replies": annotations.replies(),
        "samples": samples.figures(),
        "duplicates": samples.duplicates(),
        "balance": {"splits": samples.balance(), "sources": passages.sources(samples.order)},
        "leaks": leaks.figures(database, dataset, engine),
        "rejected": rejections.figures(),
        "usage": _usage(flows),
        "teacher": manifest["teacher"],
        "tokenizer": manifest["tokenizer"],
        "source": manifest["source"],
        "lexicon": manifest["lexicon"],
        **agreement_figures(run),
    }
    figures["notes"] = [*notes(figures), *negatives_note(figures)]
    figures["problems"] = [
        *of_funnel(figures, rejections.counted),
        *counted_lines({"mentions are not what stands at their offsets": annotations.broken, **passages.problems()}),
        *of_samples(figures, samples.wrong),
        *of_leaks(figures),
    ]
    return Audit(figures, counted)


def _audit_samples(dataset: Dataset, database: Database, engine: Engine) -> Audit:
    samples = Samples(dataset, database, engine)
    counted = frequency(database)
    passages = database.number("SELECT count(DISTINCT input) FROM samples")
    figures = {
        "version": VERSION,
        "labels": {**label_figures(database, counted), "alike": alike(database, counted)},
        "mentions": mention_figures(database, passages),
        "samples": samples.figures(),
        "duplicates": samples.duplicates(),
        "balance": {"splits": samples.balance()},
        "leaks": leaks.figures(database, dataset, engine),
    }
    figures["notes"] = [*notes(figures), *negatives_note(figures)]
    figures["problems"] = [*of_samples(figures, samples.wrong), *of_leaks(figures)]
    return Audit(figures, counted)


def _usage(flows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the teacher's input and output tokens as it counted them; 0 for one that does not count."""
    asked = next((flow for flow in flows if flow["stage"] == "annotate"), None)
    if asked is None:
        return {}
    read, written = (asked["made"].get(f"{kind} token", 0) for kind in ("prompt", "completion"))
    answered = max(asked["out"], 1)
    return {
        "answers": asked["out"],
        "prompt_tokens": read,
        "completion_tokens": written,
        "prompt_tokens_per_answer": round(read / answered, 3),
        "completion_tokens_per_answer": round(written / answered, 3),
    }
