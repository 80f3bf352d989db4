"""Write files whole or not at all: to a temporary file, flushed to the disk, then renamed. Lock a folder."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from filelock import FileLock, Timeout

from annotator.errors import RunDirError

_FIXES: Final = {
    errno.ENOSPC: "free some space and run the same command again; nothing is lost",
    errno.EACCES: "check its permissions and whether another program has it open, or choose another --out",
    errno.EROFS: "it is read-only; choose another --out",
}


@contextmanager
def locked(lock: Path, target: Path) -> Iterator[None]:
    """Hold the file ``lock`` for this process alone, as long as it writes ``target``.

    Raises:
        RunDirError: another process holds it.
    """
    held = FileLock(lock)
    with explained(target):
        try:
            held.acquire(timeout=0)
        except Timeout:
            raise RunDirError(f"another process is working on {target}; wait for it, or choose another --out") from None
    try:
        yield
    finally:
        held.release()


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an error of the file system into one line with its fix."""
    try:
        yield
    except OSError as error:
        fix = _FIXES.get(error.errno or 0, "check the path and run the same command again")
        raise RunDirError(f"cannot write {error.filename or path}: {error.strerror or error}; {fix}") from error


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Write ``path`` whole or not at all: write a temporary file beside it, flush it to the disk, rename it."""
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-", suffix=".part")
        try:
            with os.fdopen(descriptor, "wb") as file:
                if os.name == "posix":  # Windows has no permissions of this kind, nor fchmod before Python 3.13
                    os.fchmod(descriptor, 0o644)
                yield file
                file.flush()
                os.fsync(descriptor)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        _flush(path.parent)


def append_line(path: Path, line: str) -> None:
    """Append a line, with its line break, and flush it to the disk; a partial line of a killed process stays alone."""
    data = line.encode("utf-8")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                data = data if file.read(1) == b"\n" else b"\n" + data
            file.write(data)
            file.flush()
            os.fsync(file.fileno())


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write ``value`` as indented JSON, with Vietnamese letters as they are."""
    with replacing(path) as file:
        file.write((json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode("utf-8"))


def flush_folder(folder: Path) -> None:
    """Flush all files below ``folder`` to the disk; ``os.sync`` would wait for those of other programs."""
    for path in (folder, *folder.rglob("*")):
        _flush(path)


def _flush(path: Path) -> None:
    if os.name == "posix":  # elsewhere a folder cannot be opened, and need not be
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
