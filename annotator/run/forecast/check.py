"""Forecast the cost of ``vner-annotate check``: of the second teacher, and of an arbiter of what the two differ on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from annotator.checking.arbiter import make_arbiter
from annotator.checking.query_answers import QueryAnswer, combined
from annotator.cleaning.clean import Cleaned
from annotator.ledger import Ledger
from annotator.passages.tokenizers import load_tokenizer, request_tokenizer
from annotator.records import Completion, Passage
from annotator.run.answers import answered, choose_questions, decider, disputes
from annotator.run.asking import in_request_tokens
from annotator.run.backends import answers_of
from annotator.run.check import CheckRequest, prepare_check
from annotator.run.context import Context
from annotator.run.forecast.build import forecast, prompt_tokens_of
from annotator.run.forecast.plan import Arbiter, Assumed, Plan
from annotator.run.second import ByQuery, Second
from annotator.storage import tables
from annotator.teachers.prices import Price
from annotator.terminal.events import Progress

QUERY_ANSWER_RATIO: Final = 0.05
"""Assumed tokens of an answer to a query for each token of its passage; samples of the bundled articles have 0.04."""
CANDIDATES: Final = 6
"""Assumed entities of a passage on which two teachers differ: measured with a weak one in docs/second-opinion.md."""


def plan_check(
    root: Path, settings: Mapping[str, Any], progress: Progress, assumed: Assumed, request: CheckRequest
) -> Plan:
    """Forecast the cost of a check without sending a request; the arguments are those of ``checking``.

    Raises:
        AnnotateError: as for a check.
    """
    context, second = prepare_check(root, settings, progress, request)
    with answers_of(context.run) as ledger, closing(context.engine):
        if ledger:
            second = choose_questions(second, context, ledger, decider(context, ledger))
        own = dataclasses.replace(context, config=second.config, teacher=second.teacher)
        passages = (in_request_tokens(one, own.config) for one in tables.read_passages(context.run.passages))
        questions = second.questions(passages)
        if isinstance(second, ByQuery):
            unit, ratio = "questions", QUERY_ANSWER_RATIO
            found = forecast(own, assumed, questions, unit=unit, answer_ratio=ratio, read=_read_query)
        else:
            found = forecast(own, assumed, questions)
        if ledger and second.settings.keep == "arbiter":
            found = dataclasses.replace(found, arbiter=_arbiter(context, second, ledger, found.price))
    return found


def _read_query(passage: Passage, completion: Completion) -> Cleaned | None:
    return combined(passage, [QueryAnswer(0, "entity", completion.reply, completion.finish_reason)])[0]


def _arbiter(context: Context, second: Second, ledger: Ledger, price: Price | None) -> Arbiter:
    """Forecast the arbiter's questions: exactly where both teachers have answered, else one for each passage."""
    tokenizer = load_tokenizer(request_tokenizer(second.config.tokenizer))
    arbiter = make_arbiter(second.config, second.settings.arbiter)
    questions = [
        (asked.question, len(candidates))
        for asked, candidates in disputes(context, ledger, second, decider(context, ledger))
        if not ledger.has(asked.question.key)
    ]
    compared = {passage_id for part in answered(context, ledger, second) for passage_id in part.checked()}
    questions += [
        (arbiter.question(passage.text), CANDIDATES)
        for passage in tables.read_passages(context.run.passages)
        if second.is_asked(passage.id) and passage.id not in compared
    ]
    prompt = sum(prompt_tokens_of(question, tokenizer) for question, _ in questions)
    completion = round(sum(2 + 1.5 * candidates for _, candidates in questions))  # the list, and its numbers
    return Arbiter(
        requests=len(questions),
        prompt_tokens=prompt,
        completion_tokens=completion,
        usd=round(price.of(prompt, completion), 6) if price else None,
        basis="at most: one for each passage that one of the teachers has not answered, as long as the passage",
    )
