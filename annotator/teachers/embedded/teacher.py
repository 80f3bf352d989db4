"""The embedded teacher behind the protocol of an endpoint: CPU work in several processes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

from annotator.config.settings import RunConfig
from annotator.errors import FatalTeacherError
from annotator.teachers import Question, Reply, make_question
from annotator.teachers.embedded import tagger


class EmbeddedTeacher:
    """underthesea's CRF and rules in ``workers`` processes, started at the first question; a single one is this one."""

    def __init__(self, workers: int) -> None:
        self.identity: Mapping[str, Any] = {"model": "local", **tagger.identity()}
        self.sent_as: Mapping[str, str] = {}
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def question(self, passage: str) -> Question:
        """Return the passage itself: the embedded teacher needs no prompt."""
        return make_question({**self.identity, "passage": passage})

    async def ask(self, question: Question) -> Reply:
        """Annotate the passage in one of the processes."""
        if self._workers == 1:
            await asyncio.sleep(0)
            return _reply(tagger.reply_for(question.content["passage"]))
        if self._pool is None:
            # "spawn" is the same on every platform and inherits no locks from the threads of this process.
            self._pool = ProcessPoolExecutor(self._workers, get_context("spawn"), initializer=tagger.warm_up)
        loop = asyncio.get_running_loop()
        try:
            return _reply(await loop.run_in_executor(self._pool, tagger.reply_for, question.content["passage"]))
        except BrokenProcessPool as error:
            message = "a process of the local teacher was killed (out of memory?); try fewer --workers"
            raise FatalTeacherError(message, kind="process died") from error

    async def probe(self, *, whole: bool = False) -> None:
        """Do nothing: the teacher is always there."""

    async def close(self) -> None:
        """Stop the processes and drop queued passages."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


def make_teacher(config: RunConfig) -> EmbeddedTeacher:
    """Return the embedded teacher with the processes of ``config``."""
    return EmbeddedTeacher(workers=config.processes)


def _reply(text: str) -> Reply:
    return Reply(text=text, finish_reason="stop", prompt_tokens=0, completion_tokens=0)
