"""The answers of a predictor beside the queries of a benchmark, and what is amiss with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotator.records import Sample
from training.score.answers import read_answer


@dataclass(frozen=True, slots=True)
class Answers:
    """What a predictor said to the queries of a benchmark."""

    mentions: tuple[tuple[str, ...], ...]
    """Of each query, in the order of the benchmark; none where there is no answer or no readable one."""
    unparsable: int
    """Answers in which no list could be found."""
    missing: int
    """Queries without an answer; they count as answered with ``[]``."""
    unknown: int
    """Answers whose id is none of the benchmark's; they count for nothing."""


def join(samples: Sequence[Sample], predictions: Mapping[str, str]) -> Answers:
    """Put the answers beside the queries."""
    read = [read_answer(predictions[sample.id]) if sample.id in predictions else None for sample in samples]
    known = {sample.id for sample in samples}
    return Answers(
        mentions=tuple(answer.mentions if answer else () for answer in read),
        unparsable=sum(answer is not None and not answer.readable for answer in read),
        missing=sum(answer is None for answer in read),
        unknown=sum(identity not in known for identity in predictions),
    )


def tell_of(answers: Answers, name: str, say: Callable[[str], Any]) -> None:
    """Say what a reader of the figures must know of the answers, a line each."""
    queries = len(answers.mentions)
    for number, what in (
        (answers.missing, "have no answer and count as answered with []"),
        (answers.unparsable, "have an answer without a readable list, which counts as []"),
    ):
        if number:
            say(f"{name}: {number:,} of {queries:,} queries {what}")
    if answers.unknown:
        say(f"{name}: {answers.unknown:,} answers have an id that the benchmark does not have; they count for nothing")
