"""Write a batch's request file: one line a question."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from annotator.records import Passage
from annotator.storage.atomic import explained
from annotator.storage.rundir import RunDir
from annotator.teachers import Question


class RequestFile:
    """A request file that is being written, in the run directory until it is uploaded."""

    def __init__(self, run: RunDir) -> None:
        """Make an empty file.

        Raises:
            RunDirError: the directory cannot be written; likewise the other methods.
        """
        self.asked: list[tuple[str, str]] = []
        """Key and passage id of each question."""
        self.size = 0
        """Bytes."""
        folder = run.asked_in("").parent
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=folder, prefix=".requests-", suffix=".part")
        self._path, self._file = Path(name), os.fdopen(descriptor, "wb")
        self._digest = hashlib.sha256()

    @property
    def mark(self) -> str:
        """Return the sha256 over the keys of its questions, in order."""
        return self._digest.hexdigest()

    def add(self, question: Question, passage: Passage, line: bytes) -> None:
        """Append the ``line`` of a question."""
        with explained(self._path):
            self._file.write(line)
        self.size += len(line)
        self.asked.append((question.key, passage.id))
        self._digest.update(bytes.fromhex(question.key))

    def close(self) -> Path:
        """Finish the file and return its path."""
        with explained(self._path):
            self._file.close()
        return self._path

    def discard(self) -> None:
        """Delete the file."""
        with suppress(OSError):
            self._file.close()
        self._path.unlink(missing_ok=True)
