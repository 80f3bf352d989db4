"""Errors, distinguished by type. A message is one line: the cause and the fix."""

from __future__ import annotations

import difflib
from collections.abc import Collection


class AnnotateError(Exception):
    """Root of all errors that this package raises; ``exit_code`` is the exit code of the command."""

    exit_code = 1


class ConfigError(AnnotateError):
    """Settings that are wrong, contradict each other or contradict the run directory."""

    exit_code = 2


class SourceError(AnnotateError):
    """A source that is missing, unreadable, or lacks a column."""


class RunDirError(AnnotateError):
    """A run directory that cannot be used or written: full disk, no permission, another process, a foreign ledger."""


class ClusterError(AnnotateError):
    """A Ray cluster that cannot be reached or started, or whose nodes differ from the driver."""


class PublishError(AnnotateError):
    """A dataset with problems that stop its publication, or that the Hub refused."""


class StudentError(AnnotateError):
    """A student that cannot be loaded, trained, merged or saved."""


class TeacherError(AnnotateError):
    """A request that was not answered.

    ``kind`` is a short name (``http 503``, ``timeout``, ...), by which ``annotator.asking.retry_policy`` decides what
    to do. ``retry_after`` is the number of seconds to wait, where the endpoint gave one; ``body`` is a paid response
    that is not the answer.
    """

    def __init__(self, message: str, *, kind: str, retry_after: float | None = None, body: str = "") -> None:
        """Create an error of ``kind`` with a one-line message."""
        super().__init__(message)
        self.kind = kind
        self.retry_after = retry_after
        self.body = body


class FatalTeacherError(TeacherError):
    """No request will be answered (no key, 401, 403, unknown model): the run stops before anything more is asked."""


class LimitError(TeacherError):
    """A limit too long to wait for, such as one a day; answers are kept."""

    exit_code = 3


def did_you_mean(wrong: str, known: Collection[str], *, listed: bool = False) -> str:
    """Return the end of a message about an unknown name: ``; did you mean NAME?``.

    Where no known name is close, it is empty, or with ``listed`` it lists the known ones.
    """
    closest = difflib.get_close_matches(wrong, list(known), n=1)
    listing = f"; known: {', '.join(known)}" if listed else ""
    return f"; did you mean {closest[0]}?" if closest else listing


def one_line(error: BaseException, limit: int = 300) -> str:
    """Return the message of an error on one line of at most ``limit`` characters; its type where it has none."""
    return " ".join(str(error).split())[:limit] or type(error).__name__
