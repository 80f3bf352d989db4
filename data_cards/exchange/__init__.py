"""Export a dataset to other tools, and import the corrections that people made there.

Each format has a module that converts a passage to an object of the other tool and back; ``formats`` lists them.
``exporting`` and ``importing`` are the two commands. ``spans`` finds what a person marked in the run's passage.
"""

from typing import Final

NAMES: Final = (
    "conll", "conll-words", "spacy", "gliner", "labelstudio", "argilla", "doccano", "alpaca", "universalner", "jsonl",
)  # fmt: skip
"""The formats in the order of the help."""
