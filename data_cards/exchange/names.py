"""The names of the formats, in the order of the help: light to import, as the command line needs."""

from __future__ import annotations

from typing import Final

NAMES: Final = (
    "conll", "conll-words", "spacy", "gliner", "labelstudio", "argilla", "doccano", "alpaca", "universalner", "jsonl",
)  # fmt: skip
