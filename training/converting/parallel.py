"""Translation pairs (PhoMT): two files of lines, one a language, or a table with English and Vietnamese in columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Final

from annotator.errors import SourceError
from annotator.records import Rejected, Sample
from annotator.samples.explode import seeded
from training.converting.inputs import UnreadableError, lines
from training.converting.job import Job
from training.converting.tally import left_out

SUFFIXES: Final = ((".en", ".vi", ".en.gz", ".vi.gz"), (".tsv", ".tsv.gz"))
PROMPTS: Final = {
    "en-vi": "Translate this English text into Vietnamese.",
    "vi-en": "Translate this Vietnamese text into English.",
}

Pair = tuple[str, str | UnreadableError | None, str | UnreadableError | None]
"""Where it stands, English, Vietnamese; None where a side has no such line."""


def read(job: Job) -> Iterator[Sample | Rejected]:
    """One sample a pair and direction; those of a pair have one ``passage_id``."""
    job.tally.stage("read", "pair")
    for where, english, vietnamese in _pairs(job.files):
        job.tally.found["pairs"] += 1
        if english is None or vietnamese is None:
            yield left_out(
                "read", "no line on the other side", where, english or vietnamese, "the files differ in length"
            )
        elif isinstance(english, UnreadableError) or isinstance(vietnamese, UnreadableError):
            error = english if isinstance(english, UnreadableError) else vietnamese
            yield left_out("read", "broken line", where, error, str(error))
        elif not english.strip() or not vietnamese.strip():
            yield left_out("read", "empty side", where, english + vietnamese)
        else:
            job.tally.keep("read")
            text = {"en": english.strip(), "vi": vietnamese.strip()}
            for direction in _directions(job, text):
                source, _, target = direction.partition("-")
                yield job.make.instruct(f"{text['en']}\t{text['vi']}", PROMPTS[direction], text[source], text[target])


def _directions(job: Job, text: dict[str, str]) -> list[str]:
    chosen = job.options.direction
    if chosen == "random":
        return [seeded(job.options.seed, "direction", text["en"], text["vi"]).choice(list(PROMPTS))]
    return list(PROMPTS) if chosen == "both" else [chosen]


def _pairs(paths: Sequence[Path]) -> Iterator[Pair]:
    tables = [path for path in paths if _plain(path).suffix == ".tsv"]
    for path in tables:
        yield from _table(path)
    for english, vietnamese in _partners([path for path in paths if path not in tables]):
        for (number, left), (other, right) in zip_longest(lines(english), lines(vietnamese), fillvalue=(0, None)):
            yield f"{english}:{number}" if number else f"{vietnamese}:{other}", left, right


def _partners(paths: list[Path]) -> Iterator[tuple[Path, Path]]:
    """Files of one name but for their language; two of other names are English and Vietnamese in that order."""
    named = [path for path in paths if _plain(path).suffix in {".en", ".vi"}]
    if not named and len(paths) == 2:
        yield paths[0], paths[1]
        return
    by_stem: dict[Path, dict[str, Path]] = {}
    for path in paths:
        by_stem.setdefault(_plain(path).with_suffix(""), {})[_plain(path).suffix] = path
    for sides in by_stem.values():
        if set(sides) != {".en", ".vi"}:
            lone = next(iter(sides.values()))
            raise SourceError(
                f"{lone} has no partner; give NAME.en and NAME.vi, or first the English file, then the other"
            )
        yield sides[".en"], sides[".vi"]


def _plain(path: Path) -> Path:
    return path.with_suffix("") if path.suffix == ".gz" else path


def _table(path: Path) -> Iterator[Pair]:
    """Two columns; a first line that names them ``en`` and ``vi`` settles their order, which is English first."""
    order = (0, 1)
    for number, line in lines(path):
        where = f"{path}:{number}"
        if isinstance(line, UnreadableError):
            yield where, line, line
            continue
        cells = line.split("\t")
        heads = [cell.strip().lower() for cell in cells]
        if number == 1 and {"en", "vi"} <= set(heads):
            order = (heads.index("en"), heads.index("vi"))
        elif len(cells) <= max(order):
            broken = UnreadableError(f"{len(cells)} column, not two", line)
            yield where, broken, broken
        else:
            yield where, cells[order[0]], cells[order[1]]
