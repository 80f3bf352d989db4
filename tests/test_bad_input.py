"""Wrong input of a user gives one clear line, the right exit code, and no loss."""

from __future__ import annotations

import gzip
import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from annotator.storage import tables
from tests.commands import answers_in_ledger, asking, build, fingerprints, must_succeed, vner
from tests.conftest import ROOT
from tests.endpoint import Answer, Endpoint

NOBODY = "http://127.0.0.1:9/v1"  # the discard port, where nothing listens
ARTICLES = (ROOT / "annotator" / "sources" / "bundled" / "health.jsonl").read_text(encoding="utf-8").splitlines()


def one_line(result: Any, code: int, words: str) -> None:
    """Check the exit code, and for exactly one line on stderr with these words."""
    assert result.exit_code == code, result.output
    lines = [line for line in result.stderr.splitlines() if line]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    assert words in lines[0]
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["no/such/folder"], 1, "no such file or folder"),
        (["missing.jsonl"], 1, "no such file or folder"),
        (["{wrong}"], 1, "--text-field"),
        (["{good}", "--text-field", "body"], 1, "it has: id, text"),
        (["{good}", "--id-field", "nummer"], 1, "--id-field"),
        (["{empty}"], 1, "empty.jsonl"),
        (["{binary}"], 1, "binary.jsonl"),
        (["{notparquet}"], 1, "not.parquet"),
        (["{notgzip}"], 1, "bad.jsonl.gz"),
        (["{folder}"], 1, "folder"),
        (["{good}", "--docs", "0"], 2, "--docs must be at least 1"),
        (["{good}", "--provider", "groq"], 2, "export GROQ_API_KEY"),
        (["{good}", "--provider", "openai", "--model", "m"], 2, "export OPENAI_API_KEY"),
        (["{good}", "--provider", "openai"], 2, "--provider openai needs --model"),
        (["{good}", "--prompt", "x", "--provider", "openai", "--model", "m", "--base-url", "{url}"], 2, "no prompt"),
        (["{good}", "--tokenizer", "no-such"], 2, "no-such"),
        (["{good}", "--config", "no.toml"], 2, "cannot read --config"),
        pytest.param(
            ["{good}", "--provider", "openai", "--model", "m", "--base-url", "{url}"], 1, "cannot reach http://127.0.0.1:9",
            marks=pytest.mark.slow,
        ),
    ],
)  # fmt: skip
def test_one_clear_line(tmp_path: Path, arguments: list[str], code: int, words: str) -> None:
    """Each message has the cause and the fix."""
    paths = make_sources(tmp_path)
    result = vner(
        "build", *(item.format(**paths, url=NOBODY) for item in arguments), "--out", tmp_path / "run", "--quiet"
    )
    one_line(result, code, words)


def make_sources(folder: Path) -> dict[str, Path]:
    """Write good and bad files."""
    paths = {
        "good": folder / "good.jsonl",
        "wrong": folder / "wrong.jsonl",
        "empty": folder / "empty.jsonl",
        "binary": folder / "binary.jsonl",
        "notparquet": folder / "not.parquet",
        "notgzip": folder / "bad.jsonl.gz",
        "folder": folder / "empty folder",
    }
    paths["good"].write_text("\n".join(ARTICLES), encoding="utf-8")
    paths["wrong"].write_text(json.dumps({"id": 1, "body": "Xin chào"}), encoding="utf-8")
    paths["empty"].write_bytes(b"")
    paths["binary"].write_bytes(bytes(range(256)) * 10)
    paths["notparquet"].write_text("this is text", encoding="utf-8")
    paths["notgzip"].write_bytes(gzip.compress(b'{"text": "x"}')[:-9])
    paths["folder"].mkdir()
    return paths


def test_a_broken_line_in_the_middle_is_counted_with_its_number(endpoint: Endpoint, tmp_path: Path) -> None:
    """A broken line is rejected with its number; the other lines are used."""
    source = tmp_path / "news.jsonl"
    source.write_text("\n".join([ARTICLES[0], '{"id": 7, "text": "Xin', *ARTICLES[1:]]), encoding="utf-8")
    must_succeed(build(endpoint, tmp_path / "run", source=source))
    (row,) = [row for row in tables.rows(tmp_path / "run" / "rejected.parquet") if row["stage"] == "sample"]
    assert row["record_id"] == "news.jsonl:2"
    assert row["value"].startswith('{"id": 7')
    assert tables.count(tmp_path / "run" / "documents.parquet") == len(ARTICLES)


def test_a_wrong_key_costs_one_request(endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong key costs one request, and the error names its variable."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong")
    endpoint.reply = lambda passage, attempt: Answer(401, body=b'{"error": {"message": "Incorrect API key"}}')
    result = build(endpoint, tmp_path / "run", "--quiet")
    one_line(result, 1, "check OPENAI_API_KEY")
    assert endpoint.asked.total() == 1


def test_a_foreign_directory_is_refused(endpoint: Endpoint, tmp_path: Path) -> None:
    """A foreign directory or file is refused as --out and not changed."""
    precious = tmp_path / "thesis"
    precious.mkdir()
    (precious / "chapter1.tex").write_text("x", encoding="utf-8")
    one_line(build(endpoint, precious, "--quiet"), 1, "is not a run directory and not empty")
    one_line(build(endpoint, precious / "chapter1.tex", "--quiet"), 1, "is a file; --out needs a folder")
    assert [path.name for path in precious.iterdir()] == ["chapter1.tex"]
    one_line(vner("show", precious), 1, "is not a run directory; give a folder that build made")


@pytest.mark.slow
def test_a_damaged_ledger_is_named(endpoint: Endpoint, tmp_path: Path) -> None:
    """A damaged ledger is an error, and is not written to."""
    out = tmp_path / "run"
    build(endpoint, out, "--docs", 3)
    shutil.rmtree(out / ".stages")
    (out / "completions.sqlite").write_bytes(b"torn" * 5000)
    one_line(build(endpoint, out, "--docs", 3, "--quiet"), 1, "completions.sqlite is damaged")
    assert (out / "completions.sqlite").read_bytes() == b"torn" * 5000


@pytest.mark.slow
def test_a_damaged_file_is_named_and_rebuilt(endpoint: Endpoint, tmp_path: Path) -> None:
    """A damaged file is named, and --fresh rebuilds it without a request."""
    out = tmp_path / "run"
    build(endpoint, out, "--docs", 3)
    before, asked = fingerprints(out), endpoint.asked.total()
    (out / "passages.parquet").write_bytes(b"PAR1 torn")
    one_line(vner("explode", "--out", out, "--negatives", 1, "--quiet"), 1, "passages.parquet")
    must_succeed(build(endpoint, out, "--docs", 3, "--fresh"))
    assert fingerprints(out) == before
    assert endpoint.asked.total() == asked


@pytest.mark.slow
def test_a_full_disk(endpoint: Endpoint, tmp_path: Path, undisturbed: Path) -> None:
    """A full disk (simulated by a file size limit) is a one-line error; the run continues when there is room."""
    out = tmp_path / "run"
    program = "import resource, cli; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0})); cli.main()"
    environment = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(tmp_path)}
    arguments = ["build", "sample", "--out", str(out), *asking(endpoint), "--quiet"]
    failures = 0
    for limit in (4_000, 60_000, 150_000):
        command = [sys.executable, "-c", program.format(limit), *arguments]
        process = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if process.returncode == 0:
            break
        failures += 1
        assert process.returncode == 1, process.stderr
        assert process.stderr.startswith("error: cannot"), process.stderr
        assert process.stderr.count("\n") == 1, process.stderr
    assert failures >= 2
    must_succeed(build(endpoint, out))
    assert answers_in_ledger(out) == len(endpoint.asked)
    assert fingerprints(out) == fingerprints(undisturbed)
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_an_unfinished_run_is_not_damaged(endpoint: Endpoint, tmp_path: Path) -> None:
    """An unfinished run is reported with the command to finish it; its passages can be shown."""
    run = tmp_path / "run"
    must_succeed(vner("sample", "--out", run, "--docs", "8", "--quiet"))
    for command in ("show", "audit", "report"):
        one_line(vner(command, run), 1, f"is not finished; finish it first: vner-annotate build --out {run}")
    must_succeed(vner("chunk", "--out", run, "--quiet"))
    (run / "rejected.parquet").unlink(missing_ok=True)  # written at the end of a build
    must_succeed(vner("show", run))
    one_line(vner("export", run, "-f", "jsonl", "-o", tmp_path / "x"), 1, "is not finished")


def test_show_refuses_an_unknown_passage(endpoint: Endpoint, tmp_path: Path) -> None:
    """An unknown passage id is an error."""
    build(endpoint, tmp_path / "run", "--docs", 3)
    one_line(vner("show", tmp_path / "run", "zzz"), 1, "has an id that begins with 'zzz'")


def test_wrong_usage_is_exit_code_2(tmp_path: Path) -> None:
    """Unknown flags and invalid values give exit code 2."""
    assert vner("build", "--out", tmp_path / "run", "--no-such-flag").exit_code == 2
    assert vner("build", "--out", tmp_path / "run", "--docs", "many").exit_code == 2
