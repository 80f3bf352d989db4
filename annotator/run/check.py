"""Ask a second teacher about the passages of a finished run, and clean and explode again with its answers."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from annotator.asking.batch_jobs import exchange
from annotator.asking.pool import ask_all, pace_of
from annotator.checking.arbiter import NEWEST, make_arbiter
from annotator.checking.settings import BY, TEACHER, CheckSettings, read_check, write_check
from annotator.cleaning.clean import Decider
from annotator.config.settings import Asking, RunConfig, make_config
from annotator.errors import ConfigError, LimitError
from annotator.ledger import Ledger
from annotator.run.answers import choose_questions, decider, disputes
from annotator.run.asking import ask
from annotator.run.backends import make_engine, open_ledger
from annotator.run.context import Context, make_context
from annotator.run.manifest.refusals import refuse_batch
from annotator.run.manifest.stored_settings import storable, stored_settings
from annotator.run.response_format import settle_response_format
from annotator.run.runner import Outcome, running
from annotator.run.second import ByQuery, Second, make_second
from annotator.storage import tables
from annotator.storage.rundir import existing, opened, unfinished
from annotator.teachers import Asked, make_teacher, require_key
from annotator.teachers.registry import PROVIDERS, chat_providers
from annotator.terminal.events import Progress, displayed


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRequest:
    """The options of a check; None: as in the last check, else the default."""

    by: str | None = None
    """What to ask, see ``annotator.checking.settings.BY``."""
    share: float | None = None
    """Of the passages to ask about, the same ones for the same seed."""
    keep: str | None = None
    """Which entities stay, see ``annotator.checking.keeping.KEEP``."""


@contextmanager
def checking(
    root: Path,
    given: Mapping[str, Any],
    progress: Progress,
    request: CheckRequest,
    *,
    asking: Asking = "now",
) -> Iterator[tuple[Outcome, int]]:
    """Ask a second teacher, apply ``keep``, and yield the outcome and the number of missing answers.

    Args:
        root: a finished run directory.
        given: settings of the second teacher; without a provider the others are those of the last check, else of the
            first teacher.
        progress: receives all events.
        request: what to ask and what to keep.
        asking: ``now``, or ``batch``: by the provider's Batch API. The arbiter is always asked now.

    Raises:
        AnnotateError: see ``annotator.errors``. Paid answers are on the disk.
    """
    context, second = prepare_check(root, given, progress, request)
    if asking == "batch":
        refuse_batch(second.config)
    if PROVIDERS[second.config.provider].chat:
        require_key(second.config)
    with opened(root) as run, closing(context.engine):
        own = settle_response_format(second.config, run, progress)
        if own != second.config:
            second = dataclasses.replace(second, config=own, teacher=make_teacher(own))
        if dict(context.teacher.identity) == dict(second.teacher.identity):
            raise ConfigError(
                "this is the first teacher itself, whose answers would agree with themselves: "
                "give another --model, --prompt or --provider"
            )
        with open_ledger(run, own.ledger) as ledger:
            labels = decider(context, ledger)
            second = choose_questions(second, context, ledger, labels)
            digest, missing = _ask(context, second, ledger, labels, asking)
            passages = tables.read_passages(run.passages)
            queries = second.counted(passages, ledger) if isinstance(second, ByQuery) else None
        teacher = {name: value for name, value in storable(own).items() if name in TEACHER}
        settings = dataclasses.replace(second.settings, teacher=teacher, answers=digest, queries=queries)
        write_check(run.check, settings)
    with running(root, {}, progress, asking="never") as outcome:
        yield outcome, missing


def prepare_check(
    root: Path, given: Mapping[str, Any], progress: Progress, request: CheckRequest
) -> tuple[Context, Second]:
    """Return the context of a finished run, and its second teacher from ``given`` and the last check.

    Raises:
        ConfigError: a setting is wrong, or no second teacher is named.
        RunDirError: the run is not finished.
    """
    run = existing(root)
    manifest = run.read_manifest()
    if "clean" not in manifest.get("stages", {}):
        raise unfinished(run)
    first = make_config(stored_settings(manifest))
    before = read_check(run.check)
    chosen = {name: value for name, value in asdict(request).items() if value is not None}
    new = CheckSettings(teacher={}, draw="stratified", arbiter=NEWEST)
    settings = dataclasses.replace(before or new, **chosen)
    settings = dataclasses.replace(settings, teacher=_teacher(first, before, settings.by, given))
    second = make_second(settings, first)
    if settings.keep == "arbiter" and not PROVIDERS[second.config.provider].chat:
        raise ConfigError(f"--keep arbiter needs --provider {chat_providers()}; the local teacher answers no questions")
    return make_context(first, run, progress, make_engine(first), "never"), second


def _teacher(first: RunConfig, before: CheckSettings | None, by: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the second teacher: those given, and without a provider the others of the last check.

    In a first check without a provider the others are those of the first teacher, which needs another model or prompt,
    except for queries.
    """
    own = {name: value for name, value in given.items() if name in TEACHER}
    if "provider" in given:
        return own
    if before:
        stored = dict(before.teacher)
    elif by == "query" or {"model", "prompt"} & set(given):
        stored = {name: value for name, value in storable(first).items() if name in TEACHER}
    else:
        raise ConfigError("name the second teacher: --provider and --model")
    if by != (before.by if before else BY[0]):  # these belong to the other kind of question
        stored = {name: value for name, value in stored.items() if name not in ("prompt", "response_format")}
    return {**stored, **own}


def _ask(context: Context, second: Second, ledger: Ledger, labels: Decider, asking: Asking) -> tuple[str, int]:
    """Ask the second teacher, then the arbiter; return the hash of their answers' keys, and how many are missing."""
    run, progress = context.run, context.progress
    own = dataclasses.replace(context, config=second.config, teacher=second.teacher)
    questions = second.questions(tables.read_passages(run.passages))
    number = sum(len(second.asked(one.id, one.text)) for one in tables.read_passages(run.passages))
    progress.start("check", "questions" if isinstance(second, ByQuery) else "passages", number)
    with displayed(progress):
        if asking == "batch":
            exchange(run, second.config, questions, ledger, progress)
        else:
            ask(own, questions, ledger)
    digest = hashlib.sha256()
    missing = _count_missing(second.questions(tables.read_passages(run.passages)), ledger, digest)
    if second.settings.keep == "arbiter":
        missing += _ask_arbiter(context, second, ledger, labels, digest)
    return digest.hexdigest(), missing


def _ask_arbiter(context: Context, second: Second, ledger: Ledger, labels: Decider, digest: Any) -> int:
    """Ask the arbiter about all differences; return how many of its answers are missing."""
    questions = [one for one, _ in disputes(context, ledger, second, labels)]
    context.progress.start("arbiter", "passages", len(questions))
    with displayed(context.progress):
        try:
            arbiter = make_arbiter(second.config, second.settings.arbiter)
            ask_all(questions, arbiter, ledger, pace_of(second.config), context.progress)
        except LimitError as error:  # as for the second teacher: a later run asks the others
            context.progress.say(str(error))
    return _count_missing(questions, ledger, digest)


def _count_missing(questions: Iterable[Asked], ledger: Ledger, digest: Any) -> int:
    """Return how many questions have no answer; the keys of the others enter ``digest``."""
    missing = 0
    for asked in questions:
        if ledger.has(asked.question.key):
            digest.update(bytes.fromhex(asked.question.key))
        else:
            missing += 1
    return missing
