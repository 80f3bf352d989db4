"""Shared code of columnar formats: Arrow batches as records, and which columns can be text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from annotator.errors import SourceError
from annotator.sources.formats.files import Record, SourceFile

if TYPE_CHECKING:
    import pyarrow as pa

TEXTUAL: Final = frozenset({"string", "large_string", "string_view", "binary", "large_binary", "binary_view", "null"})
"""Types that a column of text may have; one of ``null`` holds no text in any row."""


def is_text(kind: pa.DataType) -> bool:
    """Return whether the values of a column of this type are text, bytes of text or nothing."""
    import pyarrow as pa

    return str(kind.value_type if pa.types.is_dictionary(kind) else kind) in TEXTUAL


def refuse_repeated(file: SourceFile, names: Sequence[str], fields: Sequence[str]) -> None:
    """Raise a SourceError if one of ``fields`` (of ``names`` where there are none) occurs twice in ``names``."""
    if name := next((name for name in fields or names if names.count(name) > 1), ""):
        raise SourceError(f'{file.path} has two columns "{name}"; rename one of them')


def records(batch: pa.RecordBatch, name: str, before: int) -> Iterator[Record]:
    """Yield the rows of a batch, ``before`` of whose file came earlier."""
    columns = [values(column) for column in batch.columns]
    for number, cells in enumerate(zip(*columns, strict=True), start=before + 1):
        yield Record(f"{name}:{number}", dict(zip(batch.schema.names, cells, strict=True)))


def values(column: pa.Array, rows: Sequence[int] | None = None) -> list[Any]:
    """Return the values of a column (of ``rows`` alone); strings that are not UTF-8 come as bytes."""
    if rows is not None:  # not take(), which has no kernel for views
        return [_value(column[row]) for row in rows]
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        return [_value(scalar) for scalar in column]


def _value(scalar: pa.Scalar) -> object:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return scalar.as_buffer().to_pybytes()
