"""The selection of samples for a training stage, their tokens, and the order of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.errors import StudentError
from annotator.terminal.events import Progress
from tests.students import make_tokenizer, sample, write_samples
from training.train.data import Order, find, select, tokenise
from training.train.recipes import DataSet, Portion

WORDS = [f"{first}{rest}" for first in "bcdđghkl" for rest in ("an", "ôi", "ưng", "iều")]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write ninety samples of different lengths, every third without an answer, three to a passage."""
    folder = tmp_path_factory.mktemp("data")
    rows = [
        sample(
            number // 3, f"Which {number}?", " ".join(WORDS[: 1 + number % 30]), "[]" if number % 3 == 0 else '["an"]'
        )
        for number in range(90)
    ]
    write_samples(folder / "a.parquet", rows)
    return folder


def rows(data: Path, cache: Path, seed: int = 0, **portion: Any) -> list[int]:
    """Return the numbers of the selected samples from their instructions."""
    selected, _ = select(Portion(set="a", **portion), data / "a.parquet", seed, cache)
    return [int(text.removeprefix("Which ").removesuffix("?")) for text in selected["instruction"]]


def test_rows_are_filtered_then_drawn_by_the_seed(data: Path, tmp_path: Path) -> None:
    """Empty answers are filtered first, then share and limit are drawn by the seed."""
    assert rows(data, tmp_path) == list(range(90))
    assert rows(data, tmp_path, empty=False) == [row for row in range(90) if row % 3]
    assert len(rows(data, tmp_path, empty=False, share=0.5)) == 30
    ten = rows(data, tmp_path, limit=10)
    assert len(ten) == 10
    assert ten == rows(data, tmp_path / "elsewhere", limit=10) != rows(data, tmp_path, limit=10, seed=1)
    _, record = select(Portion(set="a", empty=False, limit=10), data / "a.parquet", 0, tmp_path)
    assert record == {"set": "a", "file": "a.parquet", "rows": 10, "in_file": 90, "without_answer": 30}


def test_a_slice_contains_whole_passages(data: Path, tmp_path: Path) -> None:
    """A slice has all samples of its passages, and a larger slice contains a smaller one."""
    five = rows(data, tmp_path, passages=5)
    assert len(five) == 15
    assert set(five) == {3 * (row // 3) + n for row in five for n in range(3)} < set(rows(data, tmp_path, passages=9))


def test_a_damaged_file_is_refused_in_one_line(data: Path, tmp_path: Path) -> None:
    """A damaged Parquet file is a one-line error with the fix."""
    (tmp_path / "b.parquet").write_bytes(b"PAR1")
    with pytest.raises(StudentError, match=r"cannot read .*b\.parquet.*convert it again") as caught:
        select(Portion(set="b"), tmp_path / "b.parquet", 0, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_samples_that_are_too_long_are_left_out(data: Path, tmp_path: Path) -> None:
    """Samples with too long an input or output are left out; lengths are recorded."""
    tokenizer = make_tokenizer([*WORDS, "Which instruction input answer task text"] * 3, 120)
    selected, _ = select(Portion(set="a", limit=20), data / "a.parquet", 0, tmp_path)
    tokens = tokenise(selected, tokenizer, 1024, tmp_path / "all", Progress())
    assert len(tokens) == 20
    assert all(len(row["input_ids"]) + len(row["labels"]) == row["length"] for row in tokens)
    middle = int(np.median([len(row["input_ids"]) for row in tokens]))
    shorter = tokenise(selected, tokenizer, middle, tmp_path / "shorter", Progress())
    assert 0 < len(shorter) < 20
    assert max(len(row["input_ids"]) for row in shorter) <= middle


def test_missing_data_are_all_named_with_their_commands(tmp_path: Path) -> None:
    """One line names all missing data sets with their commands."""
    sets = {name: DataSet(file=f"{name}.parquet", convert=f"make {name} --out {{out}}") for name in "ab"}
    with pytest.raises(StudentError) as caught:
        find(sets, tmp_path)
    assert f"make a --out {tmp_path / 'a.parquet'}" in str(caught.value)
    assert f"make b --out {tmp_path / 'b.parquet'}" in str(caught.value)
    assert "\n" not in str(caught.value)


@given(
    lengths=st.lists(st.integers(1, 1000), max_size=200),
    batch=st.integers(1, 9),
    window=st.integers(0, 12),
    seed=st.integers(0, 5),
)
def test_every_sample_comes_once_an_epoch(lengths: list[int], batch: int, window: int, seed: int) -> None:
    """The order is a reproducible permutation for any lengths, batch and window."""
    numbers = np.asarray(lengths, np.int64)
    order = Order(numbers, batch=batch, window=window, seed=seed)
    assert sorted(order) == list(range(len(lengths)))
    assert list(order) == list(Order(numbers, batch=batch, window=window, seed=seed))


def test_similar_lengths_share_a_batch_and_epochs_differ() -> None:
    """A window halves the padding; batches are still shuffled, and each epoch has another order."""
    lengths = np.random.default_rng(0).integers(10, 500, 4000)

    def padding(window: int) -> int:
        order = np.fromiter(Order(lengths, batch=8, window=window, seed=0), np.int64).reshape(-1, 8)
        return int((lengths[order].max(axis=1, keepdims=True) - lengths[order]).sum())

    assert padding(64) < padding(0) / 2
    order = Order(lengths, batch=8, window=64, seed=0)
    means = lengths[list(order)].reshape(-1, 8).mean(axis=1)
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.2
    first = list(order)
    order.set_epoch(1)
    assert first != list(order)
