"""What an experiment does with a student that is trained: let it answer a benchmark, and score the answers."""

from __future__ import annotations

from pathlib import Path

from annotator.progress import Progress


def predict(student: str, benchmark: Path, out: Path, device: str, progress: Progress) -> None:
    """Let ``student`` answer the queries of ``benchmark``; ``out`` gets ``{id, output}`` lines, and is gone on with."""
    from training.predicting import running
    from training.predicting.making import Wishes, make_predictor

    running.predict(benchmark, make_predictor(f"hf:{student}", out, Wishes(device=device)), out, progress)


def score(benchmark: Path, predictions: Path, progress: Progress) -> dict[str, float]:
    """Micro F1 of ``predictions`` as shares, under the matchings ``strict`` and ``relaxed``."""
    from training.benchmarks import read_benchmark
    from training.scoring.evaluating import evaluate
    from training.scoring.metrics import Draws

    report = evaluate(read_benchmark(benchmark), predictions, Draws(0), progress.say)
    return {matching: float(report[matching]["micro"]["f1"]) for matching in ("strict", "relaxed")}
