"""The rows of ``agreement.parquet``: each predicted entity of two teachers with its verdict and its doubt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from annotator.checking.compare import AGREED, DIFFERENT, DOUBT, Entity, Pair
from annotator.checking.probabilities import Probabilities
from annotator.storage import tables

INEXACT: Final = 0.05
"""Added where the mention differs from the passage in some letters."""
ACCEPTED: Final = 0.2
REJECTED: Final = 0.95
"""Doubt of what an arbiter accepted and rejected."""
UNSURE: Final = 0.3
"""Share of the remaining certainty that a token of probability 0 removes.

The doubt is 1 - (1 - d)(1 - UNSURE (1 - p)), with d by the verdict and p by the tokens. Disagreement is a much better
sign of wrong entities than token probabilities (AUROC 0.66 to 0.74), so these only order the entities of one verdict
(docs/second-opinion.md).
"""


@dataclass(frozen=True, slots=True)
class Opinion:
    """A predicted entity of either teacher, or of both where they agree."""

    passage_id: str
    mention: str
    start: int
    end: int
    """Its first occurrence, in code points, half open."""
    label: str
    other_label: str
    """The other teacher's type for it; empty where that one predicted nothing."""
    verdict: str
    doubt: float
    """From 0 to 1."""
    teacher: str
    """Who predicted it: ``both``, ``first`` or ``second``."""
    arbiter: str
    """``accepted`` or ``rejected``; empty where no arbiter decided."""
    probability: float | None = None
    """Of its least probable token, the mean of both teachers where they agree; None where it is unknown."""


def schema(*, logprobs: bool) -> pa.Schema:
    """Return the columns of ``agreement.parquet``; ``probability`` only where a teacher was asked for ``logprobs``."""
    columns = tables.schema_of(Opinion)
    return columns if logprobs else columns.remove(columns.get_field_index("probability"))


def opinions(
    passage_id: str,
    pairs: Iterable[Pair],
    accepted: frozenset[tuple[str, str]] | None = None,
    sure: tuple[Probabilities, Probabilities] = ({}, {}),
) -> Iterator[Opinion]:
    """Yield a row for each entity of ``pairs``.

    Args:
        passage_id: of the passage.
        pairs: as ``compare`` returns them.
        accepted: mention and label of the entities that an arbiter accepted; None where none decided.
        sure: probabilities of the entities of the first and of the second teacher.
    """
    for pair in pairs:
        for entity in pair.entities:
            teacher = "both" if pair.verdict == AGREED else "first" if entity is pair.first else "second"
            probability = _probability(pair, teacher, sure)
            is_decided = accepted is not None and pair.verdict in DIFFERENT
            decided = ("accepted" if entity.key in (accepted or ()) else "rejected") if is_decided else ""
            other = pair.second if entity is pair.first else pair.first
            place = entity.places[0]
            yield Opinion(
                passage_id,
                entity.mention,
                place.start,
                place.end,
                entity.label,
                other.label if other else "",
                pair.verdict,
                _doubt(entity, pair.verdict, decided, probability),
                teacher,
                decided,
                probability,
            )


def _probability(pair: Pair, teacher: str, sure: tuple[Probabilities, Probabilities]) -> float | None:
    own = [
        known[entity.key]
        for name, entity, known in zip(("first", "second"), (pair.first, pair.second), sure, strict=True)
        if entity is not None and teacher in (name, "both") and entity.key in known
    ]
    return round(sum(own) / len(own), 4) if own else None


def _doubt(entity: Entity, verdict: str, decided: str, probability: float | None) -> float:
    doubt = {"": DOUBT[verdict], "accepted": ACCEPTED, "rejected": REJECTED}[decided]
    inexact = any(place.match != "exact" for place in entity.places)
    doubt = min(1.0, doubt + INEXACT * inexact)
    if probability is not None:
        doubt = 1 - (1 - doubt) * (1 - UNSURE * (1 - probability))
    return round(doubt, 4)


def read_opinions(path: Path) -> Iterator[Opinion]:
    """Read ``agreement.parquet``; nothing where there is none.

    Raises:
        RunDirError: the file is damaged.
    """
    return tables.read_records(path, Opinion) if path.exists() else iter(())
