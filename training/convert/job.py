"""The job of a converter: files and options, counts, and the maker of samples."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from annotator.records import Sample
from annotator.samples.explode import INSTRUCTION
from annotator.storage.funnel import Flow
from training.convert.inputs import Read, records
from training.convert.options import Options

STAGES: Final = ("read", "ask", "mentions", "tags", "choose", "length")
"""The order of the stages in a report; a format has some of them."""
SHOWN: Final = 5
"""Examples that are kept of each reason."""
LONGEST: Final = 200
"""Characters of an example that are kept."""


class Counts:
    """Counts of everything that was read. For every stage, in = kept + left out."""

    def __init__(self) -> None:
        self.flows: dict[str, Flow] = {}
        self.found: Counter[str] = Counter()
        """What the source holds, in the words of its publishers: sentences, entities, files, ..."""
        self._notes: Counter[str] = Counter()
        self._examples: dict[tuple[str, str], list[dict[str, str]]] = {}

    def stage(self, stage: str, unit: str) -> None:
        """Begin a stage that counts in ``unit``."""
        self.flows[stage] = Flow(stage, unit)

    def keep(self, stage: str) -> None:
        """Count one unit that goes on."""
        self.flows[stage].out += 1

    def drop(self, stage: str, reason: str, where: str, value: object = "", detail: str = "") -> None:
        """Count one unit that is left out, with an example of the first ones."""
        self.flows[stage].rejected[reason] += 1
        self._remember(stage, reason, where, value, detail)

    def note(self, what: str, where: str, value: str = "") -> None:
        """Count something that was fixed or is worth knowing, and lost nothing."""
        self._notes[what] += 1
        self._remember("note", what, where, value, "")

    def as_dict(self) -> dict[str, Any]:
        """Funnel, examples and notes, ready for JSON."""
        flows = sorted(self.flows.items(), key=lambda item: STAGES.index(item[0]))
        return {
            "funnel": [flow.as_dict() for _, flow in flows],
            "found": dict(self.found),
            "left_out": [
                {"stage": stage, "reason": reason, "count": number, "examples": self._examples[stage, reason]}
                for stage, flow in flows
                for reason, number in flow.rejected.most_common()
            ],
            "notes": [
                {"what": what, "count": number, "examples": self._examples["note", what]}
                for what, number in self._notes.most_common()
            ],
        }

    def _remember(self, stage: str, reason: str, where: str, value: object, detail: str) -> None:
        kept = self._examples.setdefault((stage, reason), [])
        if len(kept) < SHOWN:
            kept.append({"where": where, "value": _storable(str(value)[:LONGEST]), "detail": _storable(detail)})


class Maker:
    """Makes samples with ids by content; what comes again word for word gets an id of its own.

    It remembers eight bytes of each id (about 80 bytes of memory a sample).
    """

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._again: Counter[int] = Counter()

    def query(self, passage_id: str, text: str, entity_type: str, mentions: Iterable[str]) -> Sample:
        """Make the question for one type about one passage; the distinct mentions answer it, none is an answer too."""
        distinct = list(dict.fromkeys(mentions))
        identity, answer = _digest([passage_id, entity_type]), json.dumps(distinct, ensure_ascii=False)
        instruction = INSTRUCTION.format(entity_type=entity_type)
        return Sample(self._apart(identity), instruction, text, answer, entity_type, not distinct, passage_id)

    def query_all(self, text: str, types: Sequence[str], gold: Mapping[str, Sequence[str]]) -> Iterator[Sample]:
        """Ask for each of ``types`` about one sentence; a type without mentions in ``gold`` is answered ``[]``."""
        passage_id = self.passage(text)
        return (self.query(passage_id, text, entity_type, gold.get(entity_type, ())) for entity_type in types)

    def passage(self, text: str) -> str:
        """The id of a passage; the second sentence of the same words is another passage."""
        return self._apart(_digest([text]))

    def instruct(self, about: str, instruction: str, text: str, output: str) -> Sample:
        """Make a sample of another task: no type, never negative. Those about the same have one ``passage_id``."""
        passage_id = _digest([about])
        identity = self._apart(_digest([passage_id, instruction]))
        return Sample(identity, instruction, text, output, "", negative=False, passage_id=passage_id)

    def _apart(self, identity: str) -> str:
        key = int(identity, 16)
        if key not in self._seen:
            self._seen.add(key)
            return identity
        self._again[key] += 1
        return self._apart(_digest([identity, str(self._again[key])]))


@dataclass(frozen=True, slots=True)
class Job:
    """One conversion."""

    files: Sequence[Path]
    options: Options
    types: tuple[str, ...] = ()
    """Raw types of the published set that ``--set`` names."""
    counts: Counts = field(default_factory=Counts)
    make: Maker = field(default_factory=Maker)

    def records(self, unit: str = "", under: str = "", reason: str = "broken record") -> Iterator[tuple[str, Any]]:
        """Place and object of each record of all files, counted as ``unit``; a broken one is left out."""
        for path in self.files:
            yield from self.sound(records(path, under), reason, unit)

    def sound(self, stream: Iterable[Read], reason: str, unit: str = "") -> Iterator[tuple[str, Any]]:
        """Pass on what could be read, and count the rest as left out."""
        for where, value, problem in stream:
            if unit:
                self.counts.found[unit] += 1
            if problem:
                self.counts.drop("read", reason, where, value, problem)
            else:
                yield where, value


def _digest(parts: list[str]) -> str:
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode("utf-8")).hexdigest()[:16]


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
