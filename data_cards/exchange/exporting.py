"""Write the annotations of a run in the format of another tool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from annotator.config.settings import RunConfig
from annotator.errors import ConfigError
from annotator.records import Annotation, Mention
from annotator.run.label_rules import types_of
from annotator.run.manifest.stored_settings import settings_of
from annotator.run.update_steps import negatives_of, splits_of
from annotator.samples.explode import Negatives, samples_of
from annotator.storage import tables
from annotator.storage.atomic import replacing
from annotator.storage.outputs import check_output
from annotator.storage.rundir import SPLITS, RunDir, annotated
from data_cards.exchange.formats import format_named
from data_cards.exchange.passages import Exported

EVERYTHING: Final = "all"


@dataclass(frozen=True, slots=True)
class _Counts:
    """Counts of what was written. Spans: in = carried + left out."""

    carried: Counter[str] = field(default_factory=Counter)
    """Spans written, by label."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Spans that the format cannot hold, by reason."""
    examples: dict[str, str] = field(default_factory=dict)
    """For each reason, the first span that was left out for it."""

    def add(self, annotation: Annotation, lost: Mapping[Mention, str]) -> None:
        """Count a passage of which everything but ``lost`` was written."""
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
    companion = out.with_name(out.stem + form.beside[0]) if form.beside else None
    for path in filter(None, (out, companion)):
        check_output(path, "--out")
    run = annotated(root)
    config = settings_of(run)
    ratio = config.negatives or form.negatives
    schema = types_of(run) if config.instruction == "definition" else None
    definitions = schema.definitions if schema else {}
    passages, counts = 0, _Counts()

    def exported() -> Iterator[Exported]:
        nonlocal passages
        for annotation, negatives in _annotations(run, config, split, ratio):
            lost = form.lost(annotation)
            passages += 1
            counts.add(annotation, lost)
            kept = tuple(mention for mention in annotation.mentions if mention not in lost)
            yield Exported(replace(annotation, mentions=kept), samples_of(annotation, negatives, definitions))

    with replacing(out) as file:
        form.write(file, exported())
    files = [str(out)]
    if form.beside and companion:
        with replacing(companion) as file:
            file.write(form.beside[1]([label for label, _ in _by_frequency(counts.carried)]).encode("utf-8"))
        files.append(str(companion))
    return {
        "format": name,
        "files": files,
        "split": split,
        "passages": passages,
        "spans": counts.carried.total() + counts.left_out.total(),
        "carried": counts.carried.total(),
        "left_out": dict(_by_frequency(counts.left_out)),
        "examples": dict(sorted(counts.examples.items())),
        "types": len(counts.carried),
    }


def _annotations(run: RunDir, config: RunConfig, split: str, ratio: float) -> Iterator[tuple[Annotation, Negatives]]:
    """Yield the annotations of a split or all, each with what draws its negatives."""
    split_of = None if split == EVERYTHING else splits_of(run, config)
    for rows, negatives in negatives_of(run, ratio, config.seed):
        for annotation in tables.read_annotations(run.annotations, rows):
            if split_of is None or SPLITS[split_of(annotation.passage_id)] == split:
                yield annotation, negatives


def _by_frequency(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
