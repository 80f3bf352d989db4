"""Store the keys of the questions about the passages of a run, so that each is computed once.

The annotate stage computes the question of a passage and writes its key beside the passage's id. Later stages read the
keys. A run of an older version has no such file; its keys are computed again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from annotator.errors import RunDirError
from annotator.ledger import request_key
from annotator.storage import tables
from annotator.storage.atomic import replacing
from annotator.storage.rundir import RunDir
from annotator.teachers import Asked, Teacher

_BLOCK: Final = 512
"""Keys that wait to be written."""
_TEACHER: Final = b"teacher"
"""Metadata of the file: the hash of everything but the passage that decides an answer."""


@contextmanager
def recorded(run: RunDir, questions: Iterable[Asked], teacher: Teacher) -> Iterator[Iterator[Asked]]:
    """Yield ``questions``, all questions of the run in order, and write their keys as they are consumed."""
    schema = pa.schema([("passage_id", pa.string()), ("key", pa.binary(32))], {_TEACHER: _identity(teacher)})
    with replacing(run.questions) as file, tables.writer(file, schema) as write:

        def passing() -> Iterator[Asked]:
            stream = iter(questions)
            while block := list(islice(stream, _BLOCK)):
                ids = [asked.passage.id for asked in block]
                keys = [bytes.fromhex(asked.question.key) for asked in block]
                write(pa.record_batch([pa.array(ids), pa.array(keys, pa.binary(32))], schema=schema))
                yield from block

        stream = passing()
        yield stream
        deque(stream, maxlen=0)  # the rest, which was not asked


def with_keys(run: RunDir, teacher: Teacher, size: int) -> Iterator[tuple[pa.RecordBatch, list[str]]]:
    """Yield the passages of the run in batches of ``size``, each with the keys of its questions.

    Raises:
        RunDirError: the file of keys belongs to other passages.
    """
    passages = tables.batches(run.passages, size=size)
    if not _is_current(run, teacher):
        for batch in passages:
            yield batch, [teacher.question(text).key for text in batch.column("text").to_pylist()]
        return
    for batch, questions in zip(passages, tables.batches(run.questions, size=size), strict=True):
        if not batch.column("id").equals(questions.column("passage_id")):
            raise RunDirError(f"{run.questions} belongs to other passages; remove it")
        yield batch, [key.hex() for key in questions.column("key").to_pylist()]


def _is_current(run: RunDir, teacher: Teacher) -> bool:
    try:
        found = pq.read_metadata(run.questions)
    except (OSError, pa.ArrowException):
        return False
    same = (found.metadata or {}).get(_TEACHER) == _identity(teacher)
    return same and found.num_rows == tables.count(run.passages)


def _identity(teacher: Teacher) -> bytes:
    return request_key({"teacher": dict(teacher.identity)}).encode()
