"""A cluster of several nodes on this machine gives the same files as one process, whatever is killed."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from annotator.cluster import ray as ray_engine
from annotator.cluster.ray import RayEngine
from annotator.engines.local import LocalEngine
from annotator.errors import ClusterError, RunDirError, SourceError
from tests.commands import asking, fingerprints, must_succeed, vner, vner_process, wait_for
from tests.endpoint import Endpoint, delayed
from tests.processes import die, die_once, square_or_fail

pytestmark = pytest.mark.slow

SMALL = ("--min-tokens", 30, "--max-tokens", 60)
"""About six hundred passages of the bundled sample: several partitions."""


def on(cluster: Any, *more: object) -> tuple[object, ...]:
    return ("--engine", "ray", "--ray-address", cluster.address, "--json", *more)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the fingerprints of a local build."""
    out = tmp_path_factory.mktemp("local") / "run"
    with Endpoint() as endpoint:
        result = vner("build", "sample", "--out", out, *asking(endpoint), *SMALL, "--negatives", 1, "--quiet")
    assert result.exit_code == 0, result.output
    return fingerprints(out)


@pytest.mark.parametrize("kind", ["local", "ray"])
def test_engines_keep_order_and_pass_errors_on(kind: str, nodes: Any, processes: type[LocalEngine]) -> None:
    """Both engines keep the order, read a bounded number ahead, and raise the original error."""
    engine = processes(2) if kind == "local" else RayEngine(nodes.address)
    read: list[int] = []

    def numbers(*values: int) -> Iterator[int]:
        for value in values:
            read.append(value)
            yield value

    try:
        results = engine.spread(square_or_fail, numbers(*range(10, 60)))
        assert next(results) == 100
        assert len(read) <= 5
        assert list(results) == [number * number for number in range(11, 60)]
        assert list(engine.spread(square_or_fail, [])) == []
        with pytest.raises(RunDirError, match="seven"):
            list(engine.spread(square_or_fail, [1, 2, 7, 4]))
        with pytest.raises(SourceError, match="eight"):
            list(engine.spread(square_or_fail, [8, 4]))
    finally:
        engine.close()


def test_a_dead_worker_is_replaced_a_deadly_partition_is_reported(
    nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed worker is replaced; a task that kills its workers repeatedly is a one-line error."""
    monkeypatch.setattr(ray_engine, "RETRIES", 1)
    engine = RayEngine(nodes.address)
    try:
        assert list(engine.spread(die_once, [str(tmp_path / "died")])) == ["done"]
        with pytest.raises(ClusterError, match="a task was lost 2 times"):
            list(engine.spread(die, [1]))
    finally:
        engine.close()


def test_other_versions_are_refused(nodes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node with another version of a package is refused, since it could give other passages."""
    here = ray_engine.versions()
    monkeypatch.setattr(ray_engine, "versions", lambda: {**here, "tiktoken": "0.0.1"})
    engine = RayEngine(nodes.address)
    try:
        with pytest.raises(ClusterError, match=r"has tiktoken .*, not 0\.0\.1"):
            list(engine.spread(square_or_fail, [1]))
    finally:
        engine.close()


def test_an_unreachable_cluster_is_one_line(tmp_path: Path) -> None:
    """An unreachable cluster is a one-line error; an address of Ray Client is refused."""
    process = vner_process("chunk", "sample", "--out", tmp_path / "a", "--quiet",
                           "--engine", "ray", "--ray-address", "127.0.0.1:1")  # fmt: skip
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 1
    assert "cannot join the Ray cluster at 127.0.0.1:1" in errors
    assert len(errors.strip().splitlines()) == 1
    result = vner("chunk", "sample", "--out", tmp_path / "b", "--engine", "ray", "--ray-address", "ray://127.0.0.1:1")
    assert (result.exit_code, "Ray Client" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("package", "more"), [("ray", ("--engine", "ray")), ("psycopg", ("--ledger", "postgresql://h/d"))]
)
def test_a_missing_extra_is_a_clear_error(
    package: str, more: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without ray or psycopg, the error names the extra to install."""
    monkeypatch.setitem(sys.modules, package, None)
    result = vner("annotate", "sample", "--out", tmp_path / "run", "--quiet", *more)
    assert result.exit_code == 2
    assert "pip install '.[ray]'" in result.stderr


def test_a_cluster_gives_the_same_files(
    nodes: Any, database: str, tmp_path: Path, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster gives the same bytes, asks each passage once, and writes no secret."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    with Endpoint(delayed(0.02)) as endpoint:
        out = tmp_path / "run"
        command = ("build", "sample", "--out", out, *asking(endpoint), *SMALL, "--negatives", 1)
        must_succeed(vner(*command, *on(nodes, "--ledger", database)))
        assert set(endpoint.asked.values()) == {1}
        assert endpoint.keys == {"Bearer sk-very-secret"}
    assert fingerprints(out) == expected
    for path in out.rglob("*"):
        assert not path.is_file() or b"sk-very-secret" not in path.read_bytes()


def test_a_cluster_is_started_without_an_address(finished: Path, tmp_path: Path) -> None:
    """Without an address a cluster is started and stopped; Ray prints nothing."""
    ours, rays = (Path(shutil.copytree(finished, tmp_path / name)) for name in ("ours", "rays"))
    must_succeed(vner("explode", "--out", ours, "--negatives", 1))
    options = ("--negatives", 1, "--engine", "ray", "--workers", 1, "--quiet", "--json")
    process = vner_process("explode", "--out", rays, *options)
    output, errors = process.communicate(timeout=600)
    assert (process.returncode, errors) == (0, "")
    assert json.loads(output)["samples"]["count"] > 0
    assert fingerprints(rays) == fingerprints(ours)


def test_a_node_killed_midway(nodes: Any, database: str, tmp_path: Path, expected: dict[str, str]) -> None:
    """If a node is killed, the others do its work, and the files are the same."""
    with Endpoint(delayed(0.02)) as endpoint:
        out = tmp_path / "run"
        process = vner_process("build", "sample", "--out", out, *asking(endpoint), *SMALL, "--negatives", 1,
                               "--concurrency", 8, *on(nodes, "--ledger", database))  # fmt: skip
        wait_for(lambda: endpoint.asked.total() > 150)
        nodes.remove_node(nodes.list_all_nodes()[-1], allow_graceful=False)
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors
        assert set(endpoint.asked.values()) == {1}
    assert fingerprints(out) == expected
