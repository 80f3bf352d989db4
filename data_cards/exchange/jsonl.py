"""Plain JSON lines: a passage a line, with all fields of ``Annotation`` by their names. It holds any span."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from data_cards.exchange.passages import Exported, Reviewed


def to_line(passage: Exported) -> dict[str, Any]:
    """Return the line of a passage."""
    return asdict(passage.annotation)


def from_line(line: dict[str, Any]) -> Reviewed:
    """Read such a line back."""
    spans = tuple((mention["start"], mention["end"], mention["label"]) for mention in line["mentions"])
    return Reviewed(line["passage_id"], spans, text=line["text"])
