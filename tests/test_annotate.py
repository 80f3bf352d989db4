"""The worker pool: every passage is answered or recorded, and none is asked twice, whatever the teacher does."""

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
from annotator.ledger import Ledger, SqliteLedger
from annotator.records import Completion, Passage
from annotator.teachers import Question, Reply, Teacher, make_question, questions_about
from annotator.terminal.events import Progress

MakePassage = Callable[..., Passage]
PATIENCE = Patience(between_tries=0.01, first_probe_wait=0.001, longest_probe_wait=0.01, give_up_at_start=0.02)


def pace(**settings: Any) -> Pace:
    """Return a pace with short waits."""
    return Pace(**{"patience": PATIENCE, **settings})


class QueueTeacher:
    """Has a queue of answers for each passage: exceptions are raised, texts are returned; then ``[]``."""

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
    """Fails after 100 answers, until some probes have failed."""

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
    """Records the progress and the messages."""

    def __init__(self) -> None:
        self.done = 0
        self.counts: Counter[str] = Counter()
        self.messages: list[str] = []

    def say(self, message: str) -> None:
        self.messages.append(message)

    def advance(self, done: int = 1) -> None:
        self.done += done

    def count(self, kind: str, number: int = 1) -> None:
        self.counts[kind] += number


def passages(make: MakePassage, number: int) -> list[Passage]:
    return [make(f"passage {i}", f"p{i}") for i in range(number)]


def annotate(passages: Iterable[Passage], teacher: Teacher, ledger: Ledger, pace: Pace, progress: Progress) -> None:
    """Ask ``teacher`` about each of ``passages``."""
    ask_all(questions_about(passages, teacher), teacher, ledger, pace, progress)


def test_all_are_answered_and_counted(ledger: Ledger, make_passage: MakePassage) -> None:
    """Far more passages than workers are all answered, with all workers in use and never more."""
    teacher, progress = QueueTeacher(), Counting()
    annotate(passages(make_passage, 300), teacher, ledger, pace(concurrency=7), progress)
    assert len(ledger) == progress.done == 300
    assert set(teacher.asked.values()) == {1}
    assert teacher.most_in_flight == 7
    assert progress.counts == {"tokens": 300 * 15}
    assert teacher.closed


def test_what_is_answered_is_not_asked_again(ledger: Ledger, make_passage: MakePassage) -> None:
    """A second run asks only the missing questions; passages with the same text are one question."""
    annotate(passages(make_passage, 5), QueueTeacher(), ledger, pace(), Progress())
    teacher, progress = QueueTeacher(), Counting()
    again = [*passages(make_passage, 8), make_passage("passage 7", "twin")]
    annotate(again, teacher, ledger, pace(), progress)
    assert teacher.asked == {"passage 5": 1, "passage 6": 1, "passage 7": 1}
    assert progress.done == 9


def test_transient_failures_are_tried_again(ledger: Ledger, make_passage: MakePassage) -> None:
    """Transient failures are retried, and each is counted by kind."""
    busy = TeacherError("busy", kind="http 503")
    teacher, progress = QueueTeacher({"passage 2": [busy, busy, "[]"]}), Counting()
    annotate(passages(make_passage, 4), teacher, ledger, pace(max_retries=2), progress)
    assert len(ledger) == 4
    assert teacher.asked["passage 2"] == 3
    assert progress.counts["http 503"] == 2


def test_a_passage_that_keeps_failing_is_recorded(ledger: Ledger, make_passage: MakePassage) -> None:
    """A passage that keeps failing is recorded with the cause; the others are answered; a later call asks again."""
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


def test_a_429_does_not_count_as_a_try(ledger: Ledger, make_passage: MakePassage) -> None:
    """A 429 never counts as a try, and the wait is the requested one."""
    later = TeacherError("slow down", kind="http 429", retry_after=0.001)
    teacher = QueueTeacher({"passage 0": [later] * 20})
    annotate(passages(make_passage, 3), teacher, ledger, pace(max_retries=0), Progress())
    assert len(ledger) == 3
    assert teacher.asked["passage 0"] == 21


def test_a_fatal_first_answer_stops_before_anything_more_is_asked(ledger: Ledger, make_passage: MakePassage) -> None:
    """A wrong key costs one request, not one for each passage."""
    teacher = QueueTeacher({"passage 0": [TeacherError("no such key", kind="http 401")]})
    with pytest.raises(FatalTeacherError, match="no such key"):
        annotate(passages(make_passage, 50), teacher, ledger, pace(), Progress())
    assert teacher.asked.total() == 1
    assert teacher.closed


def test_a_fatal_answer_later_keeps_what_was_answered(ledger: Ledger, make_passage: MakePassage) -> None:
    """A key that expires midway stops the run; all earlier answers are in the ledger."""
    teacher = QueueTeacher({"passage 30": [TeacherError("expired", kind="http 401")]})
    with pytest.raises(FatalTeacherError, match="expired"):
        annotate(passages(make_passage, 500), teacher, ledger, pace(concurrency=4), Progress())
    answered = [text for text in teacher.asked if ledger.has(teacher.question(text).key)]
    assert 25 <= len(answered) < 100
    assert len(ledger) == len(answered)


def test_an_endpoint_that_never_answered_is_fatal_soon(ledger: Ledger, make_passage: MakePassage) -> None:
    """An endpoint that never answered stops the run after a few probes, not after retries of each passage."""
    gone = TeacherError("cannot reach http://127.0.0.1:1", kind="connection")
    teacher = QueueTeacher({"passage 0": [gone] * 10})
    teacher.probes.extend([gone] * 100)
    with pytest.raises(FatalTeacherError, match="cannot reach"):
        annotate(passages(make_passage, 50), teacher, ledger, pace(), Progress())
    assert teacher.asked == {"passage 0": 3}
    assert 1 < teacher.probed < 20


def test_an_outage_is_waited_out(ledger: Ledger, make_passage: MakePassage) -> None:
    """An outage is reported, pauses all workers, costs no tries, and the run continues by itself."""
    gone = TeacherError("cannot reach it", kind="connection")
    teacher, progress = Outage(gone), Counting()
    annotate(passages(make_passage, 300), teacher, ledger, pace(concurrency=8, max_retries=1), progress)
    assert len(ledger) == 300
    assert teacher.probed == 6
    assert teacher.asked.total() - 300 <= 2 * 8
    assert not [kind for kind in progress.counts if kind.startswith("gave up")]
    assert any("the endpoint is down (connection)" in line for line in progress.messages)
    assert any("the endpoint is back" in line for line in progress.messages)


def test_a_long_outage_stops_the_run(ledger: Ledger, make_passage: MakePassage) -> None:
    """An outage longer than the limit stops the run; the answers are kept."""
    teacher = Outage(TeacherError("cannot reach it", kind="connection"), probes=10_000)
    brief = replace(PATIENCE, give_up_after=0.02)
    with pytest.raises(FatalTeacherError, match="run the same command again later"):
        annotate(passages(make_passage, 300), teacher, ledger, pace(concurrency=3, patience=brief), Progress())
    assert len(ledger) >= 100


def test_passages_that_always_fail_are_recorded(ledger: Ledger, make_passage: MakePassage) -> None:
    """If all remaining passages fail while probes succeed, each is recorded after its tries."""
    hopeless: list[str | Exception] = [TeacherError("it breaks on this", kind="http 500")] * 99
    teacher = QueueTeacher({f"passage {i}": list(hopeless) for i in range(80, 100)})
    annotate(passages(make_passage, 100), teacher, ledger, pace(concurrency=8, max_retries=3), Progress())
    assert len(ledger) == 80
    assert {teacher.asked[f"passage {i}"] for i in range(80, 100)} == {4}
    assert all(ledger.failure(teacher.question(f"passage {i}").key) for i in range(80, 100))


def test_an_empty_answer_is_asked_for_once_more(ledger: Ledger, make_passage: MakePassage) -> None:
    """An empty answer is asked for once more, and the second answer is kept."""
    teacher = QueueTeacher({"passage 1": ["", "[1]"], "passage 2": ["", ""]})
    annotate(passages(make_passage, 4), teacher, ledger, pace(), Progress())
    replies = [ledger.get(teacher.question(f"passage {i}").key) for i in range(4)]
    assert [reply and reply.reply for reply in replies] == ["[]", "[1]", "", "[]"]
    assert [teacher.asked[f"passage {i}"] for i in range(4)] == [1, 2, 2, 1]


def test_a_full_disk_stops_the_run(make_passage: MakePassage, tmp_path: Path) -> None:
    """A full disk stops the run with the ledger's error; the answers so far are kept."""
    with SqliteLedger(tmp_path / "l.sqlite") as ledger:
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
    """Passages are read only as far as queue and workers need, so memory does not grow with the source."""
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
def test_questions_that_wait_for_a_retry_are_bounded(ledger: Ledger, make_passage: MakePassage) -> None:
    """While questions wait for a retry others are asked, up to a limit, since each takes memory."""
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
    """At any moment, each worker has at most one answer that is not yet written."""
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
    """After the first answer, gives ``crowd`` answers in one turn of the event loop."""

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
    """Answers of one turn of the event loop are written in one transaction, each once."""
    written: list[int] = []

    class Watched(SqliteLedger):
        def append(self, completions: Sequence[Completion]) -> None:
            written.append(len(completions))
            super().append(completions)

    with Watched(ledger.path) as watched:
        annotate(passages(make_passage, 1 + 4 * 5), Together(5), watched, pace(concurrency=5), Progress())
    assert written == [1, 5, 5, 5, 5]
    assert len(ledger) == 21


def test_an_answer_beside_a_fatal_one_is_kept(ledger: Ledger, make_passage: MakePassage) -> None:
    """An answer that arrives with a fatal one is written, although its worker is cancelled."""
    teacher = Together(6, {"passage 1": ["fatal"]})
    with pytest.raises(FatalTeacherError, match="expired"):
        annotate(passages(make_passage, 50), teacher, ledger, pace(concurrency=6), Progress())
    assert len(ledger) == 6


@pytest.mark.parametrize("kind", ["http 401", "http 429"])
def test_a_run_that_stops_waits_for_the_requests_in_flight(
    ledger: Ledger, make_passage: MakePassage, kind: str
) -> None:
    """A run that stops keeps the answers in flight, which are paid for, and asks nothing more."""
    refused, at_once = asyncio.Event(), 6

    class Slow(QueueTeacher):
        async def ask(self, question: Question) -> Reply:
            reply = await super().ask(question)
            if self.asked.total() > 1:
                self.answered += 1
                if self.answered == at_once:
                    refused.set()
                    raise TeacherError("no more today", kind=kind, retry_after=7200.0)
                await refused.wait()
                await asyncio.sleep(0.05)
            return reply

    teacher = Slow()
    with pytest.raises(TeacherError, match="no more today"):
        annotate(passages(make_passage, 50), teacher, ledger, pace(concurrency=at_once), Progress())
    assert teacher.asked.total() == 1 + at_once
    assert len(ledger) == at_once


def test_the_error_that_stops_a_run_is_reported(ledger: Ledger, make_passage: MakePassage) -> None:
    """A request in flight that fails later does not replace the error: a limit would hide a wrong key."""
    revoked = asyncio.Event()

    class Failing(QueueTeacher):
        async def ask(self, question: Question) -> Reply:
            reply = await super().ask(question)
            if question.content["passage"] == "passage 1":
                revoked.set()
                raise TeacherError("key revoked", kind="http 401")
            if question.content["passage"] == "passage 2":
                await revoked.wait()
                await asyncio.sleep(0.05)
                raise TeacherError("no more today", kind="http 429", retry_after=7200.0)
            return reply

    with pytest.raises(FatalTeacherError, match="key revoked"):
        annotate(passages(make_passage, 3), Failing(), ledger, pace(concurrency=2), Progress())


def test_a_damaged_source_keeps_the_answers_in_flight(ledger: Ledger, make_passage: MakePassage) -> None:
    """Questions asked before the damage is found are answered and their answers kept."""

    def broken() -> Iterator[Passage]:
        yield from passages(make_passage, 7)
        raise RunDirError("passages.parquet is damaged")

    teacher = QueueTeacher()
    with pytest.raises(RunDirError, match="damaged"):
        annotate(broken(), teacher, ledger, pace(concurrency=6), Progress())
    assert len(ledger) == teacher.asked.total() > 1


def test_nothing_to_do_asks_nothing(ledger: Ledger) -> None:
    """Without passages there is no request."""
    teacher = QueueTeacher()
    annotate([], teacher, ledger, pace(), Progress())
    assert not teacher.asked


def test_an_error_in_the_source_of_passages_keeps_the_answers(ledger: Ledger, make_passage: MakePassage) -> None:
    """An error of the source of passages stops the run; the answers so far are written."""

    def broken() -> Iterator[Passage]:
        yield from passages(make_passage, 40)
        raise RunDirError("passages.parquet is damaged")

    with pytest.raises(RunDirError, match="damaged"):
        annotate(broken(), QueueTeacher(), ledger, pace(concurrency=2), Progress())
    assert len(ledger) >= 30


def test_the_garbage_collector_is_restored(ledger: Ledger, make_passage: MakePassage) -> None:
    """The garbage collector's threshold is raised while questions are asked, and restored."""
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
def test_the_rate_limit_holds(ledger: Ledger, make_passage: MakePassage) -> None:
    """With a limit of 5 requests in 0.2 s, no window has more."""
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
