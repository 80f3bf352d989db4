"""Score files of predictions against a benchmark: one alone, two beside each other, or one for each variant of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from annotator.cleaning.replies.mention_lists import read_answer
from annotator.errors import ConfigError
from annotator.records import Sample
from annotator.storage import tables
from annotator.storage.atomic import replacing
from training.benchmarks import fingerprint, read_benchmark, read_predictions
from training.predict.running import note_of
from training.score.metrics import Draws, Tally, bootstrap, compare, figures, tally
from training.score.variants import VARIANTS, variant

ORIGINAL: Final = "original"
Say: TypeAlias = Callable[[str], Any]
"""Prints a line that a reader of the figures must see."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of a predictor to the queries of a benchmark."""

    mentions: tuple[tuple[str, ...], ...]
    """Of each query, in the order of the benchmark; none where there is no answer or no readable one."""
    unparsable: int
    """Answers in which no list could be found."""
    missing: int
    """Queries without an answer; they count as answered with ``[]``."""
    unknown: int
    """Answers whose id is not in the benchmark; they count for nothing."""


def join(samples: Sequence[Sample], predictions: Mapping[str, str]) -> Answers:
    """Put the answers beside the queries."""
    read = [read_answer(predictions[sample.id]) if sample.id in predictions else None for sample in samples]
    return Answers(
        mentions=tuple(answer.mentions if answer else () for answer in read),
        unparsable=sum(answer is not None and not answer.readable for answer in read),
        missing=read.count(None),
        unknown=len(predictions.keys() - {sample.id for sample in samples}),
    )


def evaluate(samples: Sequence[Sample], predictions: Path, draws: Draws, say: Say) -> dict[str, Any]:
    """Score one file of predictions.

    Args:
        samples: the queries of the benchmark.
        predictions: JSON lines with ``id`` and ``output``.
        draws: of the bootstrap; none where its number is 0.
        say: prints what is missing, unreadable or unknown.

    Returns:
        ``strict``, ``relaxed`` and ``universalner``, each with ``micro``, ``macro`` and ``per_type`` as shares from 0
        to 1; ``unparsable``, ``missing``, ``unknown``, ``queries``, ``passages`` as numbers; ``intervals``.

    Raises:
        SourceError: the predictions cannot be read, have an id twice, or a gold is no list.
    """
    return _report(*_read(samples, predictions, say), draws)


def evaluate_pair(benchmark: Path, pair: tuple[Path, Path], draws: Draws, say: Say) -> dict[str, Any]:
    """Score two files of predictions of one benchmark, and test whether they differ: ``a``, ``b``, ``comparison``.

    Raises:
        SourceError: as ``evaluate`` does.
    """
    samples = read_benchmark(benchmark)
    a, b = (_read(samples, path, say) for path in pair)
    reports = {"a": _report(*a, Draws(0)), "b": _report(*b, Draws(0))}
    files = [str(path) for path in pair]
    return {"files": files, "draws": draws.number, **reports, "comparison": compare(a[1], b[1], draws)}


@dataclass(frozen=True, slots=True)
class Place:
    """Paths of a benchmark, and of the folder with its variants and the predictions for them."""

    benchmark: Path
    folder: Path
    predictions: Path | None = None
    """Of the original, where they are not in the folder."""

    def samples(self, name: str) -> Path:
        """Return the file of the queries of a variant."""
        return self.benchmark if name == ORIGINAL else self.folder / f"{name}.parquet"

    def answers(self, name: str) -> Path:
        """Return the file of the predictions for a variant, by whatever made them."""
        return (name == ORIGINAL and self.predictions) or self.folder / f"{name}.jsonl"


def evaluate_variants(
    place: Place, predict: Callable[[Path, Path], Any] | None, draws: Draws, say: Say
) -> dict[str, Any]:
    """Write each variant, then score it and the original. The same benchmark and seed give the same bytes.

    Args:
        place: where everything is.
        predict: answers a benchmark in a file; without it only the predictions that are there are scored.
        draws: of the intervals; its seed is that of the variants.
        say: as for ``evaluate``.

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
        with replacing(place.samples(name)) as file:
            tables.write_records(file, tables.SAMPLE, variant(name, originals, draws.seed))
    reports: dict[str, Any] = {}
    for name in (ORIGINAL, *VARIANTS):
        answers = place.answers(name)
        if predict and answers != place.predictions:
            predict(place.samples(name), answers)
        samples = read_benchmark(place.samples(name))
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


def _read(samples: Sequence[Sample], path: Path, say: Say) -> tuple[Answers, Tally]:
    """Read and count the answers, and say what a reader of the figures must know of them."""
    answers = join(samples, read_predictions(path))
    for number, what in (
        (answers.missing, "have no answer and count as answered with []"),
        (answers.unparsable, "have an answer without a readable list, which counts as []"),
    ):
        if number:
            say(f"{path}: {number:,} of {len(samples):,} queries {what}")
    if answers.unknown:
        say(f"{path}: {answers.unknown:,} answers have an id that the benchmark does not have; they count for nothing")
    return answers, tally(samples, answers.mentions)


def _report(answers: Answers, scored: Tally, draws: Draws) -> dict[str, Any]:
    return {
        **figures(scored, answers.unparsable),
        "missing": answers.missing,
        "unknown": answers.unknown,
        "queries": len(answers.mentions),
        "passages": scored.passages,
        "intervals": bootstrap(scored, draws) if draws.number else {},
    }
