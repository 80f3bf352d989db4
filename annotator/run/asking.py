"""Ask the questions of a run that have no answer yet; ``annotator.asking.pool`` skips the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

from annotator.asking.batch_files import outside_open_batches
from annotator.asking.endpoint_limits import context_window, retirement
from annotator.asking.pool import ask_all, estimate_tokens, pace_of
from annotator.config.settings import RunConfig
from annotator.errors import ConfigError, LimitError
from annotator.ledger import Failure, Ledger
from annotator.passages.tokenizers import load_tokenizer, request_tokenizer
from annotator.records import Passage
from annotator.run.context import Context
from annotator.teachers import Asked


def ask(context: Context, questions: Iterable[Asked], ledger: Ledger) -> None:
    """Ask each of ``questions`` that has no answer in the ledger and is in no batch, one request a passage.

    A question that cannot fit the model's window is not sent; the ledger records why.
    """
    config, teacher = context.config, context.teacher
    overhead = load_tokenizer(request_tokenizer(config.tokenizer)).count(str(teacher.question("").content))
    room = _room(config, overhead)
    if gone := retirement(config):
        context.progress.say(gone)

    def fitting() -> Iterator[Asked]:
        for asked in outside_open_batches(context.run, questions, context.progress):
            passage, question = in_request_tokens(asked.passage, config), asked.question
            if passage.n_tokens <= room:
                yield Asked(passage, question)
            else:
                detail = f"{passage.n_tokens} tokens, and the model's window leaves {room:.0f}; lower --max-tokens"
                ledger.record_failures([Failure(question.key, passage.id, "does not fit", detail)])
                context.progress.advance()

    progress = context.progress
    try:
        ask_all(fitting(), teacher, ledger, pace_of(config), progress, partial(estimate_tokens, overhead=overhead))
    except LimitError as error:  # the answers so far are of use; a later run asks the others
        progress.say(str(error))


def in_request_tokens(passage: Passage, config: RunConfig) -> Passage:
    """Return the passage with its length in the teacher's tokens, also where the run counts words."""
    spec = request_tokenizer(config.tokenizer)
    if spec == config.tokenizer:
        return passage
    return replace(passage, n_tokens=load_tokenizer(spec).count(passage.text))


def _room(config: RunConfig, overhead: int) -> float:
    """Return the tokens that the model's window leaves for a passage; infinite where the window is unknown."""
    window = context_window(config.teacher_model)
    room = window - overhead - config.max_completion_tokens
    if window and room < config.min_tokens:
        raise ConfigError(
            f"{config.teacher_model} takes {window} tokens; the prompt's {overhead} and --max-completion-tokens "
            f"{config.max_completion_tokens} leave no room for a passage: lower --max-completion-tokens"
        )
    return room if window else float("inf")
