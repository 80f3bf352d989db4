"""The readable name of a type: what a question calls it. The shipped names are data; the user's win."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from annotator.errors import ConfigError
from normalizers.text import nfc


class TypeNames:
    """Names by raw type, whatever its case."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = {nfc(raw).lower(): " ".join(nfc(name).lower().split()) for raw, name in names.items()}

    def readable(self, raw: str) -> str:
        """``SYMPTOM_AND_DISEASE`` -> ``symptom and disease``; empty when the type is to be left out."""
        return self._names.get(raw.lower(), " ".join(raw.lower().replace("_", " ").split()))

    def lowered(self, raw: str) -> str:
        """A type that is words already: lower case, and nothing else unless it has a name here."""
        return self._names.get(raw.lower(), raw.lower())


def shipped(given: Path | None = None) -> TypeNames:
    """The names for benchmarks: those of the package, overruled by the user's file."""
    text = resources.files("training.converting").joinpath("types.toml").read_text(encoding="utf-8")
    return TypeNames({**tomllib.loads(text), **_read(given)})


def given_only(given: Path | None = None) -> TypeNames:
    """The names for sets whose types are words already: the user's."""
    return TypeNames(_read(given))


def _read(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    try:
        names = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"cannot read --types {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"--types {path} is not valid TOML: {error}") from error
    for raw, name in names.items():
        if not isinstance(name, str):
            raise ConfigError(f'{path}: the name of {raw} is no text; write {raw} = "readable name"')
    return names
