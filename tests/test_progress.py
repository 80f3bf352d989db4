"""The display of a stage: its position when it stopped, and the cost of the run."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from annotator.engines.local import LocalEngine
from annotator.run import runner
from annotator.terminal.events import Progress, displayed
from annotator.terminal.progress import LiveProgress, PlainProgress
from data_cards.views.terminal import cost_line
from tests.commands import asking, must_succeed, vner
from tests.endpoint import Answer, Endpoint, echo_entities


def stopped(progress: Progress, total: int | None, error: type[BaseException] | None) -> None:
    """Display a stage that completes 7 units and then ends, with ``error`` if given."""
    with displayed(progress):
        progress.start("annotate", "passages", total)
        progress.advance(7)
        if error:
            raise error


@pytest.mark.parametrize("total", [1000, None])
def test_an_interrupted_bar_keeps_its_position(total: int | None) -> None:
    """The bar is full only if the stage ended without an error."""
    shown = {}
    for error in (KeyboardInterrupt, ValueError, None):
        out = io.StringIO()
        progress = LiveProgress(Console(file=out, force_terminal=True, width=160))
        if error:
            with pytest.raises(error):
                stopped(progress, total, error)
        else:
            stopped(progress, total, None)
        shown[error] = out.getvalue().split("\n")[-2]
    assert "7/7" in shown[None]
    for error in (KeyboardInterrupt, ValueError):
        assert "7/7" not in shown[error]
        assert ("7/1000" if total else "7/?") in shown[error]
        assert "stopped" in shown[error]


def test_a_stopped_stage_prints_a_line() -> None:
    """Without a terminal, a stopped stage prints its position."""
    out = io.StringIO()
    with pytest.raises(KeyboardInterrupt):
        stopped(PlainProgress(Console(file=out, width=160)), 1000, KeyboardInterrupt)
    assert "7/1,000 passages when it stopped" in out.getvalue()


@pytest.mark.slow
def test_a_paid_run_prints_its_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens and known prices give a cost, the same for later commands; a free run has none."""
    with Endpoint(lambda passage, attempt: Answer(content=echo_entities(passage, attempt).content)) as endpoint:
        monkeypatch.setenv("GROQ_API_KEY", "gsk_x")
        monkeypatch.setenv("GROQ_BASE_URL", endpoint.address("groq"))
        paid = ("build", "sample", "--docs", "3", "--out", tmp_path / "groq", "--provider", "groq", "-q")
        first, again = vner(*paid, "--json"), vner(*paid, "--json")
        text = vner(*paid)
        other = vner("build", "sample", "--docs", "3", "--out", tmp_path / "own", *asking(endpoint), "-q", "--json")
    cost = json.loads(first.stdout)["cost"]
    assert cost == json.loads(again.stdout)["cost"]
    made = next(flow for flow in json.loads(first.stdout)["funnel"] if flow["stage"] == "annotate")["made"]
    assert (cost["prompt_tokens"], cost["completion_tokens"]) == (made["prompt token"], made["completion token"])
    expected = (cost["prompt_tokens"] * cost["price_in"] + cost["completion_tokens"] * cost["price_out"]) / 1e6
    assert cost["usd"] == pytest.approx(expected, abs=1e-6) != 0
    assert "Cost of" in text.stdout
    assert "$0." in text.stdout
    assert json.loads(other.stdout)["cost"]["usd"] is None
    assert "price not known" in str(cost_line(json.loads(other.stdout)["cost"]))
    free = vner("build", "sample", "--docs", "3", "--out", tmp_path / "free", "-q")
    assert "Cost" not in free.stdout


@pytest.mark.slow
def test_a_build_has_one_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build creates one engine and closes it at the end."""
    events: list[str] = []

    class Recorded(LocalEngine):
        def spread(self, function: Any, items: Any) -> Any:
            events.append(getattr(function, "func", function).__module__.partition(".")[0])
            return super().spread(function, items)

        def close(self) -> None:
            events.append("closed")
            super().close()

    def make(config: Any) -> Recorded:
        events.append("made")
        return Recorded(1)

    monkeypatch.setattr(runner, "make_engine", make)
    must_succeed(vner("build", "sample", "--docs", "3", "--out", tmp_path / "run", "-q"))
    assert events[0] == "made"
    assert events[-1] == "closed"
    assert events.count("made") == events.count("closed") == 1
    assert len(events) > 2
