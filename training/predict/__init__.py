"""Who answers the queries of a benchmark: a student, a teacher behind an endpoint, or a tagger to compare with.

To add a predictor, write a function that returns a ``Predictor``, and name it in ``predictors.py``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from annotator.errors import ConfigError
from annotator.records import Sample
from annotator.terminal.events import Progress

Prediction: TypeAlias = tuple[str, str]
"""The id of a query, and its answer as the model gave it."""

Answering: TypeAlias = Callable[[Sequence[Sample], Container[str], Progress], Iterator[Prediction]]
"""Answers the queries of a benchmark, in any order, and advances the progress by each.

It gets all of them and the ids that are answered already, so that what belongs together (a batch, a passage) is the
same whether a run was interrupted or not. It may answer a query again; the first answer stays.
"""

_DECIDES: Final = (".safetensors", ".json", ".model", ".txt", ".bin")
"""Endings of the files that decide what a model answers: weights, configuration, vocabulary."""


@dataclass(frozen=True, slots=True)
class Predictor:
    """Something that answers queries."""

    identity: Mapping[str, Any]
    """All that decides its answers besides the query, as JSON."""
    answer: Answering


def model_folder(predictor: str, path: str) -> Path:
    """Return the folder of a model, which must be there: nothing is downloaded for a baseline.

    Raises:
        ConfigError: it is not there.
    """
    folder = Path(path).expanduser()
    if not (folder.is_dir() and any(folder.glob("*config.json"))):
        raise ConfigError(f"{predictor}:{path} is no folder with a model (no config.json); download it there first")
    return folder


def fingerprint(folders: Iterable[Path]) -> str:
    """Return the sha256, in hex, over the files that decide what the models in ``folders`` answer, and their names."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.iterdir()):
            if path.suffix in _DECIDES and path.is_file():
                with path.open("rb") as file:
                    content = hashlib.file_digest(file, "sha256").hexdigest()
                digest.update(f"{path.name} {content}\n".encode())
    return digest.hexdigest()
