"""Translation pairs (PhoMT): two files of lines, ``NAME.en`` and ``NAME.vi``."""

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


def read_parallel(job: Job) -> Iterator[Sample]:
    """Yield one sample a pair and direction; those of a pair have one ``passage_id``.

    Raises:
        SourceError: a file is in neither language, or has no partner.
    """
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
    """Yield place, English and Vietnamese of each pair; a line that is broken or has no partner is left out."""
    for files in _partners(job.files):
        for english, vietnamese in zip_longest(*map(lines, files)):
            if english is None or vietnamese is None:
                lone, detail = english or vietnamese, "the files differ in length"
                job.counts.drop("pairs", "no line on the other side", lone.where, lone.value, detail)
            elif problem := english.error or vietnamese.error:
                job.counts.drop("pairs", "broken line", english.where, english.value, problem)
            else:
                yield english.where, english.value, vietnamese.value


def _partners(paths: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Pair the files of one name; ``.gz`` is no part of it."""
    sides: dict[str, dict[str, Path]] = {}
    for path in paths:
        name, _, language = str(path).removesuffix(".gz").rpartition(".")
        sides.setdefault(name, {})[language] = path
    for name, side in sides.items():
        if side.keys() != {"en", "vi"}:
            raise SourceError(f"{next(iter(side.values()))} has no partner; give {name}.en and {name}.vi")
    return [(side["en"], side["vi"]) for side in sides.values()]
