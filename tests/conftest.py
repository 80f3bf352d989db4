"""Fixtures for all tests: an empty home, no keys, no network but loopback, and the real news if there are any."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import settings
from typer.main import get_command

from annotator.engines import local
from annotator.engines.local import LocalEngine
from annotator.ledger import SqliteLedger
from annotator.records import Passage, Piece
from annotator.storage.rundir import RunDir
from normalizers.labels import LabelNormalizer, load_lexicon
from tests.endpoint import CAPITALS, Answer, Endpoint, echo_entities
from tests.postgres import PASSWORD, Server, find
from tests.processes import Started

ROOT = Path(__file__).resolve().parents[1]
NEWS = Path(os.environ.get("VNER_NEWS_DIR", ROOT.parent / "shared" / "data" / "news"))

WORKERS = {
    "wheel": ("test_wheel",),
    "cluster": ("test_ray", "test_postgres"),
    "torch": ("test_training", "test_predicting", "test_learning", "test_students", "test_experiments"),
    "browser": ("test_report", "test_review_page"),
}
"""Files that share something expensive to start: pytest-xdist runs the tests of each group in one process."""

# Small matrix products are slower on several threads, and their number can change the rounding.
os.environ["OMP_NUM_THREADS"] = "1"
# The Hub's client reads it when it is imported; online it would retry requests that cannot succeed.
os.environ["HF_HUB_OFFLINE"] = "1"
# A process started in the background ignores Ctrl-C, and its children inherit that; tests interrupt children.
signal.signal(signal.SIGINT, signal.default_int_handler)
settings.register_profile("vner", deadline=None)  # no test asserts a time
settings.load_profile("vner")


def group_of(file: str) -> str:
    """Return the group of ``WORKERS`` that a test file belongs to; by default each file is a group."""
    return next((group for group, names in WORKERS.items() if Path(file).stem in names), file)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the groups, then with the files that have the most slow tests, so that all processes end together."""
    slow = Counter(group_of(item.path.name) for item in items if item.get_closest_marker("slow"))
    groups = list(WORKERS)

    def place(item: pytest.Item) -> tuple[int, int]:
        group = group_of(item.path.name)
        return groups.index(group) if group in WORKERS else len(WORKERS), -slow[group]

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Use three processes for two cores: tests of servers, faults and clusters wait a quarter of their time."""
    return min(8, 3 * (os.cpu_count() or 1) // 2 or 1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Run the tests of a group in one process, so that they share what is expensive to start."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid.partition("::")[0])

    return Groups(config, log)


@pytest.fixture(autouse=True)
def empty_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the user's files and keys from the tests."""
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    for name in ("VNER_LEDGER", "PGPASSWORD", "PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGSERVICE", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    for name in ("OPENAI_API_KEY", "GROQ_API_KEY", "OPENAI_BASE_URL", "GROQ_BASE_URL", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session", autouse=True)
def one_command_tree() -> Iterator[None]:
    """Build Typer's commands once: each call of ``CliRunner.invoke`` would build them anew, in 30 ms."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.testing._get_command", cache(get_command))
        yield


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """Yield an endpoint that works; a test may change its ``reply``."""
    with Endpoint() as running:
        yield running


def shared(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Return a path that the first process fills with ``make``, for all processes; a test must not change it."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"shared-{name}"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):
        if not (folder / "finished").exists():
            make(folder / "run")
            (folder / "finished").touch()
    return folder / "run"


def build_sample(out: Path, reply: Callable[[str, int], Answer], *more: str) -> None:
    """Build the bundled sample with an endpoint that answers with ``reply``."""
    from tests.commands import vner

    with Endpoint(reply) as teacher:
        asking = ["--provider", "openai", "--base-url", teacher.url, "--quiet", *more]
        result = vner("build", "sample", "--out", out, *asking)
    assert result.exit_code == 0, result.output


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a finished run of the bundled sample, with several types and negatives; a test must not change it."""

    def several_types(passage: str, attempt: int) -> Answer:
        found = dict.fromkeys(CAPITALS.findall(passage))
        types = ("PERSON", "LOCATION", "DISEASE")
        return Answer(content=json.dumps([[mention, types[len(mention) % 3]] for mention in found]))

    more = ("--model", "llama3-70b-8192", "--negatives", "0.5")
    return shared(tmp_path_factory, "finished", lambda out: build_sample(out, several_types, *more))


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of the bundled sample without failures, built with ``echo_entities`` and the defaults."""
    return shared(tmp_path_factory, "undisturbed", lambda out: build_sample(out, echo_entities, "--model", "m"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Yield a real database server; each test that uses it creates its own database."""
    if not find("initdb") and not os.environ.get("CI"):
        pytest.skip("no PostgreSQL server on this machine: apt-get install postgresql")
    with Server() as running:
        yield running


@pytest.fixture
def database(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the address of an empty database; its password is in the environment."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    return postgres.database()


@pytest.fixture(scope="session", autouse=True)
def ray_environment() -> Iterator[None]:
    """Set the environment that Ray reads when it is imported.

    Clusters require a token, as by default; it is not read from the home, which changes from test to test.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # the engine sets it for loopback
        yield


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """Yield a cluster of a head without CPUs and two nodes with one each; this process joins it once for all tests."""
    import ray
    from ray.cluster_utils import Cluster

    quick = {"health_check_period_ms": 500, "health_check_failure_threshold": 2, "health_check_initial_delay_ms": 0}
    head = {"node_ip_address": "127.0.0.1", "object_store_memory": 80 << 20, "num_cpus": 0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))  # the nodes import the tasks of the tests
        running = Cluster(True, head_node_args={**head, "include_dashboard": False, "_system_config": quick})
        ray.init(address=running.address, log_to_driver=False, logging_level="CRITICAL")
        yield running
        ray.shutdown()
        running.shutdown()


@pytest.fixture
def nodes(cluster: Any) -> Any:
    """Return the cluster with two nodes, whatever the test before did."""
    while len(cluster.worker_nodes) < 2:
        cluster.add_node(num_cpus=1, node_ip_address="127.0.0.1", object_store_memory=80 << 20)
    return cluster


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> type[LocalEngine]:
    """Make the local engine start its processes at once, here and in commands that the test runs."""
    monkeypatch.setattr(local, "ALONE", 0.0)
    monkeypatch.setattr(local, "LocalEngine", Started)
    return Started


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> RunDir:
    """Return a copy of the finished run that a test may change."""
    return RunDir(Path(shutil.copytree(finished, tmp_path / "run")))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    """Yield an empty ledger."""
    with SqliteLedger(tmp_path / "completions.sqlite") as opened:
        yield opened


@pytest.fixture
def normalizer() -> LabelNormalizer:
    """Return a label normalizer without decisions of a user."""
    return LabelNormalizer(load_lexicon())


@pytest.fixture
def make_passage() -> Callable[..., Passage]:
    """Make a passage of one piece from a text."""

    def make(text: str, passage_id: str = "p1", document: str = "d1") -> Passage:
        return Passage(passage_id, text, len(text.split()), (Piece(document, 0, len(text)),), n_sentences=1)

    return make


@pytest.fixture
def news_dir() -> Path:
    """Return the folder of real Vietnamese news in the BKAI schema; tests that use it check real input."""
    if not any(NEWS.glob("*.parquet")):
        pytest.skip(f"no real news at {NEWS}; set VNER_NEWS_DIR to a folder of BKAI News Parquet files")
    return NEWS
