"""Turn the records of a file into documents; other records are rejected with a reason."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import TypeAlias

from annotator.errors import SourceError, did_you_mean
from annotator.records import Document, Rejected
from annotator.sources.formats import records
from annotator.sources.formats.files import SHOWN, EmptyFileError, Record, SourceFile
from normalizers.text import nfc

STAGE = "sample"
"""The stage under which rejected records of a source are counted."""

Row: TypeAlias = Document | Rejected


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the columns that are read."""

    text: str = "text"
    id: str = "id"
    """A name other than the default must exist; where the default is missing, ids are hashes of the texts."""


def rejected(reason: str, where: str, value: str, detail: str) -> Rejected:
    """Return a rejected record of this stage with at most ``SHOWN`` characters of ``value``, always encodable."""
    return Rejected(STAGE, reason, where, value[:SHOWN].encode("utf-8", "replace").decode(), detail)


def text_hash(text: str) -> str:
    """Return the sha256 of ``text`` in hex: its identity. The first 16 digits serve as an id where there is none."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_documents(file: SourceFile, columns: Columns) -> Iterator[Row]:
    """Yield the rows of one file in their order.

    Raises:
        SourceError: the file cannot be read, is not of its type, or lacks a needed column.
    """
    try:
        yield from to_rows(file.name, records(file, (columns.text, columns.id)), columns, str(file.path))
    except EmptyFileError:
        yield rejected("empty file", file.name, "", "it has no content")


def check_columns(where: str, there: Collection[str], columns: Columns) -> None:
    """Raise a SourceError that names the columns of ``where`` if a needed one is not among ``there``."""
    flags = {"--text-field": columns.text}
    if columns.id != Columns().id:
        flags["--id-field"] = columns.id
    for flag, wanted in flags.items():
        if wanted not in there:
            names = ", ".join(list(there)[:20]) + (", ..." if len(there) > 20 else "")
            end = f"; name the right one with {flag}{did_you_mean(wanted, there)}"
            shown = (names + end).encode("utf-8", "replace").decode()
            raise SourceError(f'{where} has no column "{wanted}"; it has: {shown}')


def to_rows(name: str, found: Iterable[Record], columns: Columns, where: str) -> Iterator[Row]:
    """Turn the records of the file ``name`` into rows; a column is missing if the first hundred objects lack it.

    Raises:
        SourceError: a needed column is missing; ``where`` names the file in the message.
    """
    found = iter(found)
    head = list(islice(found, 100))
    objects = [record.value for record in head if isinstance(record.value, Mapping)]
    if objects:
        check_columns(where, {key: None for value in objects for key in value}, columns)
    for record in chain(head, found):
        yield to_row(name, record, columns)


def to_row(source: str, record: Record, columns: Columns) -> Row:
    """Turn one record (an object, or a string that is the text) into a document with NFC text, or reject it."""
    fields = {columns.text: record.value} if isinstance(record.value, str) else record.value
    if record.error or not isinstance(fields, Mapping):
        detail = record.error or f"a {type(fields).__name__}, not an object"
        return rejected("broken record", record.where, record.raw, detail)
    try:
        text = _decoded(fields.get(columns.text))
        identity = _decoded(fields.get(columns.id))
    except UnicodeDecodeError as error:
        return rejected("broken record", record.where, record.raw, f"not UTF-8: {error.reason}")
    if not isinstance(text, str):
        found = "null" if text is None else f"a {type(text).__name__}, not a string"
        detail = f'field "{columns.text}" is {found if columns.text in fields else "missing"}'
        return rejected("no text", record.where, record.raw, detail)
    if isinstance(identity, Mapping | list):
        detail = f'field "{columns.id}" is a {type(identity).__name__}, not a string or a number'
        return rejected("broken record", record.where, record.raw, detail)
    identity = "" if identity is None else str(identity)
    for field, value in ((columns.text, text), (columns.id, identity)):
        if flaw := _flaw(value):
            return rejected("broken record", record.where, record.raw or value, f'field "{field}" {flaw}')
    text = nfc(text)
    return Document(identity or text_hash(text)[:16], text, source)


def _decoded(value: object) -> object:
    """Return bytes (a binary column) as text, anything else as it is."""
    return value.decode("utf-8") if isinstance(value, bytes) else value


def _flaw(text: str) -> str:
    """Return why ``text`` cannot be stored and sent; empty where it can."""
    if "\0" in text:
        return "holds a NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "holds bytes that are not UTF-8, or half of a surrogate pair"
    return ""
