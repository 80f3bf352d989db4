"""The ledger: answers are durable, found by content, and never changed."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.errors import RunDirError
from annotator.ledger import Failure, SqliteLedger, request_key
from annotator.records import Completion

ANSWER = Completion("k1", "p1", '[["Hà Nội", "city"]]', "stop", 100, 12, 0.5, 1.0)


def test_an_answer_is_there_after_reopening(tmp_path: Path) -> None:
    """An answer with all its fields is read back after reopening."""
    with SqliteLedger(tmp_path / "l.sqlite") as ledger:
        ledger.append([ANSWER])
    with SqliteLedger(tmp_path / "l.sqlite") as ledger:
        assert ledger.get("k1") == ANSWER
        assert ledger.has("k1")
        assert not ledger.has("k2")
        assert ledger.get("k2") is None
        assert len(ledger) == 1


def test_a_ledger_in_a_folder_of_others_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the folder cannot be written, answers are read and nothing is written, not even SQLite's own files."""
    with SqliteLedger(tmp_path / "l.sqlite") as ledger:
        ledger.append([ANSWER])
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # the tests may run as root, who may write anywhere
    with SqliteLedger(tmp_path / "l.sqlite") as ledger:
        assert ledger.get("k1") == ANSWER
        assert [path.name for path in tmp_path.iterdir()] == ["l.sqlite"]
        with pytest.raises(RunDirError, match="readonly database"):
            ledger.append([replace(ANSWER, key="k2")])


def test_an_answer_is_never_replaced(tmp_path: Path) -> None:
    """A second answer to the same question is ignored."""
    with SqliteLedger(tmp_path / "l.sqlite") as ledger:
        ledger.append([ANSWER])
        ledger.append([replace(ANSWER, reply="other")])
        assert ledger.get("k1") == ANSWER


def test_token_probabilities_have_a_table_of_their_own(tmp_path: Path) -> None:
    """The table for token probabilities is created with the first, so that older versions can read the ledger."""
    given = replace(ANSWER, key="k2", logprobs="12 2:412 30")
    with SqliteLedger(tmp_path / "l.sqlite") as ledger:
        ledger.append([ANSWER])
        with sqlite3.connect(tmp_path / "l.sqlite") as db:
            assert {name for (name,) in db.execute("SELECT name FROM sqlite_master")} == {"completions", "failures"}
    with SqliteLedger(tmp_path / "l.sqlite") as ledger:
        ledger.append([given])
        ledger.append([replace(ANSWER, key="k3"), replace(given, key="k4")])
        assert ledger.get("k2") == given
    with SqliteLedger(tmp_path / "l.sqlite") as ledger:
        assert [one.logprobs for part in ledger.batches(3) for one in part] == ["", given.logprobs, "", given.logprobs]
        assert len(ledger) == 4


def test_a_failure_is_deleted_when_the_answer_comes(tmp_path: Path) -> None:
    """Only the newest failure of a question is kept, and its answer deletes it."""
    with SqliteLedger(tmp_path / "l.sqlite") as ledger:
        ledger.record_failures([Failure("k1", "p1", "timeout", "a")])
        ledger.record_failures([Failure("k1", "p1", "http 503", "b")])
        assert ledger.failure("k1") == Failure("k1", "p1", "http 503", "b")
    with SqliteLedger(tmp_path / "l.sqlite") as ledger:  # another command
        ledger.append([ANSWER])
        assert ledger.failure("k1") is None


def test_an_answer_survives_a_killed_process(tmp_path: Path) -> None:
    """Another connection sees an answer although the first was never closed."""
    first = SqliteLedger(tmp_path / "l.sqlite")
    first.append([ANSWER])
    with SqliteLedger(tmp_path / "l.sqlite") as second:
        assert second.get("k1") == ANSWER
    first.close()


def test_foreign_and_damaged_files_are_named(tmp_path: Path) -> None:
    """Foreign, damaged and newer files are one-line errors."""
    foreign = tmp_path / "foreign.sqlite"
    with sqlite3.connect(foreign) as db:
        db.execute("CREATE TABLE t (x)")
    db.close()
    with pytest.raises(RunDirError, match="not a ledger of vner-annotate"):
        SqliteLedger(foreign)

    torn = tmp_path / "torn.sqlite"
    torn.write_bytes(b"this is no database, and longer than one header of SQLite " * 100)
    with pytest.raises(RunDirError, match="damaged or not a ledger"):
        SqliteLedger(torn)

    newer = tmp_path / "newer.sqlite"
    SqliteLedger(newer).close()
    with sqlite3.connect(newer) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(RunDirError, match="newer vner-annotate"):
        SqliteLedger(newer)

    with pytest.raises(RunDirError, match="cannot use the ledger"):
        SqliteLedger(tmp_path / "missing" / "l.sqlite")


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """A transaction that does not fit is rolled back; earlier answers stay, and it works when there is room."""
    with SqliteLedger(tmp_path / "l.sqlite") as ledger:
        ledger.append([ANSWER])
        (pages,) = ledger._db.execute("PRAGMA page_count").fetchone()
        ledger._db.execute(f"PRAGMA max_page_count={pages + 1}")  # SQLite's limit acts like a full disk
        large = [replace(ANSWER, key=f"x{i}", reply="Đ" * 5000) for i in range(50)]
        with pytest.raises(RunDirError, match="free some space"):
            ledger.append(large)
        assert len(ledger) == 1
        ledger._db.execute("PRAGMA max_page_count=100000")
        ledger.append(large)
        assert len(ledger) == 51


@given(st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.booleans(), st.none()), max_size=5))
def test_the_key_is_a_function_of_content_alone(content: dict[str, object]) -> None:
    """The key does not depend on the order of names, but on every value."""
    key = request_key(content)
    assert key == request_key(dict(reversed(content.items())))
    assert key != request_key({**content, "one more": 1})


def test_the_key_of_a_known_question() -> None:
    """The key is pinned: another value would lose every paid answer."""
    content = {"model": "m", "messages": [{"role": "user", "content": "Đà Nẵng"}], "temperature": 0}
    assert request_key(content) == "907a965884825df0cbb97094ff96475053ef81f00c392b0f234050954dc77a2c"


def test_recent_requests_count_against_the_limits(tmp_path: Path) -> None:
    """``since`` returns recent requests of other commands, without those of batches."""
    with SqliteLedger(tmp_path / "l.sqlite") as ledger:
        rows = [("a", 0.5, 50.0), ("b", 0.5, 90.0), ("c", 0.0, 95.0), ("d", 0.5, 70.0)]
        ledger.append([Completion(key, "p", "[]", "stop", 10, 5, latency, when) for key, latency, when in rows])
        assert ledger.since(60.0) == [(70.0, 15), (90.0, 15)]
        assert ledger.known(["a", "d", "x"]) == {"a", "d"}
