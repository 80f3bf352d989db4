"""What a stage takes of its data, its tokens on the disk, and the order of learning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.errors import StudentError
from annotator.terminal.events import Silent
from tests.students import make_tokenizer, sample, write_samples
from training.train.data import Order, find, mixed, take, tokenised
from training.train.recipes import DataSet, Portion

WORDS = [f"{first}{rest}" for first in "bcdđghkl" for rest in ("an", "ôi", "ưng", "iều")]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ninety samples of different length, every third without an answer, three to a passage."""
    folder = tmp_path_factory.mktemp("data")
    rows = [
        sample(
            number // 3, f"Which {number}?", " ".join(WORDS[: 1 + number % 30]), "[]" if number % 3 == 0 else '["an"]'
        )
        for number in range(90)
    ]
    write_samples(folder / "a.parquet", rows)
    return folder


def test_rows_are_filtered_then_drawn_by_the_seed(data: Path) -> None:
    """Without empty answers 60 are left; half of them are 30; at most 10 are 10; the same seed draws the same."""
    path = data / "a.parquet"
    assert len(take(Portion(set="a"), path, 0).rows) == 90
    without = take(Portion(set="a", empty=False), path, 0)
    assert (len(without.rows), without.without_answer, without.in_file) == (60, 30, 90)
    assert not [row for row in without.rows if row % 3 == 0]
    assert len(take(Portion(set="a", empty=False, share=0.5), path, 0).rows) == 30
    ten = Portion(set="a", limit=10)
    assert len(take(ten, path, 0).rows) == 10
    assert take(ten, path, 0).fingerprint() == take(ten, path, 0).fingerprint() != take(ten, path, 1).fingerprint()


def test_a_slice_has_whole_passages(data: Path) -> None:
    """Five passages are their fifteen samples."""
    rows = take(Portion(set="a", passages=5), data / "a.parquet", 0).rows
    assert len(rows) == 15
    assert {(row // 3, row % 3) for row in rows} == {(p, n) for p in {row // 3 for row in rows} for n in range(3)}


@pytest.mark.slow
def test_tokens_are_made_once_and_the_long_left_out(data: Path, tmp_path: Path) -> None:
    """The second time the file is there; what is longer than the limit is not in it; lengths are those of the rows."""
    tokenizer = make_tokenizer([*WORDS, "Which instruction input answer task text"] * 3, 120)
    taken = take(Portion(set="a", limit=20), data / "a.parquet", 0)
    path = tokenised(taken, tokenizer, 1024, tmp_path, Silent())
    stamp = path.stat().st_mtime_ns
    assert tokenised(taken, tokenizer, 1024, tmp_path, Silent()) == path
    assert path.stat().st_mtime_ns == stamp
    rows = mixed([path])
    assert len(rows) == 20
    assert all(len(row["input_ids"]) + len(row["labels"]) == row["length"] for row in rows)
    middle = int(np.median([len(row["input_ids"]) for row in rows]))
    shorter = mixed([tokenised(taken, tokenizer, middle, tmp_path, Silent())])
    assert 0 < len(shorter) < 20
    assert max(len(row["input_ids"]) for row in shorter) <= middle


def test_missing_data_are_all_named_with_what_makes_them(tmp_path: Path) -> None:
    """One line for a person who has none of it yet."""
    sets = {name: DataSet(name=name, file=f"{name}.parquet", convert=f"make {name} --out {{out}}") for name in "ab"}
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
    """Whatever the lengths, the batch and the window: a permutation, the same for the same seed."""
    numbers = np.asarray(lengths, np.int64)
    order = Order(numbers, batch=batch, window=window, seed=seed)
    assert sorted(order) == list(range(len(lengths)))
    assert list(order) == list(Order(numbers, batch=batch, window=window, seed=seed))


def test_like_lengths_meet_in_a_batch_and_epochs_differ() -> None:
    """Padding falls to less than half; the order of batches is still shuffled; another epoch is another order."""
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
