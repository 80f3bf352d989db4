"""Run ``vner-annotate`` in this process or in its own, and check the files that it wrote."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from typer.testing import CliRunner, Result

import cli
from annotator.ledger import SqliteLedger
from annotator.storage.rundir import SPLITS
from tests.conftest import ROOT
from tests.endpoint import Endpoint
from tests.loopback import Loopback

FILES = ("documents", "passages", "annotations", "labels", "rejected", *(f"samples/{split}" for split in SPLITS))


def vner(*arguments: object, stdin: str | bytes | None = None) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments], input=stdin)


def must_succeed(result: Result) -> Result:
    """Check that a command has exit code 0, and return its result."""
    assert result.exit_code == 0, result.output
    return result


def vner_process(*arguments: object, stdin: int | None = None) -> subprocess.Popen[str]:
    """Run the command in a process of its own, which a test can kill."""
    command = [sys.executable, "-c", "import cli; cli.main()", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=stdin, stdout=pipe, stderr=pipe, text=True, env=environment)


def build(endpoint: Endpoint, out: Path, *more: object, source: object = "sample") -> Result:
    """Build ``source`` through an endpoint."""
    return vner("build", source, "--out", out, *asking(endpoint), *more)


def asking(endpoint: Loopback, provider: str = "openai") -> list[str]:
    """Return the options that name an endpoint."""
    return ["--provider", provider, "--model", "m", "--base-url", endpoint.address(provider)]


def modules_loaded_by(code: str) -> set[str]:
    """Run ``code`` in a new process, and return the modules that are imported at its end."""
    program = f"{code}\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


def wait_for(condition: Callable[[], object], seconds: float = 300.0) -> None:
    """Wait until ``condition`` holds; fail after ``seconds``."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def fingerprints(out: Path) -> dict[str, str]:
    """Return the sha256 of each file that must be the same in every run."""
    paths = [*(out / f"{name}.parquet" for name in FILES), out / "audit.json"]
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def answers_in_ledger(out: Path) -> int:
    """Return the number of answers in the ledger of a run."""
    with SqliteLedger(out / "completions.sqlite") as ledger:
        return len(ledger)
