"""A cluster of several nodes on this machine: the same files as without it, whatever dies on the way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from annotator.asking import rate_limits as limits
from annotator.cluster import ray as ray_engine
from annotator.cluster.postgres import PostgresLedger
from annotator.cluster.ray import RayEngine
from annotator.engines.local import LocalEngine
from annotator.errors import ClusterError, SourceError, TeacherError
from tests.conftest import ROOT
from tests.endpoint import Answer, Endpoint, echo_entities
from tests.processes import die, die_once, square_or_fail
from tests.test_build import asking, fingerprints, vner, vner_process, wait_for

pytestmark = pytest.mark.slow

SMALL = ("--min-tokens", 30, "--max-tokens", 60)
"""Some six hundred passages of the bundled sample: several partitions to ask about."""


def on(cluster: Any, *more: object) -> tuple[object, ...]:
    return ("--engine", "ray", "--ray-address", cluster.address, "--json", *more)


def slow(passage: str, attempt: int) -> Answer:
    return Answer(content=echo_entities(passage, attempt).content, delay=0.02)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What one machine makes."""
    out = tmp_path_factory.mktemp("local") / "run"
    with Endpoint() as endpoint:
        result = vner("build", "sample", "--out", out, *asking(endpoint), *SMALL, "--negatives", 1, "--quiet")
    assert result.exit_code == 0, result.output
    return fingerprints(out)


@pytest.mark.parametrize("kind", ["local", "ray"])
def test_engines_keep_order_and_pass_errors_on(kind: str, nodes: Any, processes: type[LocalEngine]) -> None:
    """Results come in order, read a bounded number ahead; an error is the one that was raised, with all it says."""
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
        with pytest.raises(TeacherError, match="seven") as caught:
            list(engine.spread(square_or_fail, [1, 2, 7, 4]))
        assert (caught.value.kind, caught.value.retry_after) == ("http 503", 1.5)
        with pytest.raises(SourceError, match="eight"):
            list(engine.spread(square_or_fail, [8, 4]))
    finally:
        engine.close()


def test_a_dead_worker_is_replaced_a_deadly_partition_is_reported(
    nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once is bad luck; again and again is the partition's fault, and one line."""
    monkeypatch.setattr(ray_engine, "RETRIES", 1)
    engine = RayEngine(nodes.address)
    try:
        assert list(engine.spread(die_once, [str(tmp_path / "died")])) == ["done"]
        with pytest.raises(ClusterError, match="a task was lost 2 times"):
            list(engine.spread(die, [1]))
    finally:
        engine.close()


def test_other_versions_are_refused(nodes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node with another tokenizer would cut other passages."""
    here = ray_engine.versions()
    monkeypatch.setattr(ray_engine, "versions", lambda: {**here, "tiktoken": "0.0.1"})
    engine = RayEngine(nodes.address)
    try:
        with pytest.raises(ClusterError, match=r"has tiktoken .*, not 0\.0\.1"):
            list(engine.spread(square_or_fail, [1]))
    finally:
        engine.close()


def test_two_checkouts_of_one_version_are_told_apart(
    nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line of the source is another: the version number is the same, and the node is refused."""
    copy = tmp_path / "copy"
    for name in ("annotator", "data_cards", "normalizers", "prompts"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    program = "import json; from annotator.cluster.ray import versions; print(json.dumps(versions()))"

    def versions_of(root: Path) -> dict[str, str]:
        environment = {**os.environ, "PYTHONPATH": str(root)}
        shown = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, env=environment, cwd=root, check=True
        )
        return dict(json.loads(shown.stdout))

    here = ray_engine.versions()
    assert versions_of(copy) == here
    with (copy / "normalizers" / "text.py").open("a", encoding="utf-8") as file:
        file.write("# another rule\n")
    other = versions_of(copy)
    assert {name for name in here if here[name] != other[name]} == {"vner-annotate's source"}
    monkeypatch.setattr(ray_engine, "versions", lambda: other)
    engine = RayEngine(nodes.address)
    try:
        with pytest.raises(ClusterError, match=r"has vner-annotate's source sha256 \w+, not sha256"):
            list(engine.spread(square_or_fail, [1]))
    finally:
        engine.close()


def test_no_cluster_there_is_one_line(tmp_path: Path) -> None:
    """Nobody listens at the address; Ray Client's is another thing."""
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
def test_without_the_extra_it_is_said(
    package: str, more: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What to install, as wrong usage."""
    monkeypatch.setitem(sys.modules, package, None)
    result = vner("annotate", "sample", "--out", tmp_path / "run", "--quiet", *more)
    assert result.exit_code == 2
    assert "pip install '.[ray]'" in result.stderr


def test_a_cluster_makes_the_same(
    nodes: Any, database: str, tmp_path: Path, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Byte for byte; each passage asked once, by more than one process; the key and the password stay unwritten."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    with Endpoint(slow) as endpoint:
        out = tmp_path / "run"
        command = ("build", "sample", "--out", out, *asking(endpoint), *SMALL, "--negatives", 1)
        result = vner(*command, *on(nodes, "--ledger", database))
        assert result.exit_code == 0, result.output
        assert set(endpoint.asked.values()) == {1}
        assert endpoint.keys == {"Bearer sk-very-secret"}
    assert fingerprints(out) == expected
    for path in out.rglob("*"):
        assert not path.is_file() or b"sk-very-secret" not in path.read_bytes()


def test_a_file_for_a_ledger_is_asked_into_by_the_driver(
    nodes: Any, endpoint: Endpoint, tmp_path: Path, expected: dict[str, str]
) -> None:
    """The rest is done by the cluster; it is said, and the files are the same."""
    out = tmp_path / "run"
    result = vner("build", "sample", "--out", out, *asking(endpoint), *SMALL, "--negatives", 1, *on(nodes))
    assert result.exit_code == 0, result.output
    assert "the ledger is a file, so this process asks" in result.stderr
    assert fingerprints(out) == expected


def test_a_cluster_of_its_own(finished: Path, tmp_path: Path) -> None:
    """Without an address one is started and stopped; nothing of Ray's is printed."""
    ours, rays = (Path(shutil.copytree(finished, tmp_path / name)) for name in ("ours", "rays"))
    assert vner("explode", "--out", ours, "--negatives", 1).exit_code == 0
    options = ("--negatives", 1, "--engine", "ray", "--workers", 1, "--quiet", "--json")
    process = vner_process("explode", "--out", rays, *options)
    output, errors = process.communicate(timeout=600)
    assert (process.returncode, errors) == (0, "")
    assert json.loads(output)["samples"]["count"] > 0
    assert fingerprints(rays) == fingerprints(ours)


def test_the_local_teacher_on_a_cluster(nodes: Any, database: str, tmp_path: Path) -> None:
    """It works inside the workers, and says what it says on one machine."""
    made = [
        vner("build", "sample", "--docs", 3, "--out", tmp_path / "local", "--workers", 1, "--json"),
        vner("build", "sample", "--docs", 3, "--out", tmp_path / "ray", *on(nodes, "--ledger", database)),
    ]
    assert [result.exit_code for result in made] == [0, 0], made[1].output
    assert fingerprints(tmp_path / "ray") == fingerprints(tmp_path / "local")


@dataclass
class Watch:
    """Notes when requests arrive, what they take, and how many are out."""

    seen: list[tuple[float, int]] = field(default_factory=list)
    at_once: list[int] = field(default_factory=list)
    out: int = 0

    def __call__(self, passage: str, attempt: int) -> Answer:
        self.out += 1
        self.seen.append((time.monotonic(), len(passage) + 10))  # the tokens that the endpoint counts
        self.at_once.append(self.out)
        time.sleep(0.03)
        self.out -= 1
        return echo_entities(passage, attempt)

    def most(self, seconds: float) -> tuple[int, int]:
        """The most requests, and the most tokens, that any such time saw."""
        windows = [[tokens for when, tokens in self.seen if first <= when < first + seconds] for first, _ in self.seen]
        return max(map(len, windows)), max(map(sum, windows))


@pytest.mark.parametrize(("limit", "most"), [("--rpm", 30), ("--tpm", 20_000)])
def test_limits_hold_over_all_workers(
    nodes: Any, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    """With a window of 4 s, no 2 s see more requests or tokens than one window's worth, counted where they arrive.

    The other 2 s are for a machine that is slow to send what was let go: without a limit all would come in one. The
    second command begins where the first ended, with another driver: what was spent a moment ago still counts.
    """
    monkeypatch.setattr(limits, "WINDOW", 4.0)
    watch = Watch()
    with Endpoint(watch) as endpoint:
        for docs in (12, 30):
            result = vner("annotate", "sample", "--out", tmp_path / str(docs), *asking(endpoint), "--docs", docs,
                          limit, most, "--concurrency", 6, *on(nodes, "--ledger", database))  # fmt: skip
            assert result.exit_code == 0, result.output
        assert set(endpoint.asked.values()) == {1}
    requests, tokens = watch.most(2.0)
    assert (requests if limit == "--rpm" else tokens) <= most
    assert sum(tokens for _, tokens in watch.seen) > 2 * 20_000
    assert len(watch.seen) >= 70
    assert max(watch.at_once) <= 6


def test_a_wrong_key_costs_one_request(nodes: Any, database: str, tmp_path: Path) -> None:
    """On a cluster too; one that expires midway stops all workers with one line, and what was answered stays."""
    with Endpoint(lambda passage, attempt: Answer(status=401, content="no")) as endpoint:
        result = vner("build", "sample", "--out", tmp_path / "a", *asking(endpoint), *on(nodes, "--ledger", database))
        assert result.exit_code == 1
        assert endpoint.asked.total() == 1
        assert "the key was not accepted" in result.stderr

    def expires(passage: str, attempt: int) -> Answer:
        return slow(passage, attempt) if endpoint.asked.total() < 150 else Answer(status=401)

    with Endpoint(expires) as endpoint:
        out = tmp_path / "b"
        result = vner("build", "sample", "--out", out, *asking(endpoint), *SMALL, *on(nodes, "--ledger", database))
        assert result.exit_code == 1
        assert "the key was not accepted" in result.stderr
        assert endpoint.asked.total() < 200
    with PostgresLedger(database) as ledger:
        assert len(ledger) >= 140


def test_a_node_killed_midway(nodes: Any, database: str, tmp_path: Path, expected: dict[str, str]) -> None:
    """Its work is done by the others; complete, the same, and nothing asked twice but what was in flight."""
    with Endpoint(slow) as endpoint:
        out = tmp_path / "run"
        process = vner_process("build", "sample", "--out", out, *asking(endpoint), *SMALL, "--negatives", 1,
                               "--concurrency", 8, *on(nodes, "--ledger", database))  # fmt: skip
        wait_for(lambda: endpoint.asked.total() > 150)
        nodes.remove_node(nodes.list_all_nodes()[-1], allow_graceful=False)
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors
        assert endpoint.asked.total() - len(endpoint.asked) <= 4  # half of the concurrency was that node's
    assert fingerprints(out) == expected


def test_the_driver_killed_midway(nodes: Any, database: str, tmp_path: Path, expected: dict[str, str]) -> None:
    """The same command finishes; nothing that was answered is asked again, though workers outlived their driver."""
    with Endpoint(slow) as endpoint:
        out = tmp_path / "run"
        command = ("build", "sample", "--out", out, *asking(endpoint), *SMALL, "--negatives", 1,
                   "--concurrency", 8, *on(nodes, "--ledger", database))  # fmt: skip
        process = vner_process(*command)
        wait_for(lambda: endpoint.asked.total() > 200)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        last = vner(*command)
        assert last.exit_code == 0, last.output
        in_flight = 8
        assert endpoint.asked.total() - len(endpoint.asked) <= in_flight
    assert fingerprints(out) == expected


def test_ctrl_c_stops_all_workers(nodes: Any, database: str, tmp_path: Path) -> None:
    """With one line and exit code 130, though every request in flight would take ten minutes; no worker asks on."""

    def stuck(passage: str, attempt: int) -> Answer:
        return Answer(content="[]", delay=600.0 if endpoint.asked.total() > 20 else 0.0)

    with Endpoint(stuck) as endpoint:
        process = vner_process("build", "sample", "--out", tmp_path / "run", *asking(endpoint), "--concurrency", 8,
                               "--timeout", 900, *on(nodes, "--ledger", database))  # fmt: skip
        wait_for(lambda: endpoint.asked.total() >= 28)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 130, errors
        assert "the same command goes on from there" in errors
        assert "Traceback" not in errors
        with PostgresLedger(database, alone=True) as ledger:
            assert len(ledger) == 20
        asked = endpoint.asked.total()
        assert asked <= 28
        time.sleep(1)
        assert endpoint.asked.total() == asked
