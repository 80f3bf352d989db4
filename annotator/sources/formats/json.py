"""Read JSON: an array, an object a line, or one object that holds the array. The content decides, not the suffix."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from annotator.errors import SourceError
from annotator.sources.formats.files import SHOWN, Record, SourceFile, lines, opened, refuse_binary


def read(file: SourceFile, fields: Sequence[str] = ()) -> Iterator[Record]:
    """Yield the records of lines, of which memory holds one, or of an array or object, which it holds as a whole.

    Arguments and errors are those of ``formats.records``.
    """
    return _lines(file) if _has_lines(file) else _whole(file, fields)


def _has_lines(file: SourceFile) -> bool:
    """Return whether the file has a value on each line, rather than one over all lines."""
    with opened(file) as stream:
        refuse_binary(file, stream)
        first, *more = islice((line for line in stream if line.strip()), 2)
    if more and _is_json(first):  # else the value continues in the next line, or is broken
        return True
    if first.lstrip().startswith(b"["):
        return False
    return file.suffix.startswith(".jsonl") or (bool(more) and _is_json(more[0], of=dict))


def _is_json(line: bytes, of: type = object) -> bool:
    try:
        return isinstance(json.loads(line), of)
    except (ValueError, RecursionError):
        return False


def _lines(file: SourceFile) -> Iterator[Record]:
    for line in lines(file):
        if line.error:
            yield line
        elif line.value.strip():
            try:
                yield Record(line.where, json.loads(line.value), line.raw)
            except (ValueError, RecursionError) as error:
                yield Record(line.where, raw=line.raw, error=f"not JSON: {error}")


def _whole(file: SourceFile, fields: Sequence[str]) -> Iterator[Record]:
    with opened(file) as stream:
        content = stream.read()
    try:
        value = json.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise SourceError(f"{file.path} is not UTF-8 text: {error.reason}; convert it, or leave it out") from error
    except (ValueError, RecursionError) as error:
        raise SourceError(
            f"{file.path} is not JSON: {error}; fix it, or call it .jsonl if it holds one object a line"
        ) from error
    for number, item in enumerate(_items(file, value, fields), start=1):
        yield Record(f"{file.name}:{number}", item, json.dumps(item, ensure_ascii=False)[:SHOWN])


def _items(file: SourceFile, value: Any, fields: Sequence[str]) -> list[Any]:
    """Return the records in the value of a whole file."""
    if isinstance(value, list):
        return value
    if not fields or (isinstance(value, dict) and fields[0] in value):
        return [value]
    lists = [item for item in value.values() if isinstance(item, list)] if isinstance(value, dict) else []
    if len(lists) != 1:
        raise SourceError(f"{file.path} holds no list of documents; write a list of objects or of strings")
    return lists[0]
