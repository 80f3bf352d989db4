"""List the labels of a run with their counts, and examples of those that wait for a decision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from annotator.cleaning.clean import NEEDS_REVIEW
from annotator.cleaning.label_decisions import one_line
from annotator.errors import RunDirError
from annotator.records import LabelUse
from annotator.storage import tables
from annotator.storage.rundir import RunDir
from annotator.terminal.tables import text_table

EXAMPLES = 3
"""Mentions shown for a label."""
AROUND = 60
"""Characters of the passage shown on either side of an example."""


@dataclass(slots=True)
class Example:
    """A predicted entity with the label, in its passage."""

    mention: str
    passage_id: str
    context: str = ""
    """The mention and the text around it; empty where it is not in the passage."""


@dataclass(slots=True)
class Label:
    """The raw labels that became one type, or that wait for a decision under one form."""

    label: str
    status: str
    """``used``, ``rejected`` or ``review``."""
    predictions: int = 0
    mentions: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    raw: dict[str, int] = field(default_factory=dict)
    """Label as the teacher wrote it -> number of predictions."""
    examples: list[Example] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the label as a JSON object."""
        return {
            "label": self.label,
            "status": self.status,
            "claims": self.predictions,
            "mentions": self.mentions,
            "rules": dict(self.rules),
            "raw": self.raw,
            "examples": [asdict(found) for found in self.examples],
        }


def all_labels(run: RunDir) -> list[Label]:
    """Return every label of the run, the most frequent first; a rejected one under its raw form.

    Raises:
        RunDirError: the run has not been cleaned.
    """
    if not run.labels.exists():
        raise RunDirError(
            f"{run.root} has no {run.labels.name} yet; make it with: vner-annotate clean --out {run.root}"
        )
    labels: dict[tuple[str, str], Label] = {}
    for use in tables.read_records(run.labels, LabelUse):
        status = "used" if use.status in {"kept", "changed"} else use.status
        name = use.raw if use.label is None else use.label
        label = labels.setdefault((status, name), Label(name, status))
        label.predictions += use.claims
        label.mentions += use.mentions
        label.rules[use.rule] += use.claims
        label.raw[use.raw] = use.claims
    return sorted(labels.values(), key=lambda label: (-label.predictions, label.label, label.status))


def unresolved(run: RunDir) -> list[Label]:
    """Return the labels that wait for a decision, the most frequent first, with examples.

    Raises:
        RunDirError: the run has not been cleaned.
    """
    waiting = [label for label in all_labels(run) if label.status == "review"]
    by_raw = {raw: label for label in waiting for raw in label.raw}
    for item in tables.read_rejected(run.rejected) if waiting else ():
        label = by_raw.get(item.label) if item.reason == NEEDS_REVIEW else None
        if label and len(label.examples) < EXAMPLES and item.value not in {found.mention for found in label.examples}:
            label.examples.append(Example(item.value, item.record_id))
    examples = [found for label in waiting for found in label.examples]
    wanted = {found.passage_id for found in examples}
    passages = tables.read_passages(run.passages) if wanted else ()
    texts = {passage.id: passage.text for passage in passages if passage.id in wanted}
    for found in examples:
        found.context = context(texts.get(found.passage_id, ""), found.mention)
    return waiting


def context(text: str, mention: str) -> str:
    """Return the first occurrence of ``mention`` with whole words around it, on one line; empty if there is none."""
    start = text.find(mention)
    if start < 0 or not mention:
        return ""
    end = start + len(mention)
    before, after = text[max(0, start - AROUND) : start], text[end : end + AROUND]
    if start > AROUND:
        before = "… " + before.partition(" ")[2]
    if end + AROUND < len(text):
        after = after.rpartition(" ")[0] + " …"
    return one_line(f"{before}{mention}{after}")


def waiting_table(labels: Iterable[Label]) -> RenderableType:
    """Return a table of the labels that wait for a decision: predictions, label, examples."""
    rows = (
        (
            f"{label.predictions:,}",
            one_line(label.label),
            Text(one_line("; ".join(found.mention for found in label.examples)), style="dim"),
        )
        for label in labels
    )
    return text_table(rows, ("predictions", "label", "examples"), figures=("predictions",))


def every_table(labels: Iterable[Label]) -> RenderableType:
    """Return a table of every label: predictions, mentions, outcome, rules, spellings of the teacher."""
    header = ("predictions", "mentions", "label", "status", "rules", "as the teacher wrote it")
    rows = []
    for label in labels:
        raw = "; ".join([*label.raw][:5]) + (f"; and {len(label.raw) - 5} more" if len(label.raw) > 5 else "")
        numbers = (f"{label.predictions:,}", f"{label.mentions:,}")
        rules = ", ".join(f"{rule} {number:,}" for rule, number in label.rules.most_common())
        rows.append((*numbers, one_line(label.label), label.status, rules, Text(one_line(raw), style="dim")))
    return text_table(rows, header, figures=header[:2])
