"""Put the results of a batch into the ledger: answers, and why the other questions have none."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

from annotator.asking.batch_files import Batch
from annotator.asking.recorder import completion_of
from annotator.errors import TeacherError
from annotator.ledger import Answers, Attempt, Failure
from annotator.records import Completion
from annotator.teachers.batch import read_result
from annotator.teachers.parameters import other_names

WRITE: Final = 500
"""Results a transaction."""


def store_results(batch: Batch, lines: Iterable[bytes], left: dict[str, str], ledger: Answers) -> int:
    """Store the results of ``batch``, flushed to the disk, and set its counts and what it teaches about parameters.

    Args:
        batch: a batch that has ended.
        lines: of its result files, in any order; those that belong to none of its questions are counted.
        left: key -> passage id of its questions; those without an answer are left over.
        ledger: where the answers go.

    Returns:
        The tokens of its answers.
    """
    answers: list[Completion] = []
    attempts: list[Attempt] = []  # written at the end: where the download breaks off, all lines are read again
    failures: dict[str, Failure] = {}
    batch.completed = batch.unknown = tokens = 0
    for line in lines:
        try:
            result = read_result(line)
        except ValueError:
            batch.unknown += 1
            continue
        passage_id, answer = left.get(result.key), result.answer
        if passage_id is None:
            batch.unknown += 1
        elif isinstance(answer, TeacherError):
            if answer.body:  # paid for
                attempts.append(Attempt(result.key, passage_id, answer.kind, answer.body, time.time()))
            if answer.kind == "http 400":
                batch.sent_as |= other_names(str(answer))
            failures[result.key] = Failure(result.key, passage_id, answer.kind, str(answer))
        else:
            del left[result.key]
            answers.append(completion_of(result.key, passage_id, answer, latency=0.0))
            batch.completed += 1
            tokens += answer.prompt_tokens + answer.completion_tokens
            if len(answers) >= WRITE:
                ledger.append(answers)
                answers = []
    ledger.append(answers)
    for attempt in attempts:
        ledger.keep_attempt(attempt)
    batch.failed = len(left)
    why = batch.complaint or "the results have no line for it"
    ledger.record_failures([failures.get(key) or Failure(key, left[key], f"batch {batch.status}", why) for key in left])
    ledger.flush()
    return tokens
