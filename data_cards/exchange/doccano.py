"""doccano: JSON lines with ``label: [[start, end, label]]``; beside them the label types. Any span fits.

doccano counts as browsers do, in UTF-16 units (leave "count grapheme clusters as one character" off).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from annotator.records import Annotation
from data_cards.exchange.carrying import Job, Reviewed, Unread, from_utf16, to_utf16
from data_cards.exchange.json_writing import dumps, write_lines
from data_cards.exchange.reading import read_each


def labels_file(labels: Sequence[str]) -> bytes:
    """The label types, as doccano imports them."""
    return (dumps([{"text": label} for label in labels]) + "\n").encode("utf-8")


def write(file: IO[bytes], annotations: Iterable[Annotation], job: Job) -> None:
    """Write a line a passage."""
    write_lines(file, (_line(annotation, job) for annotation in annotations))


def _line(annotation: Annotation, job: Job) -> dict[str, Any]:
    job.count(annotation, {})
    text = annotation.text
    return {
        "text": text,
        "label": [[to_utf16(text, one.start), to_utf16(text, one.end), one.label] for one in annotation.mentions],
        "passage_id": annotation.passage_id,
        "raw_labels": [one.raw_label for one in annotation.mentions],
    }


def read(path: Path) -> Iterator[Reviewed | Unread]:
    """Read an export: every line counts as reviewed, so export only approved documents."""
    return read_each(path, _reviewed)


def _reviewed(line: dict[str, Any]) -> Reviewed:
    text = line["text"]
    if "entities" in line:  # a project with relations
        found = [(one["start_offset"], one["end_offset"], one["label"]) for one in line["entities"]]
    else:
        found = [tuple(one) for one in line["label"]]
    spans = tuple((from_utf16(text, start), from_utf16(text, end), label) for start, end, label in found)
    return Reviewed(line["passage_id"], spans, text=text)
