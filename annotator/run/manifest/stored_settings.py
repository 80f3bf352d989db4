"""Store the settings of a run without secrets, and so that it can be resumed from any folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from annotator.config.addresses import without_password, without_secrets
from annotator.config.settings import RunConfig, make_config
from annotator.passages.tokenizers import NAMED, WORDS
from annotator.storage.rundir import RunDir

PATHS: Final = ("source", "tokenizer", "prompt", "types", "labels", "decontaminate")
"""Settings that may name a file or folder of this machine."""
SPELLED: Final = ("source", "tokenizer", "prompt")
"""Those whose spelling is part of a stage's fingerprint."""


def stored_settings(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings in a manifest, without those of another version that this one does not have."""
    return {name: value for name, value in manifest.get("config", {}).items() if name in RunConfig.__slots__}


def settings_of(run: RunDir) -> RunConfig:
    """Return the settings that a run was made with."""
    return make_config(stored_settings(run.read_manifest()))


def storable(config: RunConfig) -> dict[str, Any]:
    """Return the settings for the manifest: paths are absolute, addresses are without secrets."""
    return {name: _storable(name, value) for name, value in config.as_dict().items()}


def located(name: str, value: str) -> str:
    """Return ``value`` of the setting ``name``, as an absolute path where it names a file or folder of this machine."""
    if not value or "://" in value or (name == "source" and value == "sample"):
        return value
    always = name in {"types", "labels", "decontaminate"} or (name == "prompt" and value.endswith(".toml"))
    path = Path(value).expanduser() if value.startswith("~") else Path(value)
    tokenizers = {"llama3", WORDS, *NAMED}
    named = name == "prompt" or (name == "tokenizer" and (value in tokenizers or value.startswith("hf:")))
    if not always and (named or not path.exists()):
        return value
    return os.path.normpath(Path.cwd() / path)


def spelling(config: RunConfig, manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return how the settings of ``SPELLED`` are spelled in fingerprints: as they were first given.

    The same file under another path, or the same address with another signature, leaves a stage current.
    """
    stored, found = stored_settings(manifest), {}
    before = {**stored, **manifest.get("spelling", {})}
    for name in SPELLED:
        given, earlier = str(getattr(config, name)), before.get(name)
        # A source with other content is refused: if there is a manifest, the source is the same.
        same = name == "source" or located(name, given) == located(name, str(stored.get(name, "")))
        found[name] = str(earlier) if same and earlier is not None else without_secrets(given)
    return found


def same_setting(name: str, one: Any, other: Any) -> bool:
    """Return whether two values of the setting ``name`` mean the same."""
    return bool(_storable(name, one) == _storable(name, other))


def _storable(name: str, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_storable(name, part) for part in value]
    if not isinstance(value, str):
        return value
    if name == "ledger":
        return without_password(value)  # the user's name stays, which opens the ledger again
    return without_secrets(located(name, value) if name in PATHS else value)
