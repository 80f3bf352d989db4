"""Tokens with BIO tags in columns (PhoNER_COVID19, VLSP 2016), or as JSON lines ``{"words": [...], "tags": [...]}``.

The text of a sentence is its tokens joined by spaces, so that each gold mention is a slice of it. At word level the
underscores that join syllables become spaces too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from pydantic import BaseModel, model_validator

from annotator.errors import ConfigError
from annotator.records import Sample
from annotator.sources import formats
from annotator.sources.formats.files import Record, local
from normalizers.bio import tagged_spans
from training.convert.job import Job, Sentence, Text, lines

_TAG: Final = re.compile(r"O|[BI]-\S+")
_NO_ROW: Final = re.compile(r"\s*(?:</?\w+>\s*|-DOCSTART-.*)?")  # VLSP 2016 puts <s> and </s> on lines of their own
_JOINT: Final = re.compile(r"(?<=[^\s_])_(?=[^\s_])")
_ADDRESS: Final = re.compile(
    r"@|://|^www\.|^#|\w\.(?:com|net|org|gov|edu|info|vn|html?|php|aspx?|pdf|docx?|xlsx?|jpe?g|png|mp[34])(?:[/.?:]|$)"
)
"""Tokens with underscores of their own: e-mail and web addresses, handles, hashtags, file names."""
_JOINED_SHARE: Final = 0.02
"""A file with a larger share of tokens of several syllables is at word level; word-segmented text has a quarter."""

JSON: Final = (".json", ".jsonl", ".json.gz", ".jsonl.gz")
"""Suffixes of files with a sentence a line; all others have columns."""


class _Tagged(BaseModel):
    """A sentence of a JSON file."""

    words: list[Text]
    tags: list[Text]

    @model_validator(mode="after")
    def _paired(self) -> _Tagged:
        if not self.words or len(self.words) != len(self.tags) or not all(map(_TAG.fullmatch, self.tags)):
            raise ValueError(f"{len(self.words)} words and {len(self.tags)} tags; each word needs a BIO tag")
        return self


def read_conll(job: Job) -> Iterator[Sample]:
    """Yield a query for each type of the set about each sentence."""
    if not re.fullmatch(r"(?:[1-9]\d*(?:,[1-9]\d*)*)?", job.options.columns):
        raise ConfigError(f"--columns takes numbers from 1, such as 4,5, not {job.options.columns!r}")
    return job.ask(sentence for path in job.files for sentence in _sentences(path, job))


def _sentences(path: Path, job: Job) -> Iterator[Sentence]:
    """Yield the sentences of a file in which each row is a token and its tags."""
    rows = list(_rows(path, job))
    widths = Counter(len(cells) for _, cells in rows if cells)
    width = widths.most_common(1)[0][0] if widths else 0
    columns = [int(number) for number in job.options.columns.split(",") if number] or [width]
    words = _are_words(path, [cells[0] for _, cells in rows if cells], job)
    for sentence in [list(group) for is_filled, group in groupby(rows, lambda row: bool(row[1])) if is_filled]:
        first = sentence[0][0]
        if broken := [(line, why) for line, cells in sentence if (why := _problem(line, cells, width, columns))]:
            line, why = broken[0]
            job.counts.drop("sentences", "broken line", line.where, line.value, why)
            continue
        if width > 2 and not job.options.columns:
            note = "more than two columns: tags are in the last; --columns names others"
            job.counts.note(note, first.where, first.value)
        tokens = [" ".join((_spaced(cells[0]) if words else cells[0]).split()) for _, cells in sentence]
        mentions = []
        for column in columns:
            for start, end, tag in tagged_spans([cells[column - 1] for _, cells in sentence]):
                mentions.append((tag[2:], " ".join(tokens[start:end]), 1))
                if tag.startswith("I-"):
                    job.counts.note("I- without B-: begins an entity", first.where, f"{tokens[start]} {tag}")
        yield Sentence(first.where, " ".join(tokens), mentions)


def _rows(path: Path, job: Job) -> Iterator[tuple[Record, list[str]]]:
    """Yield each line with its cells; a line between sentences has no cells."""
    if local(path).suffix not in JSON:
        for line in lines(path):
            yield line, _cells(line)
        return
    for record in formats.records(local(path)):
        try:
            sentence = _Tagged.model_validate(record.value)
        except ValueError as error:
            job.counts.drop("sentences", "broken line", record.where, record.raw, record.error or error)
            continue
        for word, tag in zip(sentence.words, sentence.tags, strict=True):
            yield record, [word, tag]
        yield record, []


def _cells(line: Record) -> list[str]:
    """Split a line into its cells; a line between sentences has none."""
    if line.error:
        return [line.value]
    if _NO_ROW.fullmatch(line.value):
        return []
    bare = line.value.strip(" \t")
    return bare.split("\t") if "\t" in bare else [cell for cell in bare.split(" ") if cell]


def _problem(line: Record, cells: Sequence[str], width: int, columns: Sequence[int]) -> str:
    """Return why a row is not a token with its tags; empty where it is."""
    if line.error:
        return line.error
    if len(cells) != width:
        return f"{len(cells)} columns, the file has {width}; put tabs between them if a token has spaces"
    if width < 2 or not all(column <= width and _TAG.fullmatch(cells[column - 1]) for column in columns):
        return "not a token and a BIO tag"
    return ""


def _are_words(path: Path, tokens: Sequence[str], job: Job) -> bool:
    """Return whether underscores join syllables in this file: by ``--level``, or by the share of such tokens."""
    joined, level = sum(_spaced(token) != token for token in tokens), job.options.level
    if level == "auto":
        level = "word" if joined > len(tokens) * _JOINED_SHARE else "syllable"
    job.counts.note(f"file read at {level} level", str(path), f"{joined:,} joined tokens")
    return level == "word"


def _spaced(token: str) -> str:
    """Write ``Hà_Nội`` as ``Hà Nội``; an address keeps its underscores, and so does one that joins nothing."""
    return token if _ADDRESS.search(token) else _JOINT.sub(" ", token)
