"""Read files as records: one reader a format, for sources, imports, converters and benchmarks.

To add a format, write a function ``read``, name it in ``READERS`` and its suffix in ``files.SUFFIXES``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from annotator.sources.formats import csv, json
from annotator.sources.formats.columns import read_arrow, read_parquet
from annotator.sources.formats.files import Record, SourceFile, read_text

READERS: Final[Mapping[str, Callable[[SourceFile, Sequence[str]], Iterator[Record]]]] = {
    ".jsonl": json.read,
    ".json": json.read,
    ".csv": csv.read,
    ".tsv": csv.read,
    ".txt": read_text,
    ".parquet": read_parquet,
    ".arrow": read_arrow,
}


def records(file: SourceFile, fields: Sequence[str] = ()) -> Iterator[Record]:
    """Yield the records of a file by its suffix; a file of any other suffix is read as JSON.

    A record that cannot be read has an ``error``.

    Args:
        file: what to read.
        fields: the columns that are needed, the text first; empty for all. Of Parquet and Arrow only these are read.
            A JSON file that is one object without the text is read as the only list in it.

    Raises:
        SourceError: the file cannot be read, is empty, is not what its suffix says, or a needed column occurs twice.
    """
    return READERS.get(file.suffix.removesuffix(".gz"), json.read)(file, fields)
