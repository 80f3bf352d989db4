"""GLiNER's training data: tokens, spans of tokens with both ends included, and types that are not there.

It holds nested spans, but only one label for each: GLiNER's data processor keeps the last one.
"""

from __future__ import annotations

from typing import Any

from annotator.records import Annotation, Mention
from data_cards.exchange.passages import SEVERAL_LABELS, Exported, Reviewed, lost_off_tokens
from data_cards.exchange.places import covered, syllables


def lost(annotation: Annotation) -> dict[Mention, str]:
    """Return spans within tokens, and further labels of a span."""
    seen: set[tuple[int, int]] = set()
    left_out = lost_off_tokens(annotation.mentions, syllables(annotation.text))
    for mention in annotation.mentions:
        if (mention.start, mention.end) in seen:
            left_out.setdefault(mention, SEVERAL_LABELS)
        seen.add((mention.start, mention.end))
    return left_out


def to_item(passage: Exported) -> dict[str, Any]:
    """Return the item of a passage."""
    annotation = passage.annotation
    places = syllables(annotation.text)
    return {
        "passage_id": annotation.passage_id,
        "tokenized_text": [annotation.text[start:end] for start, end in places],
        "ner": [[*covered(places, one.start, one.end), one.label] for one in annotation.mentions],
        "ner_negatives": [sample.entity_type for sample in passage.samples if sample.negative],
    }


def from_item(item: dict[str, Any]) -> Reviewed:
    """Read such an item back."""
    spans = tuple((first, last + 1, label) for first, last, label in item["ner"])
    return Reviewed(item["passage_id"], spans, tokens=tuple(item["tokenized_text"]))
