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
"""Types that the first teacher did not find and that are asked about, for each type that it found."""


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """The answer to one query."""

    place: int
    """Which passage of its partition it is about."""
    entity_type: str
    reply: str
    finish_reason: str
    logprobs: str = ""
    """Token probabilities of the reply, as in ``annotator.records.Completion``."""


SCHEMA: Final = tables.schema_of(QueryAnswer)


def combined(passage: Passage, answers: Sequence[QueryAnswer]) -> tuple[Cleaned | None, frozenset[str]]:
    """Return what came of all ``answers`` about a passage together, and the types that they answer.

    An answer that cannot be read or was cut off answers nothing; None where no answer is left.
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
    """Leaves labels as they are: the types that are asked about are those of the dataset already."""

    def decide(self, raw: str) -> LabelDecision:
        return LabelDecision(raw, raw, "kept", "asked")
