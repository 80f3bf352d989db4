"""The formats by name: what ``convert`` reads.

To add one, write a function from a ``Job`` to samples, put its name into ``names.py`` and a line into ``FORMATS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from annotator.records import Sample
from training.convert import conll, enamex, parallel, questions
from training.convert.job import Job


@dataclass(frozen=True, slots=True)
class Format:
    """A format of published data sets."""

    read: Callable[[Job], Iterator[Sample]]
    suffixes: Sequence[tuple[str, ...]]
    """Of a folder, the files of the first group that has any are read."""
    options: tuple[str, ...] = ()
    """The options that only this format and some others take."""
    max_sample_tokens: int = 1024
    """Tokens of input and output together; 0 for benchmarks: nothing is left out of them for its length."""


_RECORDS: Final = ((".json", ".jsonl", ".json.gz", ".jsonl.gz", ".parquet"),)
_PAIRS: Final = ((".en", ".vi", ".en.gz", ".vi.gz"), (".tsv", ".tsv.gz"))
_COLUMNS: Final = ((".conll", ".bio"), (".txt", ".tsv"), (".json", ".jsonl"))
_TAGGED: Final = ((".muc",), (".xml", ".sgml"), (".txt",))
FORMATS: Final = {
    "pile-ner": Format(questions.read_pile_ner, _RECORDS, ("types", "without_empty")),
    "squad": Format(questions.read_squad, _RECORDS),
    "alpaca": Format(questions.read_alpaca, _RECORDS),
    "parallel": Format(parallel.read_parallel, _PAIRS, ("direction",)),
    "conll": Format(conll.read_conll, _COLUMNS, ("types", "columns", "level", "without_empty"), 0),
    "enamex": Format(enamex.read_enamex, _TAGGED, ("types", "unit", "levels", "without_empty"), 0),
    "samples": Format(questions.read_samples, ((".parquet",),), ("split", "without_empty")),
}
