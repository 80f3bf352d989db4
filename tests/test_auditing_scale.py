"""The audit with more rows than fit into memory, and with the rows in another order."""

from __future__ import annotations

import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from annotator.errors import RunDirError
from annotator.records import Passage, Piece
from annotator.storage import tables
from annotator.storage.rundir import SPLITS, RunDir
from data_cards.audit import leaks
from data_cards.audit.compute import audit
from data_cards.audit.database import Database
from data_cards.audit.reading import N
from tests.conftest import ROOT
from tests.rundirs import Item, make_run, syllables, write


def many() -> list[Item]:
    """Return passages in all splits, with duplicates and near duplicates."""
    items = []
    for number in range(60):
        words = syllables(number % 40, 60)
        if number % 7 == 0:
            words[number % 20] = "khác"
        entities = [(words[-1], "thing"), (words[-2], f"type {number % 5}")]
        items.append(Item(f"p{number}", " ".join(words), entities, SPLITS[number % 3 if number < 30 else 0]))
    return items


def add_rows(database: Database) -> None:
    """Insert 1,500,000 rows, in which each number occurs three times."""
    for begin in range(0, 1_500_000, 100_000):
        numbers = np.arange(begin, begin + 100_000, dtype=np.uint64) % np.uint64(500_000)
        database.insert("pieces", "SELECT number, number FROM batch", pa.table({"number": numbers}))


@pytest.mark.slow
def test_rows_beyond_the_memory_limit_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows moved to the temporary folder are counted, and its files are deleted."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Database() as database:
        database.run("SET memory_limit = '12MB'")
        add_rows(database)
        thrice = "SELECT count(*) FROM (SELECT passage FROM pieces GROUP BY passage HAVING count(*) = 3)"
        assert database.number(thrice) == 500_000
        assert any(path.is_file() for path in tmp_path.rglob("*"))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.slow
def test_files_of_a_killed_audit_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next audit deletes the temporary files of a killed one, but not those of a running one."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    script = (
        "import os, signal, tempfile\n"
        "from data_cards.audit.database import Database\n"
        "from tests.test_auditing_scale import add_rows\n"
        "with Database() as database:\n"
        "    database.run(\"SET memory_limit = '12MB'\")\n"
        "    add_rows(database)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    killed = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    left = set(tmp_path.rglob("*.tmp"))
    with Database() as running:
        running.run("SET memory_limit = '12MB'")
        add_rows(running)
        own = set(tmp_path.rglob("*.tmp"))
        assert left
        assert not left & own
        with Database() as other:
            other.run("SET memory_limit = '12MB'")
            add_rows(other)
        assert set(tmp_path.rglob("*.tmp")) >= own
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_the_temporary_folder_is_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A temporary folder that another user created is refused."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Database():
        (folder,) = tmp_path.iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(os, "getuid", lambda: 123456)
    (tmp_path / f"vner-audit-123456-{platform.node()}").mkdir()
    with pytest.raises(RunDirError, match="belongs to another user"), Database():
        pass


def test_the_order_changes_no_figure(tmp_path: Path) -> None:
    """The order of samples, annotations, passages and documents changes no figure."""
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


def shingles(text: str) -> set[str]:
    words = text.lower().split()
    return {" ".join(words[place : place + N]) for place in range(len(words) - N + 1)}


def test_near_duplicates_are_counted_exactly(tmp_path: Path) -> None:
    """Counts of near duplicates equal those by sets of strings."""
    items = many()
    texts: dict[str, set[str]] = {}
    for item in items:
        texts.setdefault(item.text, set()).add(item.split)
    expected = 0
    for one, splits in texts.items():
        for other, others in texts.items():
            if one < other and len(splits | others) > 1:
                left, right = shingles(one), shingles(other)
                expected += len(left & right) >= leaks.SHARED * min(len(left), len(right))
    found = audit(make_run(tmp_path, items))["leaks"]
    assert found["near_duplicates"] == expected > 0
    assert found["identical_passages"] == sum(len(splits) > 1 for splits in texts.values()) > 0


def test_a_common_notice_makes_no_near_duplicates(tmp_path: Path) -> None:
    """A notice in many passages makes no near duplicates of them and is counted; a real copy is found."""
    notice = syllables(0, 30)
    made = [notice + syllables(number, 60) for number in range(1, 2 * leaks.CROWD + 3)]
    items = [Item(f"p{n}", " ".join(words), [(words[0], "x")], "test" if n % 2 else "train")
             for n, words in enumerate([*made, [*made[0], "thêm"]])]  # fmt: skip
    items[-1] = Item("copy", items[-1].text, items[-1].entities, "test")
    found = audit(make_run(tmp_path, items))["leaks"]
    assert found["runs_in_a_crowd"] == 23
    assert found["near_duplicates"] == 1


def test_passages_with_the_same_id_are_a_problem(tmp_path: Path) -> None:
    """Two passages with the same id are a problem, since samples refer to passages by id."""
    run = make_run(tmp_path, many()[:3])
    passages = list(tables.read_passages(run.passages))
    write(run.passages, tables.PASSAGE, [*passages, Passage("p0", "x", 150, (Piece("d-p0", 0, 1),), 1)])
    assert "1 passages have the id of another" in audit(run)["problems"]


@pytest.mark.slow
def test_a_full_disk_is_one_line() -> None:
    """A full disk is a one-line error with the folder and the fix."""
    with Database() as database:
        database.run("SET memory_limit = '12MB'")
        database.run("SET max_temp_directory_size = '1MB'")
        with pytest.raises(RunDirError, match=r"free some space, or set TMPDIR") as caught:
            add_rows(database)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_reading_holds_only_a_row_group(tmp_path: Path) -> None:
    """Reading a long file holds only a row group in memory."""
    rng = random.Random(0)
    text = "".join(rng.choices("ăâđêôơư bcdgh", k=500))
    run = RunDir(tmp_path)
    write(run.passages, tables.PASSAGE,
          [Passage(str(n), text + str(rng.random()), 150, (), 1) for n in range(12 * tables.ROWS)])  # fmt: skip
    before, most, read = pa.total_allocated_bytes(), 0, 0
    for batch in tables.batches(run.passages, ["text"]):
        most, read = max(most, pa.total_allocated_bytes() - before), read + batch.nbytes
    assert most < read / 2
