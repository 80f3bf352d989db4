"""Alpaca: instruction, input, output; a row for each passage and type. It has strings, not offsets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import IO, Any

from annotator.samples.explode import INSTRUCTION
from annotator.sources.formats.files import Record, local
from annotator.sources.formats.json import read as read_json
from data_cards.exchange.json_files import checked, write_array
from data_cards.exchange.passages import Exported, Reviewed, Unread

_BEFORE, _AFTER = INSTRUCTION.split("{entity_type}")
_COLUMNS = ("instruction", "input", "output", "id", "passage_id")


def write(file: IO[bytes], passages: Iterable[Exported]) -> None:
    """Write a JSON array of rows, those of one passage next to each other."""
    samples = (sample for passage in passages for sample in passage.samples)
    write_array(file, ({column: getattr(sample, column) for column in _COLUMNS} for sample in samples))


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
