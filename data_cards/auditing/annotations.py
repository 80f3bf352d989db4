"""The annotations of a run: what they hold, whether mentions are slices, and which samples follow."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annotator import tables
from annotator.rundir import RunDir
from data_cards.auditing.arrays import Ints, count, descending, encoded, hashed, hashes, ints
from data_cards.auditing.balance import Balance
from data_cards.auditing.census import Census
from data_cards.auditing.passages import Passages

_ANSWER: Final = json.JSONEncoder(ensure_ascii=False).encode
"""As exploding writes an answer."""


class Annotations:
    """Reads them once."""

    def __init__(self, run: RunDir, passages: Passages, expected: Balance) -> None:
        self.census = Census()
        self.count = 0
        self.broken = 0
        """Mentions that are not the slice their offsets name."""
        self._matches: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._nested = self._conflicts = 0
        for batch in tables.batches(run.annotations, ["passage_id", "text", "mentions", "reply_status"]):
            self._add(batch, passages, expected)

    def _add(self, batch: pa.RecordBatch, passages: Passages, expected: Balance) -> None:
        mentions = batch.column("mentions").flatten()
        lengths = ints(pc.list_value_length(batch.column("mentions")))
        label, text, start, end, match = (mentions.field(name) for name in ("label", "text", "start", "end", "match"))
        owner = np.repeat(np.arange(len(batch)), lengths)
        self.count += len(batch)
        self.census.add_passages(owner, self.census.add_mentions(label, text), len(batch))
        for counter, column in ((self._matches, match), (self._statuses, batch.column("reply_status"))):
            names, own = encoded(column)
            count(counter, np.array(names, dtype=object)[own].astype(str))
        nested, conflicts = _nesting(owner, ints(start), ints(end))
        self._nested += nested
        self._conflicts += conflicts
        passages.annotated(hashes(batch.column("passage_id")), hashes(batch.column("text")))
        self._follow(batch, lengths, (label, text, start, end), expected)

    def _follow(self, batch: pa.RecordBatch, lengths: Ints, columns: tuple[pa.Array, ...], expected: Balance) -> None:
        """Check the slices, and work out which sample each passage and type must give."""
        ids, labels, outputs = [], [], []
        fields = zip(*(column.to_pylist() for column in columns), strict=True)
        for identity, passage, length in zip(
            batch.column("passage_id").to_pylist(), batch.column("text").to_pylist(), lengths.tolist(), strict=True
        ):
            by_type: dict[str, dict[str, None]] = {}
            for _ in range(length):
                label, text, start, end = next(fields)
                self.broken += passage[start:end] != text or not 0 <= start < end
                by_type.setdefault(label, {})[text] = None
            for label, found in by_type.items():
                ids.append(identity)
                labels.append(label)
                outputs.append(_ANSWER(list(found)))
        expected.expect(hashed(ids), hashed(labels), hashed(outputs), list(zip(ids, labels, strict=True)))

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
