"""The passages of a run: lengths, where they come from, and in which split each one is."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc

from annotator import tables
from annotator.rundir import RunDir
from data_cards.auditing.arrays import Hashes, Ints, count, distribution, encoded, hashes, ints

SOURCES: Final = 20
"""Sources listed one by one; the others are summed up."""


class Passages:
    """Identity, text and source of every passage of a run as hashes: some thirty bytes a passage."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._lengths: Counter[int] = Counter()
        self._cuts: Counter[str] = Counter()
        self._joined = 0
        sources = _Sources(run)
        self._sources = sources
        ids, texts, codes = [], [], []
        for batch in tables.batches(run.passages, ["id", "text", "n_tokens", "cut", "pieces"]):
            count(self._lengths, ints(batch.column("n_tokens")))
            pieces = batch.column("pieces")
            self._joined += int((ints(pc.list_value_length(pieces)) > 1).sum())
            cuts, own = encoded(batch.column("cut"))
            for name, number in zip(cuts, np.bincount(own).tolist(), strict=True):
                self._cuts[name or "none"] += number
            ids.append(hashes(batch.column("id")))
            texts.append(hashes(batch.column("text")))
            codes.append(sources.of(hashes(pc.struct_field(pc.list_element(pieces, 0), "document_id"))))
        identities = _joined(ids)
        order = np.argsort(identities, kind="stable")
        self._ids, self._order = identities[order], order
        self._texts = np.append(_joined(texts), np.uint64(0))
        self._source = np.concatenate(codes) if codes else np.zeros(0, np.int64)
        self._split = np.zeros(len(identities), np.uint8)
        self._by_source: dict[str, Ints] = {}

    def find(self, identities: Hashes) -> Ints:
        """Number of each passage in the order of the file, -1 where there is none."""
        if not len(self._ids):
            return np.full(len(identities), -1)
        place = np.minimum(np.searchsorted(self._ids, identities), len(self._ids) - 1)
        return np.where(self._ids[place] == identities, self._order[place], -1)

    def text_of(self, found: Ints) -> Hashes:
        """Hash of the text of each passage by its number, 0 for -1."""
        return self._texts[found]

    def saw(self, split: str, number: int, found: Ints) -> None:
        """Note samples of the ``number``-th split, by the numbers of their passages."""
        known = found[found >= 0]
        self._split[known] |= np.uint8(1 << number)
        counted = np.bincount(self._source[known], minlength=len(self._sources.names))
        self._by_source[split] = self._by_source.get(split, np.zeros(len(counted), np.int64)) + counted

    def documents_in_several_splits(self) -> int:
        """Documents whose passages have samples in more than one split."""
        documents, masks, begin = [], [], 0
        for batch in tables.batches(self._run.passages, ["pieces"]):
            pieces = batch.column("pieces")
            lengths = ints(pc.list_value_length(pieces))
            documents.append(hashes(pc.struct_field(pieces.flatten(), "document_id")))
            masks.append(np.repeat(self._split[begin : begin + len(lengths)], lengths))
            begin += len(lengths)
        identity, mask = _joined(documents), np.concatenate(masks) if masks else np.zeros(0, np.uint8)
        order = np.argsort(identity, kind="stable")
        identity, mask = identity[order], mask[order]
        if not len(identity):
            return 0
        begins = np.flatnonzero(np.r_[True, identity[1:] != identity[:-1]])
        together = np.bitwise_or.reduceat(mask, begins)
        return int((together & (together - 1) != 0).sum())

    def figures(self, low: int, high: int) -> dict[str, Any]:
        """Number, lengths in tokens, and how they were cut."""
        return {
            "count": self._lengths.total(),
            "tokens": distribution(self._lengths),
            "bounds": [low, high],
            "below": sum(number for length, number in self._lengths.items() if length < low),
            "above": sum(number for length, number in self._lengths.items() if length > high),
            "cut_sentences": dict(sorted(self._cuts.items())),
            "joined_from_several_documents": self._joined,
        }

    def sources(self) -> list[dict[str, Any]]:
        """Documents, passages and samples by source, the largest first; those beyond ``SOURCES`` as one."""
        passages = np.bincount(self._source, minlength=len(self._sources.names))
        rows: list[dict[str, Any]] = [
            {
                "source": name,
                "documents": self._sources.documents[name],
                "passages": int(passages[code]),
                "samples": {split: int(counted[code]) for split, counted in self._by_source.items()},
            }
            for code, name in enumerate(self._sources.names)
            if code or passages[code]
        ]
        rows.sort(key=lambda row: (-row["passages"], row["source"]))
        rest = rows[SOURCES:]
        if not rest:
            return rows
        total = {split: sum(row["samples"][split] for row in rest) for split in self._by_source}
        documents, number = sum(row["documents"] for row in rest), sum(row["passages"] for row in rest)
        summed = {"source": f"{len(rest)} others", "documents": documents, "passages": number, "samples": total}
        return [*rows[:SOURCES], summed]


class _Sources:
    """From the hash of a document's id to the code of its source."""

    def __init__(self, run: RunDir) -> None:
        codes: dict[str, int] = {"": 0}
        ids, sources = [], []
        documents: Counter[int] = Counter()
        if run.documents.exists():
            for batch in tables.batches(run.documents, ["id", "source"]):
                names, own = encoded(batch.column("source"))
                source = np.array([codes.setdefault(name, len(codes)) for name in names], np.int64)[own]
                ids.append(hashes(batch.column("id")))
                sources.append(source)
                count(documents, source)
        self.names = ["unknown", *list(codes)[1:]]
        self.documents = {name: documents[code] for code, name in enumerate(self.names)}
        identities = _joined(ids)
        order = np.argsort(identities, kind="stable")
        self._ids = identities[order]
        self._codes = np.concatenate(sources)[order] if sources else np.zeros(0, np.int64)

    def of(self, documents: Hashes) -> Ints:
        """Codes of the sources of documents, 0 where unknown."""
        if not len(self._ids):
            return np.zeros(len(documents), np.int64)
        place = np.minimum(np.searchsorted(self._ids, documents), len(self._ids) - 1)
        return np.where(self._ids[place] == documents, self._codes[place], 0)


def _joined(parts: list[Hashes]) -> Hashes:
    return np.concatenate(parts) if parts else np.zeros(0, np.uint64)
