"""Ask a predictor what is not answered yet, and keep each answer as it comes.

The answers stand in a file of JSON lines, ``{"id", "output"}``. While a run goes on lines are appended whole; when it
ends the file is written again in the order of the benchmark. A note beside it names predictor and benchmark.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotator.errors import ConfigError, RunDirError
from annotator.records import Sample
from annotator.storage.atomic import explained, locked, replacing, write_json
from annotator.storage.outputs import check_output
from annotator.terminal.events import Progress
from training.benchmarks import fingerprint, read_benchmark, read_predictions
from training.predict import Predictor


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a prediction, in queries."""

    queries: int
    answered: int
    """All that have an answer now."""
    new: int
    """Those that got it in this run."""


def predict(benchmark: Path, predictor: Predictor, out: Path, progress: Progress) -> Outcome:
    """Answer the queries of ``benchmark`` that ``out`` does not answer yet.

    Raises:
        SourceError: the benchmark cannot be read.
        ConfigError: ``out`` holds answers of another predictor, or to another benchmark.
        RunDirError: ``out`` cannot be written, is no file of predictions, or another process writes it.
        AnnotateError: as the predictor does; all answers so far are kept.
    """
    check_output(out, "--out", inputs=[benchmark])
    samples = read_benchmark(benchmark)
    with explained(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with locked(out.with_name(f".{out.name}.lock"), out):
            return _predict(samples, predictor, out, progress)


def _predict(samples: Sequence[Sample], predictor: Predictor, out: Path, progress: Progress) -> Outcome:
    _settle_note(out, {"predictor": dict(predictor.identity), "benchmark": fingerprint(samples)})
    answers = _resume(out)
    wanted = {sample.id for sample in samples}
    before = len(answers)
    if before < len(samples):
        progress.start("predict", "queries", len(samples))
        progress.advance(before)
        try:
            with out.open("ab", buffering=0) as file:  # one write a line: what a kill can tear is the last one
                for identity, output in predictor.answer(samples, frozenset(answers), progress):
                    if identity in wanted and identity not in answers:
                        answers[identity] = output
                        file.write(_line(identity, output))
        except BaseException:
            if not out.stat().st_size:  # it could not start
                out.unlink()
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


def _settle_note(out: Path, mine: dict[str, Any]) -> None:
    """Write the note, or refuse to mix answers that do not belong together."""
    path = note_of(out)
    if not path.exists():
        if out.exists() and out.stat().st_size:
            raise ConfigError(f"{out} is there, and predict did not make it; choose another --out, or remove it")
        write_json(path, mine)
        return
    try:
        theirs = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunDirError(f"cannot read {path}: {error}; remove it and {out} to start over") from error
    if theirs == mine:
        return
    what = "to another benchmark"
    if theirs["predictor"] != mine["predictor"]:
        before, now = theirs["predictor"], mine["predictor"]
        name = next(name for name in {**before, **now} if before.get(name) != now.get(name))
        what = f"of another predictor ({name}: {str(before.get(name))[:60]}, not {str(now.get(name))[:60]})"
    raise ConfigError(f"{out} holds answers {what}; choose another --out, or remove it and {path.name}")


def _resume(out: Path) -> dict[str, str]:
    """Read the answers that are there; what a kill left of a last line is cut off."""
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
