"""``update`` adds articles to a finished run: it asks nothing twice, changes no earlier row and adds no duplicates."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import Result

import annotator
from annotator.cleaning.corrections import text_sha256
from annotator.cleaning.entity_reviews import Decision, append, folder
from annotator.errors import AnnotateError, ConfigError, SourceError
from annotator.records import Annotation
from annotator.sources.documents import Row
from annotator.sources.sampling import sample
from annotator.storage import tables
from annotator.storage.rundir import SPLITS, RunDir
from tests.batch_endpoint import BatchEndpoint
from tests.commands import fingerprints, must_succeed, vner, vner_process, wait_for
from tests.conftest import ROOT
from tests.endpoint import Answer, Endpoint, echo_entities
from tests.test_rebuilding import rebuilt

pytestmark = pytest.mark.slow

DOCS, USABLE = 8, 19
IN_STEPS = ("documents", "passages", "annotations", *(f"samples/{split}" for split in SPLITS))
"""Files to which an update only appends rows."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write bundled articles, each with a near duplicate."""
    bundled = ROOT / "annotator" / "sources" / "bundled"
    names = ("business", "culture", "disasters", "health")
    lines = [line for name in names for line in (bundled / f"{name}.jsonl").read_text("utf-8").splitlines()]
    texts = [json.loads(line)["text"] for line in lines]
    assert len(texts) == USABLE
    rows = [{"id": f"{n}", "text": text} for n, text in enumerate(texts)]
    rows += [{"id": f"{n} again", "text": f"{text}\nBáo nhà đưa tin lúc {n} giờ."} for n, text in enumerate(texts)]
    path = tmp_path_factory.mktemp("source") / "news.jsonl"
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def first(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a finished run; a test must not change it."""
    out = tmp_path_factory.mktemp("first") / "run"
    with Endpoint() as endpoint:
        asking = ("--provider", "openai", "--model", "m", "--base-url", endpoint.url)
        made = ("--docs", DOCS, "--negatives", 1, "--split", "0.6,0.2,0.2", "--max-tokens", 160, "--min-tokens", 60)
        result = vner("build", source, "--out", out, *asking, *made, "--quiet")
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture
def run(first: Path, tmp_path: Path) -> Path:
    """Return a copy of the run that a test may change."""
    return Path(shutil.copytree(first, tmp_path / "run"))


def update(endpoint: Endpoint, run: Path, *more: object) -> Result:
    return vner("update", run, "--base-url", endpoint.url, "--quiet", *more)


def table(run: Path, name: str) -> pa.Table:
    return pq.read_table(run / f"{name}.parquet")


def begins_with(later: Path, earlier: Path) -> bool:
    """Return whether every file of ``IN_STEPS`` begins with all rows of the earlier one; documents must be added."""
    pairs = [(table(later, name), table(earlier, name)) for name in IN_STEPS]
    assert table(later, "documents").num_rows > table(earlier, "documents").num_rows
    return all(one.slice(0, other.num_rows).equals(other) for one, other in pairs)


def documents(run: Path) -> int:
    return table(run, "documents").num_rows


def test_an_update_appends_and_asks_only_what_is_new(
    run: Path, first: Path, source: Path, endpoint: Endpoint, tmp_path: Path
) -> None:
    """Updates append rows and ask only new passages; audit and card list versions; the recipe rebuilds all."""
    result = must_succeed(update(endpoint, run, "--docs", "+4", "--json"))
    assert documents(run) == DOCS + 4
    assert begins_with(run, first)
    added = set(table(run, "passages")["text"].to_pylist()) - set(table(first, "passages")["text"].to_pylist())
    assert set(endpoint.asked) == added
    second = Path(shutil.copytree(run, tmp_path / "second"))
    again = must_succeed(update(endpoint, run, "--docs", DOCS + 7))
    assert begins_with(run, second)
    assert set(endpoint.asked.values()) == {1}
    assert len(endpoint.asked) + table(first, "passages").num_rows == table(run, "passages").num_rows

    figures = json.loads((run / "audit.json").read_text("utf-8"))
    assert figures["problems"] == []
    versions = figures["changelog"]
    assert [(one["version"], one["documents"]) for one in versions] == [(1, DOCS), (2, 4), (3, 3)]
    for split in SPLITS:
        counts = [table(place, f"samples/{split}").num_rows for place in (first, second, run)]
        assert [one["samples"][split] for one in versions] == [counts[0], counts[1] - counts[0], counts[2] - counts[1]]
    assert sum(one["mentions"] for one in versions) == figures["mentions"]["count"]
    assert sum(one["types"] for one in versions) == figures["labels"]["distinct"]
    assert json.loads(result.stdout)["changelog"] == versions[:2]
    card = (run / "README.md").read_text("utf-8")
    assert f"| 3 | {DOCS + 7} (+3) |" in card
    assert f"| 1 | {DOCS} |" in card
    assert card.index("Version 3 added 3 articles") < card.index("Version 2 added 4 articles")
    assert "Version 3 added 3 articles" in again.stdout
    changes = json.loads(vner("audit", first, "--compare", run, "--json").stdout)
    assert changes["types"]["went"] == 0
    assert changes["numbers"]["passages"]["after"] == sum(one["passages"] for one in versions)

    asked = endpoint.asked.total()
    made = rebuilt(run / "recipe.toml", run / "completions.sqlite", tmp_path / "new")
    assert made.returncode == 0, made.stderr
    assert endpoint.asked.total() == asked
    assert fingerprints(tmp_path / "new") == fingerprints(run)
    assert (tmp_path / "new" / "README.md").read_text("utf-8").partition("## Changelog")[2] == card.partition(
        "## Changelog"
    )[2]


def test_near_duplicates_of_earlier_articles_are_left_out(run: Path, first: Path, endpoint: Endpoint) -> None:
    """Near duplicates of earlier articles are rejected; the end of the source is reported."""
    result = must_succeed(update(endpoint, run, "--docs", "+1000"))
    assert begins_with(run, first)
    assert documents(run) == USABLE
    assert f"added {USABLE - DOCS} articles" in result.stdout
    assert "1,000 articles were wanted: the source has no more" in result.stdout
    rejected = [row for row in tables.rows(run / "rejected.parquet") if row["reason"] == "near duplicate"]
    assert len([row for row in rejected if row["stage"] == "sample"]) == USABLE
    refused = update(endpoint, run, "--docs", "+1")
    assert refused.exit_code == 2
    assert f"the source has no more articles: all {USABLE} that can be used are in {run}" in refused.stderr
    assert begins_with(run, first)


def test_a_killed_update_is_continued(run: Path, first: Path, endpoint: Endpoint, tmp_path: Path) -> None:
    """The same command continues a killed update from any point, adds nothing twice and repeats no answer."""
    undisturbed = Path(shutil.copytree(run, tmp_path / "undisturbed"))
    update(endpoint, undisturbed, "--docs", "+6")

    def stuck(passage: str, attempt: int) -> Answer:
        slow = len(hanging.asked) > 4
        return Answer(content=echo_entities(passage, attempt).content, delay=600.0 if slow else 0.0)

    with Endpoint(stuck) as hanging:
        where = ("--base-url", hanging.url, "--concurrency", 2, "--timeout", 900)
        process = vner_process("update", run, "--docs", "+6", *where)
        wait_for(lambda: hanging.asked.total() >= 6)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=600)
        kept = len(hanging.asked) - 2
    refused = update(endpoint, run, "--docs", "+5")
    assert refused.exit_code == 1
    assert f"not finished; finish it first: vner-annotate update {run}" in refused.stderr
    endpoint.asked.clear()
    must_succeed(update(endpoint, run, "--docs", "+6"))
    assert fingerprints(run) == fingerprints(undisturbed)
    assert len(endpoint.asked) == table(run, "passages").num_rows - table(first, "passages").num_rows - kept

    manifest = json.loads((run / "manifest.json").read_bytes())
    (run / "manifest.json").write_text(json.dumps({**manifest, "stages": {}}), "utf-8")  # killed in the draw
    must_succeed(update(endpoint, run, "--docs", "+6"))
    assert fingerprints(run) == fingerprints(undisturbed)

    (run / "README.md").unlink()  # as after a kill before the last file
    for repeated in (("--docs", "+6"), ("--docs", DOCS + 6), ()):
        must_succeed(update(endpoint, run, *repeated))
        assert fingerprints(run) == fingerprints(undisturbed)
        (run / "README.md").unlink()


def test_unanswered_passages_of_an_update_are_asked_again(run: Path, endpoint: Endpoint) -> None:
    """An update with unanswered passages exits with 3; the same command asks them again and adds nothing."""
    odd: list[str] = []

    def refuse_the_third(passage: str, attempt: int) -> Answer:
        odd.extend([passage] if len(endpoint.asked) == 3 and not odd else [])
        return Answer(status=400, body=b"{}") if passage in odd else echo_entities(passage, attempt)

    endpoint.reply = refuse_the_third
    for _ in range(2):
        partial = update(endpoint, run, "--docs", "+2", "--concurrency", 1)
        assert partial.exit_code == 3, partial.output
        assert "1 passage has no answer yet; the same command asks for them again" in partial.stderr
        assert documents(run) == DOCS + 2
    assert update(endpoint, run, "--docs", DOCS + 4).exit_code == 3
    endpoint.reply = echo_entities
    must_succeed(update(endpoint, run, "--docs", "+2"))
    assert documents(run) == DOCS + 4
    must_succeed(update(endpoint, run, "--docs", "+2"))
    assert documents(run) == DOCS + 6


@pytest.mark.parametrize(
    ("docs", "message"),
    [
        ("0", "--docs needs +N"),
        ("+0", "--docs needs +N"),
        ("-3", "--docs needs +N"),
        ("many", "--docs needs +N"),
        ("3", f"has {DOCS} articles, and an update only adds"),
    ],
)
def test_an_invalid_number_is_refused(run: Path, endpoint: Endpoint, docs: str, message: str) -> None:
    """An invalid --docs is a one-line error and changes nothing."""
    before = fingerprints(run)
    result = update(endpoint, run, f"--docs={docs}")
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert fingerprints(run) == before
    assert not endpoint.asked


def test_what_cannot_be_updated_is_refused(run: Path, first: Path, source: Path, endpoint: Endpoint) -> None:
    """A missing or unfinished run, changed settings and a changed source are refused; the run stays the same."""
    before = fingerprints(run)
    assert "is not a run directory" in update(endpoint, run.parent / "none", "--docs", "+1").stderr
    assert "has no update to continue" in update(endpoint, run).stderr
    with pytest.raises(ConfigError, match="an update keeps the settings of the run: leave out --negatives"):
        annotator.update(run, "+1", negatives=2)
    assert f"vner-annotate update {run} --docs 30" in vner("build", "--out", run, "--docs", 30).stderr
    elsewhere = source.parent / "elsewhere"
    elsewhere.mkdir()
    moved = source.rename(elsewhere / source.name)
    try:
        gone = update(endpoint, run, "--docs", "+1")
        assert (gone.exit_code, "no such file" in gone.stderr) == (1, True), gone.output
        source.write_text(moved.read_text("utf-8").replace("Hà Nội", "Thăng Long"), "utf-8")
        changed = update(endpoint, run, "--docs", "+1")
        assert (changed.exit_code, "or has changed since" in changed.stderr) == (2, True), changed.output
        assert fingerprints(run) == before
        must_succeed(update(endpoint, run, moved, "--docs", "+1"))
    finally:
        moved.rename(source)
    (run / "annotations.parquet").unlink()
    (run / "README.md").unlink()
    assert "finish it first: vner-annotate update" in update(endpoint, run, "--docs", "+2").stderr


def test_a_source_that_fails_leaves_the_run_as_it_was(
    run: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source that fails while articles are drawn leaves the run unchanged; the update can be repeated."""
    before, manifest = fingerprints(run), (run / "manifest.json").read_bytes()

    def broken(*arguments: object) -> Iterator[Row]:
        yield from islice(sample(*arguments), 5)  # type: ignore[arg-type]
        raise SourceError("the connection broke down")

    with monkeypatch.context() as patch:
        patch.setattr("annotator.run.stages.sample", broken)
        failed = update(endpoint, run, "--docs", "+4")
    assert (failed.exit_code, failed.stderr.splitlines()[-1]) == (1, "error: the connection broke down")
    assert fingerprints(run) == before
    assert json.loads((run / "manifest.json").read_bytes())["stages"] == json.loads(manifest)["stages"]
    must_succeed(update(endpoint, run, "--docs", "+4"))
    assert documents(run) == DOCS + 4


def test_reviews_and_label_decisions_stay(run: Path, endpoint: Endpoint, tmp_path: Path) -> None:
    """Reviews and label decisions hold after an update; new passages get the decided labels."""
    labels = tmp_path / "labels.toml"
    labels.write_text('"location" = "place"\n', encoding="utf-8")
    must_succeed(vner("build", "--out", run, "--labels", labels, "--quiet"))
    passage = next(one for one in annotations(run).values() if len(one.mentions) > 1)
    wrong = passage.mentions[0]
    verdict = Decision(
        reviewer="an", mode="verify", passage_id=passage.passage_id, text_sha256=text_sha256(passage.text),
        time="2026-01-01T00:00:00Z", verdict="none", mention=wrong.text, label=wrong.label,
    )  # fmt: skip
    append(folder(run) / "an.jsonl", verdict)
    must_succeed(vner("build", "--out", run, "--quiet"))
    before = Path(shutil.copytree(run, tmp_path / "before"))
    assert wrong.text not in {m.text for m in annotations(run)[passage.passage_id].mentions}
    must_succeed(update(endpoint, run, "--docs", "+3"))
    assert begins_with(run, before)
    since = table(run, "passages").num_rows - table(before, "passages").num_rows
    assert json.loads((run / "quality.json").read_text("utf-8"))["about"]["passages_added_since"] == since
    assert f"an update added {since} passages after these checks" in (run / "README.md").read_text("utf-8")
    assert {m.label for one in annotations(run).values() for m in one.mentions} == {"place"}


def test_the_share_of_a_second_teacher_stays(run: Path, endpoint: Endpoint, tmp_path: Path) -> None:
    """The checked passages stay the same after an update, so that earlier results do not change."""
    endpoint.refuse = lambda request: Answer(content="[]") if request["model"] == "second" else None
    second = ("--provider", "openai", "--model", "second", "--base-url", endpoint.url, "--share", 0.5)
    must_succeed(vner("check", run, *second, "--keep", "agreed", "--quiet"))
    before = Path(shutil.copytree(run, tmp_path / "before"))
    updated = must_succeed(update(endpoint, run, "--docs", "+5"))
    assert begins_with(run, before)
    assert f"The second teacher has not seen the new passages; ask it: vner-annotate check {run}" in updated.stdout
    asked = len(endpoint.requests)
    must_succeed(vner("check", run, "--quiet"))
    assert begins_with(run, before)
    new = table(run, "passages").num_rows - table(before, "passages").num_rows
    assert 0 < len(endpoint.requests) - asked < new


def annotations(run: Path) -> dict[str, Annotation]:
    return {one.passage_id: one for one in tables.read_annotations(RunDir(run).annotations)}


def test_an_update_by_batch(run: Path, first: Path, endpoint: Endpoint, tmp_path: Path,
                          monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """An update by batch keeps the earlier samples meanwhile and ends with the same files as one online."""
    one_by_one = Path(shutil.copytree(run, tmp_path / "one"))
    update(endpoint, one_by_one, "--docs", "+3")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    with BatchEndpoint() as api:
        where = ("--base-url", f"{api.url}/v1", "--quiet")
        submitted = vner("update", run, "--docs", "+3", "--batch", *where)
        assert submitted.exit_code == 3, submitted.output
        assert f"vner-annotate update {run} --batch collects" in submitted.stderr
        assert len(api.requests("batch_1")) == table(run, "passages").num_rows - table(first, "passages").num_rows
        assert table(run, "samples/train").equals(table(first, "samples/train"))
        api.finish()
        must_succeed(vner("update", run, "--batch", *where))
    assert fingerprints(run) == fingerprints(one_by_one)


def test_update_from_python(run: Path, endpoint: Endpoint, tmp_path: Path) -> None:
    """``annotator.update`` does the same as the command; an export has the negatives of all steps."""
    made = annotator.update(run, DOCS + 5, base_url=endpoint.url)
    assert made.settings.steps == (DOCS, 5)
    must_succeed(vner("export", run, "--format", "alpaca", "--out", tmp_path / "all.json"))
    exported = {
        (one["instruction"], one["input"], one["output"])
        for one in json.loads((tmp_path / "all.json").read_text("utf-8"))
    }
    samples = [one for split in SPLITS for one in made.samples(split)]  # type: ignore[arg-type]
    assert exported == {(one.instruction, one.input, one.output) for one in samples}
    assert any(one.negative for one in samples)
    with pytest.raises(AnnotateError, match="only adds"):
        annotator.update(run, DOCS)
