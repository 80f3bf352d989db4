"""Tokens with BIO tags in columns (PhoNER_COVID19, VLSP 2016), or as JSON lines ``{"words": [...], "tags": [...]}``.

The text of a sentence is its tokens with a space between them, as the benchmark's own tables have it, so that each
gold mention is a slice of it. At word level the underscores that join syllables become spaces too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from annotator.records import Sample
from normalizers.text import is_syllable, nfc
from training.convert.inputs import Read, lines, list_of, records
from training.convert.job import Counts, Job
from training.convert.published import TypeNames

SUFFIXES: Final = ((".conll", ".bio"), (".txt", ".tsv"), (".json", ".jsonl"))
_TAG: Final = re.compile(r"O|[BI]-\S+")
_MARKUP: Final = re.compile(r"</?\w+>")  # VLSP 2016 puts <s> and </s> on lines of their own
_START: Final = "-DOCSTART-"
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

    path: Path
    where: str
    tokens: list[str]
    tags: Sequence[Sequence[str]]
    """A list for each column of tags, as long as ``tokens``."""


def read_conll(job: Job) -> Iterator[Sample]:
    """Ask for each type of the set about each sentence; a type that a sentence lacks is answered ``[]``.

    The files are read twice: first for their types and whether they are segmented into words.
    """
    counts = job.counts
    counts.stage("read", "sentence")
    counts.stage("mentions", "entity")
    names = TypeNames(job.options.types)
    raw_types, word_level = _survey(job)
    types = list(dict.fromkeys(name for raw in raw_types if (name := names.readable(raw))))
    for sentence in _sentences(job):
        counts.keep("read")
        counts.found["sentences"] += 1
        shown = [_spaced(token) for token in sentence.tokens] if word_level[sentence.path] else sentence.tokens
        gold: dict[str, list[str]] = {}
        entities = list(_entities(sentence, counts))
        counts.found["entities"] += len(entities)
        for first, end, raw in entities:
            mention = " ".join(shown[first:end])
            if name := names.readable(raw):
                counts.keep("mentions")
                gold.setdefault(name, []).append(mention)
            else:
                counts.drop("mentions", "type left out", sentence.where, f"{raw}: {mention}")
        yield from job.make.query_all(" ".join(shown), types, gold)


def _survey(job: Job) -> tuple[list[str], dict[Path, bool]]:
    """Raw types in order (those of the published set first), and for each file whether its tokens are words."""
    found: set[str] = set()
    tokens, joined = Counter[Path](), Counter[Path]()
    mute = Job(job.files, job.options)
    mute.counts.stage("read", "sentence")
    for sentence in _sentences(mute):
        found.update(tag[2:] for column in sentence.tags for tag in column if tag != "O")
        tokens[sentence.path] += len(sentence.tokens)
        joined[sentence.path] += sum(map(_is_joined, sentence.tokens))
    word_level = {}
    for path, number in tokens.items():
        level = job.options.level
        if level == "auto":
            level = "word" if joined[path] > number * _JOINED_SHARE else "syllable"
        word_level[path] = level == "word"
        job.counts.note(f"file read at {level} level", str(path), f"{joined[path]:,} joined tokens")
    return [*job.types, *sorted(found - set(job.types))], word_level


def _is_joined(token: str) -> bool:
    parts = token.split("_")
    return len(parts) > 1 and not _ADDRESS.search(token) and all(part and is_syllable(part) for part in parts)


def _spaced(token: str) -> str:
    """``Hà_Nội`` -> ``Hà Nội``; what is an address keeps its underscores, and so does one that joins nothing."""
    return token if _ADDRESS.search(token) else _JOINT.sub(" ", token)


def _entities(sentence: Tagged, counts: Counts) -> Iterator[tuple[int, int, str]]:
    """First token, end and raw type of each entity; one that begins with ``I-`` is taken, and noted."""
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


def _sentences(job: Job) -> Iterator[Tagged]:
    for path in job.files:
        if path.suffix.lower() in {".json", ".jsonl"}:
            yield from _of_json(path, job)
            continue
        read = list(lines(path))
        width = Counter(len(_cells(line)) for _, line, problem in read if not problem and _is_row(line))
        usual = width.most_common(1)[0][0] if width else 0
        rows: list[Read] = []
        for where, line, problem in [*read, ("", "", "")]:
            if problem or _is_row(line):
                rows.append((where, line, problem))
            elif rows:
                if sentence := _sentence(path, rows, usual, job):
                    yield sentence
                rows = []


def _is_row(line: str) -> bool:
    bare = line.strip(" \t")
    return bool(bare) and not _MARKUP.fullmatch(bare) and not bare.startswith(_START)


def _cells(line: str) -> list[str]:
    bare = line.strip(" \t")
    return bare.split("\t") if "\t" in bare else [cell for cell in bare.split(" ") if cell]


def _sentence(path: Path, rows: Sequence[Read], width: int, job: Job) -> Tagged | None:
    """The sentence of ``rows``, or None where a row is broken; each has ``width`` columns, the usual of its file."""
    columns = job.options.columns
    tokens, tags = [], []
    for where, row, unread in rows:
        cells = _cells(row)
        picked = [cells[column - 1] if column <= len(cells) else "" for column in columns] or cells[-1:]
        if problem := unread or _problem(cells, picked, width):
            job.counts.drop("read", "broken line", where, row, problem)
            return None
        tokens.append(" ".join(cells[0].split()))
        tags.append(picked)
    if width > 2 and not columns:
        job.counts.note("more than two columns: tags are in the last; --columns names others", rows[0][0], rows[0][1])
    return Tagged(path, rows[0][0], tokens, list(zip(*tags, strict=True)))


def _problem(cells: Sequence[str], tags: Sequence[str], width: int) -> str:
    if len(cells) < 2 or not all(map(_TAG.fullmatch, tags)):
        return "not a token and a BIO tag"
    if len(cells) != width:
        return f"{len(cells)} columns, the file has {width}; put tabs between them if a token has spaces"
    return ""


def _of_json(path: Path, job: Job) -> Iterator[Tagged]:
    for where, record in job.sound(records(path), "broken line"):
        try:
            words, tags = list_of(record, "words", str), list_of(record, "tags", str)
            if not words or len(words) != len(tags) or not all(map(_TAG.fullmatch, tags)):
                raise ValueError(f"{len(words)} words and {len(tags)} BIO tags")
            yield Tagged(path, where, [" ".join(nfc(word).split()) for word in words], [[nfc(tag) for tag in tags]])
        except ValueError as error:
            job.counts.drop("read", "broken line", where, record, str(error))
