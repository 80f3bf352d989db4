"""Map the tags of a tagger to the types of a benchmark, by a table that the user can change.

A table is TOML: a line for each tag, with the types that it answers for::

    PER = ["person", "name"]

A tag that has the name of a type (``LOCATION``, ``SYMPTOM_AND_DISEASE``) needs no line. Several tags may answer for one
type, and one tag for several.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TypeAlias

from annotator.config.toml_files import parse_toml
from annotator.errors import ConfigError
from annotator.records import Sample
from annotator.terminal.events import Progress
from training.predict import Answering, Prediction

Tagged: TypeAlias = tuple[str, str]
"""A slice of the text, and its tag."""
Tagger: TypeAlias = Callable[[Sequence[str]], Iterable[Sequence[Tagged]]]
"""What a tagger finds in each of some texts."""

_BARE = re.compile(r"[\w-]+", re.ASCII)

AT_ONCE = 16
"""Passages a tagger is given at once."""


@dataclass(frozen=True, slots=True)
class TagMap:
    """Which types a tag answers for."""

    types: Mapping[str, tuple[str, ...]]

    def of(self, tag: str) -> frozenset[str]:
        """Return the types, folded, for which ``tag`` answers."""
        return frozenset(map(fold, self.types.get(tag, (tag,))))

    def as_toml(self) -> str:
        """Return the table as a user would write it."""
        return "".join(
            f"{tag if _BARE.fullmatch(tag) else json.dumps(tag, ensure_ascii=False)} = "
            f"{json.dumps(list(types), ensure_ascii=False)}\n"
            for tag, types in self.types.items()
        )


def fold(name: str) -> str:
    """Fold a type or tag as it is compared: lower case, spaces between words."""
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split())


def load_map(kind: str, path: Path | None) -> TagMap:
    """Load the shipped table for a kind of tagger, or the user's in its place.

    Raises:
        ConfigError: the file cannot be read or is no such table.
    """
    if path:
        table = parse_toml(path, f"--map {path}")
    else:
        table = tomllib.loads(resources.files(__package__).joinpath("maps.toml").read_text(encoding="utf-8"))[kind]
    for tag, names in table.items():
        if not isinstance(names, list) or not all(isinstance(item, str) for item in names):
            raise ConfigError(f'{path}: {tag} takes a list of types, such as {tag} = ["person"]')
    return TagMap({tag: tuple(names) for tag, names in table.items()})


def answering(tagger: Tagger, tags: TagMap) -> Answering:
    """Answer queries by tagging each passage once; the mentions of a tag answer for its types."""

    def answer(samples: Sequence[Sample], known: Container[str], progress: Progress) -> Iterator[Prediction]:
        queries: dict[str, list[Sample]] = {}
        for sample in samples:
            queries.setdefault(sample.input, []).append(sample)
        open_ = [text for text, asked in queries.items() if any(sample.id not in known for sample in asked)]
        for start in range(0, len(open_), AT_ONCE):
            texts = open_[start : start + AT_ONCE]
            for text, found in zip(texts, tagger(texts), strict=True):
                for sample in queries[text]:
                    if sample.id not in known:
                        yield sample.id, _mentions(found, fold(sample.entity_type), tags)
                        progress.advance()

    return answer


def _mentions(found: Iterable[Tagged], wanted: str, tags: TagMap) -> str:
    mentions = dict.fromkeys(text for text, tag in found if wanted in tags.of(tag))
    return json.dumps(list(mentions), ensure_ascii=False)
