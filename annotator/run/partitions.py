"""Apply a stage to one partition in a worker. Partitions travel as Arrow columns.

Records would have to be pickled one by one, which for cleaning costs more than the work itself (docs/decisions.md).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from annotator.checking import opinions, probabilities
from annotator.checking.compare import Entity, Pair, candidates, compare, entities_of
from annotator.checking.keeping import apply as keep_only
from annotator.checking.query_answers import QueryAnswer, combined
from annotator.cleaning.clean import Cleaned, Decider, LabelLog, clean_reply
from annotator.cleaning.corrections import REVIEWED, Correction, clean_or_correct
from annotator.cleaning.entity_reviews import Decision, affirmed, apply
from annotator.duplicates.repeated_passages import fingerprints
from annotator.passages.chunking import chunk
from annotator.passages.tokenizers import Tokenizer
from annotator.records import Annotation, Completion, Document, Passage, Rejected
from annotator.samples.explode import Negatives, explode
from annotator.storage import tables

if TYPE_CHECKING:
    import pyarrow as pa

    from annotator.duplicates.ngrams import Hashes

PART: Final = 1024
"""Passages or annotations a partition: a tenth of a second of work."""


class Answered(NamedTuple):
    """Answered passages with their answers, in the same order."""

    passages: pa.RecordBatch
    completions: pa.RecordBatch
    second: pa.RecordBatch | None = None
    """Answers of the second teacher, where there is one, in the order of the passages: rows of ``QueryAnswer``, without
    a type where it was asked about a whole passage."""

    def pairs(self) -> Iterator[tuple[Passage, Completion]]:
        """Yield each passage with its answer."""
        passages, answers = tables.from_batch(self.passages, Passage), tables.from_batch(self.completions, Completion)
        return zip(passages, answers, strict=True)

    def checked(self) -> set[str]:
        """Return the ids of the passages that the second teacher has answered as well."""
        ids = self.passages.column("id").to_pylist()
        return {ids[place] for place in self.second.column("place").to_pylist()} if self.second is not None else set()


@dataclass(frozen=True, slots=True)
class Check:
    """How cleaning uses the answers of a second teacher."""

    keep: str
    """One of ``annotator.checking.keeping.KEEP``."""
    accepted: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)
    """By passage id, mention and label of the entities that the arbiter accepted; only passages that it decided."""


@dataclass(frozen=True, slots=True)
class People:
    """What people decided, by passage id."""

    corrections: Mapping[str, Correction]
    reviews: Mapping[str, tuple[Decision, ...]]


@dataclass(frozen=True, slots=True)
class Part:
    """The result of one partition."""

    size: int
    """Records in the partition."""
    kept: pa.RecordBatch
    rejected: pa.RecordBatch
    out: int
    """Kept units, in the unit of the stage."""
    log: LabelLog = field(default_factory=LabelLog)
    """The labels of the partition; cleaning only, as the next three."""
    predicted: pa.RecordBatch | None = None
    """The annotations before reviewers' decisions, where there are any."""
    agreement: pa.RecordBatch | None = None
    """The entities of two teachers, where a second one was asked."""
    probabilities: pa.RecordBatch | None = None
    """The first teacher's probability of each entity, where its answers have token probabilities."""
    fingerprints: list[Hashes] | None = None
    """The n-grams by which passages are compared with earlier ones; chunking only."""


def chunk_part(
    documents: pa.RecordBatch,
    tokenizer: Tokenizer,
    min_tokens: int,
    max_tokens: int,
    *,
    pack: bool,
    near_duplicates: bool,
) -> Part:
    """Cut one block of documents."""
    block = list(tables.from_batch(documents, Document))
    results = list(chunk(block, tokenizer, min_tokens, max_tokens, pack=pack))
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
    answered: Answered, labels: Decider, people: People, check: Check | None = None, *, logprobs: bool = False
) -> Part:
    """Clean answered passages, and compare them with a second teacher's. ``out`` counts predicted entities.

    With ``logprobs``, token probabilities in the answers give the probability of each entity.
    """
    passages, reviews = answered.passages, people.reviews
    annotations: list[Annotation] = []
    predicted: list[Annotation] = []
    compared: list[opinions.Opinion] = []
    probable: list[probabilities.EntityProbability] = []
    rejected: list[Rejected] = []
    kept, log = 0, LabelLog()
    for passage, first, pairs, sure in _both(answered, labels, people.corrections, logprobs=logprobs):
        cleaned = judged = first
        decisions = reviews.get(passage.id, ())
        probable += probabilities.rows(passage.id, sure[0])
        if check and pairs is not None:
            accepted = check.accepted.get(passage.id)
            compared += opinions.opinions(passage.id, pairs, accepted, sure)
            judged = keep_only(first, pairs, check.keep, accepted)
            cleaned = keep_only(first, pairs, check.keep, accepted, affirmed(passage, decisions))
        # ``judged`` lacks entities that stay only because a person confirmed them: they would bias the estimate.
        if judged.annotation and reviews:
            predicted.append(judged.annotation)
        cleaned = apply(cleaned, passage, decisions, labels)
        log.add(cleaned)
        rejected += cleaned.rejected
        kept += cleaned.kept
        if cleaned.annotation:
            annotations.append(cleaned.annotation)
    return Part(
        len(passages),
        tables.to_batch(annotations, tables.ANNOTATION),
        tables.to_batch(rejected, tables.REJECTED),
        kept,
        log,
        predicted=tables.to_batch(predicted, tables.ANNOTATION) if reviews else None,
        agreement=tables.to_batch(compared, opinions.schema(logprobs=logprobs)) if check else None,
        probabilities=tables.to_batch(probable, probabilities.SCHEMA) if probable else None,
    )


def differences_part(
    answered: Answered,
    labels: Decider,
    corrections: Mapping[str, Correction],
    shown: Callable[[str, Sequence[Entity]], str],
) -> list[tuple[str, str, list[Entity]]]:
    """Return for each passage on which two teachers differ its id, the text of the question, and the candidates."""
    found = []
    for passage, _, pairs, _ in _both(answered, labels, corrections):
        if differing := candidates(pairs or []):
            found.append((passage.id, shown(passage.text, differing), differing))
    return found


def outlines_part(answered: Answered, labels: Decider) -> list[tuple[str, Counter[str] | None]]:
    """Return for each passage its id and the first teacher's entities by type; None where its answer is unreadable."""
    found: list[tuple[str, Counter[str] | None]] = []
    for passage, answer in answered.pairs():
        annotation = clean_reply(passage, answer, labels).annotation
        found.append((passage.id, Counter(one.label for one in entities_of(annotation)) if annotation else None))
    return found


class _Compared(NamedTuple):
    passage: Passage
    first: Cleaned
    """The first teacher's answer, cleaned."""
    pairs: list[Pair] | None
    """Its entities compared with the second teacher's; None where that one gave no readable answer, or where a person
    has set the entities."""
    sure: tuple[probabilities.Probabilities, probabilities.Probabilities]
    """Each teacher's probabilities of its entities."""


def _both(
    answered: Answered, labels: Decider, corrections: Mapping[str, Correction], *, logprobs: bool = False
) -> Iterator[_Compared]:
    """Clean the answers of the first teacher, and compare them with those of the second."""
    replies = list(answered.pairs())
    seconds: defaultdict[int, list[QueryAnswer]] = defaultdict(list)
    for other in tables.from_batch(answered.second, QueryAnswer) if answered.second is not None else ():
        seconds[other.place].append(other)
    cleaned = clean_or_correct(replies, labels, corrections)
    for place, ((passage, answer), first) in enumerate(zip(replies, cleaned, strict=True)):
        pairs, sure = None, [dict[tuple[str, str], float](), {}]
        if first.annotation and first.annotation.reply_status != REVIEWED:
            second, asked = _found_by_second(passage, seconds[place], labels)
            pairs = compare(first.annotation, second, asked) if second else None
            if logprobs:
                sure[0] = probabilities.of_entities(entities_of(first.annotation), answer.reply, answer.logprobs)
            if logprobs and second:
                for other in seconds[place]:
                    own = [one for one in entities_of(second) if other.entity_type in ("", one.label)]
                    sure[1] |= probabilities.of_entities(own, other.reply, other.logprobs)
        yield _Compared(passage, first, pairs, (sure[0], sure[1]))


def _found_by_second(
    passage: Passage, answers: Sequence[QueryAnswer], labels: Decider
) -> tuple[Annotation | None, frozenset[str] | None]:
    """Return the entities of the second teacher, and the types that it was asked about; None for all types."""
    if not answers:
        return None, None
    if answers[0].entity_type:
        by_query, types = combined(passage, answers)
        return by_query.annotation if by_query else None, types
    whole = Completion("", passage.id, answers[0].reply, answers[0].finish_reason, 0, 0, 0.0, 0.0)
    return clean_reply(passage, whole, labels).annotation, None


def explode_part(
    annotations: pa.RecordBatch,
    negatives: Negatives,
    tokenizer: Tokenizer,
    max_tokens: int,
    definitions: Mapping[str, str],
) -> Part:
    """Make the samples of annotated passages."""
    passages = tables.from_batch(annotations, Annotation)
    results = list(explode(passages, negatives, tokenizer, max_tokens, definitions))
    samples = [result for result in results if not isinstance(result, Rejected)]
    rejected = [result for result in results if isinstance(result, Rejected)]
    return Part(
        len(annotations),
        tables.to_batch(samples, tables.SAMPLE),
        tables.to_batch(rejected, tables.REJECTED),
        len(samples),
    )
