"""Identity of a model on the disk, so that answers of two models never mix in one file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from annotator.errors import ConfigError

_DECIDES = (".safetensors", ".json", ".model", ".txt", ".bin")
"""Endings of the files that decide what a model answers: weights, configuration, vocabulary."""


def model_folder(predictor: str, path: str) -> Path:
    """The folder of a model, which must be there: nothing is downloaded for a baseline.

    Raises:
        ConfigError: it is not there.
    """
    folder = Path(path).expanduser()
    if not (folder.is_dir() and any(folder.glob("*config.json"))):
        raise ConfigError(f"{predictor}:{path} is no folder with a model (no config.json); download it there first")
    return folder


def fingerprint(folders: Iterable[Path]) -> str:
    """The sha256, in hex, over names and bytes of the files that decide what the models in ``folders`` answer."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.iterdir()):
            if path.suffix in _DECIDES and path.is_file():
                with path.open("rb") as file:
                    content = hashlib.file_digest(file, "sha256").hexdigest()
                digest.update(f"{path.name} {content}\n".encode())
    return digest.hexdigest()
