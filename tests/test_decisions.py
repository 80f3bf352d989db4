"""labels.toml, the file in which a user decides about labels."""

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
    """A line renames, keeps or drops a label; comments, byte order marks and line ends do not matter."""
    path = written(tmp_path, '\ufeff# mine\r\n"vùng đất" = "region" # so\r\n\r\n"đặc sản"=true\norg = false')
    decisions = read_decisions(path)
    assert decisions.labels == {"vùng đất": "region", "đặc sản": "đặc sản", "org": None}
    assert len(decisions.sha256) == 64


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('# x\n\n"a b" = 3', "'a b' needs a type in double quotes, true to keep it, or false to drop it"),
        ('"a b" = ""', "false to drop it"),
        ('"a b" = "--"', "needs a type"),
        ('"a b" = ["c"]', "needs a type"),
        ('ok = true\nvùng đất = "region"', "at line 2, column 2); a line is"),
        ('ok = true\n"vùng đất"', "with both in double quotes"),
        ('"a" = "b" "c"', "at line 1, column 11"),
        ('"a b" = """c', "double quotes"),
        ("[drop]", "'drop' begins a section"),
        ('a.b = "c"', "'a' begins a section; write one line a label"),
        ('"a" = "b"\n# x\n"a" = "c"\n', "overwrite a value (at line 3"),
        ('"aa" = "bb"\n# x\n"bb" = "cc"\n"cc" = "aa"\n"dd" = "aa"', "circle: aa -> bb -> cc -> aa"),
        ('"12" = true', "no label with letters"),
        (b'"ok" = true\n"\xff" = true', "in UTF-8"),
        ("x = " + "[" * 5000, "double quotes"),
    ],
)
def test_an_error_names_line_or_label(tmp_path: Path, text: str | bytes, words: str) -> None:
    """An invalid file is a one-line configuration error with the line or the label."""
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_decisions(path)
    message = str(caught.value)
    assert f"--labels {path}: " in message
    assert words in message
    assert "\n" not in message


def test_a_missing_file_is_a_configuration_error(tmp_path: Path) -> None:
    """A missing file is an error that explains how to use none."""
    with pytest.raises(ConfigError, match="--labels '' does without"):
        read_decisions(tmp_path / "nowhere.toml")


@given(st.dictionaries(label, st.booleans(), max_size=6))
def test_added_decisions_are_read(tmp_path_factory: pytest.TempPathFactory, decided: dict[str, bool]) -> None:
    """Any label that is added is read back, and the file stays TOML."""
    path = tmp_path_factory.mktemp("decisions") / "labels.toml"
    path.write_text("# no line break at the end", encoding="utf-8")
    for name, keep in decided.items():
        add_decision(path, name, keep)
    assert read_decisions(path).labels == {name: name if keep else None for name, keep in decided.items()}
    assert tomllib.loads(path.read_text(encoding="utf-8")) == decided


@given(label, st.text(st.characters(codec="utf-8")))
def test_a_remark_stays_a_remark(name: str, remark: str) -> None:
    """A remark never ends its line or decides anything, whatever it holds."""
    line = decision_line(name, "person", remark)
    assert line.count("\n") == 1
    assert tomllib.loads(line) == {name: "person"}
