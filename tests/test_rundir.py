"""The run directory: files are whole or not there, and one process works on it at a time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from annotator.errors import RunDirError
from annotator.records import Rejected
from annotator.storage import tables
from annotator.storage.rundir import RunDir, existing, merge_rejected, opened, replacing, write_json


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    """What fails midway leaves the old content and no litter."""
    path = tmp_path / "x.json"
    write_json(path, {"tên": "Hoà"})
    assert path.read_text(encoding="utf-8") == '{\n  "tên": "Hoà"\n}\n'

    def fail() -> None:
        with replacing(path) as file:
            file.write(b"half of ")
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - raised just above
        fail()
    assert json.loads(path.read_text(encoding="utf-8")) == {"tên": "Hoà"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.json"]


@pytest.mark.parametrize(
    ("number", "words"),
    [(28, "free some space"), (13, "check its permissions"), (30, "read-only"), (5, "check the path")],
)
def test_what_the_system_says_gets_a_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    """Full, forbidden, read-only, broken."""

    def refuse(*args: object) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr("annotator.storage.rundir.os.fsync", refuse)
    with pytest.raises(RunDirError, match=words):
        write_json(tmp_path / "x.json", {})
    assert list(tmp_path.iterdir()) == []


def test_only_one_at_a_time(tmp_path: Path) -> None:
    """And the lock is gone with whoever held it."""
    with (
        opened(tmp_path / "run"),
        pytest.raises(RunDirError, match="another process is working on"),
        opened(tmp_path / "run"),
    ):
        pass
    with opened(tmp_path / "run") as run:
        assert run.root == tmp_path / "run"


def test_litter_of_a_killed_process_is_removed(tmp_path: Path) -> None:
    """Unfinished files have a name of their own; nothing else is touched."""
    with opened(tmp_path / "run") as run:
        write_json(run.manifest, {})
        litter = run.samples("train").parent / ".train.parquet-abc.part"
        litter.parent.mkdir()
        litter.write_bytes(b"half")
    with opened(tmp_path / "run"):
        assert not litter.exists()
        assert run.manifest.exists()


def test_a_directory_of_something_else_is_refused(tmp_path: Path) -> None:
    """Also for reading."""
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    with pytest.raises(RunDirError, match=r"holds notes\.txt"), opened(tmp_path):
        pass
    with pytest.raises(RunDirError, match="is no run directory"):
        existing(tmp_path)


def test_a_broken_manifest_is_said(tmp_path: Path) -> None:
    """With the way out."""
    run = RunDir(tmp_path)
    assert run.read_manifest() == {}
    run.manifest.write_text("{", encoding="utf-8")
    with pytest.raises(RunDirError, match="--fresh"):
        run.read_manifest()
    run.manifest.write_text("[]", encoding="utf-8")
    with pytest.raises(RunDirError, match="is no manifest"):
        run.read_manifest()


def test_rejected_is_merged_in_the_order_of_the_stages(tmp_path: Path) -> None:
    """And forgetting a stage forgets what came after, but never the ledger."""
    with opened(tmp_path / "run") as run:
        run.ledger.write_bytes(b"paid")
        for stage in ("explode", "sample", "chunk"):
            with replacing(run.rejected_by(stage)) as file:
                tables.write_records(file, tables.REJECTED, [Rejected(stage, "r", f"{i}") for i in range(3)])
        merge_rejected(run)
        assert [row.stage for row in tables.read_rejected(run.rejected)] == ["sample"] * 3 + ["chunk"] * 3 + [
            "explode"
        ] * 3
        run.forget("chunk")
        merge_rejected(run)
        assert [row.stage for row in tables.read_rejected(run.rejected)] == ["sample"] * 3
        assert run.ledger.read_bytes() == b"paid"
