"""Read the files of a dataset into the database of the audit, batch by batch, with hashes in place of texts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from annotator.duplicates.ngrams import ngrams
from annotator.samples.explode import sample_id
from annotator.storage import tables
from annotator.storage.rundir import RunDir
from data_cards.audit.database import Database

N: Final = 8
"""Syllables of an n-gram."""
BEGINNING: Final = 120
"""Characters of a passage that an example shows."""

_MARKS: Final = "[\u0300-\u036f]"
"""Combining marks, as decomposed Vietnamese has them."""
_BITS: Final = np.uint64(48)
"""Bits of an n-gram's hash that are kept; the bits above them have the number of its text while a batch is sorted."""
_REST: Final = np.uint64(64) - _BITS
_JSON: Final = json.JSONEncoder(ensure_ascii=False).encode
"""Writes an answer as exploding does."""
_STRINGS: Final = pa.list_(pa.string())
_PASSAGES: Final = """
SELECT hashed(id), hash, hashed(pieces[1].document_id), n_tokens, cut, len(pieces) FROM batch
"""
_PIECES: Final = "SELECT hashed(id), hashed(unnest(pieces).document_id) FROM batch"
_ANNOTATIONS: Final = "SELECT hashed(passage_id), hash, reply_status FROM batch"
_MEASURES: Final = """
hashed(lower(text)), len(regexp_extract_all(text, '[^\\s\\pZ\\x0b\\x1c-\\x1f\\x{85}]+')), length(text)
"""
"""Of a mention: its hash, its syllables (what white space separates) and its characters."""
_MENTIONS: Final = f"""
SELECT passage, label, {_MEASURES}, "start", "end", match,
       "start" < 0 OR "start" >= "end" OR substr(body, "start" + 1, "end" - "start") <> text
FROM (SELECT hashed(passage_id) AS passage, text AS body, unnest(mentions, max_depth := 2)
      FROM (SELECT passage_id, text, mentions FROM batch))
"""  # noqa: S608 - an expression of this module
_EXPECTED: Final = "SELECT hashed(passage), label, hashed(answer) FROM batch"
_SAMPLES: Final = """
SELECT split, hashed(passage_id), hash, entity_type, hashed(output), negative FROM batch
"""
_TEXTS: Final = """
SELECT hash, split, min(passage_id), left(any_value(input), {beginning}) FROM batch GROUP BY hash, split
"""
_ANSWERED: Final = f"""
SELECT passage, label, {_MEASURES}, NULL, NULL, NULL, NULL
FROM (SELECT hash AS passage, entity_type AS label, unnest(mentions) AS text FROM batch)
"""  # noqa: S608 - an expression of this module
_NGRAMS: Final = """
SELECT unnest(ngrams), hash, {split}, size FROM (SELECT ngrams, hash, len(ngrams) AS size FROM batch)
"""


def read_documents(database: Database, run: RunDir) -> None:
    """Read ids and sources."""
    for batch in tables.batches(run.documents, ["id", "source"]) if run.documents.exists() else ():
        database.insert("documents", "SELECT hashed(id), source FROM batch", batch)


def read_passages(database: Database, run: RunDir) -> None:
    """Read lengths, texts and pieces."""
    for batch in tables.batches(run.passages, ["id", "text", "n_tokens", "cut", "pieces"]):
        database.insert("passages", _PASSAGES, batch.append_column("hash", _hashes(batch["text"])))
        database.insert("pieces", _PIECES, batch)


def read_annotations(database: Database, run: RunDir) -> None:
    """Read mentions, and the samples that must follow from them."""
    left_out = _too_long(run.rejected)
    for batch in tables.batches(run.annotations, ["passage_id", "text", "mentions", "reply_status"]):
        database.insert("annotations", _ANNOTATIONS, batch.append_column("hash", _hashes(batch["text"])))
        database.insert("mentions", _MENTIONS, batch)
        database.insert("expected", _EXPECTED, _following(batch, left_out))


def read_samples(
    database: Database, split: int, batches: Iterable[pa.RecordBatch], *, compared: bool, alone: bool
) -> Counter[str]:
    """Read the samples of a split; return the number of wrong ones by kind.

    Args:
        database: where they go.
        split: the number of the split.
        batches: the samples, with the columns ``negative`` and ``passage_id`` if they have them.
        compared: whether there are other splits to compare the passages with.
        alone: whether there are no annotations, so that mentions are read from the answers.
    """
    wrong: Counter[str] = Counter()
    for rows in batches:
        columns = zip(rows.schema.names, rows.columns, strict=True)
        plain = {name: column if name == "negative" else column.cast(pa.string()) for name, column in columns}
        table = pa.record_batch(plain).drop_null()
        wrong["incomplete"] += len(rows) - len(table)
        empty = pc.equal(table["output"], "[]")
        if "negative" not in plain:
            table = table.append_column("negative", empty)
        if "passage_id" not in plain:
            table = table.append_column("passage_id", pa.repeat("", len(table)))
        wrong["contradicting"] += pc.sum(pc.not_equal(table["negative"], empty)).as_py() or 0
        table = table.append_column("split", pa.repeat(pa.scalar(split, pa.uint8()), len(table)))
        table = table.append_column("hash", _hashes(table["input"]))
        database.insert("samples", _SAMPLES, table)
        database.insert("texts", _TEXTS.format(beginning=BEGINNING), table)
        if alone:
            answers = [_answer(output) for output in table["output"].to_pylist()]
            wrong["unreadable"] += answers.count(None)
            wrong["absent"] += sum(
                not all(mention in text for mention in answer or ())
                for text, answer in zip(table["input"].to_pylist(), answers, strict=True)
            )
            database.insert("mentions", _ANSWERED, table.append_column("mentions", pa.array(answers, _STRINGS)))
        if compared:
            texts = table["input"].unique()
            found = pa.table({"hash": _hashes(texts), "ngrams": ngrams_of(texts)})
            database.insert("ngrams", _NGRAMS.format(split=split), found)
    return wrong


def ngrams_of(texts: pa.Array) -> pa.ListArray:
    """Hash the distinct n-grams of each text, ignoring case, white space and the Unicode form."""
    if pc.any(pc.match_substring_regex(texts, _MARKS)).as_py():
        texts = pc.utf8_normalize(texts, form="NFC")
    words = pc.utf8_split_whitespace(pc.utf8_trim_whitespace(pc.utf8_lower(texts)))
    found = ngrams(_hashes(words.flatten()).to_numpy(), N)
    owner = np.repeat(np.arange(len(texts), dtype=np.uint64), pc.list_value_length(words).to_numpy())
    whole = owner[: len(found)] == owner[N - 1 :]  # it ends in the text in which it begins
    packed = np.sort(owner[: len(found)][whole] << _BITS | found[whole] >> _REST)
    packed = packed[np.flatnonzero(np.diff(packed, prepend=~packed[:1]))]
    sizes = np.bincount((packed >> _BITS).astype(np.int64), minlength=len(texts))
    return pa.ListArray.from_arrays(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32), packed << _REST)


def _hashes(texts: pa.Array) -> pa.Array:
    """Return a 64-bit hash of each text, the same on every machine; each distinct text is hashed once."""
    coded = texts.dictionary_encode()
    found = pd.util.hash_array(coded.dictionary.to_numpy(zero_copy_only=False), categorize=False)
    return pa.array(found[coded.indices.to_numpy()], pa.uint64())


def _too_long(path: Path) -> set[str]:
    """Return the ids of the samples that the length filter rejected."""
    batches = tables.batches(path, ["stage", "record_id"]) if path.exists() else ()
    exploded = (batch.filter(pc.equal(batch.column("stage"), "explode")) for batch in batches)
    return {identity for part in exploded for identity in part.column("record_id").to_pylist()}


def _following(batch: pa.RecordBatch, left_out: set[str]) -> pa.Table:
    """Return the samples that must follow from annotations: passage, label and answer, without those left out."""
    rows = []
    mentions = batch["mentions"].flatten()
    pairs = zip(mentions.field("label").to_pylist(), mentions.field("text").to_pylist(), strict=True)
    numbers = pc.list_value_length(batch["mentions"]).to_pylist()
    for passage, number in zip(batch["passage_id"].to_pylist(), numbers, strict=True):
        by_type: dict[str, dict[str, None]] = {}
        for label, text in islice(pairs, number):
            by_type.setdefault(label, {})[text] = None
        for label, texts in by_type.items():
            if not left_out or sample_id(passage, label) not in left_out:
                rows.append((passage, label, _JSON(list(texts))))
    columns = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table([pa.array(column, pa.string()) for column in columns], ["passage", "label", "answer"])


def _answer(output: str) -> list[str] | None:
    """Return the mentions of an answer; None where it is not a JSON list of strings."""
    try:
        answer = json.loads(output)
    except ValueError:
        return None
    return answer if isinstance(answer, list) and all(isinstance(item, str) for item in answer) else None
