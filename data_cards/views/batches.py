"""Report the batches of a run, and the next step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from annotator.asking.batch_files import WAITING, Batch, read_batches
from annotator.run.runner import Outcome
from annotator.terminal.progress import printable
from annotator.terminal.words import have, plural


def report(outcome: Outcome) -> list[dict[str, Any]]:
    """For JSON: as ``batches.json`` has them."""
    return [asdict(batch) for batch in read_batches(outcome.run)]


def show(outcome: Outcome) -> None:
    """A table on stdout."""
    batches = read_batches(outcome.run)
    if not batches:
        return
    table = Table(title="\nBatches", title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for name in ("batch", "status", "questions", "answered", "failed", "note"):
        table.add_column(name, justify="right" if name in {"questions", "answered", "failed"} else "left")
    for batch in batches:
        status = f"{batch.status}, collected" if batch.collected else batch.status
        numbers = (f"{number:,}" for number in (batch.requests, batch.completed, batch.failed))
        table.add_row(Text(printable(batch.id)), Text(printable(status)), *numbers, Text(printable(_note(batch))))
    Console(highlight=False).print(table)


def next_step(outcome: Outcome, funnel: Iterable[Mapping[str, Any]], *, batch: bool) -> str:
    """What to do about the passages that have no answer yet."""
    rejected = next(flow["rejected"] for flow in funnel if flow["stage"] == "annotate")
    waiting = rejected.get(f"unanswered: {WAITING}", 0)
    left = outcome.unanswered - waiting
    parts = []
    if waiting:
        where = f"vner-annotate annotate --batch --out {outcome.run.root}"
        parts.append(f"{plural(waiting, 'passage')} in a batch; {where} collects the answers when they are ready")
    if left:
        again = "submits them, and without --batch asks one by one" if batch else "asks for them again"
        parts.append(f"{have(left, 'passage')} no answer yet; the same command {again}")
    return "; ".join(parts)


def _note(batch: Batch) -> str:
    ignored = f"{batch.unknown:,} lines of the results ignored" if batch.unknown else ""
    return "; ".join(part for part in (batch.complaint, ignored) if part)
