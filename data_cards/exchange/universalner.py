"""UniversalNER's conversations: the text, then question and answer for each type. It has strings, not offsets."""

from __future__ import annotations

from typing import Any, Final

from data_cards.exchange.alpaca import predictions_of
from data_cards.exchange.passages import Exported, Reviewed

_TEXT: Final = "Text: "
_READ: Final = "I've read this text."  # the form prescribes these words


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
    predictions = tuple(found for question, answer in pairs for found in predictions_of(question, answer))
    return Reviewed(item["id"], text=turns[0].removeprefix(_TEXT), predictions=predictions)
