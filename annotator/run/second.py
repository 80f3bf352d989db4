"""The second teacher of a run: which passages and types it is asked about, and its answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from annotator.checking.drawing import fraction
from annotator.checking.query_answers import SCHEMA, QueryAnswer
from annotator.checking.settings import CheckSettings, read_check
from annotator.config.settings import RunConfig
from annotator.ledger import Answers
from annotator.records import Completion, Passage
from annotator.run.partitions import Answered
from annotator.samples.explode import asked_as, instruction
from annotator.storage import tables
from annotator.storage.rundir import RunDir
from annotator.teachers import Asked, Teacher, make_query_teacher, make_teacher, query_text
from annotator.teachers.entity_types import read_types

if TYPE_CHECKING:
    import pyarrow as pa

_NONE: Final = Completion("", "", "", "", 0, 0, 0.0, 0.0)
"""Marks a missing answer."""


class Types(NamedTuple):
    """The types of a passage that a second teacher is asked about by query."""

    found: tuple[str, ...] = ()
    """Those that the first teacher found."""
    absent: tuple[str, ...] = ()
    """Drawn from those that it did not find."""


@dataclass(frozen=True)
class Second:
    """The second teacher of a run."""

    settings: CheckSettings
    config: RunConfig
    """The settings of the run, with this teacher in place of the first."""
    teacher: Teacher
    positions: Mapping[str, float] = field(default_factory=dict)
    """Of the passages in the order in which a share takes them, by id; without any their hashes are taken."""

    def is_asked(self, passage_id: str) -> bool:
        """Whether a passage is in the share that it is asked about."""
        share = self.settings.share
        return share >= 1 or self.positions.get(passage_id, fraction(self.config.seed, passage_id)) < share

    def number(self, passage_id: str) -> int:
        """Return how many questions it is asked about a passage."""
        return int(self.is_asked(passage_id))

    def questions(self, passages: Iterable[Passage]) -> Iterator[Asked]:
        """Yield the passages that it is asked about, each with its question."""
        return (Asked(one, self.teacher.question(one.text)) for one in passages if self.is_asked(one.id))

    def add_answers(self, answered: Answered, ledger: Answers) -> Answered:
        """Add this teacher's answers to a partition of passages and the first teacher's answers."""
        asked = ((text, self.is_asked(identity)) for identity, text in _texts(answered))
        keys = [self.teacher.question(text).key if is_asked else "" for text, is_asked in asked]
        found = ledger.find({key for key in keys if key})
        others = tables.to_batch([found.get(key, _NONE) for key in keys], tables.COMPLETION)
        return answered._replace(others=others)


@dataclass(frozen=True)
class ByQuery(Second):
    """A second teacher that is asked the method's own question, once for each type of a passage."""

    types: Mapping[str, Types] = field(default_factory=dict)
    """By passage id."""
    definitions: Mapping[str, str] = field(default_factory=dict)
    """Of the types that have one in the instructions of samples."""

    def number(self, passage_id: str) -> int:
        """Return how many queries it is asked about a passage."""
        return len(self._types(passage_id))

    def questions(self, passages: Iterable[Passage]) -> Iterator[Asked]:
        """Yield a query for each type; as a passage it has the text of the query."""
        for one in passages:
            for entity_type in self._types(one.id):
                text = self._query(one.text, entity_type)
                yield Asked(replace(one, text=text, pieces=()), self.teacher.question(text))

    def add_answers(self, answered: Answered, ledger: Answers) -> Answered:
        """Add the answers to queries to a partition of passages and the first teacher's answers."""
        asked = [
            (place, entity_type, self.teacher.question(self._query(text, entity_type)).key)
            for place, (identity, text) in enumerate(_texts(answered))
            for entity_type in self._types(identity)
        ]
        found = ledger.find({key for _, _, key in asked})
        answers = [
            QueryAnswer(place, entity_type, found[key].reply, found[key].finish_reason, found[key].logprobs)
            for place, entity_type, key in asked
            if key in found
        ]
        return answered._replace(queries=tables.to_batch(answers, SCHEMA))

    def counted(self, passages: Iterable[Passage], ledger: Answers) -> dict[str, int]:
        """Count the answered queries about types that the first teacher found, and about absent ones."""
        counts = Counter(found=0, absent=0)
        for one in passages:
            kinds = zip(Types._fields, self.types.get(one.id, Types()), strict=True) if self.is_asked(one.id) else ()
            for kind, types in kinds:
                keys = [self.teacher.question(self._query(one.text, entity_type)).key for entity_type in types]
                counts[kind] += len(ledger.known(keys))
        return dict(counts)

    def _types(self, passage_id: str) -> tuple[str, ...]:
        found, absent = self.types.get(passage_id, Types()) if self.is_asked(passage_id) else Types()
        return (*found, *absent)

    def _query(self, text: str, entity_type: str) -> str:
        return query_text(text, instruction(asked_as(entity_type, self.definitions)))


def make_second(settings: CheckSettings, first: RunConfig) -> Second:
    """Make the second teacher of a run whose settings are ``first``.

    Raises:
        ConfigError: a setting is wrong.
    """
    own = settings.config(first)
    if settings.by == "passage":
        return Second(settings, own, make_teacher(own))
    defined = first.types and first.instruction == "definition"
    definitions = read_types(Path(first.types)).definitions if defined else {}
    return ByQuery(settings, own, make_query_teacher(own), definitions=definitions)


def second_of(run: RunDir, config: RunConfig) -> Second | None:
    """Return the second teacher of a run with the settings ``config``; None where none was asked.

    Raises:
        RunDirError: its settings are damaged.
    """
    settings = read_check(run.check)
    return make_second(settings, config) if settings else None


def _texts(answered: Answered) -> Iterator[tuple[str, str]]:
    passages: pa.RecordBatch = answered.passages
    return zip(passages.column("id").to_pylist(), passages.column("text").to_pylist(), strict=True)
