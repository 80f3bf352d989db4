"""Read and write the batches of a run directory: ``batches.json``, and the questions of each batch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final

from annotator.errors import RunDirError
from annotator.storage.atomic import explained, replacing, write_json
from annotator.storage.rundir import RunDir
from annotator.teachers import Asked
from annotator.terminal.events import Progress

VERSION: Final = 1
WAITING: Final = "in a batch"
"""Reason why a passage has no answer while its question is in an open batch."""


@dataclass(slots=True)
class Batch:
    """One batch of this run, an entry of ``batches.json``."""

    mark: str
    """sha256 over the keys of its questions, in order."""
    provider: str
    address: str
    requests: int
    file: str = ""
    """Id of the request file at the provider, once it is uploaded."""
    id: str = ""
    """Id of the batch at the provider, once it is ordered."""
    status: str = "prepared"
    created: str = ""
    collected: bool = False
    completed: int = 0
    """Answers: as the provider counts them, and once collected those in the ledger."""
    failed: int = 0
    """Questions without an answer, counted likewise."""
    unknown: int = 0
    """Lines of the results that belong to no question of this batch and were ignored."""
    complaint: str = ""
    sent_as: dict[str, str] = field(default_factory=dict)
    """Parameters that later batches send under another name, since this one was refused for them."""


def read_batches(run: RunDir) -> list[Batch]:
    """Return the batches that were submitted from ``run``, in order.

    Raises:
        RunDirError: the file is damaged.
    """
    try:
        return [Batch(**entry) for entry in json.loads(run.batches.read_text(encoding="utf-8"))["batches"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise RunDirError(
            f"cannot read {run.batches}: {error}; restore it, or delete it, which forgets what was submitted"
        ) from error


def write_batches(run: RunDir, batches: Sequence[Batch]) -> None:
    """Write ``batches.json``; it is on the disk when this returns."""
    write_json(run.batches, {"version": VERSION, "batches": [asdict(batch) for batch in batches]})


def write_questions(run: RunDir, batch: Batch, questions: Iterable[tuple[str, str]]) -> None:
    """Store the questions of ``batch``: key and passage id of each."""
    with replacing(run.asked_in(batch.mark)) as file:
        file.writelines(f"{key}\t{passage_id}\n".encode() for key, passage_id in questions)


def questions_in(run: RunDir, batch: Batch) -> dict[str, str]:
    """Return key -> passage id of the questions in ``batch``.

    Raises:
        RunDirError: their file is missing or damaged.
    """
    try:
        lines = run.asked_in(batch.mark).read_text(encoding="utf-8").split("\n")
        return dict(line.split("\t") for line in lines if line)
    except (OSError, ValueError) as error:
        raise RunDirError(
            f"cannot read which questions are in a batch ({error}); restore the file, or delete {run.batches}, "
            "which forgets what was submitted"
        ) from error


def forget_questions(run: RunDir, batch: Batch) -> None:
    """Delete the stored questions of a batch that is collected, or was never ordered."""
    with explained(run.root):
        run.asked_in(batch.mark).unlink(missing_ok=True)


def renamed_parameters(batches: Iterable[Batch]) -> dict[str, str]:
    """Return the parameters that were refused in ``batches``, with the names to send them under."""
    return {name: other for batch in batches for name, other in batch.sent_as.items()}


def keys_in_open_batches(run: RunDir) -> set[str]:
    """Return the keys of the questions in open batches; each takes about 100 bytes of memory."""
    return {key for batch in read_batches(run) if not batch.collected for key in questions_in(run, batch)}


def outside_open_batches(run: RunDir, questions: Iterable[Asked], progress: Progress) -> Iterator[Asked]:
    """Yield the questions that are in no open batch: asking the others again would be paid twice."""
    waiting = keys_in_open_batches(run)
    for asked in questions:
        if asked.question.key in waiting:
            progress.advance()
        else:
            yield asked
