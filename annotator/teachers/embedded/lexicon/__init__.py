"""The word lists of the embedded teacher, read once from the TOML files beside this module.

places.toml         countries, regions, provinces of Vietnam, towns, cities
organizations.toml  bodies of state, media, companies, clubs
people.toml         people who are known by one name
heads.toml          the first words of names: "huyện", "công ty"
cues.toml           the words before names: "ông", "báo", "tại"
syllables.toml      family names, words that only begin sentences, endings of foreign names
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

PERSON, ORGANIZATION, LOCATION = "person", "organization", "location"


@dataclass(frozen=True, slots=True)
class Lexicon:
    """All lists, in the form that the rules need."""

    known: Mapping[str, str]
    """Well-known name -> type."""
    known_starts: frozenset[str]
    """The first words of those that begin in lower case: "châu Âu"."""
    heads: Mapping[str, str]
    """First words of a name -> ``place``, ``state`` or ``named``."""
    lower_heads: frozenset[str]
    """Those that begin a name in lower case too."""
    links: frozenset[str]
    """Syllables in lower case inside the name of an organization."""
    tails: frozenset[str]
    """Words in lower case at its end."""
    cues: Mapping[str, str]
    """Words before a name -> a type, or ``role``, ``source``, ``where``, ``none``."""
    syllables: Mapping[str, frozenset[str]]
    """The lists of syllables.toml by name."""


def _read(name: str) -> dict[str, list[str]]:
    table: dict[str, Any] = tomllib.loads(files(__name__).joinpath(f"{name}.toml").read_text("utf-8"))
    return table


@cache
def lexicon() -> Lexicon:
    """Read the lists."""
    places, bodies, people, heads, cues = map(_read, ("places", "organizations", "people", "heads", "cues"))
    known = {name: LOCATION for names in places.values() for name in names}
    known |= {name: ORGANIZATION for names in bodies.values() for name in names}
    known |= {name: PERSON for names in people.values() for name in names}
    return Lexicon(
        known=known,
        known_starts=frozenset(name.partition(" ")[0] for name in known if name[0].islower()),
        heads={head: kind for kind in ("place", "state", "named") for head in heads[kind]},
        lower_heads=frozenset(heads["lower"]) | frozenset(heads["place"]),
        links=frozenset(heads["links"]),
        tails=frozenset(heads["tails"]),
        cues={cue: meaning for meaning, listed in cues.items() for cue in listed},
        syllables={name: frozenset(listed) for name, listed in _read("syllables").items()},
    )
