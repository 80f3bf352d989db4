"""The readers of all source formats: what they read, what they reject, and what they refuse."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from annotator.errors import SourceError
from annotator.records import Document, Rejected
from annotator.sources import hub
from annotator.sources.documents import Columns, Row, check_columns, read_documents, to_row
from annotator.sources.formats import records
from annotator.sources.formats.files import Record, SourceFile, local
from annotator.sources.locating import HubDataset

RAIN, SUN = "Hà Nội mưa to.", "Đà Lạt nắng đẹp."
BOM = b"\xef\xbb\xbf"


def _read(folder: Path, name: str, content: bytes | str, columns: Columns | None = None) -> list[Row]:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_documents(SourceFile(name, path), columns or Columns()))


def _line(identity: object, text: object) -> str:
    return json.dumps({"id": identity, "text": text}, ensure_ascii=False) + "\n"


def zipped(content: bytes) -> bytes:
    """Compress without a time stamp, so that the names of tests stay the same."""
    return gzip.compress(content, mtime=0)


def columns(form: str) -> bytes:
    """Return a hundred documents as a Parquet file or an Arrow stream."""
    table, file = pa.table({"text": [f"{RAIN} {number}" for number in range(100)]}), io.BytesIO()
    if form == "parquet":
        pq.write_table(table, file)
    else:
        with pa.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(table)
    return file.getvalue()


TWO = _line(1, RAIN) + _line("b", SUN)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", TWO.encode()),
        ("a.jsonl", BOM + TWO.encode()),
        ("a.jsonl", TWO.replace("\n", "\r\n").encode()),
        ("a.jsonl", b"\n" + TWO.strip().replace("\n", "\n\n  \n").encode()),
        ("a.jsonl.gz", zipped(TWO.encode())),
        ("a.jsonl.gz", zipped(BOM + TWO.encode())),
        ("a.json", json.dumps([{"id": 1, "text": RAIN}, {"id": "b", "text": SUN}]).encode()),
        (
            "a.json",
            BOM + json.dumps({"count": 2, "data": [{"id": 1, "text": RAIN}, {"id": "b", "text": SUN}]}).encode(),
        ),
        ("a.csv", f"id,text\n1,{RAIN}\nb,{SUN}\n".encode()),
        ("a.csv", BOM + f'text,link,id\r\n"{RAIN}",x,1\r\n\r\n{SUN},y,b'.encode()),
    ],
)
def test_two_documents(tmp_path: Path, name: str, content: bytes) -> None:
    """Each format gives the same documents, with byte order marks, CRLF, blank lines or gzip; ids are strings."""
    assert _read(tmp_path, name, content) == [Document("1", RAIN, name), Document("b", SUN, name)]


def test_text_files(tmp_path: Path) -> None:
    """A .txt is one document, named by its path without the suffix; line ends become newlines."""
    path = tmp_path / "x.txt"
    path.write_bytes(BOM + f"{RAIN}\r\n{SUN}\rhết".encode())
    rows = list(read_documents(SourceFile("báo/x.txt", path), Columns("body", "uid")))
    assert rows == [Document("báo/x", f"{RAIN}\n{SUN}\nhết", "báo/x.txt")]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.txt"])
def test_decomposed_text_becomes_nfc(tmp_path: Path, name: str) -> None:
    """Every reader returns text in NFC."""
    text = "Ha\u0300 No\u0323\u0302i mu\u031ba to."
    content = {"a.jsonl": _line(1, text), "a.json": json.dumps([text]), "a.csv": f"text\n{text}\n", "a.txt": text}[name]
    assert [row.text for row in _read(tmp_path, name, content) if isinstance(row, Document)] == [RAIN]


def test_ids_are_made_from_the_text(tmp_path: Path) -> None:
    """A missing or empty id becomes the first 16 digits of the sha256 of the NFC text."""
    made = hashlib.sha256(RAIN.encode()).hexdigest()[:16]
    content = "".join(json.dumps(fields) + "\n" for fields in ({"text": RAIN}, {"text": RAIN, "id": None}))
    assert _read(tmp_path, "a.jsonl", content) == [Document(made, RAIN, "a.jsonl")] * 2
    assert _read(tmp_path, "a.csv", f"id,text\n,{RAIN}\n") == [Document(made, RAIN, "a.csv")]
    assert _read(tmp_path, "a.json", json.dumps({"articles": [RAIN]})) == [Document(made, RAIN, "a.json")]


def test_other_columns(tmp_path: Path) -> None:
    """The columns of the text and the id can have other names."""
    rows = _read(tmp_path, "a.jsonl", json.dumps({"uid": 7, "body": RAIN}), Columns("body", "uid"))
    assert rows == [Document("7", RAIN, "a.jsonl")]


def test_one_object_is_one_document(tmp_path: Path) -> None:
    """A .json with a single object that has the text is one document, whatever lists it has."""
    assert _read(tmp_path, "a.json", json.dumps({"id": 1, "text": RAIN, "tags": ["x"]})) == [
        Document("1", RAIN, "a.json")
    ]


def test_csv_cells_may_hold_anything(tmp_path: Path) -> None:
    """A cell keeps quotes, commas and line ends, and may exceed the csv module's default limit."""
    text = 'Ông nói: "mưa, to"\r\nhết' + "à" * 200_000
    quoted = text.replace('"', '""')
    assert _read(tmp_path, "a.csv", f'id,text\n1,"{quoted}"\n') == [Document("1", text, "a.csv")]


BROKEN_LINES: list[tuple[bytes, str, str]] = [
    (b'{"text": "a', "broken record", "not JSON: "),
    (b"[1]", "broken record", "a list, not an object"),
    (b"null", "broken record", "a NoneType, not an object"),
    (b'{"text": "\xff"}', "broken record", "not UTF-8: invalid start byte at byte 11 of the line"),
    (b'{"id": 1}', "no text", 'field "text" is missing'),
    (b'{"text": null}', "no text", 'field "text" is null'),
    (b'{"text": ["a"]}', "no text", 'field "text" is a list, not a string'),
    (b'{"text": 5}', "no text", 'field "text" is a int, not a string'),
    (b'{"text": "a\\ud800"}', "broken record", "half of a surrogate pair"),
    (b'{"id": "\\udfff", "text": "a"}', "broken record", 'field "id" holds'),
    (b'{"id": {"$oid": "5"}, "text": "a"}', "broken record", 'field "id" is a dict'),
    (b'{"text": "a\\u0000b"}', "broken record", "holds a NUL character"),
    (b'{"text": ' + b"[" * 200_000, "broken record", "not JSON: "),
    (b'{"id": ' + b"9" * 5000 + b', "text": "a"}', "broken record", "not JSON: "),
    (b"\0\0\0\0", "broken record", "not JSON: "),
]


@pytest.mark.parametrize(("line", "reason", "detail"), BROKEN_LINES)
def test_a_broken_line_is_rejected_alone(tmp_path: Path, line: bytes, reason: str, detail: str) -> None:
    """A broken line is rejected alone, with file, line, cause and its beginning."""
    before, after = _line(1, RAIN).encode(), _line(2, SUN).encode()
    first, broken, last = _read(tmp_path, "a.jsonl", before + line + b"\n" + after)
    assert (first, last) == (Document("1", RAIN, "a.jsonl"), Document("2", SUN, "a.jsonl"))
    assert isinstance(broken, Rejected)
    assert (broken.stage, broken.reason, broken.record_id) == ("sample", reason, "a.jsonl:2")
    assert detail in broken.detail
    assert broken.value == line.decode(errors="replace")[:200]
    broken.detail.encode()


def test_broken_items_of_a_list(tmp_path: Path) -> None:
    """An item of a .json list that is not a document is rejected with its number."""
    rows = _read(tmp_path, "a.json", json.dumps([{"text": RAIN}, 5, {"id": 1}, "\ud800"]))
    assert [(row.record_id, row.reason) for row in rows if isinstance(row, Rejected)] == [
        ("a.json:2", "broken record"),
        ("a.json:3", "no text"),
        ("a.json:4", "broken record"),
    ]


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        (b"9", "no text", "missing"),
        (b"9,a,b", "broken record", "3 cells under 2 columns"),
        (b"9,\xff", "broken record", "not UTF-8"),
        (b'9,"a"b', "broken record", "not CSV"),
    ],
)
def test_broken_rows_of_a_csv(tmp_path: Path, row: bytes, reason: str, detail: str) -> None:
    """A row that does not fit its header or is not UTF-8 is rejected with its line; the next is read."""
    content = f"id,text\n1,{RAIN}\n".encode() + row + f"\n2,{SUN}\n".encode()
    first, broken, last = _read(tmp_path, "a.csv", content)
    assert (first, last) == (Document("1", RAIN, "a.csv"), Document("2", SUN, "a.csv"))
    assert isinstance(broken, Rejected)
    assert (broken.reason, broken.record_id) == (reason, "a.csv:3")
    assert detail in broken.detail


def test_an_open_quote_in_a_csv_is_not_one_long_document(tmp_path: Path) -> None:
    """A quote that is never closed does not make the rest of the file one document."""
    rows = _read(tmp_path, "a.csv", f'id,text\n1,{RAIN}\n2,"{SUN}\n3,{SUN}\n')
    assert rows[0] == Document("1", RAIN, "a.csv")
    assert [(row.record_id, row.reason) for row in rows[1:] if isinstance(row, Rejected)] == [
        ("a.csv:3", "broken record")
    ]


@pytest.mark.parametrize("content", ["Hà Nội".encode("utf-16"), b"\xff\xfe", b"a\0b"])
def test_a_binary_text_file_is_rejected(tmp_path: Path, content: bytes) -> None:
    """A binary .txt in a folder is rejected alone."""
    (row,) = _read(tmp_path, "a.txt", content)
    assert isinstance(row, Rejected)
    assert (row.reason, row.record_id) == ("broken record", "a.txt")


REFUSED: list[tuple[str, bytes, str]] = [
    *((f"a{suffix}", TWO.encode("utf-16"), "is not UTF-8 text but binary") for suffix in (".jsonl", ".json", ".csv")),
    ("a.jsonl", b"PAR1\0", "is not UTF-8 text but binary"),
    ("a.csv", b"id,t\xe9xt\n1,a\n", "is not UTF-8"),
    ("a.jsonl.gz", TWO.encode(), "is not a whole gzip file: Not a gzipped file"),
    ("a.jsonl.gz", zipped(TWO.encode() * 50)[:-20], "is not a whole gzip file: "),
    ("a.jsonl.gz", zipped(TWO.encode() * 50)[:-8] + b"\0" * 8, "is not a whole gzip file: CRC"),
    ("a.json", b'{\n"id": 1}\n' + TWO.encode(), "is not JSON: Extra data: .*call it .jsonl if"),
    ("a.json", b"{", "is not JSON: "),
    ("a.json", b"[" * 200_000, "is not JSON: "),
    ("a.json", b'[\n"\xff"]', "is not UTF-8 text: invalid start byte"),
    ("a.json", b'{"a": [1], "b": [2]}', "holds no list of documents"),
    ("a.json", b"5", "holds no list of documents"),
    ("a.csv", b'"a"b,text\n', "is not CSV"),
    ("a.csv", b"id|text\n1|a\n", r'has no column "text"; it has: id|text; name the right one with --text-field'),
    ("a.csv", b"id,text,text\n1,a,b\n", 'has two columns "text"; rename one of them'),
    ("a.jsonl", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer.*git lfs pull"),
    ("a.parquet", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer"),
    ("a.arrow", b"no arrow", "is not a whole Arrow file"),
    ("a.arrow", columns("arrow")[:-400], "is not a whole Arrow file: .*; get it again"),
    ("a.parquet", columns("parquet")[:-400], "is not a whole Parquet file: .*; get it again"),
    ("a.parquet", b"PAR1" + bytes(40) + columns("parquet")[44:], "is not a whole Parquet file: .*; get it again"),
    ("a.jsonl", b'{"uid": 1, "body": "a"}\n', r'has no column "text"; it has: uid, body; name .* with --text-field'),
    ("a.json", b'[{"body": "a"}]', r'has no column "text"; it has: body; '),
    ("a.json", b"[{}]", r'has no column "text"; it has: ; '),
]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *((f"a{suffix}", b"") for suffix in (".jsonl", ".json", ".csv", ".arrow", ".parquet")),
        ("a.jsonl", BOM + b"\n \n"),
        ("a.jsonl.gz", zipped(b"")),
    ],
)
def test_an_empty_file_is_rejected(tmp_path: Path, name: str, content: bytes) -> None:
    """An empty file of a source is rejected; as the whole source it is refused."""
    assert _read(tmp_path, name, content) == [Rejected("sample", "empty file", name, "", "it has no content")]
    with pytest.raises(SourceError, match=r"a.* is empty.*; get it again"):
        list(records(SourceFile(name, tmp_path / name)))


@pytest.mark.parametrize(("name", "content", "message"), REFUSED)
def test_a_binary_or_damaged_file_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    """A binary or damaged file, or one without the column, is refused in one line with the fix."""
    with pytest.raises(SourceError, match=message) as caught:
        _read(tmp_path, name, content)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def _csv(folder: Path, *lines: str) -> list[Row]:
    return _read(folder, "a.csv", "".join(f"{line}\n" for line in ("id,text", *lines)))


def _ids(rows: list[Row]) -> list[str]:
    return [row.id for row in rows if isinstance(row, Document)]


def test_a_row_with_an_unclosed_quote_is_rejected_alone(tmp_path: Path) -> None:
    """A row with an unclosed quote is rejected alone."""
    rows = _csv(tmp_path, "1,Một", '2,"Hai', "3,Ba", "4,Bốn", '5,"Năm, và hết"', "6,Sáu")
    assert _ids(rows) == ["1", "3", "4", "5", "6"]
    (broken,) = [row for row in rows if isinstance(row, Rejected)]
    assert (broken.record_id, broken.value) == ("a.csv:3", '2,"Hai')
    assert _ids(_csv(tmp_path, "1,Một", '2,"Hai', "3,Ba", "4,Bốn")) == ["1", "3", "4"]


def test_all_lines_of_a_broken_row_belong_to_it(tmp_path: Path) -> None:
    """The lines of a cell with undoubled quotes belong to the broken row, which reports their number."""
    rows = _csv(
        tmp_path,
        '1,"Ông nói "mưa to, gió lớn" hôm qua',
        "Sáng nay trời tạnh, nước rút dần",
        'và thế là hết, theo báo"',
        '2,"Một dòng',
        'hai dòng"',
        "3,Ba",
    )
    assert _ids(rows) == ["2", "3"]
    (broken,) = [row for row in rows if isinstance(row, Rejected)]
    assert broken.detail.endswith("; 2 lines after it are part of it")


def test_a_row_of_several_lines_with_too_many_cells(tmp_path: Path) -> None:
    """A row of several lines with too many cells is one rejected row."""
    rows = _csv(tmp_path, '1,"Một', 'dòng",x', "2,Hai")
    assert _ids(rows) == ["2"]
    assert [row.detail for row in rows if isinstance(row, Rejected)] == [
        "3 cells under 2 columns; 1 lines after it are part of it"
    ]


_CELL = st.text(st.sampled_from('ab\u1ec7 ,;"\n\t'), max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    rows=st.lists(st.tuples(_CELL, _CELL), max_size=6), delimiter=st.sampled_from(",;\t"), style=st.sampled_from([0, 1])
)
def test_any_csv_comes_back(tmp_path: Path, rows: list[tuple[str, str]], delimiter: str, style: int) -> None:
    """Whatever the csv module writes is read back, with any delimiter and quoting."""
    path = tmp_path / "a.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter, quoting=style).writerows([("id", "text"), *rows])
    found = [record.value for record in records(local(path), ("text", "id"))]
    assert found == [{"id": one, "text": other} for one, other in rows]


@pytest.mark.slow
@given(broken=_CELL, rows=st.lists(_CELL.map(lambda cell: cell.replace("\n", " ")), min_size=1, max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_broken_row_never_makes_a_document(tmp_path: Path, broken: str, rows: list[str]) -> None:
    """Whatever a wrongly quoted cell holds, each document is a row of the file."""
    assume('"\n' not in broken)  # that would be a complete row
    broken = broken.replace(",", ", ")  # as in prose
    path = tmp_path / "a.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(("id", "text"))
        file.write(f'"broken","{broken}"x\r\n')
        writer.writerows((f"row {number}", row) for number, row in enumerate(rows))
    values = [record.value for record in records(local(path)) if record.value and "text" in record.value]
    found = {(value["id"], value["text"]) for value in values}
    assert {pair for pair in found if pair[0] != "broken"} <= {(f"row {at}", row) for at, row in enumerate(rows)}


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters(tmp_path: Path, delimiter: str) -> None:
    """Semicolons and tabs are recognised from the first row."""
    content = f"id;text\n1;{RAIN}\nb;{SUN}\n".replace(";", delimiter)
    assert _read(tmp_path, "a.csv", content) == [Document("1", RAIN, "a.csv"), Document("b", SUN, "a.csv")]
    assert _ids(_read(tmp_path, "a.tsv", content)) == ["1", "b"]


def test_arrow_files(tmp_path: Path) -> None:
    """Both Arrow formats are read: the stream, which ``datasets`` saves, and the file."""
    table = pa.table({"id": ["1", "b"], "text": [RAIN, SUN], "n": [1, 2]})
    for make in (pa.ipc.new_stream, pa.ipc.new_file):
        with make(tmp_path / "a.arrow", table.schema) as writer:
            writer.write_table(table)
        rows = list(read_documents(SourceFile("a.arrow", tmp_path / "a.arrow"), Columns()))
        assert rows == [Document("1", RAIN, "a.arrow"), Document("b", SUN, "a.arrow")]


def test_gzip_is_recognised_by_its_content(tmp_path: Path) -> None:
    """A gzip file is recognised without .gz in its name, and every text format may be compressed."""
    assert _ids(_read(tmp_path, "a.jsonl", zipped(TWO.encode()))) == ["1", "b"]
    assert _ids(_read(tmp_path, "a.csv.gz", zipped(f"id,text\n1,{RAIN}\n".encode()))) == ["1"]
    assert _ids(_read(tmp_path, "b.txt.gz", zipped(RAIN.encode()))) == ["b"]


def test_json_is_recognised_by_its_content(tmp_path: Path) -> None:
    """An array in a .jsonl and lines in a .json are read."""
    array = json.dumps([{"id": 1, "text": RAIN}, {"id": "b", "text": SUN}], indent=1, ensure_ascii=False)
    assert _ids(_read(tmp_path, "a.jsonl", array)) == ["1", "b"]
    assert _ids(_read(tmp_path, "a.json", TWO)) == ["1", "b"]


def test_an_array_holds_anything(tmp_path: Path) -> None:
    """The items of an array are those that ``json.loads`` reads."""
    items = [{"text": "Hà Nội 🙂", "n": [1234, 5.5e3, None]}, 12345, '\\"]', [], "\ud800", {}]
    (tmp_path / "a.json").write_text("[ " + " , ".join(map(json.dumps, items)) + " ]\n")
    assert [record.value for record in records(local(tmp_path / "a.json"))] == items


@pytest.mark.parametrize("text", ["[1, 2", "[1 2]", "[1,]", "[,1]", "[1]]", '[{"a": 1}', "[] []", "[1, tru]"])
def test_a_broken_array(tmp_path: Path, text: str) -> None:
    """An array that is cut or continues after its end is refused, not read as a shorter one."""
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(SourceError, match="is not JSON: "):
        list(records(local(tmp_path / "a.json")))


def test_a_named_id_column_must_be_there(tmp_path: Path) -> None:
    """A named id column must exist; a record without a value in it gets an id from its text."""
    with pytest.raises(SourceError, match=r'no column "uid"; it has: id, text; .* --id-field'):
        _read(tmp_path, "a.jsonl", TWO, Columns(id="uid"))
    rows = _read(tmp_path, "b.jsonl", json.dumps({"text": RAIN, "uid": 1}) + "\n" + TWO, Columns(id="uid"))
    assert all(isinstance(row, Document) for row in rows)
    assert len({row.id for row in rows if isinstance(row, Document)}) == 3


def test_a_message_lists_twenty_columns() -> None:
    """An error lists at most twenty columns and can print any name."""
    with pytest.raises(SourceError, match=r"it has: \?, c1, .*c19, \.\.\.; name") as caught:
        check_columns("a.csv", ["\ud800", *(f"c{number}" for number in range(1, 50))], Columns())
    assert "c20" not in str(caught.value)


def test_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be opened is named in the error."""

    def refuse(self: Path, mode: str = "r") -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    for name, cause in (
        ("a.jsonl", "Permission denied"),
        ("a.txt", "Permission denied"),
        ("a.parquet", "No such file"),
    ):
        with pytest.raises(SourceError, match=rf"cannot read .*{name}: {cause}.*; check the permissions"):
            list(read_documents(SourceFile(name, tmp_path / name), Columns()))


@given(
    st.text(alphabet=st.characters(exclude_categories=[])), st.one_of(st.none(), st.text(), st.integers(), st.floats())
)
def test_documents_and_rejections_can_be_stored(text: str, identity: object) -> None:
    """Any text and id give a document or a rejection that can be encoded as UTF-8."""
    row = to_row("a.jsonl", Record("a.jsonl:1", {"text": text, "id": identity}, text), Columns())
    if isinstance(row, Document):
        assert row.id
        (row.id + row.text).encode()
    else:
        (row.record_id + row.value + row.detail).encode()
        assert len(row.value) <= 200


def _hub_folder(root: Path, name: str = "train.jsonl", count: int = 30) -> str:
    (root / name).write_text("".join(_line(number, f"{RAIN} {number}") for number in range(count)), encoding="utf-8")
    return str(root)


@pytest.mark.slow
def test_hub_rows_are_shuffled_by_seed(tmp_path: Path) -> None:
    """The seed determines the order of Hub rows; every row comes once."""
    folder = _hub_folder(tmp_path)
    first, again, other = (list(hub.stream(HubDataset(folder), Columns(), seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    by_id = {str(number): f"{RAIN} {number}" for number in range(30)}
    assert {row.id: row.text for row in first if isinstance(row, Document)} == by_id
    assert {row.source for row in first if isinstance(row, Document)} == {folder}


def test_hub_columns_are_checked(tmp_path: Path) -> None:
    """A missing column of a Hub dataset gives the same error as that of a file."""
    with pytest.raises(SourceError, match=r'has no column "body"; it has: id, text; name .* --text-field'):
        list(hub.stream(HubDataset(_hub_folder(tmp_path)), Columns("body"), 0))


def test_hub_without_train_split(tmp_path: Path) -> None:
    """The cause from the ``datasets`` library is in the error, on one line."""
    with pytest.raises(SourceError, match=r"cannot read .*Bad split: train.*; check its name"):
        list(hub.stream(HubDataset(_hub_folder(tmp_path, "test.jsonl")), Columns(), 0))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            datasets.exceptions.DatasetNotFoundError("gone"),
            "no local path and no open Hub dataset is called org/name; .*HF_TOKEN",
        ),
        (
            ConnectionError("Couldn't reach\nthe Hub"),
            "cannot read org/name from the Hub: Couldn't reach the Hub; check",
        ),
        (RuntimeError(), "cannot read org/name from the Hub: RuntimeError; check"),
    ],
)
def test_hub_errors(monkeypatch: pytest.MonkeyPatch, error: Exception, message: str) -> None:
    """An unknown dataset and a network failure give different errors of one line, with the cause chained."""

    def fail(*args: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(SourceError, match=message) as caught:
        list(hub.stream(HubDataset("org/name"), Columns(), 0))
    assert caught.value.__cause__ is error
    assert "\n" not in str(caught.value)
