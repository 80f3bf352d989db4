"""Formats of instructions, with strings and no offsets: Alpaca and UniversalNER.

Alpaca has rows of instruction, input and output, one for each passage and type; UniversalNER has a conversation about
each passage: the text, then question and answer for each type.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import IO, Any, Final

from annotator.samples.explode import INSTRUCTION
from annotator.sources.formats.files import Record, local
from annotator.sources.formats.json import read as read_json
from data_cards.exchange.json_files import checked, write_array
from data_cards.exchange.passages import Exported, Reviewed, Unread

_TEXT: Final = "Text: "
_READ: Final = "I've read this text."  # the form prescribes these words
_BEFORE, _AFTER = INSTRUCTION.split("{entity_type}")
_COLUMNS = ("instruction", "input", "output", "id", "passage_id")


def write_rows(file: IO[bytes], passages: Iterable[Exported]) -> None:
    """Write a JSON array of rows, those of one passage next to each other."""
    samples = (sample for passage in passages for sample in passage.samples)
    write_array(file, ({column: getattr(sample, column) for column in _COLUMNS} for sample in samples))


def read_rows(path: Path) -> Iterator[Reviewed | Unread]:
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
    predictions = tuple(found for row in rows for found in _predictions_of(row["instruction"], row["output"]))
    return Reviewed(rows[0]["passage_id"], text=texts.pop(), predictions=predictions)


def to_conversation(passage: Exported) -> dict[str, Any]:
    """Return the conversation about a passage."""
    turns = [("human", _TEXT + passage.annotation.text), ("gpt", _READ)]
    for sample in passage.samples:
        turns += [("human", sample.instruction), ("gpt", sample.output)]
    messages = [{"from": who, "value": what} for who, what in turns]
    return {"id": passage.annotation.passage_id, "conversations": messages}


def from_conversation(item: dict[str, Any]) -> Reviewed:
    """Read a conversation back."""
    turns = [turn["value"] for turn in item["conversations"]]
    if not turns[0].startswith(_TEXT) or len(turns) % 2:
        raise ValueError("the conversation does not begin with the text, or has no last answer")
    pairs = zip(turns[2::2], turns[3::2], strict=True)
    predictions = tuple(found for question, answer in pairs for found in _predictions_of(question, answer))
    return Reviewed(item["id"], text=turns[0].removeprefix(_TEXT), predictions=predictions)


def _predictions_of(question: str, answer: str) -> list[tuple[str, str]]:
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
