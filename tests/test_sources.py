"""What SOURCE means, which files it has, and when its fingerprint changes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from annotator.errors import SourceError
from annotator.sources import locating
from annotator.sources.formats.files import SourceFile
from annotator.sources.locating import HubDataset, fingerprint, locate


def _names(source: str | os.PathLike[str] | None) -> list[str]:
    located = locate(source)
    assert isinstance(located, tuple)
    return [file.name for file in located]


def test_sample_is_the_default() -> None:
    """No source and ``sample`` both mean the bundled articles."""
    assert locate(None) == locate("sample")
    assert _names(None)
    assert all(name.endswith(".jsonl") for name in _names(None))


def test_a_folder_is_read_recursively_in_order(tmp_path: Path) -> None:
    """Known types are read in the order of their names; hidden and other files are ignored."""
    for name in (
        "b.jsonl",
        "a/z.TXT",
        "a/B.csv",
        "c.md",
        ".hidden.jsonl",
        ".git/x.jsonl",
        "a-b.json.bak",
        "d.jsonl.gz",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    assert _names(tmp_path) == ["a/B.csv", "a/z.TXT", "b.jsonl", "d.jsonl.gz"]


def test_a_file_is_named_without_its_folder(tmp_path: Path) -> None:
    """A single file is named without its folder in the records."""
    path = tmp_path / "tin tức.jsonl"
    path.write_text("x")
    assert locate(path) == (SourceFile("tin tức.jsonl", path),)


def test_file_names_become_nfc(tmp_path: Path) -> None:
    """File names are in NFC in the records."""
    (tmp_path / "tin tu\u031b\u0301c.txt").write_text("x")
    assert _names(tmp_path) == ["tin tức.txt"]


def test_a_file_name_that_is_not_utf8_is_made_valid() -> None:
    """A file name that is not UTF-8 gets replacement characters, so that it can be stored."""
    assert locating._portable(os.fsdecode(b"b\xe9.txt")) == "b\ufffd.txt"


@pytest.mark.parametrize(
    ("name", "suffix"), [("a.jsonl.gz", ".jsonl.gz"), ("A.JSON", ".json"), ("a.gz", ""), ("a", "")]
)
def test_suffix(name: str, suffix: str) -> None:
    """The suffix decides about the type, in any case."""
    assert SourceFile(name, Path(name)).suffix == suffix


@pytest.mark.parametrize("name", ["bkai-foundation-models/BKAINewsCorpus", "a/b.c_d-e"])
def test_hub_names(name: str) -> None:
    """org/name is a Hub dataset if there is no such path."""
    assert locate(name) == HubDataset(name)


def test_a_local_path_is_preferred_to_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An existing folder org/name is preferred to the Hub dataset."""
    (tmp_path / "org" / "name").mkdir(parents=True)
    (tmp_path / "org" / "name" / "a.txt").write_text("x")
    monkeypatch.chdir(tmp_path)
    assert _names("org/name") == ["a.txt"]


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A leading ~ is expanded to the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.txt").write_text("x")
    assert _names("~/a.txt") == ["a.txt"]


@pytest.mark.parametrize(
    "name",
    [
        "a.jsonl",
        "org/a.jsonl",
        "org/a.PARQUET",
        "./a/b",
        "../a",
        "/no/such",
        "~/none",
        "a/b/c",
        "word",
        "",
        "a\0b",
        ".x/y",
    ],
)
def test_a_missing_path_is_no_hub_request(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing path is a one-line error, not a request to the Hub."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=r"^no such file or folder: .*; give `sample`"):
        locate(name)


def test_a_folder_without_documents(tmp_path: Path) -> None:
    """A folder without readable files is an error that lists the known types."""
    (tmp_path / "notes.md").write_text("x")
    with pytest.raises(SourceError, match=r"no file to read in .*\.parquet"):
        locate(tmp_path)


def test_an_unknown_type(tmp_path: Path) -> None:
    """A file of an unknown type is an error that lists the known types."""
    path = tmp_path / "a.docx"
    path.write_text("x")
    with pytest.raises(SourceError, match=r"a\.docx: its type is unknown; use one of \.jsonl"):
        locate(path)


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    """A named pipe is refused: it could be read only once."""
    os.mkfifo(tmp_path / "a.jsonl")
    with pytest.raises(SourceError, match="not a regular file"):
        locate(tmp_path / "a.jsonl")


def test_a_name_too_long_for_the_system() -> None:
    """A name that the system refuses is an error."""
    with pytest.raises(SourceError, match="cannot read aaa"):
        locate("a" * 5000)


def test_an_unreadable_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that cannot be listed is an error, not an empty folder."""

    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(SourceError, match=r"cannot read .*: Permission denied; check the permissions"):
        locate(tmp_path)


def _folder(root: Path, text: str = "một") -> Path:
    (root / "b").mkdir(parents=True)
    (root / "a.txt").write_text(text)
    (root / "b" / "c.txt").write_text("hai")
    return root


@pytest.mark.parametrize("more", [0, 10**9])
def test_fingerprint_follows_content(tmp_path: Path, more: int) -> None:
    """Only names and contents change the fingerprint, whether files are hashed whole or in part."""
    for name in ("first", "second", "third"):
        _put(tmp_path / name / "large.txt", "", size=more)
    first = _folder(tmp_path / "first")
    before = fingerprint(first)
    assert before.startswith("sha256:")
    os.utime(first / "a.txt", (1, 1))
    assert fingerprint(first) == before == fingerprint(_folder(tmp_path / "second"))
    assert fingerprint(_folder(tmp_path / "third", "mot")) != before
    (first / "notes.md").write_text("not read")
    assert fingerprint(first) == before
    (first / "a.txt").rename(first / "d.txt")
    assert fingerprint(first) != before


def test_fingerprint_of_a_large_source_reads_both_ends(tmp_path: Path) -> None:
    """Of more than a gigabyte, only size and both ends of each file are hashed."""
    path, size = tmp_path / "a.txt", 10**9

    def of(text: str, at: int = 0, size: int = size) -> str:
        _put(path, text, at, size)
        return fingerprint(path)

    assert of("") == of("x", size // 2)
    assert len({of(""), of("x"), of("x", size - 1), of("", size=size + 1)}) == 4


def _put(path: Path, text: str, at: int = 0, size: int = 0) -> None:
    """Write a sparse file of a size with a text at a place."""
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)
        file.seek(at)
        file.write(text.encode())


def test_fingerprint_of_other_sources() -> None:
    """The bundled sample has a fingerprint by content, a Hub dataset one by name without a request."""
    assert fingerprint(None) == fingerprint("sample")
    assert fingerprint("org/name") == "hub:org/name"


def test_fingerprint_of_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be read is named in the error."""
    path = tmp_path / "a.txt"
    path.write_text("x")

    def refuse(self: Path, mode: str = "r") -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SourceError, match=r"cannot read .*a\.txt: Permission denied"):
        fingerprint(path)
