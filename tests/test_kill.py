"""Stopping and restarting a build, with real processes and real signals."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.commands import answers_in_ledger, asking, fingerprints, vner_process, wait_for
from tests.endpoint import Answer, Endpoint, delayed, echo_entities

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("provider", ["openai", "groq"])
def test_ctrl_c_waits_for_no_answer(provider: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C drops the requests in flight at once, and the answers so far are kept."""
    monkeypatch.setenv("GROQ_API_KEY", "gsk-secret")

    def stuck(passage: str, attempt: int) -> Answer:
        slow = len(endpoint.asked) > 20
        return Answer(content=echo_entities(passage, attempt).content, delay=600.0 if slow else 0.0)

    out = tmp_path / "run"
    with Endpoint(stuck) as endpoint:
        command = ("build", "sample", "--out", out, "--concurrency", 8, "--timeout", 900)
        process = vner_process(*command, *asking(endpoint, provider))
        wait_for(lambda: endpoint.asked.total() >= 28)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=600)
    assert process.returncode == 130
    assert "the same command goes on from there" in errors
    assert "Traceback" not in errors
    assert answers_in_ledger(out) == 20


def test_an_outage_during_a_build(tmp_path: Path, undisturbed: Path) -> None:
    """A build waits while the server is down, reports it, and ends with the same files."""
    out = tmp_path / "run"
    with Endpoint(delayed(0.02)) as endpoint:
        process = vner_process("build", "sample", "--out", out, *asking(endpoint), "--concurrency", 2)
        wait_for(lambda: endpoint.asked.total() > 20)
        port = endpoint.port
        endpoint.stop()
        first_words = process.stderr.readline() if process.stderr else ""
        while "the endpoint is down" not in first_words and process.stderr:
            first_words = process.stderr.readline()
        with Endpoint(delayed(0.02), port) as again:
            _, errors = process.communicate(timeout=600)
            assert process.returncode == 0, errors
            assert again.asked.total() > 10
    assert "the endpoint is back" in errors
    assert fingerprints(out) == fingerprints(undisturbed)
