"""Alpaca: instruction, input, output; a row for each passage and type. It has strings, not offsets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import IO, Any

from annotator.records import Annotation
from annotator.samples.explode import INSTRUCTION, positives
from annotator.sources.formats.files import Record, local
from annotator.sources.formats.json import read as read_json
from data_cards.exchange.carrying import Job, Reviewed, Unread
from data_cards.exchange.json_writing import write_array
from data_cards.exchange.reading import checked

_BEFORE, _AFTER = INSTRUCTION.split("{entity_type}")


def write(file: IO[bytes], annotations: Iterable[Annotation], job: Job) -> None:
    """Write a JSON array of rows, those of one passage next to each other."""

    def rows() -> Iterator[dict[str, str]]:
        for annotation in annotations:
            job.count(annotation, {})
            for sample in (*positives(annotation), *job.negatives.draw(annotation)):
                yield {
                    "instruction": sample.instruction,
                    "input": sample.input,
                    "output": sample.output,
                    "id": sample.id,
                    "passage_id": sample.passage_id,
                }

    write_array(file, rows())


def read(path: Path) -> Iterator[Reviewed | Unread]:
    """Read rows back to passages; a passage without a row is not in the file."""

    def passage_of(record: Record) -> str:
        row = record.value
        return str(row.get("passage_id") or row.get("id") or "") if isinstance(row, dict) else ""

    for identity, records in groupby(read_json(local(path)), key=passage_of):
        rows = list(records)
        error = next((record.error for record in rows if record.error), "")
        yield checked([record.value for record in rows], _reviewed, identity, error)


def _reviewed(rows: list[dict[str, Any]]) -> Reviewed:
    texts = {row["input"] for row in rows}
    if len(texts) > 1:
        raise ValueError("its rows have several inputs")
    predictions = tuple(found for row in rows for found in predictions_of(row["instruction"], row["output"]))
    return Reviewed(rows[0]["passage_id"], text=texts.pop(), predictions=predictions)


def predictions_of(question: str, answer: str) -> list[tuple[str, str]]:
    """Return the mentions that ``answer`` lists, each with the type that ``question`` asks for.

    Raises:
        ValueError: they are not a question and a list of this project.
    """
    if not question.startswith(_BEFORE) or not question.endswith(_AFTER):
        raise ValueError(f"the instruction does not ask for a type: {question[:60]!r}")
    mentions = json.loads(answer)
    if not isinstance(mentions, list):
        raise ValueError(f"the output is not a list: {answer[:60]!r}")
    label = question[len(_BEFORE) : len(question) - len(_AFTER)]
    return [(mention, label) for mention in mentions]
