"""The samples: their splits, duplicates, leaks, and what must hold for each of them."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annotator.spill import Rows, Spill, runs_of
from data_cards.auditing.arrays import bools, encoded, hashed, hashes, mixed
from data_cards.auditing.balance import Balance
from data_cards.auditing.census import Census
from data_cards.auditing.dataset import Dataset
from data_cards.auditing.leaks import Distinct, Leaks, distinct
from data_cards.auditing.passages import Passages

_MENTION: Final = -1
"""Kind of a row that says a type of a passage; others say the number of a split in which it stands."""


class Samples:
    """Reads the samples once, the smallest split first."""

    def __init__(self, dataset: Dataset, passages: Passages | None, expected: Balance | None) -> None:
        self.census = Census()
        """Types and mentions as the samples alone have them; empty when there are annotations."""
        self.unreadable = 0
        """Answers that are no JSON list of strings."""
        self.absent = 0
        """Answers with a mention that does not stand in the passage."""
        self.incomplete = 0
        """Rows without a passage, a type or an answer; they are counted nowhere else."""
        self.contradicting = 0
        """Negatives with an answer, and positives without one."""
        self.duplicates = 0
        """Samples that ask the same of the same text as another."""
        self._passages, self._expected = passages, expected
        self._splits = {split: {"positive": 0, "negative": 0} for split in dataset.splits}
        self._types: dict[str, Counter[str]] = {split: Counter() for split in dataset.splits}
        self.order = sorted(dataset.splits, key=lambda split: (dataset.sizes[split], split))
        """The splits, the smallest first."""
        self.leaks = Leaks(sum(dataset.sizes[split] for split in self.order[:-1]))
        self._distinct = dict.fromkeys(self.order, 0)
        self._keys, self._rows = Spill(), Spill()
        for number, split in enumerate(self.order):
            for rows in map(self._complete, dataset.splits[split]()):
                self._add(split, number, rows, last=number == len(self.order) - 1)
        for part in self._keys.parts():
            self.duplicates += len(part) - len(runs_of(part["key"]))
        for part in self._rows.parts():
            self._count_passages(part)

    def _complete(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        if not any(column.null_count for column in rows.columns):
            return rows
        whole = rows.drop_null()
        self.incomplete += len(rows) - len(whole)
        return whole

    def _add(self, split: str, number: int, rows: pa.RecordBatch, *, last: bool) -> None:
        batch = distinct(rows)
        types, type_codes = encoded(rows.column("entity_type"))
        inputs, type_hashes = batch.hashes[batch.codes], hashed(types)[type_codes]
        empty = bools(pc.equal(rows.column("output"), "[]"))
        negative = bools(rows.column("negative")) if "negative" in rows.schema.names else empty
        self.contradicting += int((negative != empty).sum())
        self._splits[split]["negative"] += int(negative.sum())
        self._splits[split]["positive"] += int((~negative).sum())
        for name, times in zip(types, np.bincount(type_codes).tolist(), strict=True):
            self._types[split][name] += times
        self._keys.add(mixed(inputs, type_hashes))
        self._rows.add(batch.hashes, kind=number)
        self.leaks.add(number, batch, last=last)
        if self._passages is not None and self._expected is not None:
            ids = hashes(rows.column("passage_id"))
            self._passages.sampled(number, ids, inputs)
            there = ~negative
            self._expected.found(ids[there], type_hashes[there], hashes(rows.column("output"))[there])
        else:
            self._read_answers(rows, batch, [types[code] for code in type_codes.tolist()])

    def _read_answers(self, rows: pa.RecordBatch, batch: Distinct, types: list[str]) -> None:
        outputs = rows.column("output").to_pylist()
        answers = [
            self._answer(output, batch.texts[code]) for output, code in zip(outputs, batch.codes.tolist(), strict=True)
        ]
        lengths = np.array([len(answer) for answer in answers], np.int64)
        owner = np.repeat(np.arange(len(answers)), lengths)
        names = pa.array([types[number] for number in owner.tolist()], pa.string())
        found = pa.array([text for answer in answers for text in answer], pa.string())
        self._rows.add(batch.hashes[batch.codes][owner], self.census.add_mentions(names, found), _MENTION)

    def _answer(self, output: str, text: str) -> list[str]:
        """The mentions of an answer; none, and a note, when it is not what it must be."""
        try:
            answer = json.loads(output)
        except ValueError:
            answer = None
        if not isinstance(answer, list) or not all(isinstance(mention, str) for mention in answer):
            self.unreadable += 1
            return []
        self.absent += not all(mention in text for mention in answer)
        return answer

    def _count_passages(self, part: Rows) -> None:
        """A passage is what has one input text; it is counted here where the samples are all there is."""
        stands = part["kind"] != _MENTION
        passages = part[stands]
        passages = passages[np.lexsort((passages["kind"], passages["key"]))]
        passages = passages[runs_of(passages["key"], passages["kind"])]
        for split, number in zip(self.order, np.bincount(passages["kind"]).tolist(), strict=False):
            self._distinct[split] += number
        begins = runs_of(passages["key"])
        keys = passages["key"][begins]
        self.leaks.stands_in_several(keys[np.diff(np.append(begins, len(passages))) > 1])
        if self._passages is None:
            mentions = part[~stands]
            owner = np.searchsorted(keys, mentions["key"])
            self.census.add_passages(owner, mentions["value"].astype(np.int64), len(keys))

    def figures(self) -> dict[str, Any]:
        """Numbers by split."""
        return {"count": sum(sum(counted.values()) for counted in self._splits.values()), "splits": self._splits}

    def balance(self) -> dict[str, Any]:
        """How the splits differ: samples, passages, types, types that no other split has, the most frequent ones."""
        everywhere = Counter[str]()
        for counted in self._types.values():
            everywhere.update(counted.keys())
        return {
            split: {
                "samples": sum(self._splits[split].values()),
                "passages": self._distinct[split],
                "types": len(counted),
                "types_only_here": sum(everywhere[name] == 1 for name in counted),
                "top": dict(sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:10]),
            }
            for split, counted in self._types.items()
        }
