"""Small, consistent run directories for tests of datasets."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotator.records import Annotation, Document, Mention, Passage, Piece, Rejected, Sample
from annotator.samples.explode import positives
from annotator.storage import tables
from annotator.storage.atomic import replacing, write_json
from annotator.storage.rundir import SPLITS, RunDir


@dataclass(frozen=True)
class Item:
    """A passage that is a whole document."""

    id: str
    text: str
    entities: Sequence[tuple[str, str]] = ()
    """Mention and type; the mention is at its first occurrence."""
    split: str = "train"

    def annotation(self) -> Annotation:
        found = [
            Mention(text, label, label, self.text.index(text), self.text.index(text) + len(text), "exact")
            for text, label in self.entities
        ]
        ordered = sorted(found, key=lambda mention: (mention.start, -mention.end, mention.label))
        return Annotation(self.id, self.text, tuple(ordered), "ok")


def syllables(seed: int, number: int) -> list[str]:
    """Draw syllables of 600 kinds, so that texts of other seeds share no n-grams."""
    rng = random.Random(seed)
    return [rng.choice(("bé", "cô", "đi", "gà", "phở", "uống")) + str(rng.randrange(100)) for _ in range(number)]


def make_run(root: Path, items: Sequence[Item], rejected: Sequence[Rejected] = (), source: str = "tin") -> RunDir:
    """Write a run directory without problems."""
    run = RunDir(root)
    annotations = [item.annotation() for item in items]
    samples: dict[str, list[Sample]] = {split: [] for split in SPLITS}
    for item, annotation in zip(items, annotations, strict=True):
        samples[item.split] += positives(annotation)
    write(run.documents, tables.DOCUMENT, [Document(f"d-{item.id}", item.text, source) for item in items])
    pieces = [(Piece(f"d-{item.id}", 0, len(item.text)),) for item in items]
    write(
        run.passages,
        tables.PASSAGE,
        [Passage(item.id, item.text, 150, piece, 1) for item, piece in zip(items, pieces, strict=True)],
    )
    write(run.annotations, tables.ANNOTATION, annotations)
    write(run.rejected, tables.REJECTED, rejected)
    for split in SPLITS:
        write(run.samples(split), tables.SAMPLE, samples[split])
    write_json(run.manifest, manifest(items, annotations, samples, rejected, source))
    return run


def manifest(
    items: Sequence[Item],
    annotations: Sequence[Annotation],
    samples: dict[str, list[Sample]],
    rejected: Sequence[Rejected],
    source: str,
) -> dict[str, Any]:
    number, mentions = len(items), sum(len(annotation.mentions) for annotation in annotations)
    by_split = {split: len(made) for split, made in samples.items()}

    def flow(stage: str, unit: str, out: int, **made: int) -> dict[str, Any]:
        lost: dict[str, int] = {}
        for item in rejected:
            if item.stage == stage:
                lost[item.reason] = lost.get(item.reason, 0) + 1
        taken = out + sum(lost.values())
        return {"stage": stage, "unit": unit, "in": taken, "out": out, "made": made, "rejected": lost}

    flows = {
        "sample": [flow("sample", "document", number)],
        "chunk": [flow("chunk", "sentence", number, passage=number)],
        "annotate": [flow("annotate", "passage", number)],
        "clean": [flow("parse", "passage", number), flow("clean", "claim", mentions, mention=mentions)],
        "explode": [flow("explode", "sample", sum(by_split.values()), **by_split)],
    }
    return {
        "config": {"min_tokens": 150, "max_tokens": 256},
        "stages": {stage: {"funnel": funnel} for stage, funnel in flows.items()},
        "source": {"name": source},
        "tokenizer": {"name": "llama3"},
        "teacher": {"provider": "local", "model": "local"},
        "lexicon": {"sha256": "0"},
        "made_by": {"vner-annotate": "0.1.0"},
    }


def write(path: Path, schema: Any, records: Sequence[Any]) -> None:
    """Write records to a Parquet file, as a stage does."""
    with replacing(path) as file:
        tables.write_records(file, schema, records)


def rewrite(path: Path, schema: Any, kind: Any, **changes: Any) -> None:
    """Change fields of the first record of a file."""
    first, *rest = (kind(**row) for row in tables.rows(path))
    write(path, schema, [dataclasses.replace(first, **changes), *rest])
