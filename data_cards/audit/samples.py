"""Samples by split, and whether they agree with passages and annotations."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any, Final

from annotator.engines import Engine
from data_cards.audit import leaks
from data_cards.audit.database import Database
from data_cards.audit.dataset import Dataset
from data_cards.audit.ngrams import Filter
from data_cards.audit.reading import read_samples

_DUPLICATES: Final = "SELECT sum(number - 1) FROM (SELECT count(*) AS number FROM samples GROUP BY input, label)"
_DISTINCT: Final = "SELECT split, count(*) FROM (SELECT DISTINCT split, input FROM samples) GROUP BY split"


class Samples:
    """Reads the samples into the database, the smallest split first."""

    def __init__(self, dataset: Dataset, database: Database, engine: Engine) -> None:
        self.order = sorted(dataset.splits, key=lambda split: (dataset.sizes[split], split))
        """The splits; their numbers in the database are their places here."""
        self.wrong: Counter[str] = Counter()
        """What is wrong with single samples; incomplete ones are counted nowhere else."""
        self._names = list(dataset.splits)
        self._database = database
        known = Filter(sum(dataset.sizes[split] for split in self.order[:-1]))
        work = partial(read_samples, compared=len(self.order) > 1, alone=dataset.run is None)
        batches = ((number, rows) for number, split in enumerate(self.order) for rows in dataset.splits[split]())
        for part in engine.spread(work, batches):
            self.wrong.update(part.counts["wrong"])
            database.add(part.tables)
            database.add(leaks.collect(part, known, last=part.split == len(self.order) - 1))

    def figures(self) -> dict[str, Any]:
        """Numbers by split."""
        splits = {split: {"positive": 0, "negative": 0} for split in self._names}
        query = "SELECT split, negative, count(*) FROM samples GROUP BY ALL"
        for number, negative, count in self._database.rows(query):
            splits[self.order[number]]["negative" if negative else "positive"] = count
        return {"count": sum(sum(counted.values()) for counted in splits.values()), "splits": splits}

    def duplicates(self) -> int:
        """Count the samples that ask the same of the same text as another."""
        return self._database.number(_DUPLICATES)

    def balance(self) -> dict[str, Any]:
        """How the splits differ: samples, passages, types, types that no other split has, the most frequent ones."""
        types: dict[str, Counter[str]] = {split: Counter() for split in self._names}
        for number, label, count in self._database.rows("SELECT split, label, count(*) FROM samples GROUP BY ALL"):
            types[self.order[number]][label] = count
        passages = {self.order[number]: count for number, count in self._database.rows(_DISTINCT)}
        everywhere = Counter(label for counted in types.values() for label in counted)
        return {
            split: {
                "samples": counted.total(),
                "passages": passages.get(split, 0),
                "types": len(counted),
                "types_only_here": sum(everywhere[name] == 1 for name in counted),
                "top": dict(sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:10]),
            }
            for split, counted in types.items()
        }
