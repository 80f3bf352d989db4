"""doccano: JSON lines with ``label: [[start, end, label]]``; beside them the label types. Any span fits.

doccano counts as browsers do, in UTF-16 units (leave "count grapheme clusters as one character" off).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from data_cards.exchange.json_files import dumps
from data_cards.exchange.passages import Exported, Reviewed
from data_cards.exchange.places import from_utf16, to_utf16


def labels_file(labels: Sequence[str]) -> str:
    """Return the label types, as doccano imports them."""
    return dumps([{"text": label} for label in labels]) + "\n"


def to_line(passage: Exported) -> dict[str, Any]:
    """Return the line of a passage."""
    text, mentions = passage.annotation.text, passage.annotation.mentions
    return {
        "text": text,
        "label": [[to_utf16(text, one.start), to_utf16(text, one.end), one.label] for one in mentions],
        "passage_id": passage.annotation.passage_id,
        "raw_labels": [one.raw_label for one in mentions],
    }


def from_line(line: dict[str, Any]) -> Reviewed:
    """Read a line of an export; every one counts as reviewed, so export only approved documents."""
    text = line["text"]
    if "entities" in line:  # a project with relations
        found = [(one["start_offset"], one["end_offset"], one["label"]) for one in line["entities"]]
    else:
        found = [tuple(one) for one in line["label"]]
    spans = tuple((from_utf16(text, start), from_utf16(text, end), label) for start, end, label in found)
    return Reviewed(line["passage_id"], spans, text=text)
