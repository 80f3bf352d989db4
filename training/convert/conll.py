"""Tokens with BIO tags in columns (PhoNER_COVID19, VLSP 2016), or as JSON lines ``{"words": [...], "tags": [...]}``.

The text of a sentence is its tokens with a space between them, as the benchmark's own tables have it, so that each
gold mention is a slice of it. At word level the underscores that join syllables become spaces too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Final

from pydantic import BaseModel, model_validator

from annotator.records import Sample
from normalizers.text import is_syllable
from training.convert.job import Counts, Job, Line, Text, lines

_TAG: Final = re.compile(r"O|[BI]-\S+")
_NO_ROW: Final = re.compile(r"\s*(?:</?\w+>\s*|-DOCSTART-.*)?")  # VLSP 2016 puts <s> and </s> on lines of their own
_JOINT: Final = re.compile(r"(?<=[^\s_])_(?=[^\s_])")
_ADDRESS: Final = re.compile(
    r"@|://|^www\.|^#|\w\.(?:com|net|org|gov|edu|info|vn|html?|php|aspx?|pdf|docx?|xlsx?|jpe?g|png|mp[34])(?:[/.?:]|$)"
)
"""What has underscores of its own: an e-mail address, a web address, a handle, a hashtag, a file name."""
_JOINED_SHARE: Final = 0.02
"""Share of tokens with several syllables from which a file is at word level; word-segmented text has a quarter."""


@dataclass(frozen=True, slots=True)
class Tagged:
    """One sentence of a file."""

    where: str
    tokens: list[str]
    tags: Sequence[Sequence[str]]
    """A list for each column of tags, as long as ``tokens``."""


class _Sentence(BaseModel):
    words: list[Text]
    tags: list[Text]

    @model_validator(mode="after")
    def _even(self) -> _Sentence:
        if not self.words or len(self.words) != len(self.tags) or not all(map(_TAG.fullmatch, self.tags)):
            raise ValueError(f"{len(self.words)} words and {len(self.tags)} BIO tags")
        return self


def read_conll(job: Job) -> Iterator[Sample]:
    """Ask for each type of the set about each sentence; a type that a sentence lacks is answered ``[]``."""
    counts = job.counts
    counts.stage("read", "sentence")
    counts.stage("mentions", "entity")
    sentences = [sentence for path in job.files for sentence in _sentences(path, job)]
    types = job.asked(tag[2:] for sentence in sentences for column in sentence.tags for tag in column if tag != "O")
    for sentence in sentences:
        counts.keep("read")
        entities = list(_entities(sentence, counts))
        counts.found.update(sentences=1, entities=len(entities))
        gold: dict[str, list[str]] = {}
        for first, end, raw_type in entities:
            mention = " ".join(sentence.tokens[first:end])
            if name := job.name(raw_type):
                counts.keep("mentions")
                gold.setdefault(name, []).append(mention)
            else:
                counts.drop("mentions", "type left out", sentence.where, f"{raw_type}: {mention}")
        yield from job.make.query_all(" ".join(sentence.tokens), types, gold)


def _entities(sentence: Tagged, counts: Counts) -> Iterator[tuple[int, int, str]]:
    """Yield first token, end and raw type of each entity; one that begins with ``I-`` is taken, and noted."""
    for tags in sentence.tags:
        start, label = 0, ""
        for index, tag in enumerate([*tags, "O"]):
            if tag == f"I-{label}" and label:
                continue
            if label:
                yield start, index, label
            start, label = index, tag[2:]
            if tag.startswith("I-"):
                counts.note("I- without B-, taken as the beginning", sentence.where, f"{sentence.tokens[index]} {tag}")


def _sentences(path: Path, job: Job) -> list[Tagged]:
    """Return the sentences of a file, with spaces between the syllables of a word."""
    read = _of_json if path.suffix.lower() in {".json", ".jsonl"} else _of_columns
    sentences = list(read(path, job))
    tokens = [token for sentence in sentences for token in sentence.tokens]
    joined, level = sum(map(_is_joined, tokens)), job.options.level
    if level == "auto":
        level = "word" if joined > len(tokens) * _JOINED_SHARE else "syllable"
    job.counts.note(f"file read at {level} level", str(path), f"{joined:,} joined tokens")
    if level == "syllable":
        return sentences
    return [replace(sentence, tokens=list(map(_spaced, sentence.tokens))) for sentence in sentences]


def _is_joined(token: str) -> bool:
    parts = token.split("_")
    return len(parts) > 1 and not _ADDRESS.search(token) and all(part and is_syllable(part) for part in parts)


def _spaced(token: str) -> str:
    """Write ``Hà_Nội`` as ``Hà Nội``; an address keeps its underscores, and so does one that joins nothing."""
    return token if _ADDRESS.search(token) else _JOINT.sub(" ", token)


def _of_columns(path: Path, job: Job) -> Iterator[Tagged]:
    read = list(lines(path))
    width = Counter(len(_cells(line)) for _, line, problem in read if not problem and not _NO_ROW.fullmatch(line))
    usual = width.most_common(1)[0][0] if width else 0
    for is_row, rows in groupby(read, lambda line: bool(line[2]) or not _NO_ROW.fullmatch(line[1])):
        if is_row and (sentence := _of_rows(list(rows), usual, job)):
            yield sentence


def _cells(line: str) -> list[str]:
    bare = line.strip(" \t")
    return bare.split("\t") if "\t" in bare else [cell for cell in bare.split(" ") if cell]


def _of_rows(rows: Sequence[Line], width: int, job: Job) -> Tagged | None:
    """Make a sentence of ``rows`` of ``width`` columns, the usual of its file; None where a row is broken."""
    columns = job.options.tag_columns
    tokens, tags = [], []
    for where, row, unread in rows:
        cells = _cells(row)
        picked = [cells[column - 1] if column <= len(cells) else "" for column in columns] or cells[-1:]
        problem = unread
        if not problem and (len(cells) < 2 or not all(map(_TAG.fullmatch, picked))):
            problem = "not a token and a BIO tag"
        elif not problem and len(cells) != width:
            problem = f"{len(cells)} columns, the file has {width}; put tabs between them if a token has spaces"
        if problem:
            job.counts.drop("read", "broken line", where, row, problem)
            return None
        tokens.append(" ".join(cells[0].split()))
        tags.append(picked)
    if width > 2 and not columns:
        job.counts.note("more than two columns: tags are in the last; --columns names others", rows[0][0], rows[0][1])
    return Tagged(rows[0][0], tokens, list(zip(*tags, strict=True)))


def _of_json(path: Path, job: Job) -> Iterator[Tagged]:
    for where, sentence in replace(job, files=[path]).records(_Sentence, reason="broken line"):
        yield Tagged(where, [" ".join(word.split()) for word in sentence.words], [sentence.tags])
