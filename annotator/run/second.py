"""The second teacher of a run: which passages and types it is asked about, and its answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from annotator.checking.drawing import fraction
from annotator.checking.query_answers import SCHEMA, QueryAnswer
from annotator.checking.settings import CheckSettings, read_check
from annotator.config.settings import RunConfig
from annotator.ledger import Ledger
from annotator.records import Passage
from annotator.run.partitions import Answered
from annotator.samples.explode import asked_as, instruction
from annotator.storage import tables
from annotator.storage.rundir import RunDir
from annotator.teachers import Asked, Teacher, make_query_teacher, make_teacher, query_text
from annotator.teachers.entity_types import read_types


class Types(NamedTuple):
    """The types of a passage that a second teacher is asked about by query."""

    found: tuple[str, ...] = ()
    """The types that the first teacher found."""
    absent: tuple[str, ...] = ()
    """Some types that it did not find, drawn at random."""


@dataclass(frozen=True)
class Second:
    """The second teacher of a run."""

    settings: CheckSettings
    config: RunConfig
    """The settings of the run, with this teacher in place of the first."""
    teacher: Teacher
    positions: Mapping[str, float] = field(default_factory=dict)
    """By passage id, the place (0 to 1) in the order in which a share is drawn; without one it is the id's hash."""

    def is_asked(self, passage_id: str) -> bool:
        """Return whether a passage is in the share that it is asked about."""
        share = self.settings.share
        return share >= 1 or self.positions.get(passage_id, fraction(self.config.seed, passage_id)) < share

    def asked(self, passage_id: str, text: str) -> list[tuple[str, str]]:
        """Return the questions about a passage: entity type, empty for all types, and text."""
        return [("", text)] if self.is_asked(passage_id) else []

    def questions(self, passages: Iterable[Passage]) -> Iterator[Asked]:
        """Yield its questions; the passage of each has the text of the question."""
        for one in passages:
            for _, text in self.asked(one.id, one.text):
                yield Asked(replace(one, text=text, pieces=()), self.teacher.question(text))

    def add_answers(self, answered: Answered, ledger: Ledger) -> Answered:
        """Add this teacher's answers to a partition of passages and the first teacher's answers."""
        ids, texts = (answered.passages.column(name).to_pylist() for name in ("id", "text"))
        asked = [
            (place, entity_type, self.teacher.question(question).key)
            for place, passage in enumerate(zip(ids, texts, strict=True))
            for entity_type, question in self.asked(*passage)
        ]
        found = ledger.find({key for _, _, key in asked})
        answers = [
            QueryAnswer(place, entity_type, found[key].reply, found[key].finish_reason, found[key].logprobs)
            for place, entity_type, key in asked
            if key in found
        ]
        return answered._replace(second=tables.to_batch(answers, SCHEMA))


@dataclass(frozen=True)
class ByQuery(Second):
    """A second teacher that is asked the method's own question, once for each type of a passage."""

    types: Mapping[str, Types] = field(default_factory=dict)
    """By passage id."""
    definitions: Mapping[str, str] = field(default_factory=dict)
    """By type, where the instructions of samples have definitions."""

    def asked(self, passage_id: str, text: str) -> list[tuple[str, str]]:
        """Return the types that it is asked about, each with the text of the query."""
        found, absent = self.types.get(passage_id, Types()) if self.is_asked(passage_id) else Types()
        return [
            (entity_type, query_text(text, instruction(asked_as(entity_type, self.definitions))))
            for entity_type in (*found, *absent)
        ]

    def counted(self, passages: Iterable[Passage], ledger: Ledger) -> dict[str, int]:
        """Count the answered queries about types that the first teacher found, and about absent ones."""
        counts = Counter(found=0, absent=0)
        for one in passages:
            keys = [self.teacher.question(text).key for _, text in self.asked(one.id, one.text)]
            number = len(self.types.get(one.id, Types()).found)
            counts["found"] += len(ledger.known(keys[:number]))
            counts["absent"] += len(ledger.known(keys[number:]))
        return dict(counts)


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
    """Return the second teacher of a run with the settings ``config``; None where it has none.

    Raises:
        RunDirError: its settings are damaged.
    """
    settings = read_check(run.check)
    return make_second(settings, config) if settings else None
