"""Apply a stage to one partition in a worker. Partitions travel as Arrow columns.

Records would have to be pickled one by one, which for cleaning costs more than the work itself (docs/decisions.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from annotator.cleaning.clean import Decider, LabelLog
from annotator.cleaning.corrections import Correction, clean_or_correct
from annotator.cleaning.reviews import Decision, apply
from annotator.duplicates.passages import Fingerprints, fingerprints
from annotator.passages.chunking import chunk_block
from annotator.passages.tokenizers import Tokenizer
from annotator.records import Annotation, Completion, Document, Mention, Passage, Piece, Rejected
from annotator.samples.explode import Negatives, explode
from annotator.storage import tables

if TYPE_CHECKING:
    import pyarrow as pa

PART: Final = 1024
"""Passages or annotations a partition: a tenth of a second of work."""


@dataclass(frozen=True, slots=True)
class Part:
    """What became of one partition."""

    taken: int
    """Records in the partition."""
    made: pa.RecordBatch
    rejected: pa.RecordBatch
    out: int
    """Units that went on, in the unit of the stage."""
    log: LabelLog = field(default_factory=LabelLog)
    """The labels of the partition, where the stage looks at labels."""
    predicted: pa.RecordBatch | None = None
    """The annotations before reviewers' decisions, where the stage applies some."""
    fingerprints: Fingerprints | None = None
    """The n-grams by which its passages are compared with earlier ones, where the stage makes passages."""


def chunk_part(
    documents: pa.RecordBatch, tokenizer: Tokenizer, min_tokens: int, max_tokens: int, *, near_duplicates: bool
) -> Part:
    """Cut one block of documents."""
    block = list(tables.from_batch(documents, Document))
    results = chunk_block(block, tokenizer, min_tokens, max_tokens)
    passages = [result for result in results if isinstance(result, Passage)]
    rejected = [result for result in results if isinstance(result, Rejected)]
    return Part(
        len(block),
        tables.to_batch(passages, tables.PASSAGE),
        tables.to_batch(rejected, tables.REJECTED),
        sum(passage.n_sentences for passage in passages),
        fingerprints=fingerprints([passage.text for passage in passages]) if near_duplicates else None,
    )


def clean_part(
    answered: tuple[pa.RecordBatch, pa.RecordBatch],
    labels: Decider,
    corrections: Mapping[str, Correction],
    reviews: Mapping[str, tuple[Decision, ...]],
) -> Part:
    """Clean answered passages; their answers stand in the same order. ``out`` counts predicted entities.

    ``corrections`` and ``reviews`` hold, by passage id, what people changed.
    """
    passages, completions = answered
    annotations: list[Annotation] = []
    predicted: list[Annotation] = []
    rejected: list[Rejected] = []
    kept, log = 0, LabelLog()
    texts = list(tables.from_batch(passages, Passage, Piece))
    pairs = zip(texts, tables.from_batch(completions, Completion), strict=True)
    for passage, first in zip(texts, clean_or_correct(pairs, labels, corrections), strict=True):
        if first.annotation and reviews:
            predicted.append(first.annotation)
        cleaned = apply(first, passage, reviews.get(passage.id, ()), labels)
        log.add(cleaned)
        rejected += cleaned.rejected
        kept += cleaned.kept
        if cleaned.annotation:
            annotations.append(cleaned.annotation)
    made = tables.to_batch(annotations, tables.ANNOTATION), tables.to_batch(rejected, tables.REJECTED)
    before = tables.to_batch(predicted, tables.ANNOTATION) if reviews else None
    return Part(len(passages), *made, kept, log, before)


def explode_part(annotations: pa.RecordBatch, negatives: Negatives, tokenizer: Tokenizer, max_tokens: int) -> Part:
    """Make the samples of annotated passages."""
    results = list(explode(tables.from_batch(annotations, Annotation, Mention), negatives, tokenizer, max_tokens))
    samples = [result for result in results if not isinstance(result, Rejected)]
    rejected = [result for result in results if isinstance(result, Rejected)]
    made = tables.to_batch(samples, tables.SAMPLE_PART), tables.to_batch(rejected, tables.REJECTED)
    return Part(len(annotations), *made, len(samples))
