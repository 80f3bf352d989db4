"""Plain JSON lines: a passage a line, with everything that is known of its mentions. It holds any span."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from annotator.records import Annotation
from data_cards.exchange.carrying import Job, Reviewed, Unread
from data_cards.exchange.json_writing import write_lines
from data_cards.exchange.reading import read_each


def write(file: IO[bytes], annotations: Iterable[Annotation], job: Job) -> None:
    """Write the fields of ``Annotation``, by their names."""

    def lines() -> Iterator[dict[str, object]]:
        for annotation in annotations:
            job.count(annotation, {})
            yield asdict(annotation)

    write_lines(file, lines())


def read(path: Path) -> Iterator[Reviewed | Unread]:
    """Read such lines back."""
    return read_each(path, _reviewed)


def _reviewed(passage: dict[str, Any]) -> Reviewed:
    spans = tuple((mention["start"], mention["end"], mention["label"]) for mention in passage["mentions"])
    return Reviewed(passage["passage_id"], spans, text=passage["text"])
