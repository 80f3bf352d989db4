"""Compute the probability of each entity from the token probabilities of the reply.

It is that of the least probable token from the first of the mention to the last of the type (SelfCheckGPT's
Max(-log p): Manakul, Liusie and Gales 2023), since one wrong token makes a wrong span or type. Tokens between mention
and type count too: the quote after a mention decides where it ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from annotator.checking.compare import Entity
from annotator.config.settings import RunConfig
from annotator.storage import tables
from annotator.teachers.token_logprobs import least_probability

Probabilities: TypeAlias = Mapping[tuple[str, str], float]
"""By mention and type of an entity of one passage."""
_BETWEEN: Final = r"\W{1,40}(?:\w{1,20}\W{1,40})?"
"""Between a mention and its type: punctuation, and at most one word, such as the key ``type``."""


@dataclass(frozen=True, slots=True)
class EntityProbability:
    """A row of ``probabilities.parquet``: an entity and the probability of its least probable token."""

    passage_id: str
    mention: str
    label: str
    probability: float


SCHEMA: Final = tables.schema_of(EntityProbability)


def asks_for_logprobs(config: RunConfig) -> bool:
    """Return whether the teacher of ``config`` is asked for token probabilities (``--option logprobs=true``)."""
    return bool(config.options.get("logprobs"))


def of_entities(entities: Iterable[Entity], reply: str, logprobs: str) -> dict[tuple[str, str], float]:
    """Return the probability of each of the ``entities`` of ``reply``, by mention and type.

    ``logprobs`` has the form of ``annotator.teachers.token_logprobs``; if it is empty, so is the result. An entity that
    the reply names with other letters has no probability.
    """
    found = {}
    for entity in entities if logprobs else ():
        for start, end in _named(entity, reply):
            value = least_probability(logprobs, reply, start, end)
            if value is not None:
                found[entity.key] = round(value, 4)
    return found


def rows(passage_id: str, found: Probabilities) -> Iterator[EntityProbability]:
    """Yield the rows of one passage."""
    return (EntityProbability(passage_id, mention, label, value) for (mention, label), value in found.items())


def read_probabilities(path: Path) -> Iterator[EntityProbability]:
    """Read ``probabilities.parquet``; nothing where there is none.

    Raises:
        RunDirError: the file is damaged.
    """
    return tables.read_records(path, EntityProbability) if path.exists() else iter(())


def _named(entity: Entity, reply: str) -> Iterator[tuple[int, int]]:
    """Yield the last span in ``reply`` that names an entity, with its type if that follows, or nothing."""
    mention, quoted = rf"(?<!\w){re.escape(entity.mention)}(?!\w)", rf"(?<=\"){re.escape(entity.mention)}(?=\")"
    labels = "|".join(re.escape(label) for label in dict.fromkeys(place.raw_label for place in entity.places))
    for pattern in (*(rf"{one}{_BETWEEN}(?:{labels})(?!\w)" for one in (quoted, mention)), quoted, mention):
        last = None
        for last in re.finditer(pattern, reply):  # noqa: B007 - the last one counts
            pass
        if last:
            yield last.span()
            return
