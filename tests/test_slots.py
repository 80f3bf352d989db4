"""A table on the disk is a table."""

from __future__ import annotations

import errno
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.errors import RunDirError
from annotator.storage import slots
from annotator.storage.slots import Slots

SIZE, WIDTH = 20, 3
ROW = st.lists(st.integers(0, 255), min_size=WIDTH, max_size=WIDTH)
WRITES = st.lists(st.lists(st.tuples(st.integers(0, SIZE - 1), ROW), max_size=8), max_size=8)


@given(WRITES)
def test_it_holds_what_an_array_would(writes: list[list[tuple[int, list[int]]]]) -> None:
    """Zeros to begin with; the last row that was put into a place."""
    table, expected = Slots(SIZE, WIDTH), np.zeros((SIZE, WIDTH), np.uint8)
    for batch in writes:
        places = np.array([place for place, _ in batch], np.uint64)
        table.put(places, np.array([row for _, row in batch], np.uint8).reshape(-1, WIDTH))
        for place, row in batch:
            expected[place] = row
        assert table.get(places).tolist() == expected[places].tolist()
    assert table.get(np.arange(SIZE, dtype=np.uint64)).tolist() == expected.tolist()


def test_a_disk_that_becomes_full_loses_nothing_unsaid() -> None:
    """The system may write a part of what it is given, and refuses only what comes next."""

    class Filling:
        """A file with room for four bytes."""

        def __init__(self) -> None:
            self.data = b""

        def seek(self, place: int) -> int:
            return place

        def write(self, data: memoryview) -> int:
            part = bytes(data[: 4 - len(self.data)])
            if not part:
                raise OSError(errno.ENOSPC, "No space left on device")
            self.data += part
            return len(part)

    table = Slots(SIZE, WIDTH)
    table._file = Filling()  # type: ignore[assignment]
    with pytest.raises(RunDirError, match="No space left on device"):
        table.put(np.array([0, 1], np.uint64), np.ones((2, WIDTH), np.uint8))
    assert table._file.data == b"\1" * 4  # type: ignore[attr-defined]


def test_a_disk_without_room_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says where the table was to go, and what to do."""

    def full(**_: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(slots.tempfile, "TemporaryFile", full)
    with pytest.raises(RunDirError, match=r"No space left on device.*TMPDIR") as caught:
        Slots(SIZE, WIDTH)
    assert "\n" not in str(caught.value)
