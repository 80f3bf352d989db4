"""GLiNER (Zaratiana et al., 2024): a small model that is told the types it should look for.

Each passage is read once, with the types that the benchmark asks of it. The ``gliner`` package is no dependency: its
releases pin older versions of transformers; see docs/evaluate.md for how it goes in.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from annotator.errors import ConfigError, StudentError
from annotator.progress import Progress
from annotator.records import Sample
from training.predict import Prediction, Predictor
from training.predict.models import fingerprint, model_folder
from training.predict.tags import Tagged, TagMap, answering, fold
from training.students import check_extra, default_device

THRESHOLD = 0.5
"""Score below which a span is no entity: the package's own default."""


def make(path: str, tags: TagMap) -> Predictor:
    """The model in the folder ``path``.

    Raises:
        ConfigError: the folder is not there, or ``gliner`` is not installed.
        StudentError: it holds no such model.
    """
    check_extra()
    if find_spec("gliner") is None:
        raise ConfigError("gliner:DIR needs the package gliner: pip install --no-deps gliner")
    folder = model_folder("gliner", path)
    identity = {"predictor": "gliner", "model": fingerprint([folder]), "map": tags.as_toml(), "threshold": THRESHOLD}

    def answer(samples: Sequence[Sample], known: Container[str], progress: Progress) -> Iterator[Prediction]:
        model = _load(folder)
        labels = _labels(sorted({fold(sample.entity_type) for sample in samples}), tags)

        def tag(texts: Sequence[str]) -> Iterator[list[Tagged]]:
            for found in model.inference(list(texts), labels, threshold=THRESHOLD):
                yield [(str(entity["text"]), str(entity["label"])) for entity in found]

        return answering(tag, tags)(samples, known, progress)

    return Predictor(identity, answer)


def _labels(types: Sequence[str], tags: TagMap) -> list[str]:
    """What is asked for: the user's labels for the types that they name, and all others by their own names."""
    named = [label for label in tags.types if tags.of(label) & set(types)]
    covered = {kind for label in named for kind in tags.of(label)}
    return [*named, *(kind for kind in types if kind not in covered)]


def _load(folder: Path) -> Any:
    try:
        model = import_module("gliner").GLiNER.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # the package raises nothing narrower
        said = " ".join(str(error).split())[:160]
        raise StudentError(f"cannot load {folder} as a GLiNER model ({type(error).__name__}: {said})") from error
    return model.to(default_device()).eval()
