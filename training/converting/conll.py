"""Tokens with BIO tags in columns (PhoNER_COVID19, VLSP 2016), or as JSON lines ``{"words": [...], "tags": [...]}``.

The text of a sentence is its tokens with a space between them, as the benchmark's own tables have it, so that each
gold mention is a slice of it. At word level the underscores that join syllables become spaces too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from annotator.records import Rejected, Sample
from normalizers.text import is_syllable, nfc
from training.converting.inputs import UnreadableError, lines, object_of, records
from training.converting.job import Job
from training.converting.queries import query_all
from training.converting.tally import Tally, left_out
from training.converting.types import shipped

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

    where: str
    tokens: list[str]
    tags: list[list[str]]
    """A list for each column of tags, as long as ``tokens``."""


def read(job: Job) -> Iterator[Sample | Rejected]:
    """A question for each type of the set about each sentence; a type that a sentence lacks is answered ``[]``.

    The files are read twice: first for their types and whether they are segmented into words.
    """
    tally = job.tally
    tally.stage("read", "sentence")
    tally.stage("mentions", "entity")
    names = shipped(job.options.types)
    raw_types, word_level = _survey(job)
    types = list(dict.fromkeys(name for raw in raw_types if (name := names.readable(raw))))
    for sentence in _all(job, tally):
        if isinstance(sentence, Rejected):
            yield sentence
            continue
        tally.keep("read")
        tally.found["sentences"] += 1
        joined = word_level[sentence.where.rpartition(":")[0]]
        shown = [_spaced(token) if joined else token for token in sentence.tokens]
        gold: dict[str, list[str]] = {}
        entities = list(_entities(sentence, tally))
        tally.found["entities"] += len(entities)
        for first, end, raw in entities:
            mention = " ".join(shown[first:end])
            if name := names.readable(raw):
                tally.keep("mentions")
                gold.setdefault(name, []).append(mention)
            else:
                yield left_out("mentions", "type left out", sentence.where, f"{raw}: {mention}")
        yield from query_all(job.make, " ".join(shown), types, gold)


def _survey(job: Job) -> tuple[list[str], dict[str, bool]]:
    """Raw types in order (those of the published set first), and for each file whether its tokens are words."""
    found: Counter[str] = Counter()
    tokens, joined = Counter[str](), Counter[str]()
    for sentence in _all(job, Tally()):
        if isinstance(sentence, Tagged):
            path = sentence.where.rpartition(":")[0]
            found.update(tag[2:] for column in sentence.tags for tag in column if tag != "O")
            tokens[path] += len(sentence.tokens)
            joined[path] += sum(map(_is_joined, sentence.tokens))
    level = job.options.level
    word_level = {
        path: level == "word" or (level == "auto" and joined[path] > number * _JOINED_SHARE)
        for path, number in tokens.items()
    }
    for path, is_word in word_level.items():
        job.tally.note(
            f"file read at {'word' if is_word else 'syllable'} level", path, f"{joined[path]:,} joined tokens"
        )
    return [*job.types, *sorted(set(found) - set(job.types))], word_level


def _is_joined(token: str) -> bool:
    parts = token.split("_")
    return len(parts) > 1 and not _ADDRESS.search(token) and all(part and is_syllable(part) for part in parts)


def _spaced(token: str) -> str:
    """``Hà_Nội`` -> ``Hà Nội``; what is an address keeps its underscores, and so does one that joins nothing."""
    return token if _ADDRESS.search(token) else _JOINT.sub(" ", token)


def _entities(sentence: Tagged, tally: Tally) -> Iterator[tuple[int, int, str]]:
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
                tally.note("I- without B-, taken as the beginning", sentence.where, f"{sentence.tokens[index]} {tag}")


def _all(job: Job, tally: Tally) -> Iterator[Tagged | Rejected]:
    for path in job.files:
        is_json = path.suffix.lower() in {".json", ".jsonl"}
        yield from _of_json(path) if is_json else _of_columns(path, job.options.columns, tally)


def _of_columns(path: Path, columns: Sequence[int], tally: Tally) -> Iterator[Tagged | Rejected]:
    rows: list[tuple[int, str | UnreadableError]] = []
    for number, line in lines(path):
        bare = line if isinstance(line, UnreadableError) else line.strip(" \t")
        if bare == "" or (isinstance(bare, str) and (_MARKUP.fullmatch(bare) or bare.startswith(_START))):
            if rows:
                yield _sentence(path, rows, columns, tally)
            rows = []
        else:
            rows.append((number, bare))
    if rows:
        yield _sentence(path, rows, columns, tally)


def _sentence(
    path: Path, rows: Iterable[tuple[int, str | UnreadableError]], columns: Sequence[int], tally: Tally
) -> Tagged | Rejected:
    tokens: list[str] = []
    tags: list[list[str]] = [[] for _ in columns or (0,)]
    first = 0
    for number, row in rows:
        where, first = f"{path}:{number}", first or number
        if isinstance(row, UnreadableError):
            return left_out("read", "broken line", where, row, str(row))
        cells = row.split("\t") if "\t" in row else [cell for cell in row.split(" ") if cell]
        picked = [cells[column - 1] if column <= len(cells) else "" for column in columns] or cells[-1:]
        if len(cells) < 2 or not all(_TAG.fullmatch(tag) for tag in picked):
            return left_out("read", "broken line", where, row, "not a token and a BIO tag")
        if len(cells) > 2 and not columns and first == number:
            tally.note("more than two columns: tags are in the last; --columns names others", where, row)
        tokens.append(" ".join(cells[0].split()))
        for column, tag in zip(tags, picked, strict=True):
            column.append(tag)
    return Tagged(f"{path}:{first}", tokens, tags)


def _of_json(path: Path) -> Iterator[Tagged | Rejected]:
    for where, record in records(path):
        try:
            row = object_of(record)
            words, tags = _strings(row, "words"), _strings(row, "tags")
            if not words or len(words) != len(tags) or not all(_TAG.fullmatch(tag) for tag in tags):
                raise ValueError(f"{len(words)} words and {len(tags)} BIO tags")
        except ValueError as error:
            yield left_out("read", "broken line", where, record, str(error))
        else:
            yield Tagged(where, [" ".join(word.split()) for word in words], [tags])


def _strings(row: dict[str, Any], name: str) -> list[str]:
    value = row.get(name)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f'"{name}" is no list of strings')
    return [nfc(item) for item in value]
