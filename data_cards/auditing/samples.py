"""The samples: their splits, duplicates, leaks, and what must hold for each of them."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_cards.auditing.arrays import Hashes, Ints, bools, encoded, hashed, hashes, mixed
from data_cards.auditing.balance import Balance
from data_cards.auditing.census import Census
from data_cards.auditing.dataset import Dataset
from data_cards.auditing.leaks import Distinct, Leaks, distinct
from data_cards.auditing.passages import Passages

_PASSAGES: Final = 500_000
"""Passages summed up at a time."""


class Samples:
    """Reads the samples once, the smallest split first. Holds a few numbers for each sample."""

    def __init__(self, dataset: Dataset, passages: Passages | None, expected: Balance | None) -> None:
        self.census = Census()
        """Types and mentions as the samples alone have them; empty when there are annotations."""
        self.unreadable = 0
        """Answers that are no JSON list of strings."""
        self.absent = 0
        """Answers with a mention that does not stand in the passage."""
        self.contradicting = 0
        """Negatives with an answer, and positives without one."""
        self.foreign = 0
        """Samples whose passage is unknown or has another text."""
        self.leaks = Leaks()
        self._dataset, self._passages, self._expected = dataset, passages, expected
        self._splits = {split: {"positive": 0, "negative": 0} for split in dataset.splits}
        self._types: dict[str, Counter[str]] = {split: Counter() for split in dataset.splits}
        self._keys: list[Hashes] = []
        self._inputs: dict[str, list[Hashes]] = {split: [] for split in dataset.splits}
        self._mentions: list[tuple[Hashes, Ints]] = []
        order = sorted(dataset.splits, key=lambda split: (dataset.sizes[split], split))
        for number, split in enumerate(order):
            for rows in dataset.splits[split]():
                self._add(split, number, rows, last=number == len(order) - 1)
            self.leaks.end_split(split)
        if expected is None:
            self._count_passages()

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
        self._keys.append(mixed(inputs, type_hashes))
        self._inputs[split].append(batch.hashes)
        self.leaks.add(split, batch, last=last)
        if self._passages is not None and self._expected is not None:
            ids = hashes(rows.column("passage_id"))
            place = self._passages.find(ids)
            self.foreign += int((self._passages.text_of(place) != inputs).sum())
            self._passages.saw(split, number, place)
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
        self._mentions.append((batch.hashes[batch.codes][owner], self.census.add_mentions(names, found)))

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

    def _count_passages(self) -> None:
        """Count by passage, where the samples are all there is: a passage is what has one input text."""
        if not self._mentions:
            return
        inputs = np.unique(np.concatenate([part for parts in self._inputs.values() for part in parts]))
        owner = np.searchsorted(inputs, np.concatenate([part for part, _ in self._mentions]))
        codes = np.concatenate([part for _, part in self._mentions])
        order = np.argsort(owner, kind="stable")
        owner, codes = owner[order], codes[order]
        for begin in range(0, len(inputs), _PASSAGES):
            end = min(begin + _PASSAGES, len(inputs))
            low, high = np.searchsorted(owner, [begin, end])
            self.census.add_passages(owner[low:high] - begin, codes[low:high], end - begin)

    def figures(self) -> dict[str, Any]:
        """Numbers by split."""
        return {"count": sum(sum(counted.values()) for counted in self._splits.values()), "splits": self._splits}

    def duplicates(self) -> int:
        """Samples that ask the same of the same text as another."""
        keys = _joined(self._keys)
        return len(keys) - len(np.unique(keys))

    def balance(self) -> dict[str, Any]:
        """How the splits differ: samples, passages, types, types that no other split has, the most frequent ones."""
        everywhere = Counter[str]()
        for counted in self._types.values():
            everywhere.update(counted.keys())
        return {
            split: {
                "samples": sum(self._splits[split].values()),
                "passages": len(np.unique(_joined(self._inputs[split]))),
                "types": len(counted),
                "types_only_here": sum(everywhere[name] == 1 for name in counted),
                "top": dict(sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:10]),
            }
            for split, counted in self._types.items()
        }


def _joined(parts: list[Hashes]) -> Hashes:
    return np.concatenate(parts) if parts else np.zeros(0, np.uint64)
