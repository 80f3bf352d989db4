"""Read a batch of a file for the audit: columns of hashes for the database, and counts.

The functions ``read_...`` run in worker processes; texts do not leave them.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annotator.samples.explode import sample_id
from data_cards.audit.arrays import Hashes, Ints, bools, encoded, hashed, hashes, ints, syllables
from data_cards.audit.database import Part
from data_cards.audit.ngrams import ngrams_of

_JSON: Final = json.JSONEncoder(ensure_ascii=False).encode
"""Writes an answer as exploding does."""


def document_rows(batch: pa.RecordBatch) -> pa.Table:
    """Return ids and sources."""
    return pa.table({"id": hashes(batch.column("id")), "source": batch.column("source")})


def read_passages(batch: pa.RecordBatch) -> Part:
    """Read lengths, texts and pieces."""
    column = batch.column("pieces")
    lengths, ids = ints(pc.list_value_length(column)), hashes(batch.column("id"))
    documents = hashes(pc.struct_field(column.flatten(), "document_id"))
    first = np.cumsum(lengths) - lengths
    of_first = pa.array(np.append(documents, np.uint64(0))[np.where(lengths > 0, first, -1)], mask=lengths == 0)
    return Part(
        {
            "passages": pa.table({"id": ids, "text": hashes(batch.column("text")), "document": of_first}),
            "pieces": pa.table({"passage": np.repeat(ids, lengths), "document": documents}),
        },
        {
            "tokens": _counts(batch.column("n_tokens")),
            "cuts": Counter({name or "none": number for name, number in _counts(batch.column("cut")).items()}),
            "joined": Counter({True: int((lengths > 1).sum())}),
        },
    )


def read_annotations(batch: pa.RecordBatch, too_long: Hashes) -> Part:
    """Read mentions, check their offsets, and work out which samples must follow.

    Args:
        batch: rows of ``annotations.parquet``.
        too_long: hashes of the ids of the samples that the length filter rejected.
    """
    column = batch.column("mentions")
    mentions, lengths = column.flatten(), ints(pc.list_value_length(column))
    label, text, start, end = (mentions.field(name) for name in ("label", "text", "start", "end"))
    ids = hashes(batch.column("passage_id"))
    nested, conflicts = nesting(np.repeat(np.arange(len(batch)), lengths), ints(start), ints(end))
    broken, expected = _follow(batch, lengths, (label, text, start, end), too_long)
    return Part(
        {
            "annotations": pa.table({"passage": ids, "text": hashes(batch.column("text"))}),
            "mentions": _mentions(np.repeat(ids, lengths), label, text),
            "expected": expected,
        },
        {
            "match": _counts(mentions.field("match")),
            "status": _counts(batch.column("reply_status")),
            "spans": Counter({"nested": nested, "several labels": conflicts, "broken": broken}),
        },
    )


def read_samples(some: tuple[int, pa.RecordBatch], *, compared: bool, alone: bool) -> Part:
    """Read samples.

    Args:
        some: the number of their split, and the samples.
        compared: whether there are other splits to compare the passages with.
        alone: whether there are no annotations, so that mentions are read from the answers.
    """
    split, rows = some
    whole = rows.drop_null() if any(column.null_count for column in rows.columns) else rows
    batch = distinct(whole)
    inputs = batch.hashes[batch.codes]
    empty = bools(pc.equal(whole.column("output"), "[]"))
    negative = bools(whole.column("negative")) if "negative" in whole.schema.names else empty
    wrong = Counter({"incomplete": len(rows) - len(whole), "contradicting": int((negative != empty).sum())})
    zeros = np.zeros(len(whole), np.uint64)
    tables = {
        "samples": pa.table(
            {
                "split": np.full(len(whole), split, np.uint8),
                "passage": zeros if alone else hashes(whole.column("passage_id")),
                "input": inputs,
                "label": _text(whole.column("entity_type")),
                "answer": zeros if alone else hashes(whole.column("output")),
                "negative": negative,
            }
        )
    }
    if alone:
        tables["mentions"] = _read_answers(whole, batch, inputs, wrong)
    if compared:
        tables["ngrams"] = _ngrams(batch, split)
    return Part(tables, {"wrong": wrong})


@dataclass(frozen=True, slots=True)
class Distinct:
    """The distinct passages of a batch of samples."""

    rows: pa.RecordBatch
    texts: list[str]
    codes: Ints
    """For each sample, the number of its passage."""
    hashes: Hashes

    def identity(self, number: int) -> str:
        """Return the (smallest) id of a passage, empty where samples have none."""
        if "passage_id" not in self.rows.schema.names:
            return ""
        return min(map(str, self.rows.column("passage_id").take(np.flatnonzero(self.codes == number)).to_pylist()))


def distinct(rows: pa.RecordBatch) -> Distinct:
    """Find the distinct passages of a batch of samples."""
    texts, codes = encoded(rows.column("input"))
    return Distinct(rows, texts, codes, hashed(texts))


def nesting(owner: Ints, start: Ints, end: Ints) -> tuple[int, int]:
    """Count the distinct spans that lie within another of the same passage, and those that occur twice or more."""
    order = np.lexsort((-end, start, owner))
    owner, start, end = owner[order], start[order], end[order]
    if not len(owner):
        return 0, 0
    begins = np.flatnonzero(np.r_[True, (owner[1:] != owner[:-1]) | (start[1:] != start[:-1]) | (end[1:] != end[:-1])])
    conflicts = int((np.diff(np.r_[begins, len(owner)]) > 1).sum())
    owner, end = owner[begins], end[begins]
    far = int(end.max()) + 1
    reach = np.maximum.accumulate(owner * far + end)
    nested = (owner[1:] == owner[:-1]) & (reach[:-1] >= owner[1:] * far + end[1:])
    return int(nested.sum()), conflicts


def _follow(
    batch: pa.RecordBatch, lengths: Ints, columns: tuple[pa.Array, ...], too_long: Hashes
) -> tuple[int, pa.Table]:
    """Count the mentions that are not the slice at their offsets, and list the samples that must follow."""
    ids, labels, outputs = [], [], []
    broken = 0
    fields = zip(*(column.to_pylist() for column in columns), strict=True)
    for identity, passage, length in zip(
        batch.column("passage_id").to_pylist(), batch.column("text").to_pylist(), lengths.tolist(), strict=True
    ):
        by_type: dict[str, dict[str, None]] = {}
        for label, text, start, end in islice(fields, length):
            broken += passage[start:end] != text or not 0 <= start < end
            by_type.setdefault(label, {})[text] = None
        for label, found in by_type.items():
            ids.append(identity)
            labels.append(label)
            outputs.append(_JSON(list(found)))
    columns_of = {"passage": hashed(ids), "label": pa.array(labels, pa.string()), "answer": hashed(outputs)}
    expected = pa.table(columns_of)
    if len(too_long) and len(expected):
        names = zip(ids, labels, strict=True)
        expected = expected.filter(pa.array(~np.isin(hashed([sample_id(*name) for name in names]), too_long)))
    return broken, expected


def _mentions(passages: Hashes, labels: pa.Array, texts: pa.Array) -> pa.Table:
    return pa.table(
        {
            "passage": passages,
            "label": _text(labels),
            "text": hashes(pc.utf8_lower(texts)),
            "syllables": syllables(texts).astype(np.int32),
            "characters": pc.utf8_length(texts),
        }
    )


def _ngrams(batch: Distinct, split: int) -> pa.Table:
    found = ngrams_of(batch.texts)
    owners = found.owners
    return pa.table(
        {
            "hash": found.hashes,
            "passage": batch.hashes[owners],
            "split": np.full(len(owners), split, np.uint8),
            "size": found.sizes[owners].astype(np.int32),
        }
    )


def _read_answers(rows: pa.RecordBatch, batch: Distinct, inputs: Hashes, wrong: Counter[str]) -> pa.Table:
    read = [_answer(output) for output in rows.column("output").to_pylist()]
    answers = [answer or [] for answer in read]
    wrong["unreadable"] = read.count(None)
    wrong["absent"] = sum(
        not all(mention in batch.texts[code] for mention in answer)
        for answer, code in zip(answers, batch.codes.tolist(), strict=True)
    )
    owner = np.repeat(np.arange(len(answers)), [len(answer) for answer in answers])
    texts = pa.array([text for answer in answers for text in answer], pa.string())
    return _mentions(inputs[owner], _text(rows.column("entity_type")).take(pa.array(owner)), texts)


def _answer(output: str) -> list[str] | None:
    """Return the mentions of an answer; None where it is not a JSON list of strings."""
    try:
        answer = json.loads(output)
    except ValueError:
        return None
    return answer if isinstance(answer, list) and all(isinstance(item, str) for item in answer) else None


def _text(column: pa.Array) -> pa.Array:
    return column.cast(pa.string())


def _counts(column: pa.Array) -> Counter[Any]:
    return Counter({row["values"]: row["counts"] for row in column.value_counts().to_pylist()})
