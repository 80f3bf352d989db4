"""JSON files of other tools are read record by record, in any layout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from annotator.errors import SourceError
from annotator.sources.formats.files import lines, local
from annotator.sources.formats.json import read as read_json

ITEMS = [{"text": "Chiều 12/3 😀 \u2028 bà Hoà", "at": [1, 2.5, None, True]}, {"text": ""}]


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("before", ["", "\ufeff", " \n" * 5000])
def test_an_array_and_lines_are_read_alike(tmp_path: Path, before: str, ascii_only: bool) -> None:
    """Arrays and lines give the same records, also after a byte order mark or white space."""
    path = tmp_path / "x"
    for text in (
        json.dumps(ITEMS, ensure_ascii=ascii_only),
        json.dumps(ITEMS, ensure_ascii=ascii_only, indent=2),
        "\r\n".join(json.dumps(item, ensure_ascii=ascii_only) for item in ITEMS),
    ):
        path.write_bytes((before + text).encode("utf-8"))
        assert [record.value for record in read_json(local(path))] == ITEMS


def test_a_broken_line_is_reported_and_a_broken_array_refused(tmp_path: Path) -> None:
    """A broken line is a record with an error; a broken array is refused, since its rest is unknown."""
    path = tmp_path / "x"
    path.write_text('{"a": 1}\n{"a": \n\n{"a": 2}\n', encoding="utf-8")
    first, broken, last = read_json(local(path))
    assert (first.value, last.value) == ({"a": 1}, {"a": 2})
    assert broken.error.startswith("not JSON")
    for text in ('[{"a": 1}, {"a": ', '[{"a": 1}] [', '[{"a": 1e999999}, }'):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(SourceError, match="is not JSON") as caught:
            list(read_json(local(path)))
        assert "\n" not in str(caught.value)
    for bytes_ in (b'["\xff\xfe"]', b'{"a": "\xff"}\n'):
        path.write_bytes(bytes_)
        with pytest.raises(SourceError, match="is not UTF-8 text"):
            list(read_json(local(path)))


def test_only_line_ends_are_removed(tmp_path: Path) -> None:
    """Line ends are removed, other white space stays: a token may end with a no-break space."""
    path = tmp_path / "x"
    path.write_bytes("a \r\nb\u00a0\n\u2028c".encode())
    assert [line.value for line in lines(local(path))] == ["a ", "b\u00a0", "\u2028c"]
