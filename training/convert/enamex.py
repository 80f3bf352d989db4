"""Raw text with nested ``<ENAMEX TYPE="...">`` tags (VLSP 2016 and 2018), line by line.

A broken tag (unclosed, without type, a stray end) is left out with its file and line; the text it stands in stays, and
so do the other mentions of the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from annotator.passages.sentences import split_sentences
from annotator.records import Sample
from normalizers.text import nfc
from training.convert.inputs import Read, lines
from training.convert.job import Job
from training.convert.published import TypeNames

SUFFIXES: Final = ((".muc",), (".xml", ".sgml"), (".txt",))
_QUOTES: Final = "\"'“”‘’"
_TAG: Final = re.compile(
    rf"""<\s*ENAMEX\s+TYPE\s*=\s*[{_QUOTES}]?(?P<type>[^{_QUOTES}<>\s]+)[{_QUOTES}]?\s*>  # a beginning
    |(?P<end><\s*/\s*ENAMEX\s*>)
    |(?P<broken></?\s*/?\s*ENAMEX(?:\s+TYPE\s*=\s*(?:"[^"<>]*"|\w*))?\s*>?)  # meant as one of the two
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
    """Sound mentions by start, the outer before the inner."""
    broken: list[tuple[str, str]]
    """Malformed tags: the error, and the text from there on."""


def read_enamex(job: Job) -> Iterator[Sample]:
    """Ask for each type of the set about each sentence (or line); all levels of nesting are gold.

    The files are read twice, first for their types.
    """
    counts, names, unit = job.counts, TypeNames(job.options.types), job.options.unit
    counts.stage("read", "line")
    counts.stage("tags", "tag")
    raw_types = {mark.raw_type for _, line, problem in _lines(job) if not problem for mark in parse(line).marks}
    ordered = [*job.types, *sorted(raw_types - set(job.types))]
    types = list(dict.fromkeys(name for raw in ordered if (name := names.readable(raw))))
    counts.found["files"] += len(job.files)
    for where, text in job.sound(_lines(job), "broken line"):
        line = parse(text)
        counts.keep("read")
        counts.found["entities"] += len(line.marks)
        for reason, value in line.broken:
            counts.drop("tags", reason, where, value)
        marks = []
        for mark in line.marks:
            reason = "nested deeper than --levels" if mark.level > job.options.levels else ""
            if reason or not names.readable(mark.raw_type):
                mention = line.text[mark.start : mark.end]
                counts.drop("tags", reason or "type left out", where, mention, f"level {mark.level}")
            else:
                counts.keep("tags")
                counts.found[f"entities at level {mark.level}"] += 1
                marks.append(mark)
        for start, end in _units(line.text, marks, unit):
            counts.found[f"{unit}s"] += 1
            gold: dict[str, list[str]] = {}
            for mark in marks:
                if start <= mark.start < end:
                    gold.setdefault(names.readable(mark.raw_type), []).append(line.text[mark.start : mark.end])
            yield from job.make.query_all(line.text[start:end], types, gold)


def _lines(job: Job) -> Iterator[Read]:
    return (read for path in job.files for read in lines(path) if read[2] or read[1].strip())


def parse(line: str) -> Line:
    """Take the tags out of a line, and say what they mark."""
    pieces: list[str] = []
    length = 0
    spans: list[tuple[int, int, str]] = []
    broken: list[tuple[str, str]] = []
    stack: list[tuple[int, str, str]] = []
    position = 0
    for tag in _TAG.finditer(line):
        pieces.append(line[position : tag.start()])
        length += tag.start() - position
        position = tag.end()
        rest = line[tag.start() :]
        if tag["type"]:
            stack.append((length, tag["type"], rest))
        elif tag["end"] and stack:
            start, raw_type, opened = stack.pop()
            spans.append((start, length, raw_type)) if raw_type else broken.append(("tag without a type", opened))
        elif tag["end"]:
            broken.append(("end without a beginning", rest))
        elif "TYPE" not in tag["broken"].upper() and tag["broken"].endswith(">") and "/" not in tag["broken"]:
            stack.append((length, "", rest))
        else:
            broken.append(("broken tag", rest))
    text = "".join([*pieces, line[position:]])
    broken += [("beginning without an end", rest) for _, _, rest in stack]
    marks = []
    # Of equal spans, the outer one is closed last.
    order = sorted(enumerate(spans), key=lambda item: (item[1][0], -item[1][1], -item[0]))
    for closed, (start, end, raw_type) in order:
        inside = text[start:end]
        begin = start + len(inside) - len(inside.lstrip())
        stop = begin + len(inside.strip())
        if begin >= stop:
            broken.append(("empty mention", raw_type))
            continue
        around = sum(a <= start and end <= b and (other > closed) for other, (a, b, _) in enumerate(spans))
        marks.append(Mark(begin, stop, raw_type, 1 + around))
    return _composed(Line(text, marks, broken))


def _composed(line: Line) -> Line:
    """Put a line in NFC that is not any more, since a tag stood between a letter and its mark."""
    text = nfc(line.text)
    if text == line.text:
        return line
    marks, broken = [], list(line.broken)
    for mark in line.marks:
        start, mention = len(nfc(line.text[: mark.start])), nfc(line.text[mark.start : mark.end])
        if text[start : start + len(mention)] == mention:
            marks.append(Mark(start, start + len(mention), mark.raw_type, mark.level))
        else:
            broken.append(("tag between a letter and its mark", mention))
    return Line(text, marks, broken)


def _units(text: str, marks: list[Mark], unit: str) -> Iterator[tuple[int, int]]:
    """Sentences of a line, none of which ends inside a mention; or the line without white space around it."""
    if unit == "line":
        start = len(text) - len(text.lstrip())
        if text.strip():
            yield start, start + len(text.strip())
        return
    begun: int | None = None
    for sentence in split_sentences(text):
        begun = sentence.start if begun is None else begun
        if not any(mark.start < sentence.end < mark.end for mark in marks):
            yield begun, sentence.end
            begun = None
