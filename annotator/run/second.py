"""The second teacher of a run: its questions, its answers, and what the arbiter says of the differences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

from annotator.checking.arbiter import QUESTIONS, accepted, make_arbiter
from annotator.checking.compare import Entity
from annotator.checking.drawing import Outline, fraction, positions
from annotator.checking.settings import CheckSettings, read_check
from annotator.cleaning.clean import Decider
from annotator.cleaning.corrections import Correction
from annotator.config import RunConfig
from annotator.engines import Engine
from annotator.ledger import Answers
from annotator.records import Completion, Passage
from annotator.run.partitions import Answered, differences_part, outlines_part
from annotator.run.steps import passage_steps, splits_of_passages
from annotator.storage import tables
from annotator.storage.rundir import RunDir
from annotator.teachers import Asked, Teacher, make_teacher
from normalizers.labels import LabelNormalizer, load_lexicon

if TYPE_CHECKING:
    import pyarrow as pa

_NONE: Final = Completion("", "", "", "", 0, 0, 0.0, 0.0)
"""Marks a missing answer."""


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

    def questions(self, passages: Iterable[Passage]) -> Iterator[Asked]:
        """Yield the passages that it is asked about, each with its question."""
        return (Asked(one, self.teacher.question(one.text)) for one in passages if self.is_asked(one.id))

    def answers(self, passages: pa.RecordBatch, ledger: Answers) -> pa.RecordBatch:
        """Return its answers to ``passages`` in their order; without a key where there is none."""
        pairs = zip(passages.column("id").to_pylist(), passages.column("text").to_pylist(), strict=True)
        keys = [self.teacher.question(text).key if self.is_asked(identity) else "" for identity, text in pairs]
        found = ledger.find({key for key in keys if key})
        return tables.to_batch([found.get(key, _NONE) for key in keys], tables.COMPLETION)


def second_of(run: RunDir, config: RunConfig) -> Second | None:
    """Return the second teacher of a run with the settings ``config``; None where none was asked.

    Raises:
        RunDirError: its settings are damaged.
    """
    settings = read_check(run.check)
    if settings is None:
        return None
    own = settings.config(config)
    return Second(settings, own, make_teacher(own))


def drawn(second: Second, run: RunDir, answered: Iterable[Answered], engine: Engine) -> Second:
    """Return the second teacher with the positions of the passages, where it is asked about a part of them.

    They depend on the first teacher's answers, and not on decisions of people about labels and entities: these change
    nothing about which passages were paid for. Those of each step of the run are drawn by themselves, likewise.
    """
    if second.settings.share >= 1 or second.settings.draw != "stratified":
        return second
    work = partial(outlines_part, labels=LabelNormalizer(load_lexicon()))
    entities = {identity: types for part in engine.spread(work, answered) for identity, types in part}
    splits, found = splits_of_passages(run, second.config), dict[str, float]()
    for step, rows in enumerate(passage_steps(run)):
        known = [Outline(identity, split, entities.get(identity)) for identity, split in islice(splits, len(rows))]
        found |= positions(known, second.config.seed + step)
    return replace(second, positions=found)


def disputes(
    answered: Iterable[Answered],
    labels: Decider,
    corrections: Mapping[str, Correction],
    second: Second,
    engine: Engine,
) -> Iterator[tuple[Asked, list[Entity]]]:
    """Yield for each passage on which two teachers differ the question to the arbiter, and its candidates."""
    prompt = second.settings.arbiter
    arbiter = make_arbiter(second.config, prompt)
    work = partial(differences_part, labels=labels, corrections=corrections, shown=QUESTIONS[prompt])
    for part in engine.spread(work, answered):
        for passage_id, text, candidates in part:
            question = arbiter.question(text)
            # A passage of the length of the question: that is what it costs.
            yield Asked(Passage(passage_id, text, len(text) // 3, (), 1), question), candidates


def decisions(
    second: Second,
    answered: Iterable[Answered],
    labels: Decider,
    corrections: Mapping[str, Correction],
    ledger: Answers,
    engine: Engine,
) -> dict[str, frozenset[tuple[str, str]]]:
    """Return, by passage id, mention and label of the entities that the arbiter accepted, where it decided."""
    found = {}
    for asked, candidates in disputes(answered, labels, corrections, second, engine):
        answer = ledger.get(asked.question.key)
        if answer and (right := accepted(answer, candidates)) is not None:
            found[asked.passage.id] = right
    return found
