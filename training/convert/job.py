"""The job of a converter: its files, options and counts, and the maker of samples."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias, TypeVar

from pydantic import AfterValidator, BaseModel, ValidationError

from annotator.records import Sample
from annotator.samples.explode import INSTRUCTION
from annotator.sources import formats
from annotator.sources.formats.files import lines as decoded_lines
from annotator.sources.formats.files import local
from annotator.storage.funnel import Flow
from normalizers.text import nfc
from training.convert.options import Options

STAGES: Final = ("read", "ask", "mentions", "tags", "choose", "length")
"""The order of the stages in a report; a format has some of them."""
SHOWN: Final = 5
"""Examples that are kept of each reason."""
LONGEST: Final = 200
"""Characters of an example that are kept."""


def _storable(text: str) -> str:
    text.encode()  # half of a surrogate pair cannot be stored; UnicodeEncodeError is a ValueError
    return nfc(text)


Text: TypeAlias = Annotated[str, AfterValidator(_storable)]
"""A field of a record, in NFC."""
Line: TypeAlias = tuple[str, str, str]
"""File and number of a line, the line in NFC, and why it cannot be read, in which case it is as it stands."""
Model = TypeVar("Model", bound=BaseModel)


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

    def drop(self, stage: str, reason: str, where: str, value: object = "", detail: object = "") -> None:
        """Count one unit that is left out, with an example of the first ones."""
        self.flows[stage].rejected[reason] += 1
        self._remember(stage, reason, where, value, detail)

    def note(self, what: str, where: str, value: str = "") -> None:
        """Count something that was fixed or is worth knowing, and lost nothing."""
        self._notes[what] += 1
        self._remember("note", what, where, value, "")

    def as_dict(self) -> dict[str, Any]:
        """Return funnel, examples and notes, ready for JSON."""
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

    def _remember(self, stage: str, reason: str, where: str, value: object, detail: object) -> None:
        kept = self._examples.setdefault((stage, reason), [])
        if len(kept) < SHOWN:
            if isinstance(detail, ValidationError):
                first = detail.errors(include_url=False)[0]
                detail = f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": ")
            example = {"where": where, "value": str(value)[:LONGEST], "detail": str(detail)}
            kept.append({name: shown.encode("utf-8", "replace").decode() for name, shown in example.items()})


class Maker:
    """Makes samples with ids by content; what comes again word for word gets an id of its own."""

    def __init__(self) -> None:
        self._times: Counter[int] = Counter()

    def query(self, passage_id: str, text: str, entity_type: str, mentions: Iterable[str]) -> Sample:
        """Make the question for one type about one passage; the distinct mentions answer it, none is an answer too."""
        distinct = list(dict.fromkeys(mentions))
        identity, answer = _digest(passage_id, entity_type), json.dumps(distinct, ensure_ascii=False)
        instruction = INSTRUCTION.format(entity_type=entity_type)
        return Sample(self._apart(identity), instruction, text, answer, entity_type, not distinct, passage_id)

    def query_all(self, text: str, types: Sequence[str], gold: Mapping[str, Sequence[str]]) -> Iterator[Sample]:
        """Ask for each of ``types`` about one sentence; a type without mentions in ``gold`` is answered ``[]``."""
        passage_id = self.passage(text)
        return (self.query(passage_id, text, entity_type, gold.get(entity_type, ())) for entity_type in types)

    def passage(self, text: str) -> str:
        """Return the id of a passage; the second sentence of the same words is another passage."""
        return self._apart(_digest(text))

    def instruct(self, about: str, instruction: str, text: str, output: str) -> Sample:
        """Make a sample of another task: no type, never negative. Those about the same have one ``passage_id``."""
        passage_id = _digest(about)
        identity = self._apart(_digest(passage_id, instruction))
        return Sample(identity, instruction, text, output, "", negative=False, passage_id=passage_id)

    def _apart(self, identity: str) -> str:
        self._times[key := int(identity, 16)] += 1
        return identity if self._times[key] == 1 else _digest(identity, str(self._times[key] - 1))


@dataclass(frozen=True, slots=True)
class Job:
    """One conversion."""

    files: Sequence[Path]
    options: Options
    types: Sequence[str] = ()
    """Raw types of the published set that ``--set`` names."""
    names: Mapping[str, str] = field(default_factory=dict)
    """How questions call a type, by the raw type in lower case; an empty name leaves it out."""
    counts: Counts = field(default_factory=Counts)
    make: Maker = field(default_factory=Maker)

    def name(self, raw_type: str) -> str:
        """Name a type: ``SYMPTOM_AND_DISEASE`` -> ``symptom and disease``; empty when it is to be left out."""
        return self.names.get(raw_type.lower(), " ".join(raw_type.lower().replace("_", " ").split()))

    def asked(self, found: Iterable[str]) -> list[str]:
        """Return the names of all raw types that are asked for: the published set's first, then those ``found``."""
        raw_types = [*self.types, *sorted(set(found) - set(self.types))]
        return list(dict.fromkeys(filter(None, map(self.name, raw_types))))

    def records(
        self, model: type[Model], unit: str = "", *, under: str = "", reason: str = "broken record"
    ) -> Iterator[tuple[str, Model]]:
        """Yield place and content of each record of all files, counted as ``unit``; a broken one is left out.

        A file that is one object without the field ``under`` is read as the only list in it.
        """
        for path in self.files:
            for record in formats.records(local(path), (under,) if under else ()):
                if unit:
                    self.counts.found[unit] += 1
                try:
                    if record.error:
                        raise ValueError(record.error)
                    content = model.model_validate(record.value)
                except ValueError as error:
                    self.counts.drop("read", reason, record.where, record.raw or record.value, error)
                else:
                    yield record.where, content


def lines(path: Path) -> Iterator[Line]:
    """Yield each line in NFC and without its end; only line feeds end one."""
    for line in decoded_lines(local(path)):
        yield line.where, line.raw if line.error else nfc(line.value).removeprefix("\ufeff"), line.error


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode("utf-8")).hexdigest()[:16]
