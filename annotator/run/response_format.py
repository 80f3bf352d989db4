"""Settle ``--response-format auto`` for a run directory, before its first question.

The response format is part of a question's key, so it is settled once and stored in the manifest. The probe is the
first passage's own question, asked with the schema; its answer is kept like any other.
"""

from __future__ import annotations

import dataclasses
from typing import Final

from annotator.asking.pool import ask_all, pace_of
from annotator.asking.retry_policy import Action, rule_of
from annotator.config.settings import RunConfig
from annotator.errors import FatalTeacherError, TeacherError
from annotator.ledger import Failure
from annotator.run.backends import open_ledger
from annotator.storage import tables
from annotator.storage.rundir import RunDir
from annotator.teachers import make_teacher, questions_about
from annotator.terminal.events import Progress, displayed

_UNDECIDED: Final = ("http 429", "timeout", "connection")
"""Failures that do not depend on the schema."""


def settle_response_format(config: RunConfig, run: RunDir, progress: Progress) -> RunConfig:
    """Return ``config`` with the format that the endpoint accepts in place of ``--response-format auto``.

    The run has passages; the answer to the probe goes to its ledger.

    Raises:
        TeacherError: the endpoint does not answer.
    """
    if config.response_format != "auto":
        return config
    passage = next(iter(tables.read_passages(run.passages)), None)
    as_json, as_text = (dataclasses.replace(config, response_format=name) for name in ("json", "text"))
    if passage is None:
        return as_text
    teacher = make_teacher(as_json)
    key = teacher.question(passage.text).key
    with open_ledger(run, config.ledger) as ledger:
        if ledger.has(make_teacher(as_text).question(passage.text).key):
            return as_text
        progress.start("response format", "passages", 1)
        with displayed(progress):
            try:
                pace = dataclasses.replace(pace_of(config), concurrency=1)
                ask_all(questions_about([passage], teacher), teacher, ledger, pace, progress)
            except FatalTeacherError as error:
                if rule_of(error.kind).action is not Action.REFUSE:
                    raise
                ledger.record_failures([Failure(key, passage.id, error.kind, str(error))])
        failure = None if ledger.has(key) else ledger.failure(key)
    if failure is None:
        progress.say("the endpoint takes a JSON schema: all answers are asked for with it")
        return as_json
    if failure.kind in _UNDECIDED:
        raise TeacherError(f"cannot find out whether it takes a JSON schema: {failure.detail}", kind=failure.kind)
    progress.say(f"the endpoint takes no JSON schema ({failure.kind}): answers are asked for as text")
    return as_text
