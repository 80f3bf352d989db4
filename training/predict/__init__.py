"""Who answers the queries of a benchmark: a student, a teacher behind an endpoint, or a tagger to compare with.

Another predictor is one module with a function that returns a ``Predictor``, and one line in ``making.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from annotator.progress import Progress
from annotator.records import Sample

Prediction: TypeAlias = tuple[str, str]
"""The id of a query, and the answer as it was given."""

Answering: TypeAlias = Callable[[Sequence[Sample], Container[str], Progress], Iterator[Prediction]]
"""Answers the queries of a benchmark, in any order, and advances the progress by each that it is done with.

It is given all of them and the ids that are answered already, so that what belongs together (a batch, a passage) is the
same whether a run was interrupted or not. It may answer a known one again; the first answer stays.
"""


@dataclass(frozen=True, slots=True)
class Predictor:
    """Something that answers queries."""

    identity: Mapping[str, Any]
    """All that decides its answers besides the query, as JSON."""
    answer: Answering
