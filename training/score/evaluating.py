"""Score one file of predictions, two of them, or the variants of a benchmark, and show the scores as tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from annotator.cleaning.replies.mention_lists import read_answer
from annotator.errors import ConfigError
from annotator.records import Sample
from annotator.storage import tables
from annotator.storage.atomic import replacing
from annotator.terminal.words import plural
from training.benchmarks import fingerprint, read_benchmark, read_predictions
from training.predict.running import note_of
from training.score.matching import MATCHINGS, UNIVERSALNER_WARNING
from training.score.metrics import AVERAGES, LEVEL, SHARES, Tally, bootstrap, compare, figures, tally
from training.score.variants import VARIANTS, variant
from training.tables import Grid, percent

ORIGINAL: Final = "original"

Say: TypeAlias = Callable[[str], Any]
"""Prints a line for the reader of the figures."""


def evaluate(benchmark: Path, predictions: Path, say: Say, *, draws: int = 0, seed: int = 0) -> dict[str, Any]:
    """Score one file of predictions; ``draws`` resamples give intervals, and ``say`` prints what could not be scored.

    Returns:
        ``strict``, ``relaxed`` and ``universalner``, each with ``micro``, ``macro`` and ``per_type`` as shares from 0
        to 1; ``unparsable``, ``missing``, ``unknown``, ``queries``, ``passages`` as numbers; ``intervals``.

    Raises:
        SourceError: a file cannot be read, has an id twice, or a gold is no list.
    """
    scored, report = _score(read_benchmark(benchmark), predictions, say)
    return {**report, "intervals": bootstrap(scored, draws, seed) if draws else {}}


def evaluate_pair(benchmark: Path, pair: tuple[Path, Path], say: Say, *, draws: int, seed: int = 0) -> dict[str, Any]:
    """Score two files of predictions for one benchmark, and test whether they differ: ``a``, ``b``, ``comparison``."""
    samples = read_benchmark(benchmark)
    (a, report_a), (b, report_b) = (_score(samples, path, say) for path in pair)
    files = [str(path) for path in pair]
    return {"files": files, "draws": draws, "a": report_a, "b": report_b, "comparison": compare(a, b, draws, seed)}


def variant_files(benchmark: Path, folder: Path, predictions: Path | None) -> dict[str, tuple[Path, Path]]:
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


def _score(samples: Sequence[Sample], path: Path, say: Say) -> tuple[Tally, dict[str, Any]]:
    """Return the counts of the predictions in ``path``, and their report without intervals."""
    predictions = read_predictions(path)
    answers = [read_answer(predictions[sample.id]) if sample.id in predictions else None for sample in samples]
    scored = tally(samples, [answer.mentions if answer else () for answer in answers])
    report = {
        **figures(scored),
        "unparsable": sum(answer is not None and not answer.readable for answer in answers),
        "missing": answers.count(None),
        "unknown": len(predictions.keys() - {sample.id for sample in samples}),
        "queries": len(samples),
        "passages": scored.passages,
        "intervals": {},
    }
    for name, what in (
        ("missing", "queries without an answer, which count as answered with []"),
        ("unparsable", "answers without a readable list, which count as []"),
        ("unknown", "answers to queries that the benchmark does not have, which count for nothing"),
    ):
        if report[name]:
            say(f"{path}: {report[name]:,} {what}")
    return scored, report


def score_grids(report: Mapping[str, Any]) -> list[Grid]:
    """Return the tables of one scored file, in percent: micro and macro under each matching, then each type."""
    rows = []
    for matching in MATCHINGS:
        for average in AVERAGES:
            interval = report["intervals"][matching][average]["f1"] if report["intervals"] else ()
            rows.append([f"{matching}, {average}", *_percents(report[matching][average]), _between(interval)])
    title = (
        f"{plural(report['queries'], 'query')}, {plural(report['passages'], 'passage')}, "
        f"{report['unparsable']:,} unparsable"
    )
    overall = Grid(title, ["", "precision", "recall", "F1", f"{LEVEL:.0%} interval"], rows, UNIVERSALNER_WARNING)
    each = []
    for name, found in sorted(report["strict"]["per_type"].items(), key=lambda item: (-item[1]["support"], item[0])):
        others = [percent(report[matching]["per_type"][name]["f1"]) for matching in MATCHINGS[1:]]
        nothing = not found["support"] and found["f1"] == 1  # nothing to find and nothing found
        each.append([name, f"{found['support']:,}", *(["-"] * 5 if nothing else [*_percents(found), *others])])
    header = ["type", "mentions", "precision", "recall", "F1", *MATCHINGS[1:]]
    return [overall, Grid("By type: strict, and the F1 of the others", header, each)]


def comparison_grids(report: Mapping[str, Any]) -> list[Grid]:
    """Return the table of ``--compare``: F1 of both in percent, their difference with its interval, and p."""
    rows = []
    for matching in MATCHINGS:
        for average in AVERAGES:
            a, b = (percent(report[side][matching][average]["f1"]) for side in ("a", "b"))
            tested = report["comparison"][matching][average]
            difference, interval = f"{100 * tested['difference']['f1']:+.2f}", _between(tested["interval"]["f1"])
            rows.append([f"{matching}, {average}", a, b, difference, interval, f"{tested['p']:.4f}"])
    title = f"A = {report['files'][0]}, B = {report['files'][1]}"
    header = ["F1", "A", "B", "A - B", f"{LEVEL:.0%} interval", "p"]
    note = f"p: approximate randomisation over {report['draws']:,} draws; below 0.05, chance is no good explanation"
    return [Grid(title, header, rows, note)]


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


def _percents(found: Mapping[str, float]) -> list[str]:
    return [percent(found[name]) for name in SHARES]


def _between(interval: Sequence[float]) -> str:
    return " to ".join(map(percent, interval)) or "-"
