"""The key of a question is computed once and stored with its passage for all stages."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from annotator.config.settings import make_config
from annotator.run.manifest.stored_settings import stored_settings
from annotator.run.question_keys import with_keys
from annotator.storage import tables
from annotator.storage.rundir import RunDir
from annotator.teachers import make_teacher
from annotator.teachers.chat import ChatTeacher
from tests.commands import build, fingerprints, must_succeed, vner
from tests.endpoint import Answer, Endpoint

pytestmark = pytest.mark.slow


def test_a_build_computes_each_key_once(endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build computes each key once, and a change of labels computes none."""
    computed: Counter[str] = Counter()
    real = ChatTeacher.question

    def counting(self: Any, passage: str) -> Any:
        computed[passage] += 1
        return real(self, passage)

    monkeypatch.setattr(ChatTeacher, "question", counting)
    out = tmp_path / "run"
    must_succeed(build(endpoint, out, "--docs", "5", "-q"))
    texts = [passage.text for passage in tables.read_passages(RunDir(out).passages)]
    assert {text: computed[text] for text in texts} == dict.fromkeys(texts, 1)
    (out / "labels.toml").write_text('"vùng" = "region"\n', encoding="utf-8")
    must_succeed(vner("labels", "apply", out, "-q"))
    assert {text: computed[text] for text in texts} == dict.fromkeys(texts, 1)


def test_a_run_without_stored_keys_continues(endpoint: Endpoint, tmp_path: Path) -> None:
    """A run of an older version, without stored keys, asks nothing again and gives the same files."""
    out = tmp_path / "run"
    build(endpoint, out, "--docs", "5", "-q")
    before, asked = fingerprints(out), len(endpoint.requests)
    RunDir(out).questions.unlink()
    for more in ([], ["--negatives", "1"], ["--negatives", "0"]):
        must_succeed(vner("build", "--out", out, *more, "-q"))
    (out / "annotations.parquet").unlink()
    result = vner("build", "--out", out, "-q", "--json")
    assert json.loads(result.stdout)["skipped"] == ["sample", "chunk", "annotate"]
    assert fingerprints(out) == before
    assert len(endpoint.requests) == asked


def test_keys_of_another_teacher_are_not_used(endpoint: Endpoint, tmp_path: Path) -> None:
    """Stored keys of another teacher are not used."""
    out = tmp_path / "run"
    build(endpoint, out, "--docs", "5", "-q")
    directory = RunDir(out)
    settings = stored_settings(directory.read_manifest())
    for model in ("m", "another"):
        teacher = make_teacher(make_config(settings, {"model": model}))
        found = [key for _, keys in with_keys(directory, teacher, 7) for key in keys]
        assert found == [teacher.question(passage.text).key for passage in tables.read_passages(directory.passages)]


def test_questions_that_were_not_asked_have_keys_too(endpoint: Endpoint, tmp_path: Path) -> None:
    """If a long limit ends the run early, keys are stored for all passages, and the next run continues."""
    real = endpoint.reply
    out = tmp_path / "run"
    endpoint.reply = lambda passage, attempt: (
        real(passage, attempt) if endpoint.asked.total() < 4 else Answer(429, headers={"Retry-After": "25920"})
    )
    assert build(endpoint, out, "--docs", "5", "--concurrency", "1", "-q").exit_code == 3
    directory = RunDir(out)
    assert tables.count(directory.questions) == tables.count(directory.passages) > 5
    endpoint.reply = real
    must_succeed(vner("build", "--out", out, "-q"))
    assert tables.count(directory.annotations) == tables.count(directory.passages)
