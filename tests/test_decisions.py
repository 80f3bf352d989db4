"""The user's decisions about labels: a file that a person edits."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.cleaning.label_decisions import add_decision, decision_line, read_decisions
from annotator.errors import ConfigError

label = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30).filter(lambda text: any(map(str.isalpha, text)))


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "labels.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


def test_rename_keep_and_drop(tmp_path: Path) -> None:
    """A line each; comments, a byte-order mark and the line ends of any system do not matter."""
    path = written(tmp_path, '\ufeff# mine\r\n"vùng đất" = "region" # so\r\n\r\n"đặc sản"=true\norg = false')
    decisions = read_decisions(path)
    assert decisions.labels == {"vùng đất": "region", "đặc sản": "đặc sản", "org": None}
    assert len(decisions.sha256) == 64


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('# x\n\n"a b" = 3', 3, "needs a type in double quotes, true to keep it, or false to drop it"),
        ('"a b" = ""', 1, "false to drop it"),
        ('"a b" = "--"', 1, "needs a type"),
        ('"a b" = ["c"]', 1, "needs a type"),
        ('ok = true\nvùng đất = "region"', 2, "with both in double quotes"),
        ('ok = true\n"vùng đất"', 2, "with both in double quotes"),
        ('"a" = "b" "c"', 1, "column 11"),
        ('"a b" = """c', 1, "double quotes"),
        ("[drop]", 1, "sections are not used"),
        ('a.b = "c"', 1, "put the label in double quotes"),
        ('"a" = "b"\n# x\n"a" = "c"', 3, "decided in line 1 already"),
        ('"x y" = "z"\n"aa" = "bb"\n# x\n"bb" = "cc"\n"cc" = "aa"\n"dd" = "aa"', 5, "circle: aa -> bb -> cc -> aa"),
        ('"12" = true', 1, "no label with letters"),
        (b'"ok" = true\n"\xff" = true', 2, "not UTF-8"),
        ("x = " + "[" * 5000, 1, "double quotes"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str | bytes, line: int, words: str) -> None:
    """On one line, as a configuration error."""
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_decisions(path)
    message = str(caught.value)
    assert f"{path}, line {line}: " in message
    assert words in message
    assert "\n" not in message


def test_a_missing_file_is_a_configuration_error(tmp_path: Path) -> None:
    """The message says how to do without."""
    with pytest.raises(ConfigError, match="--labels '' does without"):
        read_decisions(tmp_path / "nowhere.toml")


@given(st.dictionaries(label, st.booleans(), max_size=6))
def test_what_is_added_is_read(tmp_path_factory: pytest.TempPathFactory, decided: dict[str, bool]) -> None:
    """Any label survives, each line stands for itself, and the whole is TOML."""
    path = tmp_path_factory.mktemp("decisions") / "labels.toml"
    path.write_text("# no line break at the end", encoding="utf-8")
    for name, keep in decided.items():
        add_decision(path, name, keep)
    assert read_decisions(path).labels == {name: name if keep else None for name, keep in decided.items()}
    assert tomllib.loads(path.read_text(encoding="utf-8")) == decided


@given(label, st.text(st.characters(codec="utf-8")))
def test_a_remark_stays_a_remark(name: str, remark: str) -> None:
    """Whatever is in it, it neither ends its line nor decides anything."""
    line = decision_line(name, "person", remark)
    assert line.count("\n") == 1
    assert tomllib.loads(line) == {name: "person"}
