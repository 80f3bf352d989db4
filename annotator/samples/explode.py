"""Turn annotated passages into instruction samples: one for each passage and type, negatives, length filter.

Every random choice depends on the seed and the record's id alone, not on the order of records or on processes.
"""

from __future__ import annotations

import hashlib
import json
import random
from bisect import bisect
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import accumulate
from types import MappingProxyType
from typing import Final

from annotator.passages.tokenizers import Tokenizer
from annotator.records import Annotation, Rejected, Sample
from normalizers.labels import related

INSTRUCTION: Final = "What describes {entity_type} in the text?"
_DRAWS: Final = 50
"""Tries for each negative; a passage with nearly every type gets fewer negatives."""


def type_frequency(annotations: Iterable[Annotation]) -> Counter[str]:
    """Count the passages of each type."""
    return Counter(label for annotation in annotations for label in {mention.label for mention in annotation.mentions})


def positives(annotation: Annotation) -> list[Sample]:
    """Return a sample for each type of the passage, in order of first occurrence."""
    by_type: dict[str, dict[str, None]] = {}
    for mention in annotation.mentions:
        by_type.setdefault(mention.label, {})[mention.text] = None
    return [_sample(annotation, entity_type, list(texts)) for entity_type, texts in by_type.items()]


class Negatives:
    """Draws absent types in proportion to their frequency in the corpus (UniversalNER's best setting)."""

    def __init__(self, frequency: Counter[str], ratio: float, seed: int) -> None:
        self._types = sorted(frequency)
        self._cumulative = list(accumulate(frequency[entity_type] for entity_type in self._types))
        self._ratio, self._seed = ratio, seed

    def draw(self, annotation: Annotation) -> list[Sample]:
        """Return samples whose answer is ``[]``."""
        present = {mention.label for mention in annotation.mentions}
        return [_sample(annotation, entity_type, []) for entity_type in self.types(annotation.passage_id, present)]

    def types(self, passage_id: str, present: Collection[str]) -> tuple[str, ...]:
        """Return absent types of a passage: about ``ratio`` for each type that is ``present``.

        A passage without entities gets as many as one with a single type. Types related to one that is present are not
        drawn.
        """
        rng = seeded(self._seed, "negatives", passage_id)
        wanted = self._ratio * max(1, len(present))
        number = int(wanted) + (rng.random() < wanted % 1)
        drawn: dict[str, None] = {}
        for _ in range(_DRAWS * number if self._types else 0):
            if len(drawn) == number:
                break
            candidate = self._types[bisect(self._cumulative, rng.random() * self._cumulative[-1])]
            if candidate not in drawn and not any(related(candidate, label) for label in present):
                drawn[candidate] = None
        return tuple(drawn)


def samples_of(annotation: Annotation, negatives: Negatives, definitions: Mapping[str, str]) -> Iterator[Sample]:
    """Yield the samples of a passage, with their type's definition in the instruction where there is one."""
    for sample in (*positives(annotation), *negatives.draw(annotation)):
        yield replace(sample, instruction=instruction(asked_as(sample.entity_type, definitions)))


def asked_as(entity_type: str, definitions: Mapping[str, str]) -> str:
    """Return how an instruction names a type: with its definition where there is one."""
    definition = definitions.get(entity_type)
    return f"{entity_type} ({definition.rstrip('.')})" if definition else entity_type


def explode(
    annotations: Iterable[Annotation],
    negatives: Negatives,
    tokenizer: Tokenizer,
    max_tokens: int,
    definitions: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Sample | Rejected]:
    """Yield the samples of all passages; those whose input or output exceeds ``max_tokens`` are rejected."""
    for annotation in annotations:
        fits_input = _fits(annotation.text, tokenizer, max_tokens)
        for sample in samples_of(annotation, negatives, definitions):
            if fits_input and _fits(sample.output, tokenizer, max_tokens):
                yield sample
            else:
                part = "output" if fits_input else "input"
                yield Rejected("explode", "too long", sample.id, sample.entity_type, f"{part} over {max_tokens} tokens")


def instruction(asked: str) -> str:
    """Return the question of a sample about a type, which ``asked_as`` names."""
    return INSTRUCTION.format(entity_type=asked)


def seeded(seed: int, *parts: str) -> random.Random:
    """Return a random generator that depends on the seed and ``parts`` alone."""
    return random.Random(digest(seed, *parts))


def digest(seed: int, *parts: str) -> bytes:
    """Return a sha256 of the seed and ``parts``."""
    return hashlib.sha256(json.dumps([seed, *parts], ensure_ascii=False).encode("utf-8")).digest()


def sample_id(passage_id: str, entity_type: str) -> str:
    """Return the id of the sample of a passage and a type."""
    return hashlib.sha256(json.dumps([passage_id, entity_type], ensure_ascii=False).encode("utf-8")).hexdigest()[:16]


def _sample(annotation: Annotation, entity_type: str, texts: list[str]) -> Sample:
    return Sample(
        id=sample_id(annotation.passage_id, entity_type),
        instruction=instruction(entity_type),
        input=annotation.text,
        output=json.dumps(texts, ensure_ascii=False),
        entity_type=entity_type,
        negative=not texts,
        passage_id=annotation.passage_id,
    )


def _fits(text: str, tokenizer: Tokenizer, max_tokens: int) -> bool:
    # A token is at least one byte, so most texts need no tokenizer at all.
    return len(text.encode("utf-8")) <= max_tokens or tokenizer.count(text) <= max_tokens
