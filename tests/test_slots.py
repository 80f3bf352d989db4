"""A table on the disk is a table."""

from __future__ import annotations

import errno
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator import slots
from annotator.errors import RunDirError
from annotator.slots import Slots

SIZE = 20
WRITES = st.lists(st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(0, 2**64 - 1)), max_size=8), max_size=8)


@given(WRITES)
def test_it_holds_what_an_array_would(writes: list[list[tuple[int, int]]]) -> None:
    """Zeros to begin with; the last number that was put into a place."""
    table, expected = Slots(SIZE), np.zeros(SIZE, np.uint64)
    for batch in writes:
        places, numbers = (np.array([pair[part] for pair in batch], np.uint64) for part in (0, 1))
        table.put(places, numbers)
        for place, number in batch:
            expected[place] = number
        assert table.get(places).tolist() == expected[places].tolist()
    assert table.get(np.arange(SIZE, dtype=np.uint64)).tolist() == expected.tolist()


def test_a_disk_without_room_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says where the table was to go, and what to do."""

    def full(**_: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(slots.tempfile, "TemporaryFile", full)
    with pytest.raises(RunDirError, match=r"No space left on device.*TMPDIR") as caught:
        Slots(SIZE)
    assert "\n" not in str(caught.value)
