"""The passages of a run: lengths, where they come from, and in which split each one is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annotator.engines import Engine
from annotator.storage import tables
from annotator.storage.rundir import RunDir
from annotator.storage.spill import Rows, Spill, looked_up, runs_of
from data_cards.audit.arrays import Hashes, Ints, count, distribution, encoded, hashes, ints
from data_cards.audit.dataset import PART

SOURCES: Final = 20
"""Sources listed one by one; the others are summed up."""
_TEXT, _SOURCE, _PIECE, _ANNOTATED, _SAMPLED = range(5)
"""What a row about a passage says: its text, source, a document of it; the text an annotation has; or a sample of the
split ``_SAMPLED`` + n. Texts and documents are hashes."""


@dataclass(frozen=True, slots=True)
class Part:
    """What some passages say of themselves; ids, texts and documents are hashes."""

    lengths: Counter[int]
    cuts: Counter[str]
    joined: int
    ids: Hashes
    texts: Hashes
    pieces: Ints
    """Pieces of each passage."""
    documents: Hashes
    """The document of each piece."""


def look(batch: pa.RecordBatch) -> Part:
    """Look at some passages."""
    lengths, cuts = Counter[int](), Counter[str]()
    count(lengths, ints(batch.column("n_tokens")))
    names, own = encoded(batch.column("cut"))
    for name, number in zip(names, np.bincount(own).tolist(), strict=True):
        cuts[name or "none"] += number
    column = batch.column("pieces")
    pieces = ints(pc.list_value_length(column))
    documents = hashes(pc.struct_field(column.flatten(), "document_id"))
    joined = int((pieces > 1).sum())
    return Part(lengths, cuts, joined, hashes(batch.column("id")), hashes(batch.column("text")), pieces, documents)


class Passages:
    """Collects what the files say of each passage; ``join`` then looks whether it agrees."""

    def __init__(self, run: RunDir, engine: Engine) -> None:
        self._lengths: Counter[int] = Counter()
        self._cuts: Counter[str] = Counter()
        self._joined = 0
        self._rows = Spill()
        self._sources = ["unknown"]
        self._documents: Counter[int] = Counter()
        self._by_source: dict[int, Ints] = {}
        self._of_source = np.zeros(1, np.int64)
        self.foreign_annotations = 0
        """Annotations whose text is not that of their passage."""
        self.foreign_samples = 0
        """Samples whose passage is unknown or has another text."""
        self.repeated = 0
        """Passages with the id of another."""
        self.documents_in_several_splits = 0
        """Documents whose passages have samples in more than one split."""
        documents = self._read_documents(run)
        batches = tables.batches(run.passages, ["id", "text", "n_tokens", "cut", "pieces"], PART)
        for found in engine.spread(look, batches):
            self._lengths.update(found.lengths)
            self._cuts.update(found.cuts)
            self._joined += found.joined
            self._rows.add(found.ids, found.texts, _TEXT)
            self._rows.add(np.repeat(found.ids, found.pieces), found.documents, _PIECE)
            some = found.pieces > 0
            first = (np.cumsum(found.pieces) - found.pieces)[some]
            documents.add(found.documents[first], found.ids[some], kind=1)
        for part in documents.parts():
            passage = part["kind"] == 1
            known, wanted = part[~passage], part[passage]
            places = looked_up(known["key"], wanted["key"])
            self._rows.add(wanted["value"], np.append(known["value"], np.uint64(0))[places], _SOURCE)

    def _read_documents(self, run: RunDir) -> Spill:
        found, codes = Spill(), {"": 0}
        for batch in tables.batches(run.documents, ["id", "source"]) if run.documents.exists() else ():
            names, own = encoded(batch.column("source"))
            source = np.array([codes.setdefault(name, len(codes)) for name in names], np.int64)[own]
            found.add(hashes(batch.column("id")), source)
            count(self._documents, source)
        self._sources += list(codes)[1:]
        return found

    def annotated(self, passages: Hashes, texts: Hashes) -> None:
        """Take the texts that annotations have."""
        self._rows.add(passages, texts, _ANNOTATED)

    def sampled(self, split: int, passages: Hashes, texts: Hashes, numbers: Ints) -> None:
        """Take the texts that samples of the ``split``-th split have, with the number of samples."""
        self._rows.add(passages, texts, _SAMPLED + split, numbers)

    def join(self) -> None:
        """Bring together what was said of each passage."""
        pieces = Spill()
        self._of_source = np.zeros(len(self._sources), np.int64)
        for part in self._rows.parts():
            self._join(part, pieces)
        for part in pieces.parts():
            splits = np.bitwise_or.reduceat(part["kind"], runs_of(part["key"]))
            self.documents_in_several_splits += int((splits & (splits - 1) != 0).sum())

    def _join(self, part: Rows, pieces: Spill) -> None:
        kinds = part["kind"]
        there = part[kinds == _TEXT]
        there = there[runs_of(there["key"])]
        self.repeated += int((kinds == _TEXT).sum()) - len(there)
        known, texts = there["key"], np.append(there["value"], np.uint64(0))
        source = np.zeros(len(there) + 1, np.int64)  # the last is of what is not there
        said = part[kinds == _SOURCE]
        source[looked_up(known, said["key"])] = said["value"]
        source[-1] = 0
        self._of_source += np.bincount(source[:-1], minlength=len(self._sources))
        said = part[kinds == _ANNOTATED]
        self.foreign_annotations += int((texts[looked_up(known, said["key"])] != said["value"]).sum())
        splits = np.zeros(len(there) + 1, np.int32)
        said = part[kinds >= _SAMPLED]
        found = looked_up(known, said["key"])
        self.foreign_samples += int(said["number"][texts[found] != said["value"]].sum())
        np.bitwise_or.at(splits, found, np.int32(1) << (said["kind"] - _SAMPLED))
        for split in np.unique(said["kind"]).tolist():
            own = (said["kind"] == split) & (found >= 0)
            counted = np.bincount(source[found[own]], said["number"][own], len(self._sources)).astype(np.int64)
            self._by_source[split - _SAMPLED] = self._by_source.get(split - _SAMPLED, 0) + counted
        said = part[kinds == _PIECE]
        pieces.add(said["value"], kind=splits[looked_up(known, said["key"])])

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

    def sources(self, splits: list[str]) -> list[dict[str, Any]]:
        """Documents, passages and samples by source, the largest first; those beyond ``SOURCES`` as one."""
        counted = {name: self._by_source[number] for number, name in enumerate(splits) if number in self._by_source}
        rows: list[dict[str, Any]] = [
            {
                "source": name,
                "documents": self._documents[code],
                "passages": int(self._of_source[code]),
                "samples": {split: int(numbers[code]) for split, numbers in counted.items()},
            }
            for code, name in enumerate(self._sources)
            if code or self._of_source[code]
        ]
        rows.sort(key=lambda row: (-row["passages"], row["source"]))
        rest = rows[SOURCES:]
        if not rest:
            return rows
        total = {split: sum(row["samples"][split] for row in rest) for split in counted}
        documents, number = sum(row["documents"] for row in rest), sum(row["passages"] for row in rest)
        summed = {"source": f"{len(rest)} others", "documents": documents, "passages": number, "samples": total}
        return [*rows[:SOURCES], summed]
