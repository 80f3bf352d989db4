"""The samples: their splits, duplicates, leaks, and what must hold for each of them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annotator.engines import Engine
from annotator.storage.spill import Rows, Spill, runs_of
from data_cards.audit.arrays import Hashes, Ints, bools, encoded, hashed, hashes, mixed
from data_cards.audit.balance import Balance, Due
from data_cards.audit.census import Census, Mentions, mentions_of, together
from data_cards.audit.dataset import Dataset
from data_cards.audit.leaks import Distinct, Leaks, Runs, distinct, runs_of_texts
from data_cards.audit.passages import Passages

_MENTION: Final = -1
"""Kind of a row that says a type of a passage; others say the number of a split in which it stands."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What some answers name, where the samples are all there is."""

    mentions: Mentions
    codes: Ints
    """Of each mention, the number of its type in ``mentions``."""
    texts: Hashes
    """Of each mention, the hash of its passage."""
    unreadable: int
    absent: int


@dataclass(frozen=True, slots=True)
class Part:
    """What some samples hold; ids and texts are hashes."""

    incomplete: int
    contradicting: int
    negative: int
    types: Counter[str]
    questions: Hashes
    """Text and type of each sample."""
    texts: Hashes
    """Of each distinct passage."""
    runs: Runs | None
    of_passages: tuple[Hashes, Hashes, Ints] | None
    """Ids of passages, the texts that samples have for them, and how many samples."""
    there: Due
    answers: Answers | None


def look(some: tuple[int, pa.RecordBatch], *, compared: bool, alone: bool) -> tuple[int, Part]:
    """Look at some samples.

    Args:
        some: the number of their split, which is handed back, and the samples.
        compared: whether there are other splits to compare the passages with.
        alone: whether the samples are all there is, without passages and annotations.
    """
    number, rows = some
    whole = rows.drop_null() if any(column.null_count for column in rows.columns) else rows
    batch = distinct(whole)
    types, type_codes = encoded(whole.column("entity_type"))
    inputs, type_hashes = batch.hashes[batch.codes], hashed(types)[type_codes]
    empty = bools(pc.equal(whole.column("output"), "[]"))
    negative = bools(whole.column("negative")) if "negative" in whole.schema.names else empty
    of_passages, there = None, Due(inputs[:0], inputs[:0])
    if not alone:
        ids, positive = hashes(whole.column("passage_id")), ~negative
        _, first, numbers = np.unique(mixed(ids, inputs), return_index=True, return_counts=True)
        of_passages = ids[first], inputs[first], numbers
        keys = mixed(ids[positive], type_hashes[positive], hashes(whole.column("output"))[positive])
        there = Due(ids[positive], keys)
    return number, Part(
        len(rows) - len(whole),
        int((negative != empty).sum()),
        int(negative.sum()),
        Counter(dict(zip(types, np.bincount(type_codes, minlength=len(types)).tolist(), strict=True))),
        mixed(inputs, type_hashes),
        batch.hashes,
        runs_of_texts(batch.texts) if compared else None,
        of_passages,
        there,
        _read_answers(whole, batch, [types[code] for code in type_codes.tolist()]) if alone else None,
    )


def _read_answers(rows: pa.RecordBatch, batch: Distinct, types: list[str]) -> Answers:
    outputs = rows.column("output").to_pylist()
    read = [_answer(output) for output in outputs]
    answers = [answer or [] for answer in read]
    absent = sum(
        not all(mention in batch.texts[code] for mention in answer)
        for answer, code in zip(answers, batch.codes.tolist(), strict=True)
    )
    owner = np.repeat(np.arange(len(answers)), [len(answer) for answer in answers])
    names = pa.array([types[number] for number in owner.tolist()], pa.string())
    mentions, codes = mentions_of(names, pa.array([text for answer in answers for text in answer], pa.string()))
    return Answers(mentions, codes, batch.hashes[batch.codes][owner], read.count(None), absent)


def _answer(output: str) -> list[str] | None:
    """The mentions of an answer; nothing when it is not what it must be."""
    try:
        answer = json.loads(output)
    except ValueError:
        return None
    return answer if isinstance(answer, list) and all(isinstance(item, str) for item in answer) else None


class Samples:
    """Reads the samples once, the smallest split first."""

    def __init__(self, dataset: Dataset, passages: Passages | None, expected: Balance | None, engine: Engine) -> None:
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
        work = partial(look, compared=len(self.order) > 1, alone=passages is None)
        batches = ((number, rows) for number, split in enumerate(self.order) for rows in dataset.splits[split]())
        for number, part in engine.spread(work, batches):
            self._add(self.order[number], number, part)
        for rows in self._keys.parts():
            self.duplicates += len(rows) - len(runs_of(rows["key"]))
        for rows in self._rows.parts():
            self._count_passages(rows)

    def _add(self, split: str, number: int, part: Part) -> None:
        self.incomplete += part.incomplete
        self.contradicting += part.contradicting
        self._splits[split]["negative"] += part.negative
        self._splits[split]["positive"] += len(part.questions) - part.negative
        self._types[split].update(part.types)
        self._keys.add(part.questions)
        self._rows.add(part.texts, kind=number)
        if part.runs:
            self.leaks.add(number, part.texts, part.runs, last=number == len(self.order) - 1)
        if part.of_passages and self._passages and self._expected:
            self._passages.sampled(number, *part.of_passages)
            self._expected.found(part.there)
        if part.answers:
            codes = self.census.add_mentions(part.answers.mentions)
            self._rows.add(part.answers.texts, codes[part.answers.codes], _MENTION)
            self.unreadable += part.answers.unreadable
            self.absent += part.answers.absent

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
            self.census.add_passages(together(owner, mentions["value"].astype(np.int64), len(keys)))

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
