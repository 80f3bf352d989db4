"""Find the licences of corpus and teacher output in licences.toml, which dates its statements."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Licence:
    """The licence of a source or a model; ``text`` is empty if it is unknown."""

    name: str = UNKNOWN
    text: str = ""
    url: str = ""
    as_of: str = ""
    """The day, month, year or version that the statement is about."""


def of_corpus(source: Mapping[str, Any]) -> Licence:
    """Return the licence of the articles, by name or fingerprint of a manifest's ``source``, whatever its revision."""
    mine = {str(source.get(key, "")).partition("@")[0] for key in ("name", "fingerprint")}
    return next((licence for key, licence in _known("corpus", "source") if key in mine), Licence())


def of_output(teacher: Mapping[str, Any]) -> Licence:
    """Return the conditions for the teacher's output, by the name of its model."""
    model = str(teacher.get("model", ""))
    return next(
        (licence for pattern, licence in _known("output", "model") if re.search(pattern, model, re.IGNORECASE)),
        Licence(),
    )


def _known(kind: str, key: str) -> Iterator[tuple[str, Licence]]:
    entries = tomllib.loads(resources.files("data_cards").joinpath("licences.toml").read_text(encoding="utf-8"))
    for entry in entries[kind]:
        yield entry[key], Licence(entry["licence"], entry["text"], entry["url"], entry["as_of"])
