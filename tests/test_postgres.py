"""The ledger in PostgreSQL: the same rows as in SQLite, for several processes, over connections that may fail."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from annotator.cluster import postgres
from annotator.cluster.postgres import PostgresLedger
from annotator.config.addresses import without_password
from annotator.config.settings import RunConfig, make_config
from annotator.errors import ConfigError, RunDirError
from annotator.ledger import Attempt, Failure, Ledger, SqliteLedger
from annotator.records import Completion
from tests.commands import asking, build, fingerprints, must_succeed, vner, vner_process, wait_for
from tests.endpoint import Endpoint, delayed
from tests.postgres import PASSWORD, Server

pytestmark = pytest.mark.slow

CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'vner-annotate'"
ANSWER = Completion("k1", "p1", '[["Hà Nội", "city"], "\0🙂"]', "stop", 100, 12, 0.1, 1763887000.123456)


@pytest.fixture(params=["file", "database"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Ledger]]:
    """Yield a function that opens the same ledger each time, in SQLite and in PostgreSQL."""
    if request.param == "file":
        yield lambda: SqliteLedger(tmp_path / "l.sqlite")
    else:
        address = request.getfixturevalue("database")
        yield lambda: PostgresLedger(address)


def test_both_ledgers_behave_alike(opened: Callable[[], Ledger]) -> None:
    """Both ledgers store values exactly, never replace an answer, and delete a failure when its answer comes."""
    with opened() as ledger:
        ledger.record_failures([Failure("k1", "p1", "timeout", "a"), Failure("k2", "p2", "http 400", "ngắn")])
        ledger.record_failures([Failure("k1", "p1", "http 503", "b")])
        assert ledger.failure("k1") == Failure("k1", "p1", "http 503", "b")
        ledger.append([ANSWER])
        ledger.append([replace(ANSWER, reply="other"), replace(ANSWER, key="k3")])
        ledger.append([])
        assert ledger.get("k4") is None
        ledger.append([replace(ANSWER, key="k4", logprobs="12 2:412 30"), replace(ANSWER, key="k5")])
        assert list(ledger.attempts()) == []
        ledger.keep_attempt(attempt := Attempt("k4", "p4", "empty answer", '{"choices": []}', 1763887000.5))
        ledger.flush()
        ledger.flush()
    with opened() as ledger:
        assert list(ledger.attempts()) == [attempt]
        assert ledger.get("k1") == ANSWER
        assert ledger.find(["k3", "k1", "k9"]) == {"k1": ANSWER, "k3": replace(ANSWER, key="k3")}
        assert (ledger.has("k1"), ledger.has("k2"), ledger.get("k2")) == (True, False, None)
        assert (ledger.failure("k1"), ledger.failure("k2")) == (None, Failure("k2", "p2", "http 400", "ngắn"))
        assert ledger.find(["k4", "k5"]) == {
            "k4": replace(ANSWER, key="k4", logprobs="12 2:412 30"), "k5": replace(ANSWER, key="k5")
        }  # fmt: skip
        assert len(ledger) == 4


def test_a_ledger_of_an_older_version_continues(database: str) -> None:
    """A ledger without the tables for attempts and token probabilities gets them and keeps its answers."""
    with PostgresLedger(database) as ledger:
        ledger.append([ANSWER])
    with psycopg.connect(database) as db:
        db.execute("DROP TABLE vner_attempts, vner_logprobs")
    with PostgresLedger(database) as ledger:
        assert (ledger.get("k1"), list(ledger.attempts())) == (ANSWER, [])
        ledger.append([replace(ANSWER, key="k2", logprobs="1 2:3")])
        assert ledger.get("k2") == replace(ANSWER, key="k2", logprobs="1 2:3")


def test_writes_are_visible_at_once_and_durable_after_flush(database: str) -> None:
    """Other connections see an answer at once; ``flush`` waits for the server's log."""
    with PostgresLedger(database) as first, PostgresLedger(database) as second:
        first.append([ANSWER])
        assert second.get("k1") == ANSWER
        with psycopg.connect(database) as db:
            (written,) = db.execute("SELECT pg_current_wal_insert_lsn()").fetchone() or ()
            first.flush()
            (there,) = db.execute("SELECT pg_current_wal_flush_lsn() >= %s", [written]).fetchone() or ()
        assert there


def test_threads_take_turns(database: str) -> None:
    """A thread that flushes and one that writes do not disturb each other."""
    over, errors = threading.Event(), list[BaseException]()

    def again_and_again(work: Callable[[], None]) -> None:
        while not over.is_set():
            try:
                work()
            except Exception as error:
                errors.append(error)
                return

    with PostgresLedger(database, alone=True) as ledger:
        threads = [threading.Thread(target=again_and_again, args=(ledger.flush,))]
        for thread in threads:
            thread.start()
        try:
            for number in range(0, 300, 3):
                ledger.append([replace(ANSWER, key=f"k{number}")])
                ledger.append([replace(ANSWER, key=f"k{number + 1}"), replace(ANSWER, key=f"k{number + 2}")])
                ledger.record_failures([Failure(f"f{number}", "p", "timeout", "a")])
                assert ledger.has(f"k{number}")
        finally:
            over.set()
            for thread in threads:
                thread.join()
        assert errors == []
        assert len(ledger) == 300
        with PostgresLedger(database) as other:
            assert set(other.find(f"k{number}" for number in range(300))) == {f"k{number}" for number in range(300)}
            assert all(other.failure(f"f{number}") for number in range(0, 300, 3))


def test_a_closed_ledger_stays_closed(database: str) -> None:
    """A closed ledger refuses work instead of opening a connection that would hold the lock."""
    ledger = PostgresLedger(database, alone=True)
    ledger.append([ANSWER])
    ledger.close()
    with pytest.raises(RunDirError, match="closed"):
        ledger.flush()
    PostgresLedger(database, alone=True).close()


def test_a_failed_flush_is_repeated(database: str, postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flush that failed is repeated by the next one."""
    monkeypatch.setattr("annotator.cluster.postgres.RECONNECT", 0.3)
    with PostgresLedger(database) as ledger:
        ledger.append([ANSWER])
        postgres.stop("fast")
        try:
            for _ in range(2):
                with pytest.raises(RunDirError, match="the same command continues"):
                    ledger.flush()
        finally:
            postgres.start()
        ledger.flush()
        assert ledger.get("k1") == ANSWER


def test_a_crash_of_the_server_keeps_what_was_flushed(database: str, postgres: Server) -> None:
    """After a crash of the server the ledger reconnects, has every answer once, and holds its lock."""
    with PostgresLedger(database, alone=True) as ledger:
        ledger.append([ANSWER])
        ledger.flush()
        postgres.stop()
        back = threading.Timer(0.5, postgres.start)
        back.start()
        ledger.append([ANSWER, replace(ANSWER, key="k2")])
        back.join()
        assert set(ledger.find(["k1", "k2"])) == {"k1", "k2"}
        with pytest.raises(RunDirError, match="another run"):  # the lock is held again
            postgres_alone_at_once(database)


def postgres_alone_at_once(database: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres, "LOCK_TIMEOUT", 0.05)
        PostgresLedger(database, alone=True).close()


def test_an_unreachable_server_is_one_line(database: str, postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not come back is a one-line error with its address, without the password."""
    monkeypatch.setattr("annotator.cluster.postgres.RECONNECT", 0.3)
    with PostgresLedger(database) as ledger:
        postgres.stop()
        try:
            with pytest.raises(RunDirError, match="the same command continues") as caught:
                ledger.append([ANSWER])
        finally:
            postgres.start()
    assert database in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unusable_ledger_is_an_error(
    database: str, postgres: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A newer version, another encoding, a missing database, a wrong password and no server are errors."""
    PostgresLedger(database).close()
    with psycopg.connect(database) as db:
        db.execute("UPDATE vner_ledger SET version = 99")
    with pytest.raises(RunDirError, match="newer vner-annotate"):
        PostgresLedger(database)
    with pytest.raises(RunDirError, match="has the encoding LATIN1"):
        PostgresLedger(postgres.latin())
    with pytest.raises(RunDirError, match="does not exist"):
        PostgresLedger(postgres.address("nowhere"))
    with pytest.raises(RunDirError, match=r"cannot use the ledger postgresql://127\.0\.0\.1:1/x"):
        PostgresLedger("postgresql://127.0.0.1:1/x")
    monkeypatch.setenv("PGPASSWORD", "wrong")
    with pytest.raises(RunDirError, match="password authentication failed") as caught:
        PostgresLedger(postgres.address("postgres"))
    assert "\n" not in str(caught.value)


def test_one_run_has_the_ledger_alone(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers and workers may open a ledger in use; a second run is refused until the first ends."""
    monkeypatch.setattr(postgres, "LOCK_TIMEOUT", 0.2)
    program = (
        "import sys, time; from annotator.cluster.postgres import PostgresLedger\n"
        "held = PostgresLedger(sys.argv[1], alone=True); print('alone', flush=True); time.sleep(60)"
    )
    first = subprocess.Popen([sys.executable, "-c", program, database], stdout=subprocess.PIPE)
    assert first.stdout is not None
    assert first.stdout.readline() == b"alone\n"
    PostgresLedger(database).close()
    with pytest.raises(RunDirError, match="another run is using the ledger"):
        PostgresLedger(database, alone=True)
    first.send_signal(signal.SIGKILL)
    first.wait()
    first.stdout.close()
    monkeypatch.setattr(postgres, "LOCK_TIMEOUT", 30)
    PostgresLedger(database, alone=True).close()


def test_a_run_with_a_database_gives_the_same_files(database: str, endpoint: Endpoint, tmp_path: Path) -> None:
    """A database gives the same files as SQLite and the same reuse of answers."""
    build(endpoint, tmp_path / "file")
    asked = endpoint.asked.total()
    must_succeed(build(endpoint, tmp_path / "there", "--ledger", database))
    assert fingerprints(tmp_path / "there") == fingerprints(tmp_path / "file")
    assert not (tmp_path / "there" / "completions.sqlite").exists()
    assert endpoint.asked.total() == 2 * asked
    again = build(endpoint, tmp_path / "there", "--json")
    assert json.loads(again.stdout)["skipped"] == ["sample", "chunk", "annotate", "clean", "explode"]
    must_succeed(build(endpoint, tmp_path / "other", "--ledger", database))
    assert endpoint.asked.total() == 2 * asked  # answers are found by content, not by directory
    shown = vner("show", tmp_path / "there", "--json")
    assert json.loads(shown.stdout)["reply"]
    other = vner("build", "--out", tmp_path / "there", "--ledger", "")
    assert (other.exit_code, "are in postgresql://" in other.stderr) == (2, True)


def test_a_directory_moves_from_a_file_to_a_database(database: str, endpoint: Endpoint, tmp_path: Path) -> None:
    """A run moves from SQLite to a database with all answers, without a request."""
    build(endpoint, tmp_path / "run")
    asked, before = endpoint.asked.total(), fingerprints(tmp_path / "run")
    must_succeed(build(endpoint, tmp_path / "run", "--ledger", database, "--fresh"))
    assert endpoint.asked.total() == asked
    assert fingerprints(tmp_path / "run") == before
    with PostgresLedger(database) as there, SqliteLedger(tmp_path / "run" / "completions.sqlite") as file:
        assert len(there) == len(file) == asked


def test_the_password_is_written_nowhere(postgres: Server, endpoint: Endpoint, tmp_path: Path,
                                         monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """The password is in no file and no output; in the address on the command line it is refused."""
    address = postgres.database()
    whole = address.replace("vner@", f"vner:{PASSWORD}@")
    for wrong in (whole, f"{address}&password={PASSWORD}", "mysql://x"):
        refused = build(endpoint, tmp_path / "no", "--ledger", wrong)
        assert refused.exit_code == 2
        assert PASSWORD not in refused.output
    monkeypatch.setenv("VNER_LEDGER", whole)
    result = must_succeed(build(endpoint, tmp_path / "run"))
    assert PASSWORD not in result.output
    for path in (tmp_path / "run").rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes()
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["config"]["ledger"] == address
    assert json.loads(build(endpoint, tmp_path / "run", "--json").stdout)["skipped"]


@pytest.mark.parametrize(
    ("whole", "shown"),
    [
        ("", ""),
        ("postgresql://h/d", "postgresql://h/d"),
        ("postgresql://u:p:q@h:1/d?sslmode=require&password=x", "postgresql://u@h:1/d?sslmode=require"),
        ("postgresql:///d?host=/var/run&sslpassword=y", "postgresql:///d?host=%2Fvar%2Frun"),
    ],
)
def test_an_address_without_its_password(whole: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the password is removed from an address; the environment is used only as a default."""
    assert without_password(whole) == shown
    monkeypatch.setenv("VNER_LEDGER", whole)
    assert make_config().ledger == shown
    assert make_config({"ledger": ""}).ledger == ""


def test_an_invalid_address_is_refused() -> None:
    """An invalid --ledger is a configuration error."""
    with pytest.raises(ConfigError, match="--ledger needs postgresql://"):
        RunConfig(ledger="sqlite:///x")


def test_a_connection_lost_in_mid_run_loses_nothing(database: str, tmp_path: Path) -> None:
    """With all connections cut repeatedly during a run, each passage is asked once and no answer is lost."""
    with Endpoint(delayed(0.05)) as endpoint:
        process = vner_process("build", "sample", "--out", tmp_path / "run", *asking(endpoint), "--concurrency", 4,
                               "--ledger", database)  # fmt: skip
        with psycopg.connect(database, autocommit=True) as db:
            for many in (10, 40, 80):
                wait_for(lambda many=many: endpoint.asked.total() >= many)
                db.execute(CUT)
                time.sleep(0.01)
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors
        assert set(endpoint.asked.values()) == {1}
    with PostgresLedger(database) as ledger:
        assert len(ledger) == len(endpoint.asked)
