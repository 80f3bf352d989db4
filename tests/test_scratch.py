"""Temporary databases return what was stored, and a full disk is a one-line error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.errors import RunDirError
from annotator.records import Document
from annotator.sources.drawn_documents import Drawn
from annotator.storage.scratch import full_disk_explained, temporary_database

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(st.builds(Document, TEXT, TEXT, TEXT), max_size=5))
def test_documents_are_returned_unchanged(documents: list[Document]) -> None:
    """Documents with any characters are returned unchanged by their numbers."""
    with Drawn() as drawn:
        numbers = [drawn.put(document) for document in documents]
        assert [drawn.get(number) for number in numbers] == documents


def test_only_accepted_documents_are_known() -> None:
    """A document's id and text are known only after it is accepted."""
    with Drawn() as drawn:
        drawn.put(Document("1", "Huế", "a"))
        assert not drawn.has_id("1")
        drawn.accept("1", b"hash")
        assert drawn.has_id("1")
        assert drawn.accepted_as(b"hash") == "1"
        assert drawn.accepted_as(b"other") is None


def test_a_full_disk_is_one_line() -> None:
    """A full disk is a one-line error with the fix."""
    database = temporary_database("texts (text TEXT)")
    database.execute("PRAGMA max_page_count = 4")
    with pytest.raises(RunDirError, match=r"full; free some space, or set TMPDIR") as caught, full_disk_explained():
        database.execute("INSERT INTO texts VALUES (?)", ("x" * 100_000,))
    assert "\n" not in str(caught.value)
