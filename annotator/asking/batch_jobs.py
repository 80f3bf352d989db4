"""Ask questions in batches: one command submits them, a later one collects the answers into the same ledger.

``batches.json`` in the run directory records each step before the next begins. A batch has a mark, a hash of its
questions. If this process is killed before the id of a new batch is stored, the mark finds the batch at the provider.

    prepared -> uploaded -> validating, in_progress, finalizing -> completed, expired, cancelled, failed -> collected
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Iterable, Iterator
from typing import IO, Final

from annotator.asking.batch_files import (
    Batch,
    forget_questions,
    keys_in_open_batches,
    questions_in,
    read_batches,
    renamed_parameters,
    write_batches,
    write_questions,
)
from annotator.asking.endpoint_limits import batch_limits
from annotator.asking.retry_policy import Action, rule_of
from annotator.config.settings import RunConfig
from annotator.errors import ConfigError, TeacherError
from annotator.ledger import Attempt, Failure, Ledger
from annotator.records import Completion
from annotator.storage.atomic import explained
from annotator.storage.rundir import RunDir
from annotator.teachers import Asked, completion_of
from annotator.teachers.batch import BatchApi, RemoteBatch, read_result, request_line
from annotator.teachers.chat import other_names
from annotator.terminal.events import Progress

WRITE: Final = 500
"""Answers in one transaction."""


def exchange(run: RunDir, config: RunConfig, questions: Iterable[Asked], ledger: Ledger, progress: Progress) -> None:
    """Collect the batches that have ended, then submit the questions that have no answer and are in no batch.

    A question that a batch left unanswered is submitted again by a later command, when no batch is open: so its cause
    is seen before it is paid for again. If it was refused for a parameter that has another name (``max_tokens``),
    nothing was paid, and it is submitted again at once.

    Raises:
        TeacherError: the provider refused or failed; all steps before are stored.
        ConfigError: there are open batches at another provider or address.
    """
    with BatchApi(config) as api:
        batches = _Batches(run, config, api, ledger, progress)
        batches.find_again()
        before = batches.sent_as
        collected = batches.collect()
        batches.submit(questions, again=batches.sent_as != before or not (collected or batches.open))


class _Batches:
    """The batches of one run. Every change is written to the disk before the next step."""

    def __init__(self, run: RunDir, config: RunConfig, api: BatchApi, ledger: Ledger, progress: Progress) -> None:
        self._run, self._config, self._api = run, config, api
        self._ledger, self._progress = ledger, progress
        self._batches = read_batches(run)
        for batch in self.open:
            if (batch.provider, batch.address) != (config.provider, api.address):
                raise ConfigError(
                    f"a batch of {run.root} is at --provider {batch.provider}, {batch.address}, "
                    f"not at {config.provider}, {api.address}: collect it there first"
                )

    @property
    def open(self) -> list[Batch]:
        """Return the batches that are not collected yet."""
        return [batch for batch in self._batches if not batch.collected]

    @property
    def sent_as(self) -> dict[str, str]:
        """Return the parameters to send under another name, as refusals at this address asked."""
        here = (self._config.provider, self._api.address)
        return renamed_parameters(batch for batch in self._batches if (batch.provider, batch.address) == here)

    def find_again(self) -> None:
        """Finish what a killed process began; a batch is looked for at the provider before it is ordered again."""
        for batch in [batch for batch in self.open if not batch.id]:
            if self._take_over(batch):
                continue
            if not batch.file:
                self._drop(batch)  # it was never ordered; its questions are submitted again
                continue
            try:
                self._order(batch)
            except TeacherError:
                if batch in self._batches:
                    raise
                # refused and dropped, for example because the provider has deleted the file

    def collect(self) -> int:
        """Write the answers of every batch that has ended to the ledger, and return the number of these batches."""
        ended = 0
        for batch in self.open:
            found = self._api.retrieve(batch.id)
            self._note(batch, found)
            if found.ended:
                self._read_results(batch, found)
                ended += 1
            else:
                self._progress.say(f"batch {batch.id}: {batch.status}, {batch.completed:,} of {batch.requests:,} done")
        return ended

    def submit(self, questions: Iterable[Asked], *, again: bool) -> None:
        """Submit the questions without an answer that are in no batch; those that failed before only if ``again``."""
        limits, sent_as = batch_limits(self._config.provider), self.sent_as
        folder = self._run.asked_in("").parent
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with explained(folder), tempfile.TemporaryFile(dir=folder) as file:
            asked: list[tuple[str, str]] = []
            for passage, question in self._to_submit(questions, again=again):
                line = request_line(question, sent_as)
                if asked and (len(asked) >= limits.requests or file.tell() + len(line) > limits.size):
                    self._send(file, asked)
                    asked = []
                file.write(line)
                asked.append((question.key, passage.id))
            if asked:
                self._send(file, asked)

    def _to_submit(self, questions: Iterable[Asked], *, again: bool) -> Iterator[Asked]:
        submitted = keys_in_open_batches(self._run)
        for asked in questions:
            self._progress.advance()
            key = asked.question.key
            if key not in submitted and not self._ledger.has(key) and (again or not self._ledger.failure(key)):
                submitted.add(key)
                yield asked

    def _send(self, file: IO[bytes], asked: list[tuple[str, str]]) -> None:
        """Submit the request file of the questions ``asked`` (key and passage id), then empty the file."""
        mark = hashlib.sha256(bytes.fromhex("".join(key for key, _ in asked))).hexdigest()
        batch = Batch(mark, self._config.provider, self._api.address, len(asked), created=_now())
        write_questions(self._run, batch, asked)
        self._batches.append(batch)
        self._save()
        try:
            found = self._take_over(batch)
            file.seek(0)
            batch.file = "" if found else self._api.upload(file, f"vner-{mark[:16]}.jsonl")
        except TeacherError:  # nothing was ordered
            self._drop(batch)
            raise
        if not found:
            batch.status = "uploaded"
            self._save()
            self._order(batch)
        file.seek(0)
        file.truncate()
        self._progress.say(f"batch {batch.id}: {batch.requests:,} questions submitted")

    def _order(self, batch: Batch) -> None:
        """Make a batch of the uploaded file."""
        try:
            self._note(batch, self._api.create(batch.file, batch.mark))
        except TeacherError as error:
            if rule_of(error.kind).action in (Action.REFUSE, Action.STOP):
                self._drop(batch)  # the provider has made no batch
            raise

    def _take_over(self, batch: Batch) -> bool:
        """Use a batch of the same questions that the provider has and this run does not know; return whether it has."""
        known = {other.id for other in self._batches}
        for found in self._api.ours(batch.mark):
            if found.id not in known and found.status not in ("failed", "cancelling", "cancelled"):
                self._note(batch, found)
                self._progress.say(f"batch {batch.id} has these questions already: taken over, not ordered again")
                return True
        return False

    def _note(self, batch: Batch, found: RemoteBatch) -> None:
        batch.id, batch.status, batch.complaint = found.id, found.status, found.complaint
        batch.completed, batch.failed = found.completed, found.failed
        self._save()

    def _drop(self, batch: Batch) -> None:
        self._batches.remove(batch)
        self._save()
        forget_questions(self._run, batch)

    def _save(self) -> None:
        write_batches(self._run, self._batches)

    def _read_results(self, batch: Batch, found: RemoteBatch) -> None:
        left = questions_in(self._run, batch)
        answers: list[Completion] = []
        attempts: list[Attempt] = []  # written at the end: if the download breaks off, all lines are read again
        failures: dict[str, Failure] = {}
        batch.completed = batch.unknown = tokens = 0
        for line in self._lines(batch, found):
            try:
                key, answer = read_result(line)
                passage_id = left[key]
            except (ValueError, KeyError):
                batch.unknown += 1
                continue
            if isinstance(answer, TeacherError):
                if answer.body:  # paid for
                    attempts.append(Attempt(key, passage_id, answer.kind, answer.body, time.time()))
                if answer.kind == "http 400":
                    batch.sent_as |= other_names(str(answer))
                failures[key] = Failure(key, passage_id, answer.kind, str(answer))
            else:
                del left[key]
                answers.append(completion_of(key, passage_id, answer, latency=0.0))
                batch.completed += 1
                tokens += answer.prompt_tokens + answer.completion_tokens
                if len(answers) >= WRITE:
                    self._ledger.append(answers)
                    answers = []
        self._ledger.append(answers)
        for attempt in attempts:
            self._ledger.keep_attempt(attempt)
        batch.failed = len(left)
        why = batch.complaint or "the results have no line for it"
        silent = f"batch {batch.status}"
        self._ledger.record_failures([failures.get(key) or Failure(key, left[key], silent, why) for key in left])
        self._ledger.flush()
        batch.collected = True
        self._save()
        forget_questions(self._run, batch)
        self._progress.count("tokens", tokens)
        self._progress.say(
            f"batch {batch.id}: {batch.status}, {batch.completed:,} answers, {batch.failed:,} questions without one"
        )

    def _lines(self, batch: Batch, found: RemoteBatch) -> Iterator[bytes]:
        for file in found.results:
            try:
                yield from (line for line in self._api.lines(file) if line.strip())
            except TeacherError as error:
                if error.kind != "http 404":
                    raise
                batch.complaint = f"the results are gone: {error}"


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
