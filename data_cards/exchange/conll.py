"""CoNLL-2003 with BIO tags: token, two unused columns, tag; an empty line ends a passage.

The form has no place for nesting nor for white space. The id of a passage stands in its ``-DOCSTART-`` line, which
readers of the format skip. ``_`` stands for the spaces of a label, and of a word of several syllables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import IO

from annotator.records import Annotation, Mention
from data_cards.exchange.carrying import Job, Reviewed, Unread, lost_off_tokens, lost_when_flat
from data_cards.exchange.files import read_lines
from data_cards.exchange.reading import checked
from data_cards.exchange.tokens import Places, Tokenize, covered

_START = "-DOCSTART-"
_SPACE = re.compile(r"\s+")


def lost(annotation: Annotation, tokenize: Tokenize) -> dict[Mention, str]:
    """What BIO tags on these tokens cannot hold."""
    return _lost(annotation, tokenize(annotation.text))


def _lost(annotation: Annotation, places: Places) -> dict[Mention, str]:
    off = lost_off_tokens(annotation.mentions, places)
    return off | lost_when_flat(mention for mention in annotation.mentions if mention not in off)


def write(file: IO[bytes], annotations: Iterable[Annotation], job: Job, tokenize: Tokenize) -> None:
    """Write passages one after the other."""
    for annotation in annotations:
        places = tokenize(annotation.text)
        left_out = _lost(annotation, places)
        tags = ["O"] * len(places)
        for mention in annotation.mentions:
            if mention not in left_out:
                first, last = covered(places, mention.start, mention.end)
                label = mention.label.replace(" ", "_")
                tags[first : last + 1] = [f"B-{label}", *[f"I-{label}"] * (last - first)]
        file.write(f"{_START} -X- {annotation.passage_id} O\n\n".encode())
        for (start, end), tag in zip(places, tags, strict=True):
            token = _SPACE.sub("_", annotation.text[start:end])
            file.write(f"{token} -X- -X- {tag}\n".encode())
        file.write(b"\n")
        job.count(annotation, left_out)


def read(path: Path) -> Iterator[Reviewed | Unread]:
    """Read passages that have their id. A tag ``I-`` without a beginning begins a span, as seqeval has it."""
    passage: list[str] = []
    identity: str | None = None
    for line in read_lines(path):
        if line.startswith(_START):
            if identity is not None:
                yield _passage(identity, passage)
            columns = line.split(" ")
            identity, passage = columns[2] if len(columns) > 3 else "", []
        elif line:
            passage.append(line)
    if identity is not None:
        yield _passage(identity, passage)
    elif passage:
        yield Unread("unreadable", "", f"{path.name} has no {_START} line with the id of a passage")


def _passage(identity: str, lines: list[str]) -> Reviewed | Unread:
    rows = [line.split(" ") for line in lines]
    return checked(
        rows,
        lambda rows: Reviewed(identity, _spans([row[-1] for row in rows]), tokens=tuple(row[0] for row in rows)),
        identity,
    )


def _spans(tags: list[str]) -> tuple[tuple[int, int, str], ...]:
    """Spans of tokens. Each ``B-`` begins one, and so does an ``I-`` of another label than the tag before it."""
    number, begun = 0, []
    before = "O"
    for index, tag in enumerate(tags):
        kind, _, label = tag.partition("-")
        if tag != "O" and (kind not in {"B", "I"} or not label):
            raise ValueError(f"{tag!r} is no BIO tag")
        number += kind == "B" or label != before.partition("-")[2]
        begun.append((number, label, index))
        before = tag
    groups = (list(group) for (_, label), group in groupby(begun, key=lambda one: one[:2]) if label)
    return tuple((group[0][2], group[-1][2] + 1, group[0][1].replace("_", " ")) for group in groups)
