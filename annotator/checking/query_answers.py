"""Read a second teacher's answers to queries, each about one entity type of a passage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from annotator.cleaning.clean import Cleaned, clean_parsed
from annotator.cleaning.replies.mention_lists import read_answer
from annotator.cleaning.replies.parser import ParsedReply
from annotator.records import Passage, RawMention
from annotator.storage import tables
from normalizers.labels import LabelDecision

ABSENT: Final = 0.5
"""Absent types that are asked about, for each type that the first teacher found."""


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """The answer to one query."""

    place: int
    """Index of its passage in the partition."""
    entity_type: str
    reply: str
    finish_reason: str
    logprobs: str = ""
    """Token probabilities of the reply, as in ``annotator.records.Completion``."""


SCHEMA: Final = tables.schema_of(QueryAnswer)


def combined(passage: Passage, answers: Sequence[QueryAnswer]) -> tuple[Cleaned | None, frozenset[str]]:
    """Return all ``answers`` about a passage cleaned together, or None, and the types that they answer.

    Answers that cannot be read or were cut off are ignored.
    """
    mentions: list[RawMention] = []
    types: set[str] = set()
    for one in answers:
        found = read_answer(one.reply)
        if found.readable and one.finish_reason != "length":
            types.add(one.entity_type)
            mentions += [RawMention(text, one.entity_type) for text in found.mentions]
    if not types:
        return None, frozenset()
    return clean_parsed(passage, ParsedReply(tuple(mentions), "ok", ()), _AsAsked()), frozenset(types)


class _AsAsked:
    """Keeps labels as they are, since queries ask about types of the dataset."""

    def decide(self, raw: str) -> LabelDecision:
        return LabelDecision(raw, raw, "kept", "asked")
