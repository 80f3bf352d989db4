"""``publish`` with the Hub's real client against an endpoint on loopback that implements the Hub."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pyarrow.parquet as pq
import pytest
from huggingface_hub import DatasetCard, constants
from typer.testing import Result

from annotator.config.settings import STAGES
from annotator.records import Rejected
from annotator.storage import tables
from annotator.storage.atomic import replacing, write_json
from annotator.storage.rundir import SPLITS, RunDir, opened
from tests.commands import must_succeed, vner
from tests.conftest import ROOT
from tests.hub_endpoint import GOOD_TOKEN, Fault, Hub, Repository

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),  # of the Hub's client
]

NAME = "org/my_set"
SENT = {
    "README.md",
    "annotations.parquet",
    "audit.json",
    "croissant.json",
    "manifest.json",
    "recipe.toml",
    *(f"samples/{split}.parquet" for split in SPLITS),
}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """Start a Hub and point this process's client at it; the client reads the environment once, when imported."""
    with Hub() as running:
        monkeypatch.setattr(constants, "ENDPOINT", running.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setenv("HF_TOKEN", GOOD_TOKEN)
        monkeypatch.setattr(time, "sleep", lambda seconds: None)  # the client waits between its retries
        yield running
    huggingface_hub.close_session()


def publish(run: RunDir, *more: object, name: str = NAME) -> Result:
    return vner("publish", run.root, name, *more)


def publish_process(run: RunDir, url: str, home: Path, *more: str, **environment: str) -> subprocess.Popen[str]:
    """Publish in a process of its own, as a user does."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return subprocess.Popen(
        [sys.executable, "-c", "import cli; cli.main()", "publish", str(run.root), NAME, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**kept, "HOME": str(home), "HF_ENDPOINT": url, "HF_HUB_DISABLE_XET": "1", **environment},
    )


def refused(result: Result, *words: str) -> None:
    """Check for exit code 1 and one line on stderr with these words."""
    assert result.exit_code == 1, result.output
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("error: ")
    assert GOOD_TOKEN not in result.output
    for word in words:
        assert word in result.stderr, result.stderr


def test_one_commit_has_all_files(run: RunDir, hub: Hub) -> None:
    """The run is published in one commit to a new dataset, and the address is printed at the end."""
    result = must_succeed(publish(run, "--licence", "cc-by-4.0", "--message", "Bản đầu tiên"))
    files = hub.files(NAME)
    assert set(files) == SENT | {".gitattributes"}
    for split in SPLITS:
        assert files[f"samples/{split}.parquet"] == run.samples(split).read_bytes()
    assert files["README.md"] == run.card.read_bytes()
    assert hub.repositories[NAME].messages == ["Bản đầu tiên"]
    assert not hub.repositories[NAME].private
    assert result.stdout.strip().endswith(f"{hub.url}/datasets/{NAME}")
    assert DatasetCard(files["README.md"].decode()).data.to_dict()["license"] == "cc-by-4.0"
    assert f'load_dataset("{NAME}")' in files["README.md"].decode()


def test_no_local_paths_or_addresses_are_sent(run: RunDir, hub: Hub) -> None:
    """The published files contain no path and no address of this machine."""
    config = run.read_manifest()["config"]
    assert "127.0.0.1" in config["base_url"]
    write_json(run.manifest, {**run.read_manifest(), "source": {"name": "/home/someone/news", "fingerprint": "x"}})
    must_succeed(publish(run))
    sent = b"".join(content for path, content in hub.files(NAME).items() if not path.endswith(".parquet"))
    assert config["base_url"].encode() not in sent
    assert b"someone" not in sent
    assert b"llama3-70b-8192" in sent


def test_no_rejected_record_is_sent(run: RunDir, hub: Hub) -> None:
    """audit.json and report.html are published without the examples of rejected records."""
    from data_cards.report import write_report

    secret = "SAID-BY-THE-TEACHER"
    rejected = [Rejected(stage, "reason", "id", f"{secret} {stage}", f"{secret} why", secret) for stage in STAGES]
    with replacing(run.rejected) as file:
        tables.write_records(file, tables.REJECTED, rejected)
    write_report(run)
    assert secret in run.audit.read_text(encoding="utf-8")
    assert secret in run.report.read_text(encoding="utf-8")
    must_succeed(publish(run, "--anyway"))
    sent = {path: content for path, content in hub.files(NAME).items() if not path.endswith(".parquet")}
    assert not [path for path, content in sent.items() if secret.encode() in content]
    assert [kind["count"] for kind in json.loads(sent["audit.json"])["rejected"]] == [1] * len(STAGES)
    assert b"What was left out" in sent["report.html"]


def test_a_manifest_of_another_program_is_not_replaced(run: RunDir, hub: Hub) -> None:
    """A dataset with another program's manifest is refused, and none of its files is removed."""
    theirs = {"manifest.json": b'{"name": "App"}', "report.html": b"theirs", "documents.parquet": b"theirs"}
    hub.repositories[NAME] = Repository()
    hub.files(NAME).update(theirs)
    refused(publish(run), "of another program", "choose another name")
    assert {name: hub.files(NAME)[name] for name in theirs} == theirs


def test_the_ledger_when_it_is_asked_for(run: RunDir, hub: Hub, tmp_path: Path) -> None:
    """``--include ledger`` sends the whole ledger with a warning; a run without it removes the file."""
    from annotator.ledger import SqliteLedger

    result = must_succeed(publish(run, "--include", "ledger", "--include", "rejected"))
    assert "every reply of the teacher" in result.stdout
    copy = tmp_path / "copy.sqlite"
    copy.write_bytes(hub.files(NAME)["completions.sqlite"])
    with SqliteLedger(copy) as sent, SqliteLedger(run.ledger) as own:
        assert len(sent) == len(own) > 0
    assert "rejected.parquet" in hub.files(NAME)
    must_succeed(publish(run))
    assert set(hub.files(NAME)) == SENT | {".gitattributes"}  # without --include it is removed
    assert publish(run, "--include", "keys").exit_code == 2


def test_figures_and_report_are_sent(run: RunDir, hub: Hub) -> None:
    """Figures and report are sent if they exist and removed there when deleted here; foreign files stay."""
    (run.root / "figures").mkdir()
    (run.root / "figures" / "top types.png").write_bytes(b"png")
    (run.root / "figures" / "top types.svg").write_bytes(b"svg")
    (run.root / "report.html").write_text("report", encoding="utf-8")
    must_succeed(publish(run))
    assert {"figures/top types.png", "figures/top types.svg", "report.html"} <= set(hub.files(NAME))
    hub.files(NAME)["notes.txt"] = b"of a person"
    shutil.rmtree(run.root / "figures")
    (run.root / "report.html").unlink()
    result = publish(run)
    assert "removed there, since it is no longer part of the dataset: report.html" in result.stdout
    assert set(hub.files(NAME)) == SENT | {".gitattributes", "notes.txt"}


def test_files_of_another_program_are_not_removed(run: RunDir, hub: Hub) -> None:
    """A file that this program did not publish is never removed, whatever its name."""
    hub.repositories[NAME] = Repository()
    hub.files(NAME)["documents.parquet"] = b"theirs"
    must_succeed(publish(run))
    assert hub.files(NAME)["documents.parquet"] == b"theirs"


def test_a_dry_run_shows_and_sends_nothing(run: RunDir, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """--dry-run lists the files with sizes and notes the unknown licence; it needs no token and no request."""
    monkeypatch.delenv("HF_TOKEN")
    result = must_succeed(publish(run, "--dry-run", "--private"))
    for words in (*SENT, NAME, "private dataset", "licence of the dataset is unknown", "Nothing was sent", " kB"):
        assert words in result.stdout, words
    assert not hub.requests


def test_json_output(run: RunDir, hub: Hub) -> None:
    """--json prints one object, for a dry run and after publishing."""
    plan = json.loads(publish(run, "--dry-run", "--json").stdout)
    assert plan["sent"] is False
    assert {file["path"] for file in plan["files"]} == SENT
    assert all(file["size"] > 0 for file in plan["files"])
    done = json.loads(publish(run, "--json").stdout)
    assert done["sent"] is done["changed"] is True
    assert done["url"] == f"{hub.url}/datasets/{NAME}"
    assert done["commit"] == hub.repositories[NAME].heads["main"]


def test_an_unchanged_run_is_not_sent_again(run: RunDir, hub: Hub) -> None:
    """Publishing an unchanged run sends no file, makes no commit and reports that nothing is new."""
    publish(run)
    stored, commits = hub.stored.copy(), len(hub.repositories[NAME].messages)
    result = must_succeed(publish(run))
    assert "Nothing new" in result.stdout
    assert hub.stored == stored
    assert len(hub.repositories[NAME].messages) == commits


def test_only_what_changed_is_sent_again(run: RunDir, hub: Hub) -> None:
    """A new licence sends only README.md and croissant.json."""
    publish(run)
    stored = hub.stored.copy()
    must_succeed(publish(run, "--licence", "cc-by-4.0"))
    cards = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (run.card, run.croissant)}
    assert {oid for oid, number in hub.stored.items() if number > stored[oid]} == cards
    assert b"license: cc-by-4.0" in hub.files(NAME)["README.md"]


def test_large_files_go_in_parts(run: RunDir, hub: Hub) -> None:
    """Large files are sent as multipart uploads and assembled in order."""
    hub.chunk_size = 5000
    must_succeed(publish(run))
    assert any("/store/" in request and request.endswith("/3") for request in hub.requests)
    assert hub.files(NAME)["annotations.parquet"] == run.annotations.read_bytes()


def test_private(run: RunDir, hub: Hub) -> None:
    """--private creates a private dataset and refuses to publish to a public one."""
    must_succeed(publish(run, "--private"))
    assert hub.repositories[NAME].private
    must_succeed(publish(run, name="org/open"))
    commits = len(hub.repositories["org/open"].messages)
    refused(publish(run, "--private", "--licence", "other", name="org/open"), "is public")
    assert len(hub.repositories["org/open"].messages) == commits


def test_a_branch_is_created_if_needed(run: RunDir, hub: Hub) -> None:
    """--revision creates the branch if needed and leaves main as it is."""
    result = must_succeed(publish(run, "--revision", "v2"))
    assert set(hub.files(NAME, "v2")) == SENT | {".gitattributes"}
    assert set(hub.files(NAME)) == {".gitattributes"}
    assert result.stdout.strip().endswith(f"/datasets/{NAME}/tree/v2")
    must_succeed(publish(run, "--revision", "v2"))


def test_what_was_published_loads(run: RunDir, hub: Hub, tmp_path: Path) -> None:
    """``datasets`` loads the same features and rows from the run directory and from the published files."""
    import datasets

    publish(run)
    copy = tmp_path / "copy"
    for path, content in hub.files(NAME).items():
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        (copy / path).write_bytes(content)
    for number, folder in enumerate((run.root, copy)):
        loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / f"cache{number}"))
        assert set(loaded) == set(SPLITS)
        for split in SPLITS:
            assert loaded[split].features.arrow_schema.equals(tables.SAMPLE, check_metadata=False)
            assert loaded[split].to_list() == pq.read_table(run.samples(split)).to_pylist()
        passages = datasets.load_dataset(str(folder), "annotations", cache_dir=str(tmp_path / f"cache{number}"))
        mentions = [(row["text"], mention) for row in passages["train"] for mention in row["mentions"]]
        assert mentions
        for text, mention in mentions:
            assert text[mention["start"] : mention["end"]] == mention["text"]


def test_audit_problems_stop_publishing(run: RunDir, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Audit problems stop publishing; with --anyway the card states them."""
    from data_cards import publish as publishing

    problems = ["3 passages of test are in train", "a mention is not its slice"]
    real = publishing.audit
    monkeypatch.setattr(publishing, "audit", lambda run: {**real(run), "problems": problems})
    refused(publish(run), "3 passages of test are in train", "1 more", "--anyway")
    refused(publish(run, "--dry-run"), "--anyway")
    assert not hub.requests
    result = must_succeed(publish(run, "--anyway"))
    assert "problem: a mention is not its slice" in result.stdout
    assert "a mention is not its slice" in hub.files(NAME)["README.md"].decode()


def test_an_unfinished_run_is_not_published(run: RunDir, hub: Hub, tmp_path: Path) -> None:
    """Unanswered passages need --anyway; a missing stage or a missing run is always refused."""
    manifest = run.read_manifest()
    manifest["stages"]["annotate"]["unanswered"] = 12
    write_json(run.manifest, manifest)
    refused(publish(run), "12 passages have no answer yet", "vner-annotate build --out", "--anyway")
    must_succeed(publish(run, "--anyway"))
    del manifest["stages"]["explode"]
    write_json(run.manifest, manifest)
    refused(publish(run, "--anyway"), "explode is missing", "vner-annotate build")
    refused(publish(RunDir(tmp_path / "nowhere")), "not a run directory")
    assert not (tmp_path / "nowhere").exists()


def test_another_process_at_work(run: RunDir, hub: Hub) -> None:
    """A run that another process is writing is not published."""
    with opened(run.root):
        refused(publish(run), "another process is working on")


def test_a_damaged_file_is_named(run: RunDir, hub: Hub) -> None:
    """A damaged file is reported before anything is sent."""
    run.samples("test").write_bytes(b"no parquet")
    refused(publish(run), "test.parquet", "--fresh")
    assert not hub.requests


@pytest.mark.parametrize("name", ["my_set", "a/b/c", "-x/y", "org/", "org/a..b", "tổ chức/tập"])
def test_an_invalid_name_is_refused(run: RunDir, hub: Hub, name: str) -> None:
    """An invalid dataset name gives exit code 2 without a request."""
    result = vner("publish", run.root, "--", name)
    assert result.exit_code == 2, result.output
    assert not hub.requests


def test_without_a_token(run: RunDir, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token, the error explains how to log in."""
    monkeypatch.delenv("HF_TOKEN")
    refused(publish(run), "not logged in", "hf auth login", "HF_TOKEN")
    assert not hub.repositories


def test_a_token_the_hub_does_not_know(run: RunDir, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rejected token (401) gives the login hint; the token is not shown."""
    monkeypatch.setenv("HF_TOKEN", "hf_wrongwrongwrong")
    result = publish(run)
    refused(result, "hf auth login", "401")
    assert "hf_wrong" not in result.output


def test_no_right_to_write(run: RunDir, hub: Hub) -> None:
    """Missing write permission (403) is reported for a foreign namespace and for a read-only dataset."""
    refused(publish(run, name="somebody-else/set"), "may not write to somebody-else/set", "don't have the rights")
    publish(run)
    hub.faults = [Fault("POST", "/preupload/", 403)]
    refused(publish(run, "--licence", "other"), "may not write", "403")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault("POST", "/api/repos/create", 500), ("the Hub has trouble", "500", "same command again")),
        (Fault("POST", "/preupload/", 503), ("the Hub has trouble", "503")),
        (Fault("PUT", "/store/", 502, b"<html>Bad Gateway</html>"), ("the Hub has trouble", "502")),
        (Fault("PUT", "/store/"), ("connection to the Hub broke", "not sent twice")),
        (Fault("PUT", "/store/", after=100), ("connection to the Hub broke",)),
        (Fault("POST", "/commit/", 409), ("being changed by somebody else", "409")),
        (Fault("POST", "/commit/", 504), ("the Hub has trouble", "504")),
        (Fault("POST", "/commit/"), ("connection to the Hub broke",)),
        (Fault("POST", "/commit/", 200, b"<html>"), ("no answer",)),
        (Fault("POST", "/verify", 404), ("404",)),
        (Fault("POST", "/validate-yaml", 502, b"<html>"), ("no answer",)),
        (Fault("GET", "/revision/main", 404), ("has no org/my_set", "404")),
        (Fault("POST", "/preupload/", 429), ("limits requests", "429")),
    ],
)
def test_a_failure_is_one_line_and_a_second_run_completes(
    run: RunDir, hub: Hub, fault: Fault, words: tuple[str, ...]
) -> None:
    """A failure at any step is one line and commits nothing; the next run finishes without sending a file twice."""
    hub.faults = [fault]
    refused(publish(run), *words)
    assert NAME not in hub.repositories or not hub.repositories[NAME].messages
    hub.faults = []
    must_succeed(publish(run))
    assert set(hub.files(NAME)) == SENT | {".gitattributes"}
    assert all(number == 1 for number in hub.stored.values())


def test_the_answer_to_the_commit_is_lost(run: RunDir, hub: Hub) -> None:
    """If the response to the commit is lost, the next run finds the commit and makes no second one."""
    hub.faults = [Fault("POST", "/commit/", status=1)]
    refused(publish(run), "connection to the Hub broke")
    hub.faults = []
    assert "Nothing new" in publish(run).stdout
    assert len(hub.repositories[NAME].messages) == 1


def test_a_hub_that_never_answers(run: RunDir, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request without a response fails after a timeout."""
    from data_cards import publish as publishing

    monkeypatch.setattr(publishing, "SILENCE", 0.2)
    hub.faults = [Fault("POST", "/commit/", status=2)]
    refused(publish(run), "connection to the Hub broke")


def test_the_client_retries_a_cut_connection(run: RunDir, hub: Hub) -> None:
    """The Hub's client retries transient failures by itself, without output."""
    hub.faults = [Fault("PUT", "/store/", after=50, times=1), Fault("POST", "/preupload/", 503, times=2)]
    result = must_succeed(publish(run))
    assert result.stderr == ""
    assert hub.files(NAME)["annotations.parquet"] == run.annotations.read_bytes()


def test_somebody_else_commits_meanwhile(run: RunDir, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that somebody else makes during the upload stops publishing (412)."""
    publish(run)
    real = huggingface_hub.HfApi.preupload_lfs_files

    def meanwhile(self: Any, *arguments: Any, **named: Any) -> Any:
        hub.repositories[NAME].heads["main"] = "f" * 40
        return real(self, *arguments, **named)

    monkeypatch.setattr(huggingface_hub.HfApi, "preupload_lfs_files", meanwhile)
    refused(publish(run, "--licence", "other"), "has committed to org/my_set meanwhile", "412")


def test_a_licence_the_hub_does_not_know(run: RunDir, hub: Hub) -> None:
    """A licence that the Hub does not accept is reported before a file is sent."""
    refused(publish(run, "--licence", "my own"), "header of the card", "--licence")
    assert not hub.stored


def test_no_way_to_the_hub(run: RunDir, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unreachable Hub and HF_HUB_OFFLINE are each reported."""
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    refused(publish(run), "cannot reach the Hub at http://127.0.0.1:9", "check the network")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    refused(publish(run), "HF_HUB_OFFLINE is set")


@pytest.mark.parametrize("debug", [False, True])
def test_the_token_is_shown_nowhere(run: RunDir, hub: Hub, debug: bool) -> None:
    """The token is in no file, output or traceback, even if the Hub echoes it in an error."""
    hub.faults = [Fault("POST", "/preupload/", 400, json.dumps({"error": f"bad token {GOOD_TOKEN}"}).encode(), times=1)]
    process = publish_process(run, hub.url, run.root.parent, *(["--debug"] if debug else []), HF_TOKEN=GOOD_TOKEN)
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 1
    assert "bad token (token)" in errors
    assert ("Traceback" in errors) == debug
    assert (errors.count("\n") == 1) != debug
    assert GOOD_TOKEN not in output + errors
    must_succeed(publish(run))
    for path in run.root.parent.rglob("*"):
        assert not path.is_file() or GOOD_TOKEN.encode() not in path.read_bytes(), path
    assert all(GOOD_TOKEN.encode() not in content for content in hub.files(NAME).values())


def test_the_token_of_a_login(run: RunDir, hub: Hub, tmp_path: Path) -> None:
    """The token that ``hf auth login`` stored is found, also with HF_ENDPOINT set."""
    token = tmp_path / "home/.cache/huggingface/token"
    token.parent.mkdir(parents=True)
    token.write_text(GOOD_TOKEN, encoding="utf-8")
    process = publish_process(run, hub.url, tmp_path / "home")
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    assert errors == ""
    assert f"{hub.url}/datasets/{NAME}" in output
    assert GOOD_TOKEN not in output


def test_killed_midway(run: RunDir, hub: Hub, tmp_path: Path) -> None:
    """After a kill between two files, the next run sends only the rest."""
    first = {"times": 2}
    real = hub.fault

    def hang(method: str, path: str) -> Fault | None:
        if method == "PUT" and path.startswith("/store/"):
            first["times"] -= 1
            if first["times"] < 0:
                process.kill()
                return Fault(method, path)
        return real(method, path)

    hub.fault = hang  # type: ignore[method-assign]
    process = publish_process(run, hub.url, tmp_path, HF_TOKEN=GOOD_TOKEN)
    process.communicate(timeout=600)
    assert process.returncode == -9
    assert not hub.repositories[NAME].messages
    hub.fault = real  # type: ignore[method-assign]
    must_succeed(publish(run))
    assert set(hub.files(NAME)) == SENT | {".gitattributes"}
    assert all(number == 1 for number in hub.stored.values())
