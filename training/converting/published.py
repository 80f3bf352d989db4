"""Known sizes of published sets, beside what a conversion counted."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources

from annotator.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Published:
    """One part of a set as its makers count it."""

    set: str
    part: str
    counts: Mapping[str, int]

    def matches(self, found: Mapping[str, int]) -> bool:
        """Whether each published count is the one that was found."""
        return all(found.get(name) == number for name, number in self.counts.items())


def published(format_name: str, only: str = "") -> tuple[list[Published], tuple[str, ...]]:
    """The known parts of sets of a format, or of the set ``only``, and the types of that set.

    Raises:
        ConfigError: no set of this format is called ``only``.
    """
    text = resources.files("training.converting").joinpath("published.toml").read_text(encoding="utf-8")
    sets = {name: entry for name, entry in tomllib.loads(text).items() if entry["format"] == format_name}
    if only and only not in sets:
        raise ConfigError(f"--set {only}: no known set of the format {format_name}; known: {', '.join(sets) or 'none'}")

    def parts() -> Iterator[Published]:
        for name, entry in sets.items():
            if name == only or not only:
                yield from (Published(name, part, counts) for part, counts in entry["parts"].items())

    return list(parts()), tuple(sets[only].get("types", ())) if only else ()
