"""The engine: every passage is answered or recorded, none is asked twice, whatever the teacher does."""

from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from annotator.asking.pool import ask_all
from annotator.asking.rate_limits import Pace
from annotator.asking.retry_policy import Patience
from annotator.errors import FatalTeacherError, RunDirError, TeacherError
from annotator.ledger import Ledger
from annotator.records import Completion, Passage
from annotator.teachers import Question, Reply, Teacher, ask_about, make_question
from annotator.terminal.events import Progress

MakePassage = Callable[..., Passage]
PATIENCE = Patience(between_tries=0.01, first_probe=0.001, last_probe=0.01, start=0.02)


def pace(**settings: Any) -> Pace:
    """A pace with short waits."""
    return Pace(**{"patience": PATIENCE, **settings})


class QueueTeacher:
    """Answers from a queue a passage: an exception is raised, text is answered; at the end of the queue ``[]``."""

    def __init__(self, scripts: dict[str, list[str | Exception]] | None = None) -> None:
        self.identity = {"model": "queue"}
        self.sent_as: dict[str, str] = {}
        self.scripts = {passage: deque(script) for passage, script in (scripts or {}).items()}
        self.asked: Counter[str] = Counter()
        self.in_flight = self.most_in_flight = 0
        self.closed = False
        self.probes: deque[Exception] = deque()
        self.probed = self.answered = 0

    def question(self, passage: str) -> Question:
        return make_question({"passage": passage})

    async def ask(self, question: Question) -> Reply:
        passage = question.content["passage"]
        self.asked[passage] += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(0.001)
        self.in_flight -= 1
        script = self.scripts.get(passage)
        step = script.popleft() if script else "[]"
        if isinstance(step, Exception):
            raise step
        return Reply(step, "stop", 10, 5)

    async def probe(self, *, whole: bool = False) -> None:
        self.probed += 1
        if self.probes:
            raise self.probes.popleft()

    async def close(self) -> None:
        self.closed = True


class Outage(QueueTeacher):
    """Goes away after 100 answers, and comes back after some probes."""

    def __init__(self, error: Exception, probes: int = 5) -> None:
        super().__init__()
        self.error = error
        self.probes.extend([error] * probes)

    async def ask(self, question: Question) -> Reply:
        reply = await super().ask(question)
        if self.answered >= 100 and self.probes:
            raise self.error
        self.answered += 1
        return reply


class Counting(Progress):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.done = 0
        self.counts: Counter[str] = Counter()
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)

    def advance(self, done: int = 1) -> None:
        self.done += done

    def count(self, kind: str, number: int = 1) -> None:
        self.counts[kind] += number


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "completions.sqlite") as opened:
        yield opened


def passages(make: MakePassage, number: int) -> list[Passage]:
    return [make(f"passage {i}", f"p{i}") for i in range(number)]


def annotate(passages: Iterable[Passage], teacher: Teacher, ledger: Ledger, pace: Pace, progress: Progress) -> None:
    """Ask ``teacher`` about each of ``passages``."""
    ask_all(ask_about(passages, teacher), teacher, ledger, pace, progress)


def test_all_are_answered_and_counted(ledger: Ledger, make_passage: MakePassage) -> None:
    """Also with far more passages than workers; concurrency is kept and used."""
    teacher, progress = QueueTeacher(), Counting()
    annotate(passages(make_passage, 300), teacher, ledger, pace(concurrency=7), progress)
    assert len(ledger) == progress.done == 300
    assert set(teacher.asked.values()) == {1}
    assert teacher.most_in_flight == 7
    assert progress.counts == {"tokens": 300 * 15}
    assert teacher.closed


def test_what_is_answered_is_not_asked_again(ledger: Ledger, make_passage: MakePassage) -> None:
    """A second run asks only for what is missing; two passages with one text are one question."""
    annotate(passages(make_passage, 5), QueueTeacher(), ledger, pace(), Progress())
    teacher, progress = QueueTeacher(), Counting()
    again = [*passages(make_passage, 8), make_passage("passage 7", "twin")]
    annotate(again, teacher, ledger, pace(), progress)
    assert teacher.asked == {"passage 5": 1, "passage 6": 1, "passage 7": 1}
    assert progress.done == 9


def test_transient_failures_are_tried_again(ledger: Ledger, make_passage: MakePassage) -> None:
    """Until the answer comes; each failure is counted by kind."""
    busy = TeacherError("busy", kind="http 503")
    teacher, progress = QueueTeacher({"passage 2": [busy, busy, "[]"]}), Counting()
    annotate(passages(make_passage, 4), teacher, ledger, pace(max_retries=2), progress)
    assert len(ledger) == 4
    assert teacher.asked["passage 2"] == 3
    assert progress.counts["http 503"] == 2


def test_one_that_keeps_failing_is_recorded_and_the_rest_goes_on(ledger: Ledger, make_passage: MakePassage) -> None:
    """With its cause; the same call asks it again."""
    busy = TeacherError("busy", kind="http 503")
    refused = TeacherError("too long", kind="http 400")
    teacher, progress = QueueTeacher({"passage 1": [busy] * 3, "passage 3": [refused]}), Counting()
    annotate(passages(make_passage, 6), teacher, ledger, pace(max_retries=2), progress)
    assert len(ledger) == 4
    assert progress.done == 6
    assert teacher.asked["passage 1"] == 3
    assert teacher.asked["passage 3"] == 1
    failure = ledger.failure(teacher.question("passage 1").key)
    assert failure is not None
    assert (failure.passage_id, failure.kind, failure.detail) == ("p1", "http 503", "busy")
    annotate(passages(make_passage, 6), QueueTeacher(), ledger, pace(), Progress())
    assert len(ledger) == 6
    assert ledger.failure(failure.key) is None


def test_a_request_to_come_back_later_costs_no_try(ledger: Ledger, make_passage: MakePassage) -> None:
    """429 is a wait, however often; the wait is the one that was asked for."""
    later = TeacherError("slow down", kind="http 429", retry_after=0.001)
    teacher = QueueTeacher({"passage 0": [later] * 20})
    annotate(passages(make_passage, 3), teacher, ledger, pace(max_retries=0), Progress())
    assert len(ledger) == 3
    assert teacher.asked["passage 0"] == 21


def test_a_fatal_first_answer_stops_before_anything_more_is_asked(ledger: Ledger, make_passage: MakePassage) -> None:
    """A wrong key costs one request, not one a passage."""
    teacher = QueueTeacher({"passage 0": [TeacherError("no such key", kind="http 401")]})
    with pytest.raises(FatalTeacherError, match="no such key"):
        annotate(passages(make_passage, 50), teacher, ledger, pace(), Progress())
    assert teacher.asked.total() == 1
    assert teacher.closed


def test_a_fatal_answer_later_keeps_what_was_answered(ledger: Ledger, make_passage: MakePassage) -> None:
    """The key expired midway: all that came before is in the ledger."""
    teacher = QueueTeacher({"passage 30": [TeacherError("expired", kind="http 401")]})
    with pytest.raises(FatalTeacherError, match="expired"):
        annotate(passages(make_passage, 500), teacher, ledger, pace(concurrency=4), Progress())
    answered = [text for text in teacher.asked if ledger.has(teacher.question(text).key)]
    assert 25 <= len(answered) < 100
    assert len(ledger) == len(answered)


def test_an_endpoint_that_was_never_there_is_fatal_soon(ledger: Ledger, make_passage: MakePassage) -> None:
    """Not after six waits for each of sixteen thousand passages."""
    gone = TeacherError("cannot reach http://127.0.0.1:1", kind="connection")
    teacher = QueueTeacher({"passage 0": [gone] * 10})
    teacher.probes.extend([gone] * 100)
    with pytest.raises(FatalTeacherError, match="cannot reach"):
        annotate(passages(make_passage, 50), teacher, ledger, pace(), Progress())
    assert teacher.asked == {"passage 0": 3}
    assert 1 < teacher.probed < 20


def test_an_endpoint_that_goes_away_is_waited_for(ledger: Ledger, make_passage: MakePassage) -> None:
    """Nobody asks while it is down, it is said, no passage loses a try by it, and the run goes on by itself."""
    gone = TeacherError("cannot reach it", kind="connection")
    teacher, progress = Outage(gone), Counting()
    annotate(passages(make_passage, 300), teacher, ledger, pace(concurrency=8, max_retries=1), progress)
    assert len(ledger) == 300
    assert teacher.probed == 6
    assert teacher.asked.total() - 300 <= 2 * 8
    assert not [kind for kind in progress.counts if kind.startswith("gave up")]
    assert any("the endpoint is down (connection)" in line for line in progress.said)
    assert any("the endpoint is back" in line for line in progress.said)


def test_an_endpoint_that_stays_away_stops_the_run(ledger: Ledger, make_passage: MakePassage) -> None:
    """After an hour; what was answered is kept."""
    teacher = Outage(TeacherError("cannot reach it", kind="connection"), probes=10_000)
    brief = replace(PATIENCE, outage=0.02)
    with pytest.raises(FatalTeacherError, match="run the same command again later"):
        annotate(passages(make_passage, 300), teacher, ledger, pace(concurrency=3, patience=brief), Progress())
    assert len(ledger) >= 100


def test_a_tail_of_hopeless_passages_ends(ledger: Ledger, make_passage: MakePassage) -> None:
    """Nothing but failures comes any more, yet the endpoint answers a probe: they are recorded, each with its tries."""
    hopeless: list[str | Exception] = [TeacherError("it breaks on this", kind="http 500")] * 99
    teacher = QueueTeacher({f"passage {i}": list(hopeless) for i in range(80, 100)})
    annotate(passages(make_passage, 100), teacher, ledger, pace(concurrency=8, max_retries=3), Progress())
    assert len(ledger) == 80
    assert {teacher.asked[f"passage {i}"] for i in range(80, 100)} == {4}
    assert all(ledger.failure(teacher.question(f"passage {i}").key) for i in range(80, 100))


def test_an_empty_answer_is_asked_for_once_more(ledger: Ledger, make_passage: MakePassage) -> None:
    """The second is kept as it is; one that is empty for a reason is kept at once."""
    teacher = QueueTeacher({"passage 1": ["", "[1]"], "passage 2": ["", ""]})
    annotate(passages(make_passage, 4), teacher, ledger, pace(), Progress())
    replies = [ledger.get(teacher.question(f"passage {i}").key) for i in range(4)]
    assert [reply and reply.reply for reply in replies] == ["[]", "[1]", "", "[]"]
    assert [teacher.asked[f"passage {i}"] for i in range(4)] == [1, 2, 2, 1]


def test_a_full_disk_stops_the_run(make_passage: MakePassage, tmp_path: Path) -> None:
    """The error is the ledger's own, and what was written before stays."""
    with Ledger(tmp_path / "l.sqlite") as ledger:
        ledger._db.execute("PRAGMA max_page_count=12")
        scripts: dict[str, list[str | Exception]] = {f"passage {i}": ["Đ" * 3000] for i in range(200)}
        with pytest.raises(RunDirError, match="free some space"):
            annotate(passages(make_passage, 200), QueueTeacher(scripts), ledger, pace(concurrency=1), Progress())
        kept = len(ledger)
        ledger._db.execute("PRAGMA max_page_count=100000")
        annotate(passages(make_passage, 200), QueueTeacher(scripts), ledger, pace(), Progress())
        assert kept < 200
        assert len(ledger) == 200


def test_passages_are_read_as_needed(ledger: Ledger, make_passage: MakePassage) -> None:
    """Never more ahead than the queue and the workers hold: memory does not grow with the source."""
    teacher = QueueTeacher()
    read = 0

    def stream() -> Iterator[Passage]:
        nonlocal read
        for passage in passages(make_passage, 400):
            read += 1
            assert read - teacher.asked.total() <= 3 * 4 + 2
            yield passage

    annotate(stream(), teacher, ledger, pace(concurrency=4), Progress())
    assert read == 400


@pytest.mark.slow
def test_those_that_wait_to_try_again_are_bounded(ledger: Ledger, make_passage: MakePassage) -> None:
    """Others are asked meanwhile, but not all there are: each that waits takes memory."""
    most = 0

    class Failing(QueueTeacher):
        async def ask(self, question: Question) -> Reply:
            nonlocal most
            most = max(most, len(self.asked) - len(ledger))
            return await super().ask(question)

    error = TeacherError("cut", kind="malformed answer", retry_after=0.05)
    teacher = Failing({f"passage {index}": [error] for index in range(1, 100)})
    annotate(passages(make_passage, 100), teacher, ledger, pace(concurrency=4, waiting=10), Progress())
    assert len(ledger) == 100
    assert 10 <= most <= 10 + 4


def test_no_more_than_the_requests_in_flight_can_be_lost(ledger: Ledger, make_passage: MakePassage) -> None:
    """At any moment, what was asked and is not written is at most one question a place, with tries in wait."""
    at_risk = []

    class Watched(QueueTeacher):
        async def ask(self, question: Question) -> Reply:
            at_risk.append(self.in_flight + 1 + self.answered - len(ledger))
            reply = await super().ask(question)
            self.answered += 1
            return reply

    cut = TeacherError("cut", kind="malformed answer", retry_after=0.0)
    teacher = Watched({f"passage {index}": [cut] for index in range(1, 200, 3)})
    annotate(passages(make_passage, 200), teacher, ledger, pace(concurrency=6), Progress())
    assert max(at_risk) == 6


class Together(QueueTeacher):
    """After the first answer, gives as many as ``crowd`` in one turn of the event loop."""

    def __init__(self, crowd: int, scripts: dict[str, list[str | Exception]] | None = None) -> None:
        super().__init__(scripts)
        self.crowd, self.arrived = crowd, asyncio.Event()

    async def ask(self, question: Question) -> Reply:
        reply = await super().ask(question)
        if self.asked.total() > 1:
            self.answered += 1
            arrived = self.arrived
            if self.answered % self.crowd == 0:
                self.arrived = asyncio.Event()
                asyncio.get_running_loop().call_soon(arrived.set)
            await arrived.wait()
        if reply.text == "fatal":
            raise TeacherError("expired", kind="http 401")
        return reply


def test_answers_of_one_turn_share_a_transaction(ledger: Ledger, make_passage: MakePassage) -> None:
    """And each of them is written once."""
    written: list[int] = []

    class Watched(Ledger):
        def append(self, completions: Sequence[Completion]) -> None:
            written.append(len(completions))
            super().append(completions)

    with Watched(ledger.path) as watched:
        annotate(passages(make_passage, 1 + 4 * 5), Together(5), watched, pace(concurrency=5), Progress())
    assert written == [1, 5, 5, 5, 5]
    assert len(ledger) == 21


def test_an_answer_beside_a_fatal_one_is_kept(ledger: Ledger, make_passage: MakePassage) -> None:
    """Although its worker is cancelled before it could write."""
    teacher = Together(6, {"passage 1": ["fatal"]})
    with pytest.raises(FatalTeacherError, match="expired"):
        annotate(passages(make_passage, 50), teacher, ledger, pace(concurrency=6), Progress())
    assert len(ledger) == 6


def test_nothing_to_do_asks_nothing(ledger: Ledger) -> None:
    """No passages, no question."""
    teacher = QueueTeacher()
    annotate([], teacher, ledger, pace(), Progress())
    assert not teacher.asked


def test_an_error_in_the_source_of_passages_keeps_the_answers(ledger: Ledger, make_passage: MakePassage) -> None:
    """What was answered before it is written."""

    def broken() -> Iterator[Passage]:
        yield from passages(make_passage, 40)
        raise RunDirError("passages.parquet is damaged")

    with pytest.raises(RunDirError, match="damaged"):
        annotate(broken(), QueueTeacher(), ledger, pace(concurrency=2), Progress())
    assert len(ledger) >= 30


def test_the_garbage_collector_is_left_as_it_was(ledger: Ledger, make_passage: MakePassage) -> None:
    """It waits for more objects while questions are asked, and only then."""
    seen = []

    class Watched(QueueTeacher):
        async def ask(self, question: Question) -> Reply:
            seen.append(gc.get_threshold())
            return await super().ask(question)

    young, *older = before = gc.get_threshold()
    annotate(passages(make_passage, 2), Watched(), ledger, Pace(), Progress())
    assert set(seen) == {(10 * young, *older)}
    assert gc.get_threshold() == before


@pytest.mark.slow
def test_limits_hold_back(ledger: Ledger, make_passage: MakePassage) -> None:
    """With a window of 0.2 s and 5 requests in it, no window sees more."""
    times: list[float] = []

    class Timed(QueueTeacher):
        async def ask(self, question: Question) -> Any:
            times.append(time.monotonic())
            return await super().ask(question)

    annotate(
        passages(make_passage, 14),
        Timed(),
        ledger,
        pace(concurrency=14, rpm=5, window=0.2),
        Progress(),
    )
    assert len(ledger) == 14
    assert all(later - first > 0.19 for first, later in zip(times, times[5:], strict=False))
