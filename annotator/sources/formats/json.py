"""JSON: an array, an object a line, or one object that holds the array. The content decides, not the suffix."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

from annotator.errors import SourceError
from annotator.sources.formats.files import SHOWN, Record, SourceFile, opened, refuse_binary
from annotator.sources.formats.text import lines

_CHUNK: Final = 1 << 18  # bytes; an array may be one line of gigabytes
_SPACE: Final = " \t\r\n"


def read(file: SourceFile, fields: Sequence[str] = ()) -> Iterator[Record]:
    """Yield the records of an array or of lines; memory holds one.

    Args:
        file: its content is JSON or JSON lines, whatever its suffix.
        fields: where given, a file that is one object without the first field is read as the only list in it.

    Raises:
        SourceError: the file cannot be read, is empty, or is not JSON; an array breaks off (after its first records).
    """
    kind = _kind(file)
    if kind == "array":
        return _array(file)
    return _object(file, fields) if kind == "object" else _lines(file)


def _kind(file: SourceFile) -> str:
    """Return ``array``, ``object`` (one, over the whole file) or ``lines``."""
    with opened(file) as stream:
        refuse_binary(file, stream)
        filled = (line for line in iter(lambda: stream.readline(_CHUNK), b"") if line.strip())
        first, *more = islice(filled, 2)
    if more and _parsed(first) is not None:  # else it goes on in the next line, or is broken
        return "lines"
    if first.lstrip().startswith(b"["):
        return "array"
    if file.suffix.startswith(".jsonl") or (more and isinstance(_parsed(more[0]), dict)):
        return "lines"
    return "object"


def _parsed(line: bytes) -> Any:
    """Return the value of a line (False for ``null``), or None if it is not JSON."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return False if value is None else value


def _lines(file: SourceFile) -> Iterator[Record]:
    for line in lines(file):
        if line.error:
            yield line
        elif line.value.strip():
            try:
                yield Record(line.where, json.loads(line.value), line.raw)
            except (ValueError, RecursionError) as error:
                yield Record(line.where, raw=line.raw, error=f"not JSON: {error}")


def _object(file: SourceFile, fields: Sequence[str]) -> Iterator[Record]:
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
    if not fields or (isinstance(value, dict) and fields[0] in value):
        yield _record(file, 1, value)
        return
    lists = [item for item in value.values() if isinstance(item, list)] if isinstance(value, dict) else []
    if len(lists) != 1:
        raise SourceError(f"{file.path} holds no list of documents; write a list of objects or of strings")
    for number, item in enumerate(lists[0], start=1):
        yield _record(file, number, item)


def _record(file: SourceFile, number: int, value: Any) -> Record:
    return Record(f"{file.name}:{number}", value, json.dumps(value, ensure_ascii=False)[:SHOWN])


def _array(file: SourceFile) -> Iterator[Record]:
    number = 0
    with opened(file) as stream:
        utf8 = codecs.getincrementaldecoder("utf-8")()
        decode = json.JSONDecoder().raw_decode
        refuse_binary(file, stream)  # which skips white space
        try:
            text, ended = utf8.decode(stream.read(_CHUNK)), False
            at = text.index("[") + 1
            while True:
                start = _skip(text, at)
                mark = text[start : start + 1]
                if mark == "]":
                    _refuse_more(text[start + 1 :] + utf8.decode(stream.read(_CHUNK)))
                    return
                if number and mark not in {",", ""}:
                    raise ValueError(f"{mark!r} where a comma or the end should be")
                start = _skip(text, start + 1) if number else start
                try:
                    value, end = decode(text, start)
                    complete = end < len(text)  # the end of what was read may cut a number in two
                except ValueError:
                    if ended:
                        raise
                    complete = False
                if complete:
                    number, at = number + 1, end
                    yield Record(f"{file.name}:{number}", value, text[start : min(end, start + SHOWN)])
                else:
                    if ended:
                        raise ValueError("the array does not end")
                    chunk = stream.read(max(_CHUNK, len(text) - at))
                    ended = not chunk
                    text, at = text[at:] + utf8.decode(chunk, final=ended), 0
        except UnicodeDecodeError as error:
            where = f"after record {number:,}"
            raise SourceError(f"{file.path} is not UTF-8 text: {error.reason} {where}; convert it") from error
        except (ValueError, RecursionError) as error:
            cause = error.msg if isinstance(error, json.JSONDecodeError) else error  # its place is one in the buffer
            raise SourceError(f"{file.path} is not JSON: {cause} after record {number:,}; get it again") from error


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _refuse_more(text: str) -> None:
    if text.strip(_SPACE):
        raise ValueError("more stands after the array")
