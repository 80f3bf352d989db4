"""GLiNER's training data: tokens, spans of tokens with both ends included, and types that are not there.

It holds nesting, but one label a span: its data processor keeps the last one of a span alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from annotator.records import Annotation, Mention
from data_cards.exchange.carrying import SEVERAL_LABELS, Job, Reviewed, Unread, lost_off_tokens
from data_cards.exchange.json_writing import write_array
from data_cards.exchange.reading import read_each
from data_cards.exchange.tokens import covered, syllables


def lost(annotation: Annotation) -> dict[Mention, str]:
    """Spans within tokens, and further labels of a span."""
    seen: set[tuple[int, int]] = set()
    left_out = lost_off_tokens(annotation.mentions, syllables(annotation.text))
    for mention in annotation.mentions:
        if (mention.start, mention.end) in seen:
            left_out.setdefault(mention, SEVERAL_LABELS)
        seen.add((mention.start, mention.end))
    return left_out


def write(file: IO[bytes], annotations: Iterable[Annotation], job: Job) -> None:
    """Write a JSON array."""
    write_array(file, (_item(annotation, job) for annotation in annotations))


def _item(annotation: Annotation, job: Job) -> dict[str, Any]:
    places, left_out = syllables(annotation.text), lost(annotation)
    job.count(annotation, left_out)
    return {
        "passage_id": annotation.passage_id,
        "tokenized_text": [annotation.text[start:end] for start, end in places],
        "ner": [
            [*covered(places, mention.start, mention.end), mention.label]
            for mention in annotation.mentions
            if mention not in left_out
        ],
        "ner_negatives": [sample.entity_type for sample in job.negatives.draw(annotation)],
    }


def read(path: Path) -> Iterator[Reviewed | Unread]:
    """Read such an array, or one item a line."""
    return read_each(path, _reviewed)


def _reviewed(item: dict[str, Any]) -> Reviewed:
    spans = tuple((first, last + 1, label) for first, last, label in item["ner"])
    return Reviewed(item["passage_id"], spans, tokens=tuple(item["tokenized_text"]))
