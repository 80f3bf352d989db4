"""What the workers of a cluster share, without a cluster: partitions, limits and progress."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from annotator.asking.rate_limits import Pace
from annotator.cluster import sharing
from annotator.cluster.sharing import Coordinator, Job, News, Partition
from annotator.config.settings import RunConfig
from annotator.engines.environment import carried
from annotator.errors import ConfigError
from annotator.ledger import Ledger
from annotator.records import Completion, Passage
from annotator.teachers import ask_about, make_teacher
from annotator.terminal.events import Progress

MakePassage = Callable[..., Passage]
TEACHER = make_teacher(RunConfig(provider="openai", model="m", base_url="http://127.0.0.1:1"))


class Counting(Progress):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.done, self.said, self.counts = 0, list[str](), Counter[str]()

    def advance(self, done: int = 1) -> None:
        self.done += done

    def say(self, message: str) -> None:
        self.said.append(message)

    def count(self, kind: str, number: int = 1) -> None:
        self.counts[kind] += number


def test_partitions_are_made_of_content(
    make_passage: MakePassage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answered passages are left out, of twins in two partitions the second; names are those of the run before."""
    monkeypatch.setattr(sharing, "PART", 3)
    texts = ["a", "b", "c", "d", "a", "e", "f", "f", "g"]
    passages = [make_passage(text, f"p{number}") for number, text in enumerate(texts)]
    with Ledger(tmp_path / "l.sqlite") as ledger:

        def cut() -> tuple[list[Partition], int]:
            progress = Counting()
            return list(sharing._partitions(ask_about(passages, TEACHER), ledger, progress)), progress.done

        before, left_out = cut()
        ids = [[one.id for one in part.passages] for part in before]
        assert ids == [
            ["p0", "p1", "p2"],
            ["p3", "p5"],
            ["p6", "p8"],
        ]
        assert left_out == 2
        keys = [TEACHER.question(text).key for text in ("a", "b", "e", "f", "g")]
        ledger.append([Completion(key, "p", "[]", "stop", 0, 0, 0.0, 0.0) for key in keys])
        after, left_out = cut()
        assert [[one.id for one in part.passages] for part in after] == [["p2"], ["p3"]]
        assert left_out == 7
        assert [part.name for part in after] == [part.name for part in before[:2]]


def test_the_coordinator_keeps_limits_and_news() -> None:
    """Its limits are those of one process; reports are passed on once, and equal messages once."""

    async def work() -> News:
        coordinator = Coordinator(rpm=2, tpm=100, window=60.0)
        with pytest.raises(ConfigError, match="more than --tpm 100"):
            await coordinator.acquire(101)
        first, second = await coordinator.acquire(10), await coordinator.acquire(10)
        assert first != second
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(coordinator.acquire(10), 0.05)
        await coordinator.settle(first, 20)
        await coordinator.pause(5.0)
        await coordinator.report(3, {"tokens": 30}, ["it is down"])
        await coordinator.report(1, {"tokens": 10}, ["it is down"])
        news = await coordinator.news()
        assert (await coordinator.news()).done == 0
        return news

    progress = Counting()
    asyncio.run(work()).show(progress)
    assert progress.done == 4
    assert progress.counts == {"tokens": 40}
    assert progress.said == ["the endpoint asked for a pause of 5.0 s", "it is down"]


def test_keys_travel_and_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a teacher or a ledger reads of the environment, and nothing else; the job hides it."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    monkeypatch.setenv("PGPASSWORD", "likewise")
    monkeypatch.setenv("https_proxy", "http://p:1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of no concern")
    environment = carried(*sharing.CARRIED)
    assert {"OPENAI_API_KEY", "PGPASSWORD", "https_proxy"} <= set(environment)
    assert not {"AWS_SECRET_ACCESS_KEY", "HOME", "PATH"} & set(environment)
    job = Job(RunConfig(), Pace(), 0, environment)
    assert "secret" not in repr(job)
    assert "secret" not in repr(replace(job, overhead=1))
