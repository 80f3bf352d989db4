"""Raw text with nested ``<ENAMEX TYPE="...">`` tags (VLSP 2016 and 2018), line by line.

A broken tag (unclosed, without type, a stray end) is counted with its file and line; the text and the other mentions of
the line are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Final

from annotator.passages.sentences import split_sentences
from annotator.records import Sample
from normalizers.text import nfc
from training.convert.job import Job, Sentence, lines

_QUOTES: Final = "\"'“”‘’"
_TAG: Final = re.compile(
    rf"""<\s*ENAMEX\s+TYPE\s*=\s*[{_QUOTES}]?(?P<type>[^{_QUOTES}<>\s]+)[{_QUOTES}]?\s*>  # a beginning
    |(?P<untyped><\s*ENAMEX\s*>)
    |(?P<end><\s*/\s*ENAMEX\s*>)
    |</?\s*/?\s*ENAMEX(?:\s+TYPE\s*=\s*(?:"[^"<>]*"|\w*))?\s*>?  # any other tag is broken
    """,
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A mention in a line: ``text[start:end]``, in code points, without white space around it."""

    start: int
    end: int
    raw_type: str
    level: int
    """1 for an outermost one."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its tags."""

    text: str
    marks: list[Mark]
    """Valid mentions by start, the outer before the inner."""
    broken: list[str]
    """The text from each malformed tag on."""


def read_enamex(job: Job) -> Iterator[Sample]:
    """Yield a query for each type of the set about each sentence or line; all levels of nesting are gold."""
    return job.ask(sentence for path in job.files for sentence in _sentences(path, job))


def _sentences(path: Path, job: Job) -> Iterator[Sentence]:
    job.counts.keep("files")
    for record in lines(path):
        line = parse(record.value)
        cut = "a tag stands between a letter and its mark" if nfc(line.text) != line.text else ""
        if record.error or cut:
            job.counts.drop("lines", "broken line", record.where, record.value, record.error or cut)
            continue
        job.counts.keep("lines")
        for rest in line.broken:
            job.counts.drop("entities", "broken tag", record.where, rest)
        gold = [mark for mark in line.marks if job.name(mark.raw_type) and mark.level <= job.options.levels]
        for start, end in _units(line.text, gold, job.options.unit):
            inside = [mark for mark in line.marks if start <= mark.start < end]
            mentions = [(mark.raw_type, line.text[mark.start : mark.end], mark.level) for mark in inside]
            yield Sentence(record.where, line.text[start:end], mentions)


def parse(line: str) -> Line:
    """Return a line without its tags, and its mentions."""
    text = _TAG.sub("", line)
    tags = list(_TAG.finditer(line))
    removed = accumulate(len(tag[0]) for tag in tags)
    places = [tag.end() - before for tag, before in zip(tags, removed, strict=True)]  # of each tag, in ``text``
    ends: dict[int, int] = {}  # number of the tag that ends what this one begins
    waiting: list[int] = []
    for number, tag in enumerate(tags):
        if tag["type"] or tag["untyped"]:
            waiting.append(number)
        elif tag["end"] and waiting:
            ends[waiting.pop()] = number
    marks: list[Mark] = []
    broken = []
    for number, tag in enumerate(tags):
        inside = text[places[number] : places[ends[number]]] if number in ends else ""
        if tag["type"] and inside.strip():
            start = places[number] + len(inside) - len(inside.lstrip())
            end = start + len(inside.strip())
            marks.append(Mark(start, end, tag["type"], level=1 + sum(outer.end >= end for outer in marks)))
        elif number not in ends.values():
            broken.append(line[tag.start() :])
    return Line(text, marks, broken)


def _units(text: str, gold: Sequence[Mark], unit: str) -> Iterator[tuple[int, int]]:
    """Yield the sentences of a line, none of which ends inside a gold mention; or the whole line."""
    begun: int | None = None
    sentences = split_sentences(text)
    for sentence in sentences:
        begun = sentence.start if begun is None else begun
        inside = any(mark.start < sentence.end < mark.end for mark in gold)
        if sentence is sentences[-1] or (unit == "sentence" and not inside):
            yield begun, sentence.end
            begun = None
