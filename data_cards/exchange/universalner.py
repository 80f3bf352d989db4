"""UniversalNER's conversations: the text, then question and answer for each type. It knows strings, not places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Final

from annotator.records import Annotation
from annotator.samples.explode import positives
from data_cards.exchange.alpaca import claims_of
from data_cards.exchange.carrying import Job, Reviewed, Unread
from data_cards.exchange.files import read_items, write_array
from data_cards.exchange.reading import checked

_TEXT: Final = "Text: "
_READ: Final = "I've read this text."  # the form prescribes these words


def write(file: IO[bytes], annotations: Iterable[Annotation], job: Job) -> None:
    """Write a JSON array of conversations."""
    write_array(file, (_conversation(annotation, job) for annotation in annotations))


def _conversation(annotation: Annotation, job: Job) -> dict[str, Any]:
    job.count(annotation, {})
    said = [("human", _TEXT + annotation.text), ("gpt", _READ)]
    for sample in (*positives(annotation), *job.negatives.draw(annotation)):
        said += [("human", sample.instruction), ("gpt", sample.output)]
    return {"id": annotation.passage_id, "conversations": [{"from": who, "value": what} for who, what in said]}


def read(path: Path) -> Iterator[Reviewed | Unread]:
    """Read conversations back."""
    for item in read_items(path):
        yield checked(item, _reviewed)


def _reviewed(item: dict[str, Any]) -> Reviewed:
    said = [turn["value"] for turn in item["conversations"]]
    if not said[0].startswith(_TEXT) or len(said) % 2:
        raise ValueError("the conversation does not begin with the text, or has no last answer")
    claims = tuple(
        claim for question, answer in zip(said[2::2], said[3::2], strict=True) for claim in claims_of(question, answer)
    )
    return Reviewed(item["id"], text=said[0].removeprefix(_TEXT), claims=claims)
