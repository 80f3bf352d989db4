"""The questions of a benchmark: one for each type of the set about each passage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from annotator.records import Sample
from training.converting.making import Maker


def query_all(make: Maker, text: str, types: Sequence[str], gold: Mapping[str, Sequence[str]]) -> Iterator[Sample]:
    """Ask for each of ``types``; one without mentions in ``gold`` is answered ``[]``."""
    passage_id = make.passage(text)
    for entity_type in types:
        yield make.query(passage_id, text, entity_type, gold.get(entity_type, ()))
