"""Ask a predictor the queries that are not answered yet, and keep each answer as it comes.

Answers are JSON lines, ``{"id", "output"}``. A run appends whole lines; at its end the file is written again in the
order of the benchmark. A note beside it names predictor and benchmark.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from annotator.errors import ConfigError
from annotator.records import Sample
from annotator.storage.atomic import explained, locked, replacing, write_json
from annotator.storage.outputs import check_output
from annotator.terminal.events import Progress
from training.benchmarks import fingerprint, read_benchmark, read_predictions

Prediction: TypeAlias = tuple[str, str]
"""The id of a query, and its answer as the model gave it."""

Answering: TypeAlias = Callable[[Sequence[Sample], Container[str], Progress], Iterator[Prediction]]
"""Answers the queries of a benchmark that have no answer yet, once and in any order, and advances the progress.

It gets all queries and the ids that are answered, so that batches are the same after an interruption.
"""


@dataclass(frozen=True, slots=True)
class Predictor:
    """Something that answers queries."""

    identity: Mapping[str, Any]
    """What decides its answers besides the query, as JSON."""
    answer: Answering


@dataclass(frozen=True, slots=True)
class Outcome:
    """The queries of a benchmark, those that have an answer, and those that got it in this run."""

    queries: int
    answered: int
    new: int


def predict(benchmark: Path, predictor: Predictor, out: Path, progress: Progress) -> Outcome:
    """Answer the queries of ``benchmark`` that ``out`` does not answer yet.

    Raises:
        SourceError: the benchmark cannot be read, or ``out`` is no file of predictions.
        ConfigError: ``out`` holds answers of another predictor, or to another benchmark.
        RunDirError: ``out`` cannot be written, or another process writes it.
        AnnotateError: as the predictor does; all answers so far are kept.
    """
    check_output(out, "--out", inputs=[benchmark])
    samples = read_benchmark(benchmark)
    with explained(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with locked(out.with_name(f".{out.name}.lock"), out):
            return _predict(samples, predictor, out, progress)


def _predict(samples: Sequence[Sample], predictor: Predictor, out: Path, progress: Progress) -> Outcome:
    _check_note(out, {"predictor": dict(predictor.identity), "benchmark": fingerprint(samples)})
    answers = _resume(out)
    before = len(answers)
    if before < len(samples):
        progress.start("predict", "queries", len(samples))
        progress.advance(before)
        try:
            with out.open("ab", buffering=0) as file:  # one write a line: what a kill can tear is the last one
                for identity, output in predictor.answer(samples, frozenset(answers), progress):
                    answers[identity] = output
                    file.write(_line(identity, output))
        except BaseException:
            if not answers:  # it could not start
                out.unlink(missing_ok=True)
                note_of(out).unlink()
            raise
        progress.finish()
    with replacing(out) as whole:
        for sample in samples:
            if sample.id in answers:
                whole.write(_line(sample.id, answers[sample.id]))
    return Outcome(len(samples), len(answers), len(answers) - before)


def note_of(out: Path) -> Path:
    """Return the file beside ``out`` that names its predictor and benchmark."""
    return out.with_name(f"{out.name}.note.json")


def _check_note(out: Path, mine: dict[str, Any]) -> None:
    """Write the note of a new file, or refuse to mix answers of two predictors or to two benchmarks."""
    path = note_of(out)
    if not out.exists() or not out.stat().st_size:
        write_json(path, mine)
        return
    if not path.exists():
        raise ConfigError(f"{out} is there, and predict did not make it; choose another --out, or remove it")
    theirs = json.loads(path.read_text(encoding="utf-8"))
    if theirs == mine:
        return
    what, before, now = "to another benchmark", theirs["predictor"], mine["predictor"]
    if before != now:
        name = next(name for name in {**before, **now} if before.get(name) != now.get(name))
        what = f"of another predictor ({name}: {str(before.get(name))[:60]}, not {str(now.get(name))[:60]})"
    raise ConfigError(f"{out} holds answers {what}; choose another --out, or remove it and {path.name}")


def _resume(out: Path) -> dict[str, str]:
    """Read the answers that are there, after an incomplete last line is cut off."""
    if not out.exists():
        return {}
    data = out.read_bytes()
    if (whole := data.rfind(b"\n") + 1) < len(data):
        with out.open("r+b") as file:
            file.truncate(whole)
    return read_predictions(out)


def _line(identity: str, output: str) -> bytes:
    line = json.dumps({"id": identity, "output": output}, ensure_ascii=False) + "\n"
    return line.encode("utf-8", "replace")
