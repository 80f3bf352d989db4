"""CoNLL-2003 with BIO tags: token, two unused columns, tag; an empty line ends a passage.

The format holds no nested mentions and no white space. The id of a passage is in its ``-DOCSTART-`` line, which readers
of the format skip. ``_`` replaces the spaces of a label and of a word of several syllables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from annotator.errors import SourceError
from annotator.records import Annotation, Mention
from annotator.sources.formats.files import Record, lines, local, opened, refuse_binary
from data_cards.exchange.json_files import checked
from data_cards.exchange.passages import Exported, Reviewed, Unread, lost_off_tokens, lost_when_flat
from data_cards.exchange.places import Tokenize, covered
from normalizers.bio import tagged_spans

_START = "-DOCSTART-"
_SPACE = re.compile(r"\s+")


def lost(annotation: Annotation, tokenize: Tokenize) -> dict[Mention, str]:
    """Return the mentions that BIO tags on these tokens cannot hold."""
    off = lost_off_tokens(annotation.mentions, tokenize(annotation.text))
    return off | lost_when_flat(mention for mention in annotation.mentions if mention not in off)


def write(file: IO[bytes], passages: Iterable[Exported], tokenize: Tokenize) -> None:
    """Write passages, each after its ``-DOCSTART-`` line."""
    for annotation in (passage.annotation for passage in passages):
        places = tokenize(annotation.text)
        tags = ["O"] * len(places)
        for mention in annotation.mentions:
            first, last = covered(places, mention.start, mention.end)
            label = mention.label.replace(" ", "_")
            tags[first : last + 1] = [f"B-{label}", *[f"I-{label}"] * (last - first)]
        file.write(f"{_START} -X- {annotation.passage_id} O\n\n".encode())
        for (start, end), tag in zip(places, tags, strict=True):
            token = _SPACE.sub("_", annotation.text[start:end])
            file.write(f"{token} -X- -X- {tag}\n".encode())
        file.write(b"\n")


def read(path: Path) -> Iterator[Reviewed | Unread]:
    """Read passages with their ids.

    All rows must have as many columns as the first one; otherwise a token with a space in it would lose its end.
    """
    file = local(path)
    with opened(file) as stream:
        refuse_binary(file, stream)
    rows: list[Record] = []
    identity: str | None = None
    width = 0
    for line in lines(file):
        text = "" if line.error else line.value.strip(" \t")
        if text.startswith(_START):
            if rows or identity is not None:
                yield _passage(identity, rows, width)
            columns = _cells(text)
            identity, rows = columns[2] if len(columns) > 3 else "", []
        elif text or line.error:
            rows.append(line)
            width = width or len(_cells(text))
    if rows or identity is not None:
        yield _passage(identity, rows, width)
    else:
        raise SourceError(f"{path} has no line {_START} with the id of a passage; export it again")


def _cells(line: str) -> list[str]:
    line = line.strip(" \t")
    return line.split("\t") if "\t" in line else line.split(" ")


def _passage(identity: str | None, rows: list[Record], width: int) -> Reviewed | Unread:
    if identity is None:
        return Unread("unreadable", "", f"no line {_START} with the id of a passage before {rows[0].where}")
    error = next((f"{row.where}: {row.error}" for row in rows if row.error), "")

    def convert(rows: list[Record]) -> Reviewed:
        cells = [(row, _cells(row.value)) for row in rows]
        for row, found in cells:
            if len(found) != width or width < 2:
                raise ValueError(f"{len(found)} columns, not {width}, in {row.where}: {row.value[:60]!r}")
        return Reviewed(
            identity, _spans([found[-1] for _, found in cells]), tokens=tuple(found[0] for _, found in cells)
        )

    return checked(rows, convert, identity, error)


def _spans(tags: list[str]) -> tuple[tuple[int, int, str], ...]:
    """Return spans of tokens with their labels."""
    for tag in tags:
        if tag != "O" and (tag[:2] not in {"B-", "I-"} or not tag[2:]):
            raise ValueError(f"{tag!r} is not a BIO tag")
    return tuple((start, end, tag[2:].replace("_", " ")) for start, end, tag in tagged_spans(tags))
