"""Forecast the cost of a run: passages, tokens, money and time.

A plan sends no request. A pilot asks about a few passages and stores the answers in the ledger of the run; its
measurements replace the assumptions.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Final

from annotator.asking.batch_files import keys_in_open_batches
from annotator.cleaning.clean import Cleaned, clean_reply
from annotator.errors import ConfigError
from annotator.passages.tokenizers import Tokenizer, load_tokenizer, request_tokenizer
from annotator.records import Completion, Passage
from annotator.run.asking import ask, in_request_tokens
from annotator.run.backends import answers_of, open_ledger
from annotator.run.context import Context
from annotator.run.forecast.plan import Assumed, Plan, Seen
from annotator.run.response_format import settle_response_format
from annotator.run.runner import run
from annotator.storage import tables
from annotator.storage.rundir import opened
from annotator.teachers import Asked, Question, make_teacher, questions_about, require_key
from annotator.teachers.prices import price_of
from annotator.teachers.registry import PROVIDERS
from annotator.terminal.events import Progress, displayed
from normalizers.labels import LabelNormalizer, load_lexicon

ANSWER_RATIO: Final = 0.5
"""Assumed answer tokens for each passage token, until there are answers. The embedded teacher, with few types, needs
0.31 (150 passages of real news); a large model with free types needs more."""
AROUND_A_MESSAGE: Final = 5
"""Tokens that a chat template puts around a message (Llama 3; others take 3 or 4), and around the whole."""
LATENCY: Final = 2.0
"""Assumed seconds an answer takes, until there are answers."""
LOCAL_LATENCY: Final = 0.02
"""The same for the embedded teacher: 14 ms on real news, and some overhead."""


def plan(
    root: Path | None,
    settings: Mapping[str, Any],
    progress: Progress,
    assumed: Assumed,
    *,
    pilot: int = 0,
    fresh: bool = False,
) -> Plan:
    """Sample and chunk as a run would, and forecast the cost of the requests.

    Args:
        root: the run directory, which the next run continues; None: a temporary one.
        settings: as for a run.
        progress: receives all events.
        assumed: assumptions about the teacher.
        pilot: passages to ask about now, evenly spread; the same ones each time, so that they are paid once.
        fresh: as for a run.

    Raises:
        AnnotateError: as for a run, and a pilot without a directory to keep its answers in.
    """
    if pilot and root is None:
        raise ConfigError("--pilot needs --out DIR, where its paid answers are kept")
    with tempfile.TemporaryDirectory(prefix="vner-plan-") if root is None else nullcontext(str(root)) as folder:
        place = Path(folder)
        outcome = run(place, settings, progress, until="chunk", fresh=fresh)
        config = outcome.config
        with opened(place) as directory:
            if pilot:
                require_key(config)
                config = settle_response_format(config, directory, progress)
            context = Context(config, directory, load_tokenizer(config.tokenizer), make_teacher(config), progress)
            if pilot:
                _ask_some(context, pilot)
            passages = (in_request_tokens(one, config) for one in tables.read_passages(directory.passages))
            return forecast(context, assumed, questions_about(passages, context.teacher))


def _ask_some(context: Context, pilot: int) -> None:
    """Ask about ``pilot`` passages, one from each of as many equal parts of the run."""
    total = tables.count(context.run.passages)
    pilot = min(pilot, total)
    rng = random.Random(context.config.seed)
    chosen = {rng.randrange(part * total // pilot, (part + 1) * total // pilot) for part in range(pilot)}
    passages = (passage for place, passage in enumerate(tables.read_passages(context.run.passages)) if place in chosen)
    context.progress.start("pilot", "passages", pilot)
    with displayed(context.progress), open_ledger(context.run, context.config.ledger) as ledger:
        ask(context, questions_about(passages, context.teacher), ledger)


def forecast(
    context: Context,
    assumed: Assumed,
    questions: Iterable[Asked],
    *,
    unit: str = "passages",
    answer_ratio: float = ANSWER_RATIO,
    read: Callable[[Passage, Completion], Cleaned | None] | None = None,
) -> Plan:
    """Forecast the cost of the ``questions`` that have no answer yet.

    Args:
        context: the run, with the settings of the teacher that is asked.
        assumed: assumptions of the user.
        questions: each with a passage whose length is in tokens of the request.
        unit: the name of a question in the plan.
        answer_ratio: assumed answer tokens for each passage token.
        read: returns the entities of an answer, None where it is unreadable; by default those of a whole passage.
    """
    config = context.config
    read = read or partial(clean_reply, labels=LabelNormalizer(load_lexicon()))
    tokenizer = load_tokenizer(request_tokenizer(config.tokenizer))
    seen, known = Seen(), set[str]()
    total = prompt_tokens = passage_tokens = to_ask = in_batch = 0
    waiting = keys_in_open_batches(context.run)
    with answers_of(context.run) as ledger:  # a plan creates no ledger: with one, the teacher can no longer be changed
        for passage, question in questions:
            total += 1
            if question.key in known:
                continue
            known.add(question.key)
            expected = prompt_tokens_of(question, tokenizer)
            completion = ledger.get(question.key) if ledger else None
            if completion:
                seen.add(passage, completion, read(passage, completion), tokenizer)
                seen.expected_prompt_tokens += expected if completion.prompt_tokens else 0
            elif question.key in waiting:
                in_batch += 1
            else:
                to_ask += 1
                prompt_tokens += expected
                passage_tokens += passage.n_tokens
                if ledger and (failure := ledger.failure(question.key)):
                    seen.failures[failure.kind] += 1

    correction = seen.prompt_tokens / seen.expected_prompt_tokens if seen.expected_prompt_tokens else 1.0
    ratio = seen.completion_tokens / seen.passage_tokens if seen.answers else answer_ratio
    is_chat = PROVIDERS[config.provider].chat  # the embedded teacher counts no tokens
    latency = assumed.latency if assumed.latency is not None else LATENCY if is_chat else LOCAL_LATENCY
    return Plan(
        config=config,
        unit=unit,
        count=total,
        answered=total - to_ask - in_batch,
        in_batch=in_batch,
        prompt_tokens=round(prompt_tokens * correction),
        completion_tokens=min(round(passage_tokens * ratio), to_ask * config.max_completion_tokens) if is_chat else 0,
        answer_ratio=answer_ratio,
        latency=seen.seconds / seen.timed if seen.timed else latency,
        price=price_of(config, assumed.price_in, assumed.price_out),
        seen=seen,
    )


def prompt_tokens_of(question: Question, tokenizer: Tokenizer) -> int:
    """Return the tokens of the messages that will be sent; 0 for the embedded teacher."""
    messages = question.content.get("messages")
    if not messages:
        return 0
    return AROUND_A_MESSAGE + sum(AROUND_A_MESSAGE + tokenizer.count(message["content"]) for message in messages)
