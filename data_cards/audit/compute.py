"""Compute ``audit.json`` from the files of a dataset. All other numbers that are shown come from it.

The same files give the same bytes: nothing depends on the time, the machine or the order of rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from annotator.config.settings import STAGES
from annotator.storage.atomic import write_json
from annotator.storage.rundir import RunDir
from data_cards.audit import leaks
from data_cards.audit.agreement import agreement_figures
from data_cards.audit.alike import alike
from data_cards.audit.changelog import changelog
from data_cards.audit.database import Database
from data_cards.audit.dataset import Dataset, of_run
from data_cards.audit.logs import merges, rejection_figures
from data_cards.audit.mentions import Frequency, descending, frequency, label_figures, mention_figures, span_figures
from data_cards.audit.problems import negatives_note, notes, of_counts, of_funnel, of_leaks, of_samples
from data_cards.audit.reading import read_annotations, read_documents, read_passages, read_samples
from data_cards.audit.samples import DUPLICATES, balance, disagreements, passage_figures, sample_figures, sources

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Audit:
    """The figures, and the types, which are too many for ``audit.json``."""

    figures: dict[str, Any]
    frequency: Frequency
    """Samples and mentions of every type, the most frequent first."""


def audit(run: RunDir) -> dict[str, Any]:
    """Compute the figures of ``run`` and write them to ``audit.json``.

    Raises:
        RunDirError: a stage has not been run, or a file is damaged.
    """
    figures = audit_dataset(of_run(run)).figures
    write_json(run.audit, figures)
    return figures


def audit_dataset(dataset: Dataset) -> Audit:
    """Compute the figures of a run directory, a folder of samples or a Hub dataset, without writing a file.

    Raises:
        RunDirError: a stage has not been run, or a file is damaged.
    """
    with Database() as database:
        return _audit_run(dataset, dataset.run, database) if dataset.run else _audit_samples(dataset, database)


def funnel(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the numbers of each stage, in order; in = out + rejected."""
    stages = manifest.get("stages", {})
    return [flow for stage in STAGES if stage in stages for flow in stages[stage]["funnel"]]


def _audit_run(dataset: Dataset, run: RunDir, database: Database) -> Audit:
    manifest, splits = run.read_manifest(), list(dataset.splits)
    flows = funnel(manifest)
    rejected, kinds = rejection_figures(run.rejected)
    read_documents(database, run)
    read_passages(database, run)
    read_annotations(database, run)
    statuses = database.counts("SELECT status, count(*) FROM annotations GROUP BY status")
    own, wrong, counted = _of_samples(dataset, database, sum(statuses.values()))
    spans = span_figures(database)
    figures = {
        "version": VERSION,
        "funnel": flows,
        "passages": passage_figures(database, manifest["config"]["min_tokens"], manifest["config"]["max_tokens"]),
        "labels": {**own["labels"], **merges(run.labels)},
        "mentions": {**own["mentions"], **spans},
        "replies": descending(statuses),
        "samples": own["samples"],
        "duplicates": own["duplicates"],
        "balance": {**own["balance"], "sources": sources(database, splits)},
        "leaks": own["leaks"],
        "rejected": rejected,
        "usage": usage(flows),
        "teacher": manifest["teacher"],
        "tokenizer": manifest["tokenizer"],
        "source": manifest["source"],
        "lexicon": manifest["lexicon"],
        **agreement_figures(run),
        **({"changelog": versions} if (versions := changelog(run, database, splits)) else {}),
    }
    broken = {"mentions are not what stands at their offsets": spans["spans_broken"]}
    problems = [*of_funnel(figures, kinds), *of_counts({**broken, **disagreements(database)})]
    return Audit(_concluded(figures, problems, wrong), counted)


def _audit_samples(dataset: Dataset, database: Database) -> Audit:
    figures, wrong, counted = _of_samples(dataset, database)
    return Audit(_concluded({"version": VERSION, **figures}, [], wrong), counted)


def _of_samples(
    dataset: Dataset, database: Database, passages: int | None = None
) -> tuple[dict[str, Any], Counter[str], Frequency]:
    """Read the samples; return the figures that every dataset has, the wrong samples by kind, and the types.

    ``passages`` is the number of annotated passages; None: of the passages of the samples.
    """
    splits = list(dataset.splits)
    wrong: Counter[str] = Counter()
    for number, read in enumerate(dataset.splits.values()):
        wrong += read_samples(database, number, read(), compared=len(splits) > 1, alone=dataset.run is None)
    counted = frequency(database)
    if passages is None:
        passages = database.number("SELECT count(DISTINCT input) FROM samples")
    figures = {
        "labels": {**label_figures(database, counted), "alike": alike(database, counted)},
        "mentions": mention_figures(database, passages),
        "samples": sample_figures(database, splits),
        "duplicates": database.number(DUPLICATES),
        "balance": {"splits": balance(database, splits)},
        "leaks": leaks.figures(database, splits),
    }
    return figures, wrong, counted


def _concluded(figures: dict[str, Any], problems: list[str], wrong: Counter[str]) -> dict[str, Any]:
    """Add the notes and the structural checks that fail: ``problems``, and those of samples and leaks."""
    problems = [*problems, *of_samples(figures, wrong), *of_leaks(figures)]
    return {**figures, "notes": [*notes(figures), *negatives_note(figures)], "problems": problems}


def usage(flows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the teacher's prompt and completion tokens; 0 where it does not count them."""
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
