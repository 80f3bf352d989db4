"""Open files: local or remote, plain or gzip, with or without a byte order mark. Read plain text."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

from annotator.errors import SourceError, one_line
from annotator.sources.remote import RemoteFile

BOM: Final = codecs.BOM_UTF8
PLAIN: Final = (".jsonl", ".json", ".csv", ".tsv", ".txt")
SUFFIXES: Final = (*PLAIN, *(suffix + ".gz" for suffix in PLAIN), ".parquet", ".arrow")
"""File types that can be read; other files in a folder are ignored."""
SHOWN: Final = 200
"""Characters of a broken record that are kept."""
_GZIP: Final = b"\x1f\x8b"
LFS: Final = b"version https://git-lfs.github.com/spec/"
"""How the pointer begins that a clone without Git LFS has in place of a file."""


class EmptyFileError(SourceError):
    """A file without content. In a source it becomes a rejected record."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a source."""

    name: str
    """Path inside the source with ``/`` between its parts, or the bare file name: the same on every machine."""
    path: Path | RemoteFile

    @property
    def suffix(self) -> str:
        """The one of ``SUFFIXES`` that the name ends in, in lower case; empty for any other."""
        name = self.name.lower()
        return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), "")

    @property
    def size(self) -> int:
        """Bytes on the disk or the server.

        Raises:
            SourceError: the file cannot be accessed.
        """
        if isinstance(self.path, RemoteFile):
            return self.path.size
        try:
            return self.path.stat().st_size
        except OSError as error:
            raise unreadable(self.path, error) from error


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a file, unchecked."""

    where: str
    """File name and line, or record counted from one: ``news.jsonl:12``."""
    value: Any = None
    """What the format holds: an object of JSON, a row by column name, a line of text."""
    raw: str = ""
    """The first ``SHOWN`` characters as they are in the file, so that they can be found there."""
    error: str = ""
    """Why the record cannot be read; ``value`` is None then."""


def unreadable(path: object, error: OSError) -> SourceError:
    """Return the error of a path that the system cannot read."""
    cause = error.strerror or one_line(error)
    return SourceError(f"cannot read {path}: {cause}; check the permissions, the name and the disk")


def local(path: Path) -> SourceFile:
    """Return ``path`` as a file that is named by its whole path."""
    return SourceFile(str(path), path)


@contextmanager
def opened(file: SourceFile) -> Iterator[io.BufferedReader]:
    """Open a file after its byte order mark, decompressed if it is gzip.

    Raises:
        SourceError: it cannot be read, is cut short, or is a Git LFS pointer.
    """
    try:
        with file.path.open("rb") as plain:
            stream = cast(io.BufferedReader, plain)
            if file.name.lower().endswith(".gz") or stream.peek(2)[:2] == _GZIP:
                stream = cast(io.BufferedReader, gzip.GzipFile(fileobj=plain))
            head = stream.peek(64)
            if head.startswith(LFS):
                raise SourceError(f"{file.path} is a Git LFS pointer, not the file itself; run: git lfs pull")
            if head.startswith(BOM):
                stream.read(len(BOM))
            yield stream
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise SourceError(f"{file.path} is not a whole gzip file: {error}; get it again") from error
    except OSError as error:
        raise unreadable(file.path, error) from error


def refuse_binary(file: SourceFile, stream: io.BufferedReader) -> None:
    """Raise a SourceError if nothing but white space begins the file, or its first line is not UTF-8 text."""
    head = stream.peek(4096)[:4096]
    while head and not head.strip():
        stream.read(len(head))
        head = stream.peek(4096)[:4096]
    if not head:
        raise EmptyFileError(f"{file.path} is empty; get it again, or leave it out")
    line, newline, _ = head.partition(b"\n")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(line, final=bool(newline))  # the head may end inside a letter
        flawed = b"\0" in line
    except UnicodeDecodeError:
        flawed = True
    if flawed:
        raise SourceError(
            f"{file.path} is not UTF-8 text but binary or in another encoding; convert it, or leave it out"
        )


def refuse_repeated(file: SourceFile, names: Sequence[str], fields: Sequence[str]) -> None:
    """Raise a SourceError if one of ``fields`` (of ``names`` where there are none) occurs twice in ``names``."""
    if name := next((name for name in fields or names if names.count(name) > 1), ""):
        raise SourceError(f'{file.path} has two columns "{name}"; rename one of them')


def read_text(file: SourceFile, fields: Sequence[str] = ()) -> Iterator[Record]:
    """Yield the whole file as one record: the text, and the name without its suffix as the id."""
    with opened(file) as stream:
        record = _decoded(file.name, stream.read())
    if not record.error:
        text = record.value.replace("\r\n", "\n").replace("\r", "\n")
        values = (text, file.name[: len(file.name) - len(file.suffix)])
        record = replace(record, value=dict(zip(fields or ("text", "id"), values, strict=False)))
    yield record


def lines(file: SourceFile) -> Iterator[Record]:
    """Yield each line without its end, blank ones too; only a line feed ends one."""
    with opened(file) as stream:
        for number, line in enumerate(stream, start=1):
            yield _decoded(f"{file.name}:{number}", line.removesuffix(b"\n").removesuffix(b"\r"), " of the line")


def _decoded(where: str, content: bytes, of: str = "") -> Record:
    """Return UTF-8 as a record; ``of`` ends the message about a wrong byte."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        flaw = f"not UTF-8: {error.reason} at byte {error.start + 1}{of}"
        return Record(where, raw=content[: 4 * SHOWN].decode("utf-8", "replace")[:SHOWN], error=flaw)
    return Record(where, text, text[:SHOWN])
