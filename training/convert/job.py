"""What all converters share: files and options of a conversion, its counts, and how samples are made."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias, TypeVar

from pydantic import AfterValidator, StringConstraints, ValidationError

from annotator.records import Sample
from annotator.samples.explode import instruction
from annotator.sources import formats
from annotator.sources.formats.files import SHOWN, Record, local
from annotator.sources.formats.files import lines as source_lines
from normalizers.text import nfc
from training.convert.options import Options

EXAMPLES: Final = 5
"""Examples kept of each reason."""
_NAMES: Final = {"per": "person", "loc": "location", "org": "organization", "misc": "miscellaneous"}
"""Names of the types that published sets abbreviate."""
Content = TypeVar("Content")
Reasons: TypeAlias = dict[str, dict[str, Any]]
"""By reason its ``count`` and the first ``examples``: where, value and detail."""


def storable(text: str) -> str:
    """Return ``text`` in NFC; raise a ValueError for half of a surrogate pair, which cannot be stored."""
    text.encode()
    return nfc(text)


Text: TypeAlias = Annotated[str, AfterValidator(storable)]
"""A field of a record, in NFC."""
Filled: TypeAlias = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(storable)]
"""Such a field, stripped and not empty."""


class LeftOutError(ValueError):
    """A valid record that gives no sample; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a benchmark."""

    where: str
    text: str
    mentions: Sequence[tuple[str, str, int]]
    """Raw type and text of each gold mention, and its level of nesting: 1 for an outermost one."""


class Counts:
    """Counts of what was read, by unit: sentences, entities, ... For every unit, in = kept + left out."""

    def __init__(self) -> None:
        self._kept: Counter[str] = Counter()
        self._left_out: defaultdict[str, Reasons] = defaultdict(dict)
        self.notes: Reasons = {}
        """What was fixed or is worth knowing; nothing was lost."""

    def keep(self, unit: str) -> None:
        """Count one unit that is kept."""
        self._kept[unit] += 1

    def drop(self, unit: str, reason: str, where: str, value: object = "", detail: object = "") -> None:
        """Count one unit that is left out."""
        self._kept[unit] += 0  # so that the funnel has the unit where none is kept
        _add(self._left_out[unit], reason, where, value, detail)

    def note(self, what: str, where: str, value: str) -> None:
        """Count one of ``notes``."""
        _add(self.notes, what, where, value)

    def funnel(self) -> list[dict[str, Any]]:
        """Return how many of each unit came in and were kept, and the reasons for those left out."""
        rows = []
        for unit, kept in self._kept.items():
            reasons = self._left_out[unit]
            left_out = sum(reason["count"] for reason in reasons.values())
            rows.append({"unit": unit, "in": kept + left_out, "out": kept, "left_out": reasons})
        return rows


def _add(reasons: Reasons, reason: str, where: str, value: object, detail: object = "") -> None:
    """Count one more of ``reason``; the first ones are its examples."""
    found = reasons.setdefault(reason, {"count": 0, "examples": []})
    found["count"] += 1
    if len(found["examples"]) < EXAMPLES:
        if isinstance(detail, KeyError):
            detail = f"no field {detail}"
        elif isinstance(detail, ValidationError):
            first = detail.errors(include_url=False)[0]
            detail = f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": ")
        example = {"where": where, "value": str(value)[:SHOWN], "detail": str(detail)}
        found["examples"].append({name: shown.encode("utf-8", "replace").decode() for name, shown in example.items()})


@dataclass(frozen=True, slots=True)
class Job:
    """One conversion. Ids of samples are hashes of content; a repeated sample gets an id of its own."""

    files: Sequence[Path]
    options: Options
    types: Sequence[str] = ()
    """Raw types of the published set that ``--set`` names."""
    names: Mapping[str, str] = field(default_factory=dict)
    """The user's name of a type, by the raw type in lower case; an empty name leaves it out."""
    counts: Counts = field(default_factory=Counts)
    _times: Counter[int] = field(default_factory=Counter)
    """How often each id occurred; a number is smaller in memory than its hex digits."""

    def records(self, parse: Callable[[Any], Content], unit: str, under: str = "") -> Iterator[tuple[str, Content]]:
        """Yield place and parsed content of each record; an object without the field ``under`` is read as its list."""
        for path in self.files:
            for record in formats.records(local(path), (under,) if under else ()):
                content = self.parsed(parse, unit, record)
                if content is not None:
                    yield record.where, content

    def parsed(self, parse: Callable[[Any], Content], unit: str, record: Record) -> Content | None:
        """Return the parsed value of a record, counted as one ``unit``; None where ``parse`` raises an error.

        A ``LeftOutError`` has its reason; a ValueError, TypeError or KeyError is a broken record.
        """
        try:
            if record.error:
                raise ValueError(record.error)
            content = parse(record.value)
        except (ValueError, TypeError, KeyError) as error:
            reason, detail = (str(error), "") if isinstance(error, LeftOutError) else ("broken record", error)
            self.counts.drop(unit, reason, record.where, record.raw or record.value, detail)
            return None
        self.counts.keep(unit)
        return content

    def name(self, raw_type: str) -> str:
        """Return the name of a type: ``SYMPTOM_AND_DISEASE`` -> ``symptom and disease``; empty leaves it out."""
        lower = raw_type.lower()
        return self.names.get(lower, _NAMES.get(lower, " ".join(lower.replace("_", " ").split())))

    def ask(self, sentences: Iterable[Sentence]) -> Iterator[Sample]:
        """Yield a query for each type about each sentence; the answer for a type that it lacks is ``[]``.

        Types are those of the published set, then all others in the sentences, which are all read first.
        """
        sentences = list(sentences)
        others = {raw_type for sentence in sentences for raw_type, _, _ in sentence.mentions} - set(self.types)
        types = dict.fromkeys(filter(None, map(self.name, [*self.types, *sorted(others)])))
        for sentence in sentences:
            self.counts.keep("sentences")
            gold = defaultdict[str, list[str]](list)
            for raw_type, mention, level in sentence.mentions:
                name = self.name(raw_type)
                if name and level <= self.options.levels:
                    self.counts.keep("entities")
                    gold[name].append(mention)
                else:
                    reason = "nested deeper than --levels" if name else "type left out"
                    self.counts.drop("entities", reason, sentence.where, f"{raw_type}: {mention}")
            passage_id = self.passage(sentence.text)
            for entity_type in types:
                yield self.query(passage_id, sentence.text, entity_type, gold[entity_type])

    def passage(self, text: str) -> str:
        """Return the id of a passage; a second sentence of the same words is another passage."""
        return self._apart(_digest(text))

    def query(self, passage_id: str, text: str, entity_type: str, mentions: Iterable[str]) -> Sample:
        """Return the query for one type about one passage, answered with the distinct mentions."""
        distinct = list(dict.fromkeys(mentions))
        identity, answer = self._apart(_digest(passage_id, entity_type)), json.dumps(distinct, ensure_ascii=False)
        return Sample(identity, instruction(entity_type), text, answer, entity_type, not distinct, passage_id)

    def instruct(self, about: str, instruction: str, text: str, output: str) -> Sample:
        """Return a sample of another task, without a type; samples about the same text share a ``passage_id``."""
        passage_id = _digest(about)
        identity = self._apart(_digest(passage_id, instruction))
        return Sample(identity, instruction, text, output, "", negative=False, passage_id=passage_id)

    def _apart(self, identity: str) -> str:
        self._times[key := int(identity, 16)] += 1
        return identity if self._times[key] == 1 else _digest(identity, str(self._times[key] - 1))


def lines(path: Path) -> Iterator[Record]:
    """Yield each line in NFC, without its end; one that is not UTF-8 has an ``error``, and its raw text as value."""
    for line in source_lines(local(path)):  # files that were joined have byte order marks inside
        text = line.raw if line.error else nfc(line.value).removeprefix("\ufeff")
        yield Record(line.where, text, line.raw, line.error)


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode("utf-8")).hexdigest()[:16]
