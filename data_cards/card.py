"""The data card: a README for the Hub, filled from the audit, the manifest and the files of a run."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from annotator.records import Sample
from annotator.storage import tables
from annotator.storage.atomic import replacing, write_json
from annotator.storage.rundir import SPLITS, RunDir
from data_cards import licences
from data_cards.croissant import make_croissant
from data_cards.pages import render
from data_cards.plots import FIGURES
from data_cards.publication import TITLE, Target, bibtex, without_paths
from data_cards.review.quality import write_quality
from data_cards.views.agreement import quality_values
from data_cards.views.changelog import added_line, version_rows
from data_cards.views.quality import summary_lines

_SIZES: Final = (
    (10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"), (10**9, "100M<n<1B"), (10**10, "1B<n<10B"),
)  # fmt: skip
_LOOK_AT: Final = 2000
"""Samples among which the examples are chosen."""


def write_card(run: RunDir, figures: Mapping[str, Any], publication: Target | None = None) -> str:
    """Write ``README.md``, ``croissant.json`` and ``quality.json`` into the run directory; return the text of the card.

    Raises:
        RunDirError: a file of samples is missing or damaged, or the card cannot be written.
    """
    publication = publication or Target()
    text = make_card(run, figures, publication)
    quality_lines = summary_lines(write_quality(run))
    write_json(run.croissant, make_croissant(run, without_paths(figures), publication, quality_lines))
    with replacing(run.card) as file:
        file.write(text.encode("utf-8"))
    return text


def refresh_card(run: RunDir) -> None:
    """Write the card again from ``audit.json``, if there is one, after a change of the measured quality.

    Raises:
        RunDirError: a file is damaged, or the card cannot be written.
    """
    if run.audit.exists():
        write_card(run, json.loads(run.audit.read_text(encoding="utf-8")))


def make_card(run: RunDir, figures: Mapping[str, Any], publication: Target) -> str:
    """Return the card: a YAML header for the Hub, then Markdown for people."""
    manifest = without_paths(run.read_manifest())
    figures = without_paths(figures)
    splits = [split for split in SPLITS if sum(figures["samples"]["splits"][split].values())]
    body = render(
        "card.md.j2",
        title=TITLE,
        audit=figures,
        manifest=manifest,
        splits=splits,
        problems=figures["problems"],
        unanswered=unanswered(manifest),
        **quality_values(run, figures),
        examples=_examples(run, splits),
        pictures=[f"{FIGURES}/{path.name}" for path in pictures(run) if path.suffix == ".png"],
        report=run.report.name if run.report.is_file() else "",
        version_rows=version_rows(versions := figures.get("changelog", [])),
        version_lines=[(version["version"], added_line(version)) for version in versions[:0:-1]],
        publication=publication,
        bibtex=bibtex(publication, manifest),
        corpus=licences.of_corpus(manifest["source"]),
        output=licences.of_output(manifest["teacher"]),
    )
    return f"---\n{header(figures['samples']['count'], splits, publication.licence)}---\n\n{body}\n"


def header(count: int, splits: Sequence[str], licence: str) -> str:
    """Return the YAML that the Hub reads: what the dataset is, and which files are which split."""
    from huggingface_hub import DatasetCardData

    samples = [{"split": split, "path": f"samples/{split}.parquet"} for split in splits]
    card = DatasetCardData(
        language=["vi"],
        license=licence,
        pretty_name=TITLE,
        annotations_creators=["machine-generated"],
        task_categories=["token-classification", "text-generation"],
        task_ids=["named-entity-recognition"],
        size_categories=[next((name for limit, name in _SIZES if count < limit), "10B<n<100B")],
        tags=["named-entity-recognition", "open-ner", "vietnamese", "distillation", "instruction-tuning"],
        configs=[
            {"config_name": "default", "default": True, "data_files": samples},
            {"config_name": "annotations", "data_files": "annotations.parquet"},
        ],
    )
    return f"{card.to_yaml()}\n"


def unanswered(manifest: Mapping[str, Any]) -> int:
    """Return the number of passages that the teacher has not answered."""
    return int(manifest.get("stages", {}).get("annotate", {}).get("unanswered", 0))


def pictures(run: RunDir) -> list[Path]:
    """Return the pictures of the report; none before it was written."""
    return sorted(path for path in (run.root / FIGURES).glob("*") if path.suffix in {".png", ".svg"})


def _examples(run: RunDir, splits: Sequence[str]) -> list[Sample]:
    """Return up to three samples of different passages and types: two with several mentions, and a negative."""
    first = itertools.islice(tables.read_samples(run.samples(splits[0])), _LOOK_AT) if splits else iter(())
    chosen: list[Sample] = []
    for sample in sorted(first, key=lambda sample: (sample.negative, len(json.loads(sample.output)) < 2)):
        fits = len(chosen) < 2 or sample.negative
        alike = any(sample.entity_type == one.entity_type or sample.passage_id == one.passage_id for one in chosen)
        if fits and len(chosen) < 3 and not alike:
            chosen.append(sample)
    return chosen
