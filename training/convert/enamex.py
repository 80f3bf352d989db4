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
from training.convert.job import Job, lines

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
    """Ask for each type of the set about each sentence (or line); all levels of nesting are gold."""
    counts, unit = job.counts, job.options.unit
    counts.stage("read", "line")
    counts.stage("tags", "tag")
    parsed = list(_lines(job))
    types = job.asked(mark.raw_type for _, line in parsed for mark in line.marks)
    counts.found["files"] += len(job.files)
    for where, line in parsed:
        counts.keep("read")
        counts.found["entities"] += len(line.marks)
        for reason, value in line.broken:
            counts.drop("tags", reason, where, value)
        marks = []
        for mark in line.marks:
            reason = "nested deeper than --levels" if mark.level > job.options.levels else ""
            if reason or not job.name(mark.raw_type):
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
                    gold.setdefault(job.name(mark.raw_type), []).append(line.text[mark.start : mark.end])
            yield from job.make.query_all(line.text[start:end], types, gold)


def _lines(job: Job) -> Iterator[tuple[str, Line]]:
    for path in job.files:
        for where, text, problem in lines(path):
            line = parse(text)
            cut = nfc(line.text) != line.text
            if problem or cut:
                detail = problem or "a tag stands between a letter and its mark"
                job.counts.drop("read", "broken line", where, text, detail)
            elif text.strip():
                yield where, line


def parse(line: str) -> Line:
    """Take the tags out of a line, and say what they mark."""
    text = ""
    spans: list[tuple[int, int, str]] = []
    broken: list[tuple[str, str]] = []
    stack: list[tuple[int, str, str]] = []
    position = 0
    for tag in _TAG.finditer(line):
        text += line[position : tag.start()]
        position = tag.end()
        rest = line[tag.start() :]
        if tag["type"]:
            stack.append((len(text), tag["type"], rest))
        elif tag["end"] and stack:
            start, raw_type, opened = stack.pop()
            spans.append((start, len(text), raw_type)) if raw_type else broken.append(("tag without a type", opened))
        elif tag["end"]:
            broken.append(("end without a beginning", rest))
        elif "TYPE" not in tag["broken"].upper() and tag["broken"].endswith(">") and "/" not in tag["broken"]:
            stack.append((len(text), "", rest))
        else:
            broken.append(("broken tag", rest))
    text += line[position:]
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
    return Line(text, marks, broken)


def _units(text: str, marks: list[Mark], unit: str) -> Iterator[tuple[int, int]]:
    """Yield the sentences of a line, none of which ends inside a mention; or the line without white space around it."""
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
