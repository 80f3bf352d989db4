"""Read and write decisions of a person about labels: a file with one line for each label.

    "vùng đất thiêng liêng" = "sacred place"   # its new name, or the type that it merges into
    "đặc sản" = true                           # a type of its own: keep it as it is
    "nội dung" = false                         # no type: drop it

The file is TOML without sections, so that a line can be appended without touching the rest.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from annotator.errors import ConfigError
from annotator.storage.atomic import append_line
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
        ConfigError: the file cannot be read, or a decision is invalid or contradicts others.
    """
    try:
        data = path.read_bytes()
        table = tomllib.loads(data.decode("utf-8-sig"))
        labels = {label: _decision(label, value) for label, value in table.items()}
        LabelNormalizer(load_lexicon(), labels)  # finds those that contradict each other
    except OSError as error:
        raise ConfigError(f"cannot read --labels {path}: {error.strerror}; --labels '' does without") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        how = 'a line is "label" = "type", in UTF-8 and with both in double quotes'
        raise ConfigError(f"--labels {path}: {error}; {how}") from error
    except ValueError as error:
        raise ConfigError(f"--labels {path}: {error}") from error
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
    append_line(path, decision_line(label, decision))


def _decision(label: str, value: Any) -> str | None:
    if isinstance(value, dict):
        raise ValueError(f'{label!r} begins a section; write one line a label, such as "U.S. state" = "region"')
    if value is False:
        return None
    if not (value is True or (isinstance(value, str) and any(char.isalpha() for char in value))):
        raise ValueError(f"{label!r} needs a type in double quotes, true to keep it, or false to drop it")
    return label if value is True else str(value)


def _quoted(text: str) -> str:
    """Return a TOML string: JSON's, with DEL escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
