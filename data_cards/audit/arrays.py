"""Columns as NumPy arrays, hashes of strings, and distributions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]


def hashes(column: pa.Array) -> Hashes:
    """Return a 64-bit hash of each string of a column, the same on every machine; hashes each distinct string once."""
    values, codes = encoded(column)
    return hashed(values)[codes]


def hashed(values: list[str]) -> Hashes:
    """Return a 64-bit hash of each string."""
    return pd.util.hash_array(np.array(values, dtype=object), categorize=False)


def encoded(column: pa.Array) -> tuple[list[str], Ints]:
    """Return the distinct strings of a column, and for each row the position of its string."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    codes = ints(column.indices)
    used = np.bincount(codes, minlength=len(column.dictionary)) > 0  # a batch shares the dictionary of its row group
    if not used.all():
        codes, column = (np.cumsum(used) - 1)[codes], column.dictionary.filter(pa.array(used))
        return column.to_pylist(), codes
    return column.dictionary.to_pylist(), codes


def mixed(*parts: Hashes) -> Hashes:
    """Return one hash of several, in order."""
    total = np.zeros_like(parts[0])
    for part in parts:
        total = (total ^ (total >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15) + part
    return total ^ (total >> np.uint64(32))


def syllables(column: pa.Array) -> Ints:
    """Return the number of syllables, separated by white space, of each string."""
    return ints(pc.list_value_length(pc.utf8_split_whitespace(pc.utf8_trim_whitespace(column))))


def ints(column: pa.Array) -> Ints:
    """Return a column of integers."""
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.int64)


def bools(column: pa.Array) -> npt.NDArray[np.bool_]:
    """Return a column of booleans."""
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=bool)


def distribution(counts: Mapping[int, int]) -> dict[str, float]:
    """Return minimum, median, mean, 95th percentile and maximum of numbers with their frequencies."""
    if not counts:
        return {}
    series = pd.Series(counts).sort_index()
    cumulative = series.cumsum() / series.sum()
    values = series.index.to_series()
    return {
        "min": int(values.iloc[0]),
        "median": int(values[cumulative >= 0.5].iloc[0]),
        "mean": round(float((values * series).sum() / series.sum()), 3),
        "p95": int(values[cumulative >= 0.95].iloc[0]),
        "max": int(values.iloc[-1]),
    }


def descending(counts: Mapping[str, int]) -> dict[str, int]:
    """Return counts with the most frequent first."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def share(part: float, whole: float) -> float:
    """Return ``part / whole``, or 0 where ``whole`` is 0."""
    return round(part / whole, 6) if whole else 0.0
