"""The data card: a Hub README filled from the audit, the manifest and the files of a run alone."""

from __future__ import annotations

import itertools
import json
import re
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
from data_cards.publication import Target
from data_cards.review.quality import measure_run, write_quality
from data_cards.views.agreement import quality_values
from data_cards.views.changelog import added_line, version_rows
from data_cards.views.quality import summary_lines

TITLE: Final = "Open-domain Vietnamese NER"
FIGURES: Final = "figures"
"""The folder of pictures in a run directory, and on the Hub."""
REPORT: Final = "report.html"
_SIZES: Final = (
    (10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"), (10**9, "100M<n<1B"), (10**10, "1B<n<10B"),
)  # fmt: skip
_LOOK_AT: Final = 2000
"""Samples among which the examples are chosen."""


def write_card(run: RunDir, figures: Mapping[str, Any], publication: Target | None = None) -> str:
    """Write ``README.md`` and ``croissant.json`` into the run directory; returns the text of the card.

    Raises:
        RunDirError: a file of samples is missing or damaged, or the card cannot be written.
    """
    publication = publication or Target()
    text = make_card(run, figures, publication)
    write_json(run.croissant, _croissant(run, without_paths(figures), publication))
    write_quality(run)
    with replacing(run.card) as file:
        file.write(text.encode("utf-8"))
    return text


def refresh_card(run: RunDir) -> None:
    """Write the card anew from ``audit.json``, where there is one: its quality section has changed.

    Raises:
        RunDirError: a file is damaged, or the card cannot be written.
    """
    if run.audit.exists():
        write_card(run, json.loads(run.audit.read_text(encoding="utf-8")))


def _croissant(run: RunDir, figures: Mapping[str, Any], publication: Target) -> dict[str, Any]:
    manifest = without_paths(run.read_manifest())
    description = (
        f"{figures['samples']['count']:,} instruction samples for named-entity recognition in Vietnamese news, of "
        f"{figures['labels']['distinct']:,} entity types in {figures['passages']['count']:,} passages."
    )
    about = {
        "name": publication.name or TITLE,
        "description": description,
        "licence": publication.licence,
        "url": publication.url,
        "citation": _bibtex(publication, manifest),
    }
    return make_croissant(run, figures, manifest, summary_lines(measure_run(run)), about)


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
        report=REPORT if (run.root / REPORT).is_file() else "",
        version_rows=version_rows(versions := figures.get("changelog", [])),
        version_lines=[(version["version"], added_line(version)) for version in versions[:0:-1]],
        publication=publication,
        bibtex=_bibtex(publication, manifest),
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


_ADDRESSES: Final = frozenset({"base_url", "ray_address", "ledger"})


def without_paths(value: Any) -> Any:
    """Return ``value``, a piece of JSON, without what concerns this machine alone.

    Of an absolute path its last part is left, of the address of an endpoint nothing: it may name a host inside a
    house, or hold a password.
    """
    if isinstance(value, Mapping):
        return {name: "" if name in _ADDRESSES else without_paths(part) for name, part in value.items()}
    if isinstance(value, list):
        return [without_paths(part) for part in value]
    if isinstance(value, str) and (value.startswith(("~", "..")) or Path(value).is_absolute()):
        return Path(value).name
    return value


def unanswered(manifest: Mapping[str, Any]) -> int:
    """Return the number of passages that the teacher has not answered."""
    return int(manifest.get("stages", {}).get("annotate", {}).get("unanswered", 0))


def pictures(run: RunDir) -> list[Path]:
    """Return the pictures of the report, if it has been made."""
    return sorted(path for path in (run.root / FIGURES).glob("*") if path.suffix in {".png", ".svg"})


def _examples(run: RunDir, splits: Sequence[str]) -> list[Sample]:
    """Return up to three samples of different passages: two of several mentions and different types, a negative."""
    first = itertools.islice(tables.read_samples(run.samples(splits[0])), _LOOK_AT) if splits else iter(())
    chosen: list[Sample] = []
    for sample in sorted(first, key=lambda sample: (sample.negative, len(json.loads(sample.output)) < 2)):
        fits = len(chosen) < 2 or sample.negative
        if fits and len(chosen) < 3 and not any(_alike(sample, other) for other in chosen):
            chosen.append(sample)
    return chosen


def _alike(one: Sample, other: Sample) -> bool:
    return one.entity_type == other.entity_type or one.passage_id == other.passage_id


def _bibtex(publication: Target, manifest: Mapping[str, Any]) -> str:
    """Return how to cite the dataset, once it has a name. No author is named: none is configured."""
    if not publication.name:
        return ""
    year = manifest.get("stages", {}).get("explode", {}).get("began", "")[:4]
    fields = {
        "title": publication.name.replace("_", r"\_"),
        "howpublished": rf"\url{{{publication.url}}}",
        **({"year": year} if year else {}),
        "note": f"Made with vner-annotate {manifest['made_by']['vner-annotate']}",
    }
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    return f"@misc{{{re.sub('[^A-Za-z0-9]+', '-', publication.name)},\n{lines}\n}}"
