"""Publishing through the Hub's Xet storage, the client's default: the real ``hf_xet`` on loopback."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from annotator.storage.rundir import RunDir
from tests.hub_endpoint import GOOD_TOKEN, XET_TOKEN, Fault, Hub
from tests.test_publish import NAME, SENT, publish_process

pytestmark = pytest.mark.slow

HASTY = {"HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "1", "HF_XET_CLIENT_RETRY_BASE_DELAY": "10ms"}


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub(lfs_above=2000) as running:
        yield running


def publish(run: RunDir, hub: Hub, home: Path, **environment: str) -> tuple[int, str]:
    """Publish, and return exit code and stderr."""
    settings = {"HF_TOKEN": GOOD_TOKEN, "HF_HUB_DISABLE_XET": "0", **environment}
    process = publish_process(run, hub.url, home, "--quiet", **settings)
    _, errors = process.communicate(timeout=600)
    return process.returncode, errors


def posted(hub: Hub) -> Counter[str]:
    """Return how many requests each part of the storage received."""
    sent: Counter[str] = Counter()
    for request, times in hub.requests.items():
        for what in ("/xorbs/", "/shards", "/objects/batch"):
            if request.startswith("POST") and what in request:
                sent[what] += times
    return sent


def test_xet_is_used_by_default(run: RunDir, hub: Hub, tmp_path: Path) -> None:
    """Files arrive unchanged through Xet, despite a cut connection, and are not sent again."""
    hub.faults.append(Fault("POST", "/xorbs/", 0, after=1000, times=1))
    code, errors = publish(run, hub, tmp_path)
    assert code == 0, errors
    files = hub.files(NAME)
    assert set(files) - {".gitattributes"} == SENT
    for name in ("samples/train.parquet", "annotations.parquet"):
        assert files[name] == (run.root / name).read_bytes()
    first = posted(hub)
    assert first["/xorbs/"] >= 1
    assert not first["/objects/batch"]
    code, errors = publish(run, hub, tmp_path)
    assert code == 0, errors
    assert posted(hub)["/xorbs/"] == first["/xorbs/"]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("GET", "xet-write-token", 403),
        Fault("POST", "/xorbs/", 500),
        Fault("POST", "/xorbs/", 0, after=1000),
    ],
    ids=["no right", "storage down", "cut midway"],
)
def test_a_failure_of_the_storage_is_one_line(run: RunDir, hub: Hub, tmp_path: Path, fault: Fault) -> None:
    """A failure of the storage is a one-line error with an alternative; nothing is committed."""
    hub.faults.append(fault)
    code, errors = publish(run, hub, tmp_path, **HASTY)
    assert code == 1
    line = errors.strip().splitlines()[-1]
    assert line.startswith("error: the upload to the Hub's Xet storage failed")
    assert "HF_HUB_DISABLE_XET=1" in line
    assert GOOD_TOKEN not in errors
    assert XET_TOKEN not in errors
    assert not hub.repositories[NAME].messages


def test_uploaded_files_are_not_sent_again(run: RunDir, hub: Hub, tmp_path: Path) -> None:
    """If the commit fails after the upload, the next run does not upload again."""
    hub.faults.append(Fault("POST", "/commit/", 400))
    assert publish(run, hub, tmp_path)[0] == 1
    first = posted(hub)["/xorbs/"]
    assert first >= 1
    hub.faults.clear()
    assert publish(run, hub, tmp_path)[0] == 0
    assert posted(hub)["/xorbs/"] == first
