"""Questions to the arbiter about a run, and what it decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from annotator.checking.arbiter import QUESTIONS, accepted, make_arbiter
from annotator.checking.compare import Entity
from annotator.cleaning.clean import Decider
from annotator.cleaning.corrections import Correction
from annotator.engines import Engine
from annotator.ledger import Answers
from annotator.records import Passage
from annotator.run.partitions import Answered, differences_part
from annotator.run.second import Second
from annotator.teachers import Asked


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
