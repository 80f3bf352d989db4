"""One file of any known type as a stream of rows.

A broken record in the middle of a file is a row too: a ``Rejected`` that says where it stands. A file that is not what
its name says raises a ``SourceError`` that names it.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from annotator.errors import SourceError
from annotator.records import Rejected
from annotator.sources.locating import SourceFile
from annotator.sources.parquet import ParquetFiles
from annotator.sources.rows import Columns, Reading, Record, Row, check_columns, rejected, to_row, to_rows

_BOM = b"\xef\xbb\xbf"
_LONGEST_CELL = 2**31 - 1  # characters in a CSV cell: the most that a C long holds on every platform


def read_file(file: SourceFile, columns: Columns) -> Iterator[Row]:
    """Yield the rows of one file in their order.

    Raises:
        SourceError: the file cannot be read, is empty, is not of its type, or lacks a wanted column.
    """
    if file.suffix == ".parquet":
        parquet = ParquetFiles((file,), Reading(columns))
        for _, row in parquet.take(range(parquet.row_count)):
            yield row
        return
    with _opened(file) as stream:
        if file.suffix == ".txt":
            yield _text(file, stream, columns)
            return
        _refuse_binary(file, stream)
        match file.suffix:
            case ".csv":
                records: Iterator[Record | Rejected] = _csv(file, stream, columns)
            case ".json":
                records = _json(file, stream, columns)
            case _:
                records = _jsonl(file, stream)
        yield from to_rows(file.name, records, columns, str(file.path))


@contextmanager
def _opened(file: SourceFile) -> Iterator[BinaryIO]:
    """Open a file, unpacked where it is packed, and turn what goes wrong while it is read into a SourceError."""
    try:
        with file.path.open("rb") as plain:
            yield cast(BinaryIO, gzip.GzipFile(fileobj=plain)) if file.suffix.endswith(".gz") else plain
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise SourceError(f"{file.path} is not a whole gzip file: {error}; get it again") from error
    except OSError as error:
        raise SourceError(f"cannot read {file.path}: {error.strerror}; check the permissions and the disk") from error


def _refuse_binary(file: SourceFile, stream: BinaryIO) -> None:
    """Raise a SourceError if the file is empty or its first line is not UTF-8 text."""
    head = cast(io.BufferedReader, stream).peek(4096)[:4096]
    if not head.removeprefix(_BOM).strip():
        raise SourceError(f"{file.path} is empty; get it again, or leave it out")
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


def _jsonl(file: SourceFile, stream: BinaryIO) -> Iterator[Record | Rejected]:
    """Yield one record a line; blank lines are none."""
    for number, line in enumerate(stream, start=1):
        content = (line.removeprefix(_BOM) if number == 1 else line).strip()
        if not content:
            continue
        where = f"{file.name}:{number}"
        try:
            text = content.decode("utf-8")
            value = json.loads(text)
        except UnicodeDecodeError as error:
            detail = f"not UTF-8: {error.reason} at byte {error.start + 1} of the line"
            yield rejected("broken record", where, content[:800].decode("utf-8", "replace"), detail)
        except (ValueError, RecursionError) as error:
            yield rejected("broken record", where, text, f"not JSON: {error}")
        else:
            if isinstance(value, dict):
                yield Record(where, value, text[:200])
            else:
                yield rejected("broken record", where, text, f"a {type(value).__name__}, not an object")


def _json(file: SourceFile, stream: BinaryIO, columns: Columns) -> Iterator[Record | Rejected]:
    """Yield the items of a list of objects or strings, which may stand alone inside one object."""
    try:
        value = json.loads(stream.read().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise SourceError(f"{file.path} is not UTF-8 text: {error.reason}; convert it, or leave it out") from error
    except (ValueError, RecursionError) as error:
        mend = "mend it, or call it .jsonl if it holds one object a line"
        raise SourceError(f"{file.path} is not JSON: {error}; {mend}") from error
    if isinstance(value, dict):
        lists = [item for item in value.values() if isinstance(item, list)]
        value = [value] if isinstance(value.get(columns.text), str) else lists[0] if len(lists) == 1 else None
    if not isinstance(value, list):
        raise SourceError(f"{file.path} holds no list of documents; write a list of objects or of strings")
    for number, item in enumerate(value, start=1):
        where = f"{file.name}:{number}"
        raw = json.dumps(item, ensure_ascii=False)[:200]
        if isinstance(item, dict | str):
            yield Record(where, item if isinstance(item, dict) else {columns.text: item}, raw)
        else:
            yield rejected("broken record", where, raw, f"a {type(item).__name__}, not an object or a string")


def _csv(file: SourceFile, stream: BinaryIO, columns: Columns) -> Iterator[Record | Rejected]:
    """Yield one record a row; what is not UTF-8 comes through as lone surrogates, which ``to_row`` rejects."""
    csv.field_size_limit(_LONGEST_CELL)
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.reader(text, strict=True)
    try:
        header = next((cells for cells in reader if cells), [])
    except csv.Error as error:
        raise SourceError(f"{file.path} is not CSV: {error}; mend its first line") from error
    check_columns(str(file.path), header, columns)
    while True:
        where = f"{file.name}:{reader.line_num + 1}"
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield rejected("broken record", where, "", f"not CSV: {error}")
            continue
        raw = ",".join(cells)[:200]
        if len(cells) > len(header):
            yield rejected("broken record", where, raw, f"{len(cells)} cells under {len(header)} columns")
        elif cells:
            yield Record(where, dict(zip(header, cells, strict=False)), raw)


def _text(file: SourceFile, stream: BinaryIO, columns: Columns) -> Row:
    """Return a whole file as one document, named by its path without the ending."""
    content = stream.read().removeprefix(_BOM)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        return rejected(
            "broken record", file.name, content[:200].decode("utf-8", "replace"), f"not UTF-8: {error.reason}"
        )
    text = text.replace("\r\n", "\n").replace("\r", "\n")  # the file's line ends, as every text reader takes them
    fields = {columns.text: text, columns.id: file.name[: -len(file.suffix)]}
    return to_row(file.name, Record(file.name, fields), columns)
