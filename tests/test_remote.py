"""Sources on a web server, the Hub and an object store, all on loopback, and their failures."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tenacity import wait_none

from annotator.errors import SourceError
from annotator.records import Document
from annotator.sources.documents import Columns, Row
from annotator.sources.locating import HubDataset, fingerprint, locate
from annotator.sources.parquet_rows import ParquetFiles
from annotator.sources.sample_report import SampleReport
from annotator.sources.sampling import sample
from annotator.sources.screening import Screening
from tests.commands import vner
from tests.file_server import FileServer
from tests.object_store import bucket

pytestmark = pytest.mark.slow

LAX = Screening(near_duplicates=0, shortest=0, cuts=False)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Write three Parquet files with 600 rows of 3 kB in row groups of ten."""
    folder = tmp_path / "served" / "data"
    folder.mkdir(parents=True)
    noise = random.Random(0)
    for part in range(3):
        ids = range(part * 200, part * 200 + 200)
        texts = [f"Bản tin số {number}: Hà Nội mưa to. " + "".join(noise.choices("đơưạảấ ", k=2000)) for number in ids]
        table = pa.table({"id": ids, "text": texts, "link": ["x" * 3000] * 200})
        pq.write_table(table, folder / f"train-{part}.parquet", row_group_size=10, write_statistics=False)
    return folder.parent


@pytest.fixture
def server(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """Serve the corpus; retries do not wait."""
    monkeypatch.setattr("tenacity.wait_random_exponential", lambda **settings: wait_none())
    with FileServer(corpus) as running:
        yield running


def _drawn(source: object, docs: int = 5, report: SampleReport | None = None) -> list[Row]:
    return list(sample(str(source), docs, 0, screening=LAX, report=report))


def _texts(rows: list[Row]) -> list[str]:
    return [row.text for row in rows if isinstance(row, Document)]


def test_a_folder_on_a_web_server(server: FileServer, corpus: Path) -> None:
    """A folder on a web server gives the same documents as on the disk, for a small part of the bytes."""
    report = SampleReport()
    rows = _drawn(f"{server.url}/data/", report=report)
    assert _texts(rows) == _texts(_drawn(corpus / "data"))
    assert {row.source for row in rows if isinstance(row, Document)} <= {f"train-{part}.parquet" for part in range(3)}
    figures = report.as_dict()
    listing = sum(len(f'<a href="train-{part}.parquet">train-{part}.parquet</a>\n') for part in range(3))
    assert figures["bytes_read"] == server.bytes_sent - listing
    assert figures["bytes_total"] == sum(file.stat().st_size for file in (corpus / "data").iterdir())
    assert (figures["row_groups_total"], figures["row_groups_read"]) == (60, 5)
    assert server.bytes_sent < 0.4 * sum(file.stat().st_size for file in (corpus / "data").iterdir())


def test_one_file_and_other_formats(server: FileServer, corpus: Path) -> None:
    """A single file is a source, also a .jsonl, which is read as a stream."""
    assert len(_drawn(f"{server.url}/data/train-1.parquet")) == 5
    (corpus / "a.jsonl").write_text('{"id": 1, "text": "Hà Nội mưa to."}\n', encoding="utf-8")
    assert _drawn(f"{server.url}/a.jsonl") == [Document("1", "Hà Nội mưa to.", "a.jsonl")]


def test_rows_come_in_order(server: FileServer) -> None:
    """Rows come in order, however many row groups are read at once."""
    located = locate(f"{server.url}/data/")
    assert isinstance(located, tuple)
    files = ParquetFiles(located, Columns())
    assert [number for number, _ in files.take(range(0, 600, 7))] == list(range(0, 600, 7))


@pytest.mark.parametrize("fault", [503, 429, 500, None])
def test_transient_failures_are_retried(server: FileServer, corpus: Path, fault: int | None) -> None:
    """Transient failures of a server, also a cut in the middle of a range, are retried."""
    located = f"{server.url}/data/train-0.parquet"
    files = ParquetFiles(locate(located), Columns())  # type: ignore[arg-type] # it is a file
    server.faults = [fault] * 4
    assert [number for number, _ in files.take([3, 77])] == [3, 77]
    assert not server.faults


@pytest.mark.parametrize(
    ("path", "faults", "message"),
    [
        ("none.parquet", [], r"nothing is at http://127.*/none\.parquet \(404\); check the address"),
        ("none/", [], r"nothing is at http://127.*/none/ \(404\)"),
        ("data/train-0.parquet", [403] * 9, r"access to http.* is refused \(403\); check your token or credentials"),
        ("data/train-0.parquet", [401] * 9, r"refused \(401\)"),
        (
            "data/train-0.parquet",
            [503] * 99,
            r"cannot read http.*503.*; check the network and run the same",
        ),
        ("data/train-0.parquet", [None] * 99, r"http.*train-0\.parquet"),
    ],
)
def test_permanent_failures_are_one_line(server: FileServer, path: str, faults: list[Any], message: str) -> None:
    """A wrong address, refused access and a broken server have one-line errors without secrets."""
    server.faults = faults
    url = server.url.replace("http://", "http://user:secret@")
    with pytest.raises(SourceError, match=message) as caught:
        _drawn(f"{url}/{path}" + ("?signature=secret" if path.endswith(".parquet") else ""))
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address where nothing listens is an error after some tries."""
    monkeypatch.setattr("tenacity.wait_random_exponential", lambda **settings: wait_none())
    with pytest.raises(SourceError, match=r"cannot read http://127\.0\.0\.1:9/a\.parquet: .*; check the network"):
        _drawn("http://127.0.0.1:9/a.parquet")


def test_a_cut_off_file(server: FileServer, corpus: Path) -> None:
    """A truncated Parquet file is a one-line error with its address."""
    path = corpus / "data" / "train-0.parquet"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(SourceError, match=r"http://.*train-0\.parquet is not a whole Parquet file: .*; get it again"):
        _drawn(f"{server.url}/data/")


def test_a_server_without_ranges(server: FileServer) -> None:
    """A server without range requests is refused: the whole file would be read."""
    server.has_ranges = False
    with pytest.raises(SourceError, match=r"support range requests.*, or download it"):
        _drawn(f"{server.url}/data/")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("zz://a/b.parquet", "cannot read zz://: Protocol not known: zz; or give https://"),
        ("gs://a/b.parquet", "cannot read gs://: .*install gcsfs"),
    ],
)
def test_unknown_schemes(url: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown scheme and a missing package are errors with the fix."""
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(SourceError, match=message):
        locate(url)


def test_the_fingerprint_follows_the_server(server: FileServer, corpus: Path) -> None:
    """The fingerprint is reproducible and changes with the content of a file."""
    before = fingerprint(f"{server.url}/data/")
    assert before == fingerprint(f"{server.url}/data/")
    path = corpus / "data" / "train-0.parquet"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"x")
    assert fingerprint(f"{server.url}/data/") != before


@pytest.fixture
def hub(server: FileServer, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """Make the server the Hub of the libraries, which read its address when they are imported."""
    (corpus / "README.md").write_text("---\nlanguage: vi\n---\n", encoding="utf-8")
    template = f"{server.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    constants = {"ENDPOINT": server.url, "HUGGINGFACE_CO_URL_TEMPLATE": template, "HF_HUB_OFFLINE": False}
    for name, value in {**constants, "HF_HUB_CACHE": str(tmp_path / "hf")}.items():
        monkeypatch.setattr(huggingface_hub.constants, name, value)
    for name, value in (("HF_ENDPOINT", server.url), ("HF_HUB_OFFLINE", False), ("HF_DATASETS_CACHE", tmp_path / "ds")):
        monkeypatch.setattr(datasets.config, name, value)
    huggingface_hub.HfFileSystem.clear_instance_cache()
    yield server
    huggingface_hub.HfFileSystem.clear_instance_cache()


@pytest.mark.parametrize(
    ("source", "first"),
    [
        ("org/name", "data/train-0.parquet"),
        ("hf://datasets/org/name/data/*.parquet", "train-0.parquet"),
        ("hf://datasets/org/name", "train-0.parquet"),
    ],
)
def test_a_dataset_on_the_hub(hub: FileServer, corpus: Path, source: str, first: str) -> None:
    """A Hub dataset, by name or by hf://, is sampled like local files, by range requests."""
    assert locate("org/name") == HubDataset("org/name")
    rows = _drawn(source, report=(report := SampleReport()))
    assert _texts(rows) == _texts(_drawn(corpus / "data"))
    assert isinstance(rows[0], Document)
    assert (rows[0].source, report.row_groups_read, report.rows_total) == (first, 5, 600)
    assert hub.bytes_sent < sum(file.stat().st_size for file in (corpus / "data").iterdir())


def test_a_commit_of_the_hub_is_pinned(hub: FileServer, tmp_path: Path) -> None:
    """The sampled commit is recorded and used again; a later commit is reported."""
    out = tmp_path / "out"
    first = _sampled("org/name", out)
    assert first["skipped"] == []
    assert json.loads((out / "manifest.json").read_text())["source"] == {
        "name": "org/name",
        "fingerprint": "hub:org/name",
        "revision": "c" * 40,
    }
    assert _sampled("org/name", out)["stderr"] == ""
    hub.commit = "d" * 40
    again = _sampled("org/name", out)
    assert again["skipped"] == ["sample"]
    assert f"org/name has moved from commit {'c' * 12} to {'d' * 12}; this run keeps its sample" in again["stderr"]
    assert _sampled(f"org/name@{'c' * 40}", out)["skipped"] == ["sample"]
    (out / "documents.parquet").unlink()
    hub.requests.clear()
    assert _sampled("org/name", out)["skipped"] == []
    assert {"c" * 40} == {part for request in hub.requests for part in request.split("/") if part == part[:1] * 40}


def test_a_revision_can_be_named(hub: FileServer, tmp_path: Path) -> None:
    """org/name@revision reads that commit; another revision is another source."""
    commit = "e" * 40
    _sampled(f"org/name@{commit}", tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["source"]["revision"] == commit
    assert any(f"/{commit}/data/train-0.parquet" in request for request in hub.requests)
    assert not any("c" * 40 in request for request in hub.requests)
    assert "is not the source of" in _sampled(f"org/name@{'f' * 40}", tmp_path / "out", code=2)["stderr"]


def test_a_sample_without_a_recorded_commit_is_reported(hub: FileServer, tmp_path: Path) -> None:
    """A run of an older version continues and reports that its commit is unknown, also without the Hub."""
    _sampled("org/name", tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    del manifest["source"]["revision"]
    (tmp_path / "out" / "manifest.json").write_text(json.dumps(manifest))
    again = _sampled("org/name", tmp_path / "out")
    assert again["skipped"] == ["sample"]
    assert "this run did not record which commit it sampled" in again["stderr"]
    hub.faults = [404] * 20
    assert _sampled("org/name", tmp_path / "out")["skipped"] == ["sample"]


def _sampled(source: str, out: Path, code: int = 0) -> dict[str, Any]:
    """Run the command ``sample``."""
    huggingface_hub.HfFileSystem.clear_instance_cache()  # as in a new process
    done = vner("sample", source, "--out", out, "--docs", "5", "--json")
    assert done.exit_code == code, done.output
    found: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
    return {**found, "stderr": " ".join(done.stderr.split())}


def test_a_bucket(corpus: Path) -> None:
    """s3:// works with an object store on loopback; a missing bucket is an error."""
    with bucket("news") as client:
        for file in (corpus / "data").iterdir():
            client.upload_file(str(file), "news", f"2017/{file.name}")
        assert _texts(_drawn("s3://news/2017/")) == _texts(_drawn(corpus / "data"))
        with pytest.raises(SourceError, match=r"nothing is at s3://none/a\.parquet|no file to read at s3://none"):
            _drawn("s3://none/a.parquet")
