"""Reads and writes a person's decisions about labels: a file with one line per label.

    "vùng đất thiêng liêng" = "sacred place"   # its name from now on, or the type that it merges into
    "đặc sản" = true                           # a type of its own: keep it as it is
    "nội dung" = false                         # no type: drop it

The file is TOML without sections. Each line is read on its own, so that a line can be appended without touching the
rest, and an error names its line.
"""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from annotator.errors import ConfigError
from annotator.storage.atomic import explained
from normalizers.labels import LabelNormalizer, load_lexicon


@dataclass(frozen=True, slots=True)
class Decisions:
    """Decisions by label, raw or cleaned: the type to use, or None to drop it."""

    labels: Mapping[str, str | None] = field(default_factory=dict)
    sha256: str = ""
    """Of the file; empty where there is none."""


def read_decisions(path: Path) -> Decisions:
    """Read a file of decisions.

    Raises:
        ConfigError: the file cannot be read or a line is invalid.
    """
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"cannot read --labels {path}: {error.strerror}; --labels '' does without") from error
    except UnicodeDecodeError as error:
        before = data[: error.start].count(b"\n")
        raise ConfigError(f"--labels {path}, line {before + 1}: not UTF-8; save the file as UTF-8") from error
    labels: dict[str, str | None] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            for label, decision in _read_line(line.rstrip("\r")):
                if label in lines:
                    raise ValueError(f"{label!r} is decided in line {lines[label]} already; remove one of them")
                labels[label], lines[label] = decision, number
        except ValueError as error:
            raise ConfigError(f"--labels {path}, line {number}: {error}") from error
    _check_together(path, labels, lines)
    return Decisions(labels, hashlib.sha256(data).hexdigest())


def decision_line(label: str, decision: str | bool, remark: str = "") -> str:
    """Return the line for ``decision``: a name, True to keep the label as it is, False to drop it."""
    value = _quoted(decision) if isinstance(decision, str) else json.dumps(decision)
    return f"{_quoted(label)} = {value}" + (f"  # {one_line(remark)}" if remark else "") + "\n"


def one_line(text: str) -> str:
    """Return ``text`` on one line without control characters, for a terminal or a comment."""
    return "".join(char if char.isprintable() else "\ufffd" for char in " ".join(text.split()))


def add_decision(path: Path, label: str, decision: str | bool) -> None:
    """Append a decision to the file and flush it to disk.

    Raises:
        RunDirError: the file cannot be written.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_bytes() if path.exists() else b""
        with path.open("ab") as file:
            file.write(b"\n" if before and not before.endswith(b"\n") else b"")
            file.write(decision_line(label, decision).encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())


def _read_line(line: str) -> list[tuple[str, str | None]]:
    if line.lstrip().startswith("["):
        raise ValueError('sections are not used; write one line a label, such as "vùng đất" = "region"')
    try:
        table = tomllib.loads(line)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        place = str(error).replace("at line 1, column", "column").replace("end of document", "its end")
        raise ValueError(f'{place}; a line is "label" = "type", with both in double quotes') from error
    return [(label, _decision(label, decision)) for label, decision in table.items()]


def _decision(label: str, value: Any) -> str | None:
    if isinstance(value, dict):
        raise ValueError(f"put the label in double quotes: it begins with {label!r} and has a full stop in it")
    if value is False:
        return None
    if not (value is True or (isinstance(value, str) and any(char.isalpha() for char in value))):
        raise ValueError(f"{label!r} needs a type in double quotes, true to keep it, or false to drop it")
    return label if value is True else str(value)


def _check_together(path: Path, labels: Mapping[str, str | None], lines: Mapping[str, int]) -> None:
    """Raise for the first line that contradicts the lines before it."""
    pairs = list(labels.items())

    def wrong(count: int) -> str:
        try:
            LabelNormalizer(load_lexicon(), dict(pairs[:count]))
        except ValueError as error:
            return str(error)
        return ""

    if pairs and (contradiction := wrong(len(pairs))):
        first = bisect_left(range(1, len(pairs)), True, key=lambda count: bool(wrong(count)))
        raise ConfigError(f"--labels {path}, line {[*lines.values()][first]}: {contradiction}")


def _quoted(text: str) -> str:
    """Return a TOML string: JSON's, with DEL escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
