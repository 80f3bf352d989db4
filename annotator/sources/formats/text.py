"""Plain text: a file is one document, or has a record on each line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from annotator.sources.formats.files import Record, SourceFile, decoded, opened


def read(file: SourceFile, fields: Sequence[str] = ()) -> Iterator[Record]:
    """Yield the whole file as one record: the text, and the name without its suffix as the id."""
    with opened(file) as stream:
        record = decoded(file.name, stream.read())
    if record.error:
        yield Record(file.name, raw=record.raw, error=record.error.removesuffix(" of the line"))
        return
    text = record.value.replace("\r\n", "\n").replace("\r", "\n")
    values = (text, file.name[: len(file.name) - len(file.suffix)])
    yield Record(file.name, dict(zip(fields or ("text", "id"), values, strict=False)), record.raw)


def lines(file: SourceFile) -> Iterator[Record]:
    """Yield each line without its end, blank ones too; only a line feed ends one."""
    with opened(file) as stream:
        for number, line in enumerate(stream, start=1):
            yield decoded(f"{file.name}:{number}", line.removesuffix(b"\n").removesuffix(b"\r"))
