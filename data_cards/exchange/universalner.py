"""UniversalNER's conversations: the text, then question and answer for each type. It has strings, not offsets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Final

from annotator.records import Annotation
from annotator.samples.explode import positives
from data_cards.exchange.alpaca import predictions_of
from data_cards.exchange.carrying import Job, Reviewed, Unread
from data_cards.exchange.json_writing import write_array
from data_cards.exchange.reading import read_each

_TEXT: Final = "Text: "
_READ: Final = "I've read this text."  # the form prescribes these words


def write(file: IO[bytes], annotations: Iterable[Annotation], job: Job) -> None:
    """Write a JSON array of conversations."""
    write_array(file, (_conversation(annotation, job) for annotation in annotations))


def _conversation(annotation: Annotation, job: Job) -> dict[str, Any]:
    job.count(annotation, {})
    turns = [("human", _TEXT + annotation.text), ("gpt", _READ)]
    for sample in (*positives(annotation), *job.negatives.draw(annotation)):
        turns += [("human", sample.instruction), ("gpt", sample.output)]
    return {"id": annotation.passage_id, "conversations": [{"from": who, "value": what} for who, what in turns]}


def read(path: Path) -> Iterator[Reviewed | Unread]:
    """Read conversations back."""
    return read_each(path, _reviewed)


def _reviewed(item: dict[str, Any]) -> Reviewed:
    turns = [turn["value"] for turn in item["conversations"]]
    if not turns[0].startswith(_TEXT) or len(turns) % 2:
        raise ValueError("the conversation does not begin with the text, or has no last answer")
    pairs = zip(turns[2::2], turns[3::2], strict=True)
    predictions = tuple(found for question, answer in pairs for found in predictions_of(question, answer))
    return Reviewed(item["id"], text=turns[0].removeprefix(_TEXT), predictions=predictions)
