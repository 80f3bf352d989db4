"""Score files of predictions against a benchmark: one alone, or two beside each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from annotator.records import Sample
from training.benchmarks import read_benchmark, read_predictions
from training.score.joining import Answers, join, tell_of
from training.score.metrics import Draws, Tally, bootstrap, compare, figures, tally


def evaluate(samples: Sequence[Sample], predictions: Path, draws: Draws, say: Callable[[str], Any]) -> dict[str, Any]:
    """Score one file of predictions.

    Args:
        samples: the queries of the benchmark.
        predictions: JSON lines with ``id`` and ``output``.
        draws: of the bootstrap; none where its number is 0.
        say: takes a line that a reader of the figures must know: missing, unreadable, unknown answers.

    Returns:
        ``strict``, ``relaxed`` and ``universalner``, each with ``micro``, ``macro`` and ``per_type`` as shares from 0
        to 1; ``unparsable``, ``missing``, ``unknown``, ``queries``, ``passages`` as numbers; ``intervals``.

    Raises:
        SourceError: the predictions cannot be read, have an id twice, or a gold is no list.
    """
    answers, scored = _read(samples, predictions, say)
    return _report(answers, scored, draws)


def evaluate_pair(benchmark: Path, pair: tuple[Path, Path], draws: Draws, say: Callable[[str], Any]) -> dict[str, Any]:
    """Score two files of predictions of one benchmark, and test whether they differ: ``a``, ``b``, ``comparison``.

    Raises:
        SourceError: as ``evaluate`` does.
    """
    samples = read_benchmark(benchmark)
    (answers_a, a), (answers_b, b) = (_read(samples, path, say) for path in pair)
    return {
        "files": [str(path) for path in pair],
        "draws": draws.number,
        "a": _report(answers_a, a, Draws(0)),
        "b": _report(answers_b, b, Draws(0)),
        "comparison": compare(a, b, draws),
    }


def _read(samples: Sequence[Sample], predictions: Path, say: Callable[[str], Any]) -> tuple[Answers, Tally]:
    answers = join(samples, read_predictions(predictions))
    tell_of(answers, str(predictions), say)
    return answers, tally(samples, answers)


def _report(answers: Answers, scored: Tally, draws: Draws) -> dict[str, Any]:
    return {
        **figures(scored, answers.unparsable),
        "missing": answers.missing,
        "unknown": answers.unknown,
        "queries": len(answers.mentions),
        "passages": scored.passages,
        "intervals": bootstrap(scored, draws) if draws.number else {},
    }
