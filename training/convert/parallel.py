"""Translation pairs (PhoMT): two files of lines, one a language, or a table with English and Vietnamese in columns."""

from __future__ import annotations

import re
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

Pair = tuple[str, str | None, str | None, str]
"""File and line, English, Vietnamese (None: that side has no such line), and why the line cannot be read."""


def read_parallel(job: Job) -> Iterator[Sample]:
    """Yield one sample a pair and direction; those of a pair have one ``passage_id``."""
    job.counts.stage("read", "pair")
    for where, english, vietnamese, problem in _pairs(job.files):
        job.counts.found["pairs"] += 1
        if problem:
            job.counts.drop("read", "broken line", where, english or vietnamese, problem)
        elif english is None or vietnamese is None:
            lone = english or vietnamese or ""
            job.counts.drop("read", "no line on the other side", where, lone, "the files differ in length")
        elif not english.strip() or not vietnamese.strip():
            job.counts.drop("read", "empty side", where, english + vietnamese)
        else:
            job.counts.keep("read")
            text = {"en": english.strip(), "vi": vietnamese.strip()}
            directions = list(PROMPTS) if job.options.direction == "both" else [job.options.direction]
            if job.options.direction == "random":
                directions = [seeded(job.options.seed, "direction", *text.values()).choice(list(PROMPTS))]
            for direction in directions:
                source, _, target = direction.partition("-")
                yield job.make.instruct("\t".join(text.values()), PROMPTS[direction], text[source], text[target])


def _pairs(paths: Sequence[Path]) -> Iterator[Pair]:
    tables = [path for path in paths if ".tsv" in path.suffixes[-2:]]
    for path in tables:
        yield from _table(path)
    for pair in _partners([path for path in paths if path not in tables]):
        for english, vietnamese in zip_longest(*map(lines, pair), fillvalue=("", None, "")):
            yield english[0] or vietnamese[0], english[1], vietnamese[1], english[2] or vietnamese[2]


def _partners(paths: list[Path]) -> Iterator[tuple[Path, Path]]:
    """Pair files of one name but for their language; two of other names are English and Vietnamese in that order."""
    sides: dict[str, dict[str | None, Path]] = {}
    for path in paths:
        found = re.fullmatch(r"(.*?)(?:\.(en|vi))?(?:\.gz)?", str(path), re.DOTALL)
        assert found  # noqa: S101 - it matches any name
        sides.setdefault(found[1], {})[found[2]] = path
    if len(paths) == 2 and all(side.keys() == {None} for side in sides.values()):
        yield paths[0], paths[1]
        return
    for side in sides.values():
        if side.keys() != {"en", "vi"}:
            lone = next(iter(side.values()))
            raise SourceError(
                f"{lone} has no partner; give NAME.en and NAME.vi, or first the English file, then the other"
            )
        yield side["en"], side["vi"]


def _table(path: Path) -> Iterator[Pair]:
    """Read two columns; a first line that names them ``en`` and ``vi`` gives their order, which is English first."""
    order = (0, 1)
    for number, (where, line, problem) in enumerate(lines(path)):
        cells = line.split("\t")
        heads = [cell.strip().lower() for cell in cells]
        if number == 0 and {"en", "vi"} <= set(heads):
            order = (heads.index("en"), heads.index("vi"))
        elif problem or len(cells) <= max(order):
            yield where, line, None, problem or f"{len(cells)} column, not two"
        else:
            yield where, cells[order[0]], cells[order[1]], ""
