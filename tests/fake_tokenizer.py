"""A tokenizer that counts by a function."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from annotator.passages.tokenizers import UNKNOWN
from annotator.passages.words import Positions


class FakeTokenizer:
    """Counts the tokens of a text with ``count``; what a span adds is unknown."""

    name = fingerprint = "fake"

    def __init__(self, count: Callable[[str], int]) -> None:
        self.count = count

    def count_many(self, texts: Sequence[str]) -> list[int]:
        return [self.count(text) for text in texts]

    def count_spans(self, text: str, starts: Positions, ends: Positions) -> tuple[Positions, Positions]:
        alone = self.count_many([text[start:end] for start, end in zip(starts, ends, strict=True)])
        return np.array(alone, np.int64), np.full(len(alone), UNKNOWN)


WORDS = FakeTokenizer(lambda text: len(text.split()))
CHARACTERS = FakeTokenizer(len)
"""A token for each code point, white space included."""
