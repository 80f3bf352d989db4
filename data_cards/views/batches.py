"""Report the batches of a run, and the next step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from rich.console import Console

from annotator.asking.batch_files import WAITING, Batch, read_batches
from annotator.run.runner import Outcome
from annotator.terminal.tables import text_table
from annotator.terminal.words import have, plural


def report(outcome: Outcome) -> list[dict[str, Any]]:
    """Return the batches for JSON, as ``batches.json`` has them."""
    return [asdict(batch) for batch in read_batches(outcome.run)]


def show(outcome: Outcome) -> None:
    """Print a table of the batches."""
    batches = read_batches(outcome.run)
    if not batches:
        return
    header = ("batch", "status", "questions", "answered", "failed", "note")
    rows = []
    for batch in batches:
        status = f"{batch.status}, collected" if batch.collected else batch.status
        numbers = (f"{number:,}" for number in (batch.requests, batch.completed, batch.failed))
        rows.append((batch.id, status, *numbers, _note(batch)))
    Console(highlight=False).print()
    Console(highlight=False).print(text_table(rows, header, figures=header[2:5], title="Batches"))


def next_step(outcome: Outcome, funnel: Iterable[Mapping[str, Any]], *, batch: bool, collect: str = "") -> str:
    """Return what to do about passages without an answer; ``collect`` is the command that collects batches."""
    rejected = next(flow["rejected"] for flow in funnel if flow["stage"] == "annotate")
    waiting = rejected.get(f"unanswered: {WAITING}", 0)
    left = outcome.unanswered - waiting
    parts = []
    if waiting:
        where = collect or f"vner-annotate annotate --batch --out {outcome.run.root}"
        parts.append(f"{plural(waiting, 'passage')} in a batch; {where} collects the answers when they are ready")
    if left:
        again = "submits them, and without --batch asks one by one" if batch else "asks for them again"
        parts.append(f"{have(left, 'passage')} no answer yet; the same command {again}")
    return "; ".join(parts)


def _note(batch: Batch) -> str:
    ignored = f"{batch.unknown:,} lines of the results ignored" if batch.unknown else ""
    return "; ".join(part for part in (batch.complaint, ignored) if part)
