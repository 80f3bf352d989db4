"""The run directory: files are complete or absent, and one process works on it at a time."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from annotator.errors import RunDirError
from annotator.ledger import SqliteLedger
from annotator.records import Rejected
from annotator.storage import tables
from annotator.storage.atomic import replacing, write_json
from annotator.storage.funnel import merge_rejected
from annotator.storage.rundir import FORMAT, RunDir, existing, opened
from tests.commands import vner


def test_a_file_is_complete_or_absent(tmp_path: Path) -> None:
    """A write that fails midway keeps the old content and leaves no temporary file."""
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
def test_a_system_error_gets_a_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str) -> None:
    """Errors for a full, forbidden, read-only or broken disk name the fix."""

    def refuse(*args: object) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr("annotator.storage.atomic.os.fsync", refuse)
    with pytest.raises(RunDirError, match=words):
        write_json(tmp_path / "x.json", {})
    assert list(tmp_path.iterdir()) == []


def test_only_one_process_at_a_time(tmp_path: Path) -> None:
    """A second process is refused while the lock is held."""
    with (
        opened(tmp_path / "run"),
        pytest.raises(RunDirError, match="another process is working on"),
        opened(tmp_path / "run"),
    ):
        pass
    with opened(tmp_path / "run") as run:
        assert run.root == tmp_path / "run"


def test_temporary_files_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    """Temporary files of a killed process are removed, and nothing else."""
    with opened(tmp_path / "run") as run:
        write_json(run.manifest, {"format": FORMAT})
        unfinished = run.samples("train").parent / ".train.parquet-abc.part"
        unfinished.parent.mkdir()
        unfinished.write_bytes(b"half")
    with opened(tmp_path / "run"):
        assert not unfinished.exists()
        assert run.manifest.exists()


def test_a_failed_start_removes_only_its_own_folders(tmp_path: Path) -> None:
    """A failed start removes the folders that it created, but not those of another run."""
    with pytest.raises(ValueError, match="wrong key"), opened(tmp_path / "runs" / "deep" / "alone"):
        raise ValueError("wrong key")
    assert not list(tmp_path.iterdir())
    other = RunDir(tmp_path / "runs" / "other")

    def fail() -> None:
        with opened(tmp_path / "runs" / "failing"):
            with opened(other.root):
                SqliteLedger(other.ledger).close()
            raise ValueError("wrong key")

    with pytest.raises(ValueError, match="wrong key"):
        fail()
    assert [folder.name for folder in (tmp_path / "runs").iterdir()] == ["other"]
    assert other.ledger.exists()


def test_a_foreign_directory_is_refused(tmp_path: Path) -> None:
    """A directory with foreign files is refused, for writing and for reading."""
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    with pytest.raises(RunDirError, match=r"holds notes\.txt"), opened(tmp_path):
        pass
    with pytest.raises(RunDirError, match="is not a run directory"):
        existing(tmp_path)


def test_a_broken_manifest_is_reported(tmp_path: Path) -> None:
    """A broken manifest is an error with the fix."""
    run = RunDir(tmp_path)
    assert run.read_manifest() == {}
    SqliteLedger(run.ledger).close()
    run.manifest.write_text("{", encoding="utf-8")
    with pytest.raises(RunDirError, match="--fresh"):
        run.read_manifest()
    with opened(tmp_path):
        pass
    run.manifest.write_text("[]", encoding="utf-8")
    with pytest.raises(RunDirError, match="is not a manifest"):
        run.read_manifest()


OLD = {name: {} for name in ("config", "source", "tokenizer", "teacher", "lexicon", "stages")}


@pytest.mark.parametrize(
    ("manifest", "ours"),
    [
        ({"format": FORMAT}, True),
        ({**OLD, "made_by": {"vner-annotate": "0.1.0"}}, True),
        ({**OLD, "made_by": {"other": "1"}}, False),
        ({**OLD, "made_by": {"vner-annotate": "0.1.0"}, "format": "another"}, False),
        ({"name": "A browser extension", "manifest_version": 3}, False),
        ({"made_by": {"vner-annotate": "0.1.0"}}, False),
        (["icons"], False),
    ],
)
def test_only_a_manifest_of_this_program_marks_a_run_directory(tmp_path: Path, manifest: object, ours: bool) -> None:
    """A folder with a foreign manifest is refused and not changed."""
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (tmp_path / "README.md").write_text("mine", encoding="utf-8")
    assert RunDir(tmp_path).recognised() == ours
    if not ours:
        for call in (lambda: existing(tmp_path), opened(tmp_path).__enter__):
            with pytest.raises(RunDirError, match=r"not a manifest|is not a run directory"):
                call()
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["README.md", "manifest.json"]


def test_a_build_does_not_change_a_web_app(tmp_path: Path) -> None:
    """A folder with a web app's manifest and a foreign completions.sqlite is refused and not changed."""
    for name, text in (("manifest.json", '{"name": "App"}'), ("README.md", "mine"), ("report.html", "mine")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    with sqlite3.connect(tmp_path / "completions.sqlite") as database:
        database.execute("CREATE TABLE mine (x)")
    database.close()
    before = {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()}
    for broken in ({}, {"manifest.json": b"{"}):
        for name, content in broken.items():
            (tmp_path / name).write_bytes(content)
            before[name] = content
        for more in ([], ["--fresh"]):
            result = vner("sample", "sample", "--out", tmp_path, "-q", *more)
            assert result.exit_code == 1
            assert len(result.stderr.splitlines()) == 1
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["/no/such/file.jsonl"],
        ["sample", "--labels", "/no/such/labels.toml"],
        ["sample", "--tokenizer", "/no/such.model"],
        ["sample", "--decontaminate", "/no/such.jsonl"],
        ["sample", "--provider", "groq"],
        ["sample", "--text-field", "no-such-column"],
    ],
)
def test_a_failed_start_leaves_no_directory(tmp_path: Path, arguments: list[str]) -> None:
    """A failed start leaves no new folder; an existing one stays."""
    for out, kept in ((tmp_path / "a" / "run", tmp_path), (tmp_path / "b", tmp_path / "b")):
        kept.mkdir(exist_ok=True)
        result = vner("build", *arguments, "--out", out, "-q")
        assert result.exit_code in {1, 2}, result.output
        assert kept.is_dir()
        assert not (tmp_path / "a").exists()


def test_rejected_records_are_merged_in_stage_order(tmp_path: Path) -> None:
    """Rejected records are merged in stage order; forgetting a stage removes later files, never the ledger."""
    with opened(tmp_path / "run") as run:
        run.ledger.write_bytes(b"paid")
        for stage in ("explode", "sample", "chunk"):
            with replacing(run.rejected_by(stage)) as file:
                tables.write_records(file, tables.REJECTED, [Rejected(stage, "r", f"{i}") for i in range(3)])
        merge_rejected(run)
        assert [row.stage for row in tables.read_rejected(run.rejected)] == ["sample"] * 3 + ["chunk"] * 3 + [
            "explode"
        ] * 3
        own = run.root / "figures" / "of-mine.png"
        own.parent.mkdir()
        for path in (own, *run.report_files()):
            path.write_bytes(b"drawn")
        run.forget("chunk")
        assert own.exists()
        assert not any(path.exists() for path in run.report_files())
        merge_rejected(run)
        assert [row.stage for row in tables.read_rejected(run.rejected)] == ["sample"] * 3
        assert run.ledger.read_bytes() == b"paid"
