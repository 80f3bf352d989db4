"""From a record of whatever format to a document, or to a rejection that says why not."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import TypeAlias

from annotator.engines import Engine
from annotator.errors import SourceError
from annotator.records import Document, Rejected
from normalizers.text import nfc

STAGE = "sample"
"""The name under which everything that a source does not pass on is counted."""

Row: TypeAlias = Document | Rejected


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the fields that matter."""

    text: str = "text"
    id: str = "id"
    """Any other name than the default must be there; without the default, ids are made from the text."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How rows are read."""

    columns: Columns = Columns()
    tasks: Engine | None = None
    """Where Parquet files that lie elsewhere are read; None: here, as all others are."""


@dataclass(frozen=True, slots=True)
class Record:
    """One object of a file, before anything is checked."""

    where: str
    """File name and line, or row counted from one: ``news.jsonl:12``."""
    fields: Mapping[str, object]
    raw: str = ""
    """The beginning of the record as it stands in the file, for a person to find it by."""


def rejected(reason: str, where: str, value: str, detail: str) -> Rejected:
    """Make a rejection of this stage with at most 200 characters of ``value``, always encodable."""
    return Rejected(STAGE, reason, where, value[:200].encode("utf-8", "replace").decode(), detail)


def text_hash(text: str) -> str:
    """Return the sha256 of ``text`` in hex: its identity. The first 16 digits serve as an id where there is none."""
    return hashlib.sha256(text.encode()).hexdigest()


def check_columns(where: str, there: Collection[str], columns: Columns) -> None:
    """Raise a SourceError that names the columns of ``where`` if a wanted one is not among ``there``."""
    flags = {"--text-field": columns.text}
    if columns.id != Columns().id:
        flags["--id-field"] = columns.id
    for flag, wanted in flags.items():
        if wanted not in there:
            names = ", ".join(list(there)[:20]) + (", ..." if len(there) > 20 else "")
            shown = names.encode("utf-8", "replace").decode()
            raise SourceError(f'{where} has no column "{wanted}"; it has: {shown}; name the right one with {flag}')


def to_rows(name: str, records: Iterable[Record | Rejected], columns: Columns, where: str) -> Iterator[Row]:
    """Turn the records of the file ``name`` into rows; a column is missing if the first hundred objects lack it.

    Raises:
        SourceError: a wanted column is missing; ``where`` names the file in the message.
    """
    records = iter(records)
    head = list(islice(records, 100))
    there = {key: None for record in head if isinstance(record, Record) for key in record.fields}
    if there or any(isinstance(record, Record) for record in head):
        check_columns(where, there, columns)
    for record in chain(head, records):
        yield record if isinstance(record, Rejected) else to_row(name, record, columns)


def to_row(source: str, record: Record, columns: Columns) -> Row:
    """Turn one record into a document with NFC text, or reject it."""
    try:
        text = _decoded(record.fields.get(columns.text))
        identity = _decoded(record.fields.get(columns.id))
    except UnicodeDecodeError as error:
        return rejected("broken record", record.where, record.raw, f"not UTF-8: {error.reason}")
    if not isinstance(text, str):
        found = "null" if text is None else f"a {type(text).__name__}, not a string"
        detail = f'field "{columns.text}" is {found if columns.text in record.fields else "missing"}'
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
    """Return bytes (a binary Parquet column) as text, anything else as it is."""
    return value.decode("utf-8") if isinstance(value, bytes) else value


def _flaw(text: str) -> str:
    """Say what keeps ``text`` from being stored and sent, or nothing."""
    if "\0" in text:
        return "holds a NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "holds bytes that are not UTF-8, or half of a surrogate pair"
    return ""
