"""Documents set aside on the disk while a sample is drawn, so that memory holds a number for each and no text."""

from __future__ import annotations

import json
import tempfile
from types import TracebackType
from typing import Self

from annotator.errors import SourceError
from annotator.records import Document


class Shelf:
    """A temporary file of documents, one a line; it has no name and goes when the process goes."""

    def __init__(self) -> None:
        """Make the file where the system keeps temporary ones (``TMPDIR``)."""
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._end = 0

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Let go of the file."""
        self._file.close()

    def put(self, document: Document) -> int:
        """Set a document aside; returns its place.

        Raises:
            SourceError: the disk is full.
        """
        line = json.dumps([document.id, document.text, document.source], ensure_ascii=False).encode() + b"\n"
        place = self._end
        try:
            self._file.seek(place)
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            raise SourceError(
                f"cannot write to the temporary folder: {error.strerror}; make room, or name another with TMPDIR"
            ) from error
        self._end += len(line)
        return place

    def get(self, place: int) -> Document:
        """Take the document at ``place``; it stays there."""
        self._file.seek(place)
        return Document(*json.loads(self._file.readline()))
