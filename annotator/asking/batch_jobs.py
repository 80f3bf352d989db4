"""Questions that travel in batches: submitted by one command, collected by a later one, into the same ledger.

``batches.json`` in the run directory says what was submitted. Each step is written there before the next is taken, and
a batch has a mark made of its questions, by which it is found again at the provider should this process be killed
between the order and the receipt.

    prepared -> uploaded -> validating, in_progress, finalizing -> completed, expired, cancelled, failed -> collected
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

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
from annotator.asking.batch_results import store_results
from annotator.asking.request_file import RequestFile
from annotator.asking.retry_policy import Action, rule_of
from annotator.config.settings import RunConfig
from annotator.errors import ConfigError, TeacherError
from annotator.ledger import Answers
from annotator.storage.rundir import RunDir
from annotator.teachers import Asked
from annotator.teachers.batch import BatchApi, RemoteBatch, batch_limits, request_line
from annotator.terminal.events import Progress


def exchange(run: RunDir, config: RunConfig, questions: Iterable[Asked], ledger: Answers, progress: Progress) -> None:
    """Collect what is ready, then submit what is in no batch and not answered.

    A question that a batch left unanswered is submitted again only by a later command, when no batch is open: so that
    its cause is seen before it is paid for again. But where a refusal has named another parameter (``max_tokens``), the
    cause is known and nothing was paid: the questions are submitted again at once.

    Raises:
        TeacherError: the provider did not do as it was asked; what was achieved until then stands.
        ConfigError: there are open batches at another provider or address.
    """
    with BatchApi(config) as api:
        batches = _Batches(run, config, api, ledger, progress)
        batches.find_again()
        before = batches.sent_as
        collected = batches.collect()
        batches.submit(questions, again=batches.sent_as != before or not (collected or batches.open))


class _Batches:
    """The batches of one run. Every change is on the disk before the next step."""

    def __init__(self, run: RunDir, config: RunConfig, api: BatchApi, ledger: Answers, progress: Progress) -> None:
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
        """Return the parameters to send under another name."""
        return renamed_parameters(self._batches)

    def find_again(self) -> None:
        """Finish what a killed process began: an order without a receipt is looked for before it is repeated."""
        for batch in [batch for batch in self.open if not batch.id]:
            if batch.file:
                self._order(batch)
            elif not self._take_over(batch):
                self._drop(batch)  # nothing was ordered; its questions come up again

    def collect(self) -> int:
        """Put the answers of every batch that has ended into the ledger; returns how many batches those were."""
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
        """Submit every question that is not answered and in no batch; those that failed before only if ``again``."""
        limits = batch_limits(self._config.provider)
        known, sent_as = keys_in_open_batches(self._run), self.sent_as
        file: RequestFile | None = None
        try:
            for passage, question in questions:
                self._progress.advance()
                if question.key in known or self._ledger.has(question.key):
                    continue
                if not again and self._ledger.failure(question.key):
                    continue
                known.add(question.key)
                line = request_line(question, sent_as)
                if file and (len(file.asked) >= limits.requests or file.size + len(line) > limits.size):
                    self._send(file)
                    file = None
                file = file or RequestFile(self._run)
                file.add(question, passage, line)
            if file:
                self._send(file)
        finally:
            if file:
                file.discard()

    def _send(self, file: RequestFile) -> None:
        batch = Batch(file.mark, self._config.provider, self._api.address, len(file.asked), created=_now())
        write_questions(self._run, batch, file.asked)
        self._batches.append(batch)
        self._save()
        try:
            found = self._take_over(batch)
            batch.file = "" if found else self._api.upload(file.close(), f"vner-{batch.mark[:16]}.jsonl")
        except TeacherError:  # nothing was ordered
            self._drop(batch)
            raise
        if not found:
            batch.status = "uploaded"
            self._save()
            self._order(batch, sure=True)
        file.discard()
        self._progress.say(f"batch {batch.id}: {batch.requests:,} questions submitted")

    def _order(self, batch: Batch, *, sure: bool = False) -> None:
        """Make a batch of the uploaded file, unless (``sure``: it cannot be) it was made already."""
        if not sure and self._take_over(batch):
            return
        try:
            self._note(batch, self._api.create(batch.file, batch.mark))
        except TeacherError as error:
            if rule_of(error.kind).action not in (Action.REFUSE, Action.STOP):
                raise
            self._drop(batch)  # it says that there is no batch
            if sure:
                raise

    def _take_over(self, batch: Batch) -> bool:
        """Look at the provider's for a batch of the same questions that this run does not know."""
        known = {other.id for other in self._batches}
        for found in self._api.ours({batch.mark}):
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
        tokens = store_results(batch, self._lines(batch, found), questions_in(self._run, batch), self._ledger)
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
