"""Read the entity types of ``--types``: TOML tables ``[[types]]``, or a text file with one type a line."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from annotator.errors import ConfigError, did_you_mean
from normalizers.labels import clean_label
from normalizers.text import nfc

_TEXTS: Final = ("name", "definition", "parent")
_LISTS: Final = ("examples", "synonyms")


@dataclass(frozen=True, slots=True)
class EntityType:
    """One type; ``name`` is its label in samples."""

    name: str
    definition: str = ""
    examples: tuple[str, ...] = ()
    synonyms: tuple[str, ...] = ()
    """Other labels that are mapped to this type; the prompt does not show them."""
    parent: str = ""
    """Name of the type that this one is a subtype of."""


@dataclass(frozen=True, slots=True)
class Schema:
    """The types of a run, in the order of the file."""

    types: tuple[EntityType, ...]
    sha256: str
    """Of the file."""

    @property
    def definitions(self) -> dict[str, str]:
        """Return the definitions by name, of the types that have one."""
        return {one.name: one.definition for one in self.types if one.definition}

    def rendered(self) -> str:
        """Return the types as a prompt lists them: each with definition and examples, subtypes under their parent."""
        lines = []
        for top in (one for one in self.types if not one.parent):
            lines += [_line(top), *(f"  {_line(one)}" for one in self.types if one.parent == top.name)]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return the hash of the file, and each type with its definition and parent, for the manifest."""
        types = [{"name": one.name, "definition": one.definition, "parent": one.parent} for one in self.types]
        return {"sha256": self.sha256, "types": types}


def read_types(path: Path) -> Schema:
    """Read the types of a file: TOML where its name ends in ``.toml``, else a type or ``type: definition`` a line.

    A line of the latter that begins with ``#`` is a comment.

    Raises:
        ConfigError: the file cannot be read, or is no list of types.
    """
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
        tables = _toml_tables(text) if path.suffix == ".toml" else _text_tables(text)
        types = tuple(_entity_type(number, table) for number, table in enumerate(tables, start=1))
        _check_together(types)
    except OSError as error:
        raise ConfigError(f"cannot read --types {path}: {error.strerror}; check the name") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"--types {path}: not UTF-8; save the file as UTF-8") from error
    except ValueError as error:
        raise ConfigError(f"--types {path}: {error}") from error
    return Schema(types, hashlib.sha256(data).hexdigest())


def _toml_tables(text: str) -> Sequence[Any]:
    content = tomllib.loads(text)
    if unknown := next((key for key in content if key != "types"), None):
        raise ValueError(f"unknown key {unknown!r}; a type is a table [[types]]")
    tables = content.get("types", [])
    if not isinstance(tables, list):
        raise ValueError("'types' is no list; write a table [[types]] for each type")
    return tables


def _text_tables(text: str) -> Sequence[Any]:
    lines = (line.strip() for line in text.splitlines())
    parts = (line.partition(":") for line in lines if line and not line.startswith("#"))
    return [{"name": name, "definition": definition} for name, _, definition in parts]


def _entity_type(number: int, table: Any) -> EntityType:
    if not isinstance(table, Mapping):
        raise ValueError(f'type {number} is no table; write [[types]] and name = "..." below it')
    for key, value in table.items():
        if key not in (*_TEXTS, *_LISTS):
            raise ValueError(f"type {number}: unknown key {key!r}{did_you_mean(key, (*_TEXTS, *_LISTS), listed=True)}")
        if key in _TEXTS and not isinstance(value, str):
            raise ValueError(f"type {number}: {key} must be text in double quotes, not {value!r}")
        if key in _LISTS and not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
            raise ValueError(f'type {number}: {key} must be a list of texts such as ["a", "b"], not {value!r}')
    name, definition, parent = (_plain(table.get(key, "")) for key in _TEXTS)
    examples, synonyms = (tuple(filter(None, map(_plain, table.get(key, [])))) for key in _LISTS)
    if not clean_label(name):
        raise ValueError(f'type {number} has no name; give one such as name = "person"')
    return EntityType(name, definition, examples, synonyms, parent)


def _plain(text: str) -> str:
    """Return ``text`` in NFC on one line."""
    plain = " ".join(nfc(text).split())
    if "{passage}" in plain or not plain.isprintable():
        raise ValueError(f"{plain!r} holds a control character or {{passage}}, which a prompt cannot show; remove it")
    return plain


def _check_together(types: Sequence[EntityType]) -> None:
    if not types:
        raise ValueError('no types; give at least one, such as [[types]] with name = "person"')
    owners: dict[str, str] = {}
    for one in types:
        written = clean_label(one.name)
        if written in owners:
            raise ValueError(f"{one.name!r} is the same type as {owners[written]!r}; remove or rename one of them")
        owners[written] = one.name
    for one in types:
        for synonym in one.synonyms:
            owner = owners.setdefault(clean_label(synonym), one.name)
            if owner != one.name:
                raise ValueError(f"the synonym {synonym!r} of {one.name!r} stands for {owner!r} already; remove one")
    tops = [one.name for one in types if not one.parent]
    for one in types:
        if one.parent and one.parent not in tops:
            hint = did_you_mean(one.parent, tops)
            raise ValueError(f"the parent {one.parent!r} of {one.name!r} must be a type that has no parent{hint}")


def _line(one: EntityType) -> str:
    definition = f": {one.definition}" if one.definition else ""
    examples = f" (examples: {'; '.join(one.examples)})" if one.examples else ""
    return f"- {one.name}{definition}{examples}"
