"""The audit of more than memory holds: rows go to a file and come back, and the figures do not change."""

from __future__ import annotations

import errno
import random
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.engines.local import LocalEngine
from annotator.errors import RunDirError
from annotator.records import Passage, Piece
from annotator.storage import spill, tables
from annotator.storage.rundir import SPLITS, RunDir
from annotator.storage.spill import Spill, looked_up, runs_of
from data_cards.audit import leaks
from data_cards.audit.building import audit, audit_dataset
from data_cards.audit.dataset import find
from tests.rundirs import Item, make_run, write

KEYS = st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**63, 2**64 - 1])


@given(st.lists(st.tuples(KEYS, st.integers(0, 2**64 - 1), st.integers(-1, 5), st.integers(0, 9)), max_size=60))
def test_what_goes_in_comes_out_together(rows: list[tuple[int, int, int, int]]) -> None:
    """Every row once, in order of keys, those of one key in one part; as often as it is asked for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spill, "HELD", 7)
        patch.setattr(spill, "_RUNS", 3)  # so that the last runs and the parts are longer
        held = Spill()
        for begin in range(0, len(rows), 11):
            key, value, kind, number = zip(*rows[begin : begin + 11], strict=True)
            held.add(np.array(key, np.uint64), np.array(value, np.uint64), np.array(kind), np.array(number))
    for _ in range(2):
        parts = list(held.parts())
        found = [tuple(map(int, row)) for part in parts for row in part]
        assert Counter(found) == Counter(rows)
        assert [row[0] for row in found] == sorted(row[0] for row in rows)
        keys = [set(part["key"].tolist()) for part in parts]
        assert sum(map(len, keys)) == len(set().union(*keys))


def test_rows_of_a_run_and_places() -> None:
    """Where equal rows begin, and where a hash stands."""
    column = np.array([1, 1, 2, 2, 2], np.uint64)
    assert runs_of(column, np.array([0, 0, 0, 1, 1])).tolist() == [0, 2, 3]
    assert looked_up(column, np.array([2, 3, 1, 0], np.uint64)).tolist() == [2, -1, 0, -1]
    assert looked_up(column[:0], column).tolist() == [-1] * 5


def news(seed: int, syllables: int = 60) -> list[str]:
    rng = random.Random(seed)
    return [rng.choice(("bé", "cô", "đi", "gà", "phở", "uống")) + str(rng.randrange(100)) for _ in range(syllables)]


def many() -> list[Item]:
    """Passages in all splits; some stand twice, some nearly."""
    items = []
    for number in range(60):
        words = news(number % 40)
        if number % 7 == 0:
            words[number % 20] = "khác"
        entities = [(words[-1], "thing"), (words[-2], f"type {number % 5}")]
        items.append(Item(f"p{number}", " ".join(words), entities, SPLITS[number % 3 if number < 30 else 0]))
    return items


def test_the_disk_changes_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose every sum goes through the file has the same audit, byte for byte."""
    run = make_run(tmp_path, many())
    audit(run)
    whole = run.audit.read_bytes()
    monkeypatch.setattr(spill, "HELD", 20)
    monkeypatch.setattr(leaks, "HELD", 20)
    figures = audit(run)
    assert run.audit.read_bytes() == whole
    assert figures["leaks"]["identical_passages"] > 0
    assert figures["leaks"]["near_duplicates"] > 0


def test_the_order_changes_no_figure(tmp_path: Path) -> None:
    """Of samples, annotations, passages and documents."""
    run = make_run(tmp_path, many())
    audit(run)
    whole = run.audit.read_bytes()
    files = {
        run.documents: tables.DOCUMENT,
        run.passages: tables.PASSAGE,
        run.annotations: tables.ANNOTATION,
        **{run.samples(split): tables.SAMPLE for split in SPLITS},
    }
    for path, schema in files.items():
        rows = pa.Table.from_batches(tables.batches(path), schema)
        order = np.random.default_rng(1).permutation(len(rows))
        pa.parquet.write_table(rows.take(order), path, row_group_size=5)
    audit(run)
    assert run.audit.read_bytes() == whole


@pytest.mark.parametrize("alone", [False, True])
def test_processes_change_no_figure(tmp_path: Path, processes: type[LocalEngine], alone: bool) -> None:
    """What several processes counted is what one counts, byte for byte, of a run and of samples alone."""
    run = make_run(tmp_path, many())
    for split in SPLITS:  # several parts of each file
        rows = pa.Table.from_batches(tables.batches(run.samples(split)), tables.SAMPLE)
        pa.parquet.write_table(rows, run.samples(split), row_group_size=7)
    dataset = find(str(run.root / "samples" if alone else run.root))
    with closing(LocalEngine(1)) as engine:
        expected = audit_dataset(dataset, engine)
    with closing(processes(2)) as engine:
        assert audit_dataset(dataset, engine) == expected


def shingles(text: str) -> set[str]:
    words = text.lower().split()
    return {" ".join(words[place : place + leaks.RUN]) for place in range(len(words) - leaks.RUN + 1)}


def test_near_duplicates_are_counted_exactly(tmp_path: Path) -> None:
    """As one would with sets of strings."""
    items = many()
    texts: dict[str, set[str]] = {}
    for item in items:
        texts.setdefault(item.text, set()).add(item.split)
    expected = 0
    for one, splits in texts.items():
        for other, others in texts.items():
            if one < other and len(splits | others) > 1:
                left, right = shingles(one), shingles(other)
                expected += len(left & right) >= leaks.NEAR * min(len(left), len(right))
    found = audit(make_run(tmp_path, items))["leaks"]
    assert found["near_duplicates"] == expected > 0
    assert found["identical_passages"] == sum(len(splits) > 1 for splits in texts.values()) > 0


def test_what_everybody_prints_is_not_compared_with_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notice in many passages of both splits makes no pairs of all with all, and is told; a copy is found still."""
    monkeypatch.setattr(leaks, "CROWD", 3)
    notice = news(0, 30)
    made = [notice + news(number, 60) for number in range(1, 41)]
    items = [Item(f"p{n}", " ".join(words), [(words[0], "x")], "test" if n % 2 else "train")
             for n, words in enumerate([*made, [*made[0], "thêm"]])]  # fmt: skip
    items[-1] = Item("copy", items[-1].text, items[-1].entities, "test")
    found = audit(make_run(tmp_path, items))["leaks"]
    assert found["runs_in_a_crowd"] == 23
    assert found["near_duplicates"] == 1


def test_passages_that_share_an_id_are_named(tmp_path: Path) -> None:
    """For annotations and samples find their passage by it."""
    run = make_run(tmp_path, many()[:3])
    passages = list(tables.read_passages(run.passages))
    write(run.passages, tables.PASSAGE, [*passages, Passage("p0", "x", 150, (Piece("d-p0", 0, 1),), 1)])
    assert "1 passages have the id of another" in audit(run)["problems"]


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says where the rows were to go, and what to do."""

    def full() -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    run = make_run(tmp_path, many())
    monkeypatch.setattr(spill, "HELD", 20)
    monkeypatch.setattr(spill.tempfile, "TemporaryFile", full)
    with pytest.raises(RunDirError, match=r"No space left on device.*TMPDIR") as caught:
        audit(run)
    assert "\n" not in str(caught.value)


def test_reading_holds_a_row_group_and_not_the_file(tmp_path: Path) -> None:
    """However long the file, what was read is given back."""
    rng = random.Random(0)
    text = "".join(rng.choices("ăâđêôơư bcdgh", k=500))
    run = RunDir(tmp_path)
    write(run.passages, tables.PASSAGE,
          [Passage(str(n), text + str(rng.random()), 150, (), 1) for n in range(12 * tables.ROWS)])  # fmt: skip
    before, most, read = pa.total_allocated_bytes(), 0, 0
    for batch in tables.batches(run.passages, ["text"]):
        most, read = max(most, pa.total_allocated_bytes() - before), read + batch.nbytes
    assert most < read / 2
