"""Translation pairs (PhoMT): two files of lines, one a language, or a table with English and Vietnamese in columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Final

from annotator.errors import SourceError
from annotator.records import Sample
from annotator.samples.explode import seeded
from training.convert.job import Job, lines

PROMPTS: Final = {
    "en-vi": "Translate this English text into Vietnamese.",
    "vi-en": "Translate this Vietnamese text into English.",
}

TABLES: Final = (".tsv", ".tsv.gz")


def read_parallel(job: Job) -> Iterator[Sample]:
    """Yield a sample for each pair and direction; those of a pair have one ``passage_id``."""
    for where, english, vietnamese in _pairs(job):
        text = {"en": english.strip(), "vi": vietnamese.strip()}
        if not all(text.values()):
            job.counts.drop("pairs", "empty side", where, english + vietnamese)
            continue
        job.counts.keep("pairs")
        directions = list(PROMPTS) if job.options.direction == "both" else [job.options.direction]
        if job.options.direction == "random":
            directions = [seeded(job.options.seed, "direction", *text.values()).choice(list(PROMPTS))]
        for direction in directions:
            source, _, target = direction.partition("-")
            yield job.instruct("\t".join(text.values()), PROMPTS[direction], text[source], text[target])


def _pairs(job: Job) -> Iterator[tuple[str, str, str]]:
    """Yield place, English and Vietnamese of each pair; a broken line or one without a partner is left out."""
    tables = [path for path in job.files if path.name.lower().endswith(TABLES)]
    for path in tables:
        yield from _table(path, job)
    for files in _partners([path for path in job.files if path not in tables]):
        for english, vietnamese in zip_longest(*map(lines, files)):
            if english is None or vietnamese is None:
                lone, detail = english or vietnamese, "the files differ in length"
                job.counts.drop("pairs", "no line on the other side", lone.where, lone.value, detail)
            elif problem := english.error or vietnamese.error:
                job.counts.drop("pairs", "broken line", english.where, english.value, problem)
            else:
                yield english.where, english.value, vietnamese.value


def _table(path: Path, job: Job) -> Iterator[tuple[str, str, str]]:
    """Yield the pairs of a table: English first, unless the first line names the columns ``vi`` and ``en``."""
    english, vietnamese = 0, 1
    for number, line in enumerate(lines(path)):
        cells = line.value.split("\t")  # no quoting: sentences have quotes of their own
        names = [cell.strip().lower() for cell in cells]
        if number == 0 and {"en", "vi"} <= set(names):
            english, vietnamese = names.index("en"), names.index("vi")
        elif line.error or len(cells) <= max(english, vietnamese):
            problem = line.error or f"{len(cells)} columns; put a tab between English and Vietnamese"
            job.counts.drop("pairs", "broken line", line.where, line.value, problem)
        else:
            yield line.where, cells[english], cells[vietnamese]


def _partners(paths: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Return the files of one name, ``.gz`` aside, as pairs; of two files of other names the first is English."""
    names = [str(path).removesuffix(".gz") for path in paths]
    if len(paths) == 2 and not any(name.endswith((".en", ".vi")) for name in names):
        return [(paths[0], paths[1])]
    sides: dict[str, dict[str, Path]] = {}
    for path, whole in zip(paths, names, strict=True):
        name, _, language = whole.rpartition(".")
        sides.setdefault(name, {})[language] = path
    for side in sides.values():
        if side.keys() != {"en", "vi"}:
            raise SourceError(
                f"{next(iter(side.values()))} has no partner; give NAME.en and NAME.vi, or two files, English first"
            )
    return [(side["en"], side["vi"]) for side in sides.values()]
