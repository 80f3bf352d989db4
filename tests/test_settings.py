"""Stored settings contain no secret, and let a run continue from any folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.config.addresses import without_secrets
from annotator.config.settings import RunConfig
from annotator.run.manifest.stored_settings import located, storable
from annotator.sources.locating import locate
from annotator.storage.rundir import RunDir
from tests.commands import asking, build, fingerprints, must_succeed, vner
from tests.conftest import ROOT
from tests.endpoint import Endpoint
from tests.file_server import FileServer


@pytest.mark.parametrize(
    ("address", "stored"),
    [
        ("https://me:pw@host:8000/x.csv?version=2&X-Amz-Signature=abc#t", "https://host:8000/x.csv?version=2"),
        ("s3://KEY:SECRET@bucket/x.parquet", "s3://bucket/x.parquet"),
        ("https://host/x?sig=1&se=2&token=3&Key=4", "https://host/x"),
        ("hf://datasets/org/name@main/x.parquet", "hf://datasets/org/name@main/x.parquet"),
        ("http://[broken/x?token=1", "http://"),
        ("tin tức/x.jsonl", "tin tức/x.jsonl"),
        ("org/name", "org/name"),
    ],
)
def test_an_address_without_its_secrets(address: str, stored: str) -> None:
    """Parts of an address that may be secret are removed; known harmless parts stay."""
    assert without_secrets(address) == stored


@pytest.mark.slow
@given(st.sampled_from(["https", "s3", "hf", "http"]), st.from_regex(r"[a-z0-9]{12,20}", fullmatch=True))
def test_no_secret_is_stored(scheme: str, secret: str) -> None:
    """No part of an address outside the path, in any setting with an address, is stored."""
    for address in (f"{scheme}://{secret}@host/x", f"{scheme}://u:{secret}@host/x", f"{scheme}://host/x?auth={secret}",
                    f"{scheme}://host/x#{secret}"):  # fmt: skip
        assert secret not in without_secrets(address)
        for name in ("source", "tokenizer", "prompt", "labels"):
            assert secret not in json.dumps(storable(RunConfig(**{name: address})))
        assert secret not in json.dumps(storable(RunConfig(decontaminate=(address,))))


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.slow
def test_a_signed_address_is_read_and_not_stored(tmp_path: Path) -> None:
    """A signature is never stored, even after a failure; the run continues with another or without the address."""
    corpus = tmp_path / "served" / "data"
    corpus.mkdir(parents=True)
    (bundled,) = {Path(str(file.path)).parent for file in locate("sample")}
    lines = (bundled / "culture.jsonl").read_text(encoding="utf-8").splitlines()
    pq.write_table(_table(map(json.loads, lines)), corpus / "train-0.parquet")
    out = tmp_path / "run"
    with FileServer(corpus.parent) as server, Endpoint() as teacher:
        address = f"{server.url}/data/train-0.parquet?X-Amz-Signature=9f86d081884c"
        first = must_succeed(vner("build", address, "--docs", "3", "--out", out, *asking(teacher), "-q"))
        assert b"9f86d081884c" not in everything(out)
        assert "9f86d081884c" not in first.output
        skipped = ["sample", "chunk", "annotate", "clean", "explode"]
        for again in ([], [address.replace("9f86d081884c", "60303ae22b99")]):
            result = vner("build", *again, "--out", out, "-q", "--json")
            assert json.loads(result.stdout)["skipped"] == skipped, result.output
        (out / "documents.parquet").unlink()
        refused = vner("build", "--out", out, "-q")
        assert refused.exit_code == 2
        assert "give SOURCE again" in refused.stderr
        assert (out / "passages.parquet").exists()
        must_succeed(vner("build", address, "--out", out, "-q"))
        (tmp_path / "failed").mkdir()
        failed = vner("build", address, "--text-field", "nothing", "--out", tmp_path / "failed", "-q")
        assert failed.exit_code == 1
        assert b"9f86d081884c" not in everything(tmp_path / "failed") + failed.output.encode()


def _table(rows: Iterable[dict[str, Any]]) -> Any:
    import pyarrow as pa

    return pa.Table.from_pylist([{"id": row["id"], "text": row["text"]} for row in rows])


@pytest.mark.slow
def test_a_run_continues_from_another_folder(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run with relative paths continues from another folder without new work or requests."""
    here, there, out = tmp_path / "here", tmp_path / "there", tmp_path / "run"
    here.mkdir()
    there.mkdir()
    shutil.copy(next(iter(locate("sample"))).path, here / "news.jsonl")
    shutil.copy(ROOT / "prompts" / "open-ner-vi.1.toml", here / "my.toml")
    (here / "l.toml").write_text('"vùng" = "region"\n', encoding="utf-8")
    (here / "bench.jsonl").write_text('{"text": "Một câu không có trong tin nào cả."}\n', encoding="utf-8")
    monkeypatch.chdir(here)
    flags = ("--prompt", "my.toml", "--labels", "l.toml", "--decontaminate", "bench.jsonl", "-q")
    must_succeed(build(endpoint, out, *flags, source="news.jsonl"))
    asked, before = len(endpoint.requests), fingerprints(out)
    monkeypatch.chdir(there)
    for again in (["--out", out], ["../here/news.jsonl", "--out", out, "--prompt", "../here/my.toml"]):
        result = must_succeed(vner("build", *again, "-q", "--json"))
        assert json.loads(result.stdout)["skipped"] == ["sample", "chunk", "annotate", "clean", "explode"]
    assert fingerprints(out) == before
    for command in (["show", out], ["labels", "list", out], ["explode", "--out", out, "--negatives", "1", "-q"]):
        must_succeed(vner(*command))
    assert len(endpoint.requests) == asked


@pytest.mark.slow
def test_a_manifest_of_an_older_version_keeps_its_stages(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A manifest without a format and with relative paths keeps all stages finished."""
    out = tmp_path / "run"
    shutil.copy(next(iter(locate("sample"))).path, tmp_path / "news.jsonl")
    monkeypatch.chdir(tmp_path)
    must_succeed(build(endpoint, out, "-q", source="news.jsonl"))
    manifest = RunDir(out).read_manifest()
    old = {name: value for name, value in manifest.items() if name not in {"format", "spelling"}}
    old["config"] = {**manifest["config"], "source": "news.jsonl"}
    (out / "manifest.json").write_text(json.dumps(old), encoding="utf-8")
    result = vner("build", "--out", out, "-q", "--json", *asking(endpoint))
    assert json.loads(result.stdout)["skipped"] == ["sample", "chunk", "annotate", "clean", "explode"], result.output
    assert RunDir(out).read_manifest() == manifest


def test_only_existing_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of Hub datasets, tokenizers and prompts stay as they are, even if a folder has that name."""
    monkeypatch.chdir(tmp_path)
    for name in ("llama3", "sample", "open-ner-vi"):
        (tmp_path / name).mkdir()
    (tmp_path / "x.jsonl").touch()
    for setting, value in (("tokenizer", "llama3"), ("tokenizer", "hf:org/name"), ("source", "sample"),
                           ("source", "org/name"), ("prompt", "open-ner-vi"), ("labels", "")):  # fmt: skip
        assert located(setting, value) == value
    assert located("source", "./x.jsonl") == str(tmp_path / "x.jsonl") == located("source", "x.jsonl")
