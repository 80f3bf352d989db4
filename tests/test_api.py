"""``import annotator``: build, open, show and load runs from Python."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
from pathlib import Path

import nbclient
import nbformat
import pyarrow.parquet as pq
import pytest

import annotator
from annotator import api
from annotator.errors import ConfigError, FatalTeacherError, RunDirError
from annotator.records import Annotation, Completion, Mention, Passage, Piece, Rejected
from annotator.storage.rundir import SPLITS
from data_cards.views.passage import PassageView
from tests.commands import answers_in_ledger, fingerprints, modules_loaded_by
from tests.conftest import ROOT
from tests.endpoint import Answer, Endpoint, echo_entities


def settings_of(endpoint: Endpoint) -> dict[str, api.Setting]:
    return {"provider": "openai", "model": "m", "base_url": endpoint.url, "docs": 12}


@pytest.mark.slow
def test_a_build_in_a_running_event_loop(endpoint: Endpoint, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A build in a running event loop, as in Jupyter, gives the same dataset and prints nothing."""

    async def cell() -> annotator.Run:
        return annotator.build("sample", out=tmp_path / "inside", **settings_of(endpoint))

    inside = asyncio.run(cell())
    outside = annotator.build("sample", out=str(tmp_path / "outside"), **settings_of(endpoint))
    assert fingerprints(inside.path) == fingerprints(outside.path)
    assert capfd.readouterr() == ("", "")


def test_a_run_returns_the_content_of_its_files(finished: Path) -> None:
    """A run returns typed records, datasets and figures from its files."""
    run = annotator.open_run(finished)
    assert run.unanswered == 0
    assert run.settings.negatives == 0.5
    datasets = run.to_datasets()
    for split in SPLITS:
        table = pq.read_table(finished / "samples" / f"{split}.parquet")
        assert datasets[split].to_list() == table.to_pylist()
        assert [sample.id for sample in run.samples(split)] == table.column("id").to_pylist()
    assert all(
        annotation.text[mention.start : mention.end] == mention.text
        for annotation in run.annotations()
        for mention in annotation.mentions
    )
    assert run.audit() == json.loads((finished / "audit.json").read_text(encoding="utf-8"))
    assert run.show().annotation == next(found for found in run.annotations() if found.mentions)


@pytest.mark.slow
def test_datasets_follow_a_rebuild(endpoint: Endpoint, tmp_path: Path) -> None:
    """``to_datasets`` returns the samples of the last build, not cached ones."""
    run = annotator.build("sample", out=tmp_path / "run", **settings_of(endpoint))
    before = run.to_datasets()["train"].num_rows
    annotator.build(out=tmp_path / "run", negatives=1.0)
    assert run.to_datasets()["train"].num_rows == len(run.samples("train")) > before


def test_errors_are_exceptions(tmp_path: Path, endpoint: Endpoint) -> None:
    """Errors are the exceptions of the command line, also from inside an event loop."""
    with pytest.raises(RunDirError, match="not a run directory"):
        annotator.open_run(tmp_path)
    with pytest.raises(ConfigError, match="unknown setting 'documents'"):
        annotator.build("sample", out=tmp_path / "run", documents=3)
    endpoint.refuse = lambda request: Answer(status=401, body=b"{}")

    async def cell() -> None:
        annotator.build("sample", out=tmp_path / "run", **settings_of(endpoint))

    with pytest.raises(FatalTeacherError):
        asyncio.run(cell())
    with pytest.raises(RunDirError, match="finish the run"):
        annotator.open_run(tmp_path / "run").samples("test")
    with pytest.raises(AttributeError):
        _ = annotator.nothing  # type: ignore[attr-defined]


@pytest.mark.slow
def test_an_interrupted_build_in_a_loop_stops_and_continues(tmp_path: Path) -> None:
    """Ctrl-C in an event loop stops the building thread, keeps the answers and releases the lock."""
    enough = threading.Event()

    def slow(passage: str, attempt: int) -> Answer:
        if len(endpoint.asked) > 20 and not enough.is_set():
            enough.set()
            signal.pthread_kill(main, signal.SIGINT)
        return echo_entities(passage, attempt)

    main = threading.get_ident()
    with Endpoint(slow) as endpoint:
        asking = {**settings_of(endpoint), "docs": 46, "concurrency": 2}

        async def cell() -> annotator.Run:
            time.sleep(0)
            return annotator.build("sample", out=tmp_path / "run", **asking)

        loop = asyncio.new_event_loop()  # asyncio.run would turn the signal into a cancellation
        try:
            with pytest.raises(KeyboardInterrupt):
                loop.run_until_complete(cell())
        finally:
            loop.close()
        kept = answers_in_ledger(tmp_path / "run")
        asked = len(endpoint.requests)
        assert 0 < kept < asked + 1
        run = annotator.build(out=tmp_path / "run")
        assert run.unanswered == 0
        assert set(endpoint.asked.values()) <= {1, 2}


def test_html_of_a_passage_is_escaped() -> None:
    """Texts of the news, the teacher and rejected records are escaped in HTML."""
    evil = "<script>alert('Huế')</script>"
    text = f"Bà Lê Thị Sen đọc {evil} ở Đà Lạt."
    start = text.index(evil)
    mention = Mention(evil, evil, evil, start, start + len(evil), "exact")
    view = PassageView(
        Passage("p", text, 10, (Piece(evil, 0, len(text)),), 1),
        Annotation("p", text, (mention,), "ok"),
        Completion("k", "p", evil, "stop", 1, 1, 0.1, 0.0),
        (Rejected("clean", evil, "p", evil, evil, evil),),
    )
    html = view._repr_html_()
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 8
    assert "Đà Lạt" in html


@pytest.mark.slow
def test_import_is_light() -> None:
    """``import annotator`` imports no heavy package."""
    heavy = {"pyarrow", "datasets", "typer", "rich", "numpy", "asyncio"}
    assert not heavy & modules_loaded_by("import annotator")
    assert {"Run", "build", "open_run"} <= set(dir(annotator))


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell of the quickstart runs in a real kernel; the passage is displayed as HTML."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTHONWARNINGS", "ignore::Warning:tqdm.auto")  # it warns if ipywidgets is missing
    notebook = nbformat.read(ROOT / "examples" / "quickstart.ipynb", as_version=4)
    assert all(not cell.outputs and cell.execution_count is None for cell in notebook.cells if "outputs" in cell)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert any("<mark" in output.get("data", {}).get("text/html", "") for output in outputs)
    assert [text for output in outputs if (text := output.get("text", "")) and output["name"] == "stderr"] == []
