"""Read ``--option NAME=VALUE``: parameters that are sent with each request."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from annotator.errors import ConfigError

SET_BY_US: Final = {
    "model": "--model", "messages": "--prompt", "prompt": "--prompt", "max_tokens": "--max-completion-tokens",
    "max_completion_tokens": "--max-completion-tokens", "response_format": "--response-format", "stream": "", "n": "",
}  # fmt: skip
"""Parameters that ``--option`` cannot set, and the flags that set them; empty where none does."""
_SECRET: Final = re.compile("(api|access|auth)[-_]?(key|token)|authorization|password|secret|credential", re.IGNORECASE)
"""Names of parameters whose values must not be stored."""


def canonical_options(given: Any) -> tuple[str, ...]:
    """Return ``NAME=JSON`` of each option, in order of the names, from a table or a list of such texts.

    Raises:
        ConfigError: no name or no JSON value, or a name that another flag sets.
    """
    found: dict[str, Any] = {}
    if isinstance(given, Mapping):
        found = dict(given)
    elif isinstance(given, list | tuple) and all(isinstance(item, str) for item in given):
        for item in given:
            name, equals, value = item.partition("=")
            if not equals:
                raise ConfigError(f"--option needs NAME=VALUE, not {item!r}")
            try:
                found[name.strip()] = json.loads(value)
            except ValueError:
                found[name.strip()] = value  # a word needs no quotes
    else:
        raise ConfigError(f"--option needs NAME=VALUE texts or a table, not {given!r}")
    for name in found:
        if not name.isidentifier():
            raise ConfigError(f"--option needs the name of a parameter before the =, not {name!r}")
        if name in SET_BY_US:
            instead = f"use {SET_BY_US[name]}" if SET_BY_US[name] else "answers are read one by one, and whole"
            raise ConfigError(f"--option {name}: the program sets this itself; {instead}")
        if _SECRET.search(name):
            raise ConfigError(f"--option {name} looks like a key and would be stored; keys come from the environment")
    try:
        return tuple(f"{name}={json.dumps(found[name], ensure_ascii=False, sort_keys=True, allow_nan=False)}"
                     for name in sorted(found))  # fmt: skip
    except (TypeError, ValueError):
        raise ConfigError("--option needs values that JSON has: no dates, no infinity") from None
