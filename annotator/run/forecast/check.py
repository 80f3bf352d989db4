"""Forecast the cost of ``vner-annotate check``: of the second teacher, and of an arbiter of what the two differ on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Final

from annotator.checking.arbiter import QUESTIONS, make_arbiter
from annotator.checking.compare import Entity, entities_of
from annotator.checking.drawing import fraction
from annotator.checking.query_answers import QueryAnswer, combined
from annotator.cleaning.clean import Cleaned, Decider, clean_reply
from annotator.cleaning.corrections import read_corrections
from annotator.ledger import Answers
from annotator.passages.tokenizers import load_tokenizer, request_tokenizer
from annotator.records import Completion, Passage
from annotator.run.answers import answered, decider
from annotator.run.arbitration import disputes
from annotator.run.check import CheckRequest, prepare_check
from annotator.run.context import Context
from annotator.run.forecast.build import forecast, passages_in_tokens, prompt_tokens_of
from annotator.run.forecast.plan import Arbiter, Assumed, Kind, Plan
from annotator.run.ledgers import answers_of
from annotator.run.partitions import Answered
from annotator.run.second import ByQuery, Second, choose_questions
from annotator.storage import tables
from annotator.terminal.events import Progress

QUERY_ANSWER_RATIO: Final = 0.05
"""Assumed tokens of an answer to a query for each token of its passage; samples of the bundled articles have 0.04."""
ASSUMED_F1: Final = 0.7
"""Assumed F1 of the two teachers against each other, until both have answered about enough passages."""
ENOUGH: Final = 10
"""Passages that both have answered, from which on what they differ on is taken from these."""
ANSWER: Final = (2.0, 1.5)
"""Tokens of an arbiter's answer: in all, and for each candidate."""


def plan_check(
    root: Path, settings: Mapping[str, Any], progress: Progress, assumed: Assumed, request: CheckRequest
) -> Plan:
    """Forecast the cost of a check; nothing is asked.

    Args:
        root: a finished run directory.
        settings: of the second teacher; without a provider those of the last check stand.
        progress: receives all events.
        assumed: assumptions about the second teacher.
        request: what to ask and what to keep.

    Raises:
        AnnotateError: as for a check.
    """
    context, second = prepare_check(root, settings, progress, request)
    arbiter = None
    with answers_of(context.run) as ledger, closing(context.engine):
        if ledger:
            labels = decider(context, ledger)
            second = choose_questions(second, context.run, partial(answered, context, ledger), labels, context.engine)
            if second.settings.keep == "arbiter":
                arbiter = _arbiter(context, second, labels, ledger)
    own = dataclasses.replace(context, config=second.config, teacher=second.teacher)
    questions = second.questions(passages_in_tokens(context))
    if isinstance(second, ByQuery):
        found = forecast(own, assumed, questions, Kind("questions", QUERY_ANSWER_RATIO), _read_query)
    else:
        found = forecast(own, assumed, questions)
    return dataclasses.replace(found, arbiter=arbiter)


def _read_query(passage: Passage, completion: Completion) -> Cleaned | None:
    return combined(passage, [QueryAnswer(0, "entity", completion.reply, completion.finish_reason)])[0]


def _arbiter(context: Context, second: Second, labels: Decider, ledger: Answers) -> Arbiter:
    """Forecast the arbiter: exactly where both teachers have answered, an expectation for all other passages."""
    tokenizer = load_tokenizer(request_tokenizer(second.config.tokenizer))
    shown = QUESTIONS[second.settings.arbiter]
    arbiter = make_arbiter(second.config, second.settings.arbiter)
    both = list(answered(context, ledger, second))
    compared = {identity for part in both for identity in _compared(part)}
    corrections = read_corrections(context.run.corrections)
    known, to_ask = _Tokens(), _Tokens()
    for asked, candidates in disputes(both, labels, corrections, second, context.engine):
        own = _Tokens(1, prompt_tokens_of(asked.question, tokenizer), _answer(candidates))
        known += own
        to_ask += own if not ledger.has(asked.question.key) else _Tokens()
    ids = (one.id for one in tables.read_passages(context.run.passages))
    left = frozenset(filter(second.is_asked, ids)) - compared
    if len(compared) >= ENOUGH:
        rest = known.times(len(left) / len(compared))
        basis = f"as in the {len(compared):,} passages that both teachers have answered"
    else:
        share = 2 * (1 - ASSUMED_F1)
        work = partial(_assumed_part, labels=labels, seed=second.config.seed, share=share, left=left, shown=shown)
        rest = _Tokens()
        for part in context.engine.spread(work, both):
            for text, number in part:
                rest += _Tokens(1, prompt_tokens_of(arbiter.question(text), tokenizer), ANSWER[0] + ANSWER[1] * number)
        basis = (
            f"assumed: an F1 of {ASSUMED_F1:g} between the teachers, so {share:.1f} candidates for each entity of the "
            "first; a check of a small share replaces this"
        )
    total = to_ask + rest
    return Arbiter(
        requests=round(total.requests),
        prompt_tokens=round(total.prompt),
        completion_tokens=round(total.completion),
        basis=basis,
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Tokens:
    requests: float = 0
    prompt: float = 0
    completion: float = 0

    def __add__(self, other: _Tokens) -> _Tokens:
        return _Tokens(self.requests + other.requests, self.prompt + other.prompt, self.completion + other.completion)

    def times(self, factor: float) -> _Tokens:
        return _Tokens(self.requests * factor, self.prompt * factor, self.completion * factor)


def _answer(candidates: Sequence[Entity]) -> float:
    return ANSWER[0] + ANSWER[1] * len(candidates)


def _compared(part: Answered) -> Iterator[str]:
    """Yield the ids of the passages that the second teacher has answered, too."""
    ids = part.passages.column("id").to_pylist()
    if part.queries is not None:
        yield from (ids[place] for place in set(part.queries.column("place").to_pylist()))
    elif part.others is not None:
        yield from (identity for identity, key in zip(ids, part.others.column("key").to_pylist(), strict=True) if key)


def _assumed_part(
    part: Answered,
    labels: Decider,
    seed: int,
    share: float,
    left: frozenset[str],
    shown: Callable[[str, Sequence[Entity]], str],
) -> list[tuple[str, int]]:
    """Return what an arbiter would be shown if ``share`` of the first teacher's entities were candidates."""
    found = []
    passages: Iterable[Passage] = tables.from_batch(part.passages, Passage)
    for passage, answer in zip(passages, tables.from_batch(part.completions, Completion), strict=True):
        annotation = clean_reply(passage, answer, labels).annotation if passage.id in left else None
        entities = entities_of(annotation) if annotation else []
        candidates = [one for one in entities if fraction(seed, passage.id, *one.key) < share]
        if candidates:
            found.append((shown(passage.text, candidates), len(candidates)))
    return found
