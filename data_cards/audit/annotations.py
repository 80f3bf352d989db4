"""The annotations of a run: what they hold, whether mentions are slices, and which samples follow."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annotator.engines import Engine
from annotator.storage import tables
from annotator.storage.rundir import RunDir
from data_cards.audit.arrays import Hashes, Ints, descending, encoded, hashed, hashes, ints, mixed
from data_cards.audit.balance import Balance, Due, without
from data_cards.audit.census import Census, Mentions, Together, mentions_of, together
from data_cards.audit.dataset import PART
from data_cards.audit.passages import Passages

_ANSWER: Final = json.JSONEncoder(ensure_ascii=False).encode
"""As exploding writes an answer."""


@dataclass(frozen=True, slots=True)
class Part:
    """What some annotations hold."""

    mentions: Mentions
    together: Together
    matches: Counter[str]
    statuses: Counter[str]
    nested: int
    conflicts: int
    broken: int
    passages: Hashes
    texts: Hashes
    due: Due


def look(batch: pa.RecordBatch, too_long: Hashes) -> Part:
    """Look at some annotations; ``too_long`` as ``Rejections`` has it."""
    column = batch.column("mentions")
    mentions, lengths = column.flatten(), ints(pc.list_value_length(column))
    label, text, start, end = (mentions.field(name) for name in ("label", "text", "start", "end"))
    owner = np.repeat(np.arange(len(batch)), lengths)
    found, codes = mentions_of(label, text)
    nested, conflicts = _nesting(owner, ints(start), ints(end))
    broken, due = _follow(batch, lengths, (label, text, start, end), too_long)
    return Part(
        found,
        together(owner, codes, len(batch)),
        _values(mentions.field("match")),
        _values(batch.column("reply_status")),
        nested,
        conflicts,
        broken,
        hashes(batch.column("passage_id")),
        hashes(batch.column("text")),
        due,
    )


class Annotations:
    """Reads them once."""

    def __init__(self, run: RunDir, passages: Passages, expected: Balance, engine: Engine) -> None:
        self.census = Census()
        self.count = 0
        self.broken = 0
        """Mentions that are not the slice their offsets name."""
        self._matches: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._nested = self._conflicts = 0
        batches = tables.batches(run.annotations, ["passage_id", "text", "mentions", "reply_status"], PART)
        for part in engine.spread(partial(look, too_long=expected.too_long), batches):
            self.count += len(part.passages)
            self.census.add_passages(part.together, self.census.add_mentions(part.mentions))
            self._matches.update(part.matches)
            self._statuses.update(part.statuses)
            self._nested += part.nested
            self._conflicts += part.conflicts
            self.broken += part.broken
            passages.annotated(part.passages, part.texts)
            expected.expect(part.due)

    def figures(self) -> dict[str, Any]:
        """Of types, mentions and replies."""
        labels, mentions = self.census.label_figures(), self.census.mention_figures()
        return {
            "labels": labels,
            "mentions": {
                **mentions,
                "match": descending(self._matches),
                "spans_nested": self._nested,
                "spans_with_several_labels": self._conflicts,
                "spans_broken": self.broken,
            },
            "replies": descending(self._statuses),
        }


def _follow(batch: pa.RecordBatch, lengths: Ints, columns: tuple[pa.Array, ...], too_long: Hashes) -> tuple[int, Due]:
    """Count the mentions that are no slices, and work out which sample each passage and type must give."""
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
            outputs.append(_ANSWER(list(found)))
    due = Due(hashed(ids), mixed(hashed(ids), hashed(labels), hashed(outputs)))
    return broken, without(due, too_long, list(zip(ids, labels, strict=True)))


def _values(column: pa.Array) -> Counter[str]:
    names, own = encoded(column)
    return Counter(dict(zip(names, np.bincount(own, minlength=len(names)).tolist(), strict=True)))


def _nesting(owner: Ints, start: Ints, end: Ints) -> tuple[int, int]:
    """Distinct spans that lie within another of the same passage, and distinct spans that stand there twice or more."""
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
