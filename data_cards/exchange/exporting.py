"""Write the annotations of a run in the format of another tool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from annotator.errors import ConfigError
from annotator.records import Annotation, Mention
from annotator.run.label_rules import types_of
from annotator.run.manifest.stored_settings import settings_of
from annotator.run.update_steps import negatives_of, splits_of
from annotator.samples.explode import samples_of
from annotator.storage import tables
from annotator.storage.atomic import replacing
from annotator.storage.outputs import check_output
from annotator.storage.rundir import SPLITS, RunDir, annotated
from data_cards.exchange.formats import Format, format_named
from data_cards.exchange.passages import Exported

EVERYTHING: Final = "all"


@dataclass(slots=True)
class _Counts:
    """Counts of what was written. Spans: in = carried + left out."""

    passages: int = 0
    carried: Counter[str] = field(default_factory=Counter)
    """Spans written, by label."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Spans that the format cannot hold, by reason."""
    examples: dict[str, str] = field(default_factory=dict)
    """For each reason, the first span that was left out for it."""

    def add(self, annotation: Annotation, lost: Mapping[Mention, str]) -> None:
        """Count a passage that was written without its mentions in ``lost``."""
        self.passages += 1
        for mention in annotation.mentions:
            if reason := lost.get(mention):
                self.left_out[reason] += 1
                self.examples.setdefault(reason, f"{mention.text} [{mention.label}] of passage {annotation.passage_id}")
            else:
                self.carried[mention.label] += 1


def export(root: Path, name: str, out: Path, split: str = EVERYTHING) -> dict[str, Any]:
    """Write the annotated passages of the run ``root`` to ``out``, those of one split or all.

    Returns:
        What was written and what the format could not hold; spans = carried + the sum of ``left_out``.

    Raises:
        ConfigError: an unknown format or split, or ``out`` is a folder or a file of a run directory.
        RunDirError: no finished run, or ``out`` cannot be written.
    """
    form = format_named(name)
    if split not in {EVERYTHING, *SPLITS}:
        raise ConfigError(f"unknown --split {split!r}; known: {', '.join((EVERYTHING, *SPLITS))}")
    files = [out, *([out.with_name(out.stem + form.beside[0])] if form.beside else [])]
    for path in files:
        check_output(path, "--out")
    counts = _Counts()
    passages = _exported(annotated(root), form, split, counts)
    with replacing(out) as file:
        form.write(file, passages)
    if form.beside:
        with replacing(files[1]) as file:
            file.write(form.beside[1](list(_by_frequency(counts.carried))).encode("utf-8"))
    return {
        "format": name,
        "files": list(map(str, files)),
        "split": split,
        "passages": counts.passages,
        "spans": counts.carried.total() + counts.left_out.total(),
        "carried": counts.carried.total(),
        "left_out": _by_frequency(counts.left_out),
        "examples": dict(sorted(counts.examples.items())),
        "types": len(counts.carried),
    }


def _exported(run: RunDir, form: Format, split: str, counts: _Counts) -> Iterator[Exported]:
    """Yield the passages of a split or all, each with the mentions that the format can hold and with its samples."""
    config = settings_of(run)
    schema = types_of(run) if config.instruction == "definition" else None
    definitions = schema.definitions if schema else {}
    split_of = None if split == EVERYTHING else splits_of(run, config)
    for rows, negatives in negatives_of(run, config.negatives or form.negatives, config.seed):
        for annotation in tables.read_annotations(run.annotations, rows):
            if split_of and SPLITS[split_of(annotation.passage_id)] != split:
                continue
            lost = form.lost(annotation)
            counts.add(annotation, lost)
            kept = tuple(mention for mention in annotation.mentions if mention not in lost)
            yield Exported(replace(annotation, mentions=kept), samples_of(annotation, negatives, definitions))


def _by_frequency(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
