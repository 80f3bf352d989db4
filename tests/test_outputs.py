"""No command overwrites a file of a run directory, its own input, or a folder."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from annotator.errors import ConfigError
from annotator.storage.outputs import check_output
from tests.commands import vner


def contents(folder: Path) -> dict[str, str]:
    """Return the hash of each file below ``folder``."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """Return a copy of the finished run that a test may change."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


NAMES = [
    "completions.sqlite",
    "completions.sqlite-wal",
    "manifest.json",
    "annotations.parquet",
    "README.md",
    "readme.MD",
    "quality.json",
    "check.json",
    "labels.toml",
    "samples/train.parquet",
    "samples/new.parquet",
    ".stages/rejected-chunk.parquet",
    ".lock",
]


@pytest.mark.parametrize("name", NAMES)
def test_files_of_a_run_are_refused(run: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file name of a run is refused, existing or not, however the path is written."""
    (run.parent / "link").symlink_to(run)
    monkeypatch.chdir(run)
    for path in (run / name, Path(name), run / "figures" / ".." / name, run.parent / "link" / name):
        with pytest.raises(ConfigError, match="is a file of the run directory"):
            check_output(path, "--out")


def test_other_files_are_not_refused(run: Path, tmp_path: Path) -> None:
    """Other names in a run directory, and any name elsewhere, are accepted."""
    for path in (
        run / "train.conll",
        run / "exports" / "audit.json",
        tmp_path / "audit.json",
        tmp_path / "manifest.json",
    ):
        check_output(path, "--out")
    check_output(run / "labels.toml", "--labels", own="labels.toml")
    with pytest.raises(ConfigError, match="is a folder"):
        check_output(tmp_path, "--out")
    with pytest.raises(ConfigError, match="is an input"):
        check_output(tmp_path / "a.jsonl", "--out", inputs=[tmp_path / "." / "a.jsonl"])


COMMANDS = [
    ("export", "{run}", "-f", "jsonl", "--out", "{run}/completions.sqlite"),
    ("export", "{run}", "-f", "labelstudio", "--out", "{run}/manifest.json"),
    ("convert", "samples", "{run}", "--out", "{run}/annotations.parquet", "-q"),
    ("convert", "samples", "{run}/samples/train.parquet", "--out", "{run}/samples/train.parquet", "-q"),
    ("predict", "{run}/samples/train.parquet", "-p", "underthesea", "--out", "{run}/audit.json"),
    ("evaluate", "{run}/samples/train.parquet", "{tmp}/p.jsonl", "--markdown", "{run}/README.md"),
    ("evaluate", "{tmp}/g.parquet", "{tmp}/p.jsonl", "--markdown", "{tmp}/p.jsonl"),
    ("labels", "review", "{run}", "--export", "{run}/quality.json"),
    ("labels", "review", "{run}", "--labels", "{run}/croissant.json"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[:1] + command[-1:]))
def test_every_command_checks_its_output(run: Path, tmp_path: Path, command: tuple[str, ...]) -> None:
    """Every command refuses such an output with exit code 2 and changes no file."""
    (tmp_path / "p.jsonl").write_text("", encoding="utf-8")
    before = contents(tmp_path)
    result = vner(*(part.format(run=run, tmp=tmp_path) for part in command))
    assert result.exit_code == 2, result.output
    assert len(result.stderr.splitlines()) == 1
    assert "give another name" in result.stderr
    assert contents(tmp_path) == before
