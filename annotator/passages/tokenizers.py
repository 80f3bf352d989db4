"""Count the tokens of passages and samples.

A tokenizer is named by a spec, the value of ``--tokenizer``. ``fingerprint`` in the manifest identifies its vocabulary.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import compress
from operator import sub
from pathlib import Path
from typing import Any, Final

import numpy as np
import tiktoken

from annotator.errors import ConfigError
from annotator.passages import vocabularies
from annotator.passages.words import WORD, Positions, Table, Words, words_of

NAMED: Final = ("cl100k_base", "o200k_base")
"""Encodings that tiktoken downloads at first use and caches."""
WORDS: Final = "words"
"""The spec that counts words between white space; in Vietnamese these are syllables."""

_SLICE: Final = 25_000
"""Characters that tiktoken encodes at once: its regular expressions overflow on longer white space."""

UNKNOWN: Final = 1 << 36
"""Stands for a count that words do not give: above any real count, and small enough to be summed."""
_LINE_END: Final = re.compile(r"(?<=[^\W_])(?:[^\w\s]|_){0,4}\Z")
"""Punctuation at the end of a line, after a letter or digit: a token begins there, which may include the line break and
a slash after it (o200k), but nothing else."""
_SPACE: Final = ord(" ")
_GAP: Final = 64
"""Longest white space between two spans whose tokens are counted without the whole text."""


class Tokenizer:
    """Counts tokens. It can be pickled, for other processes."""

    name: str
    """The spec it was loaded by."""
    fingerprint: str
    """The sha256 of its vocabulary, in hex."""

    def __reduce__(self) -> tuple[Any, ...]:
        return load_tokenizer, (self.name,)

    def count(self, text: str) -> int:
        """Return the tokens of ``text``, without begin or end token; names of special tokens in it are plain text."""
        raise NotImplementedError

    def count_many(self, texts: Sequence[str]) -> list[int]:
        """Return ``count`` of each text."""
        return [self.count(text) for text in texts]

    def count_spans(self, text: str, starts: Positions, ends: Positions) -> tuple[Positions, Positions]:
        """Count many slices of one text: in order, disjoint, without line breaks or white space at their ends.

        Returns:
            The tokens of each slice alone, and those that it adds to any text that ends with the slice before it;
            ``UNKNOWN`` where the whole text must be counted.
        """
        alone = self.count_many([text[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)])
        return np.array(alone, np.int64), np.full(len(alone), UNKNOWN)


@cache
def load_tokenizer(spec: str) -> Tokenizer:
    """Load a tokenizer, once per process.

    Args:
        spec: ``llama3`` (default of a run, needs no network), ``words`` (between white space), ``cl100k_base`` or
            ``o200k_base`` (tiktoken downloads them at first use), ``hf:NAME`` for a ``tokenizer.json`` on the Hugging
            Face Hub, or the path of a ``tokenizer.json``, of a folder that holds one, or of a vocabulary in tiktoken's
            format (``*.model`` or ``*.tiktoken``; split as Llama 3 does).

    Raises:
        ConfigError: the spec is unknown, or its vocabulary cannot be loaded.
    """
    if spec == "llama3":
        return _Tiktoken(spec, *vocabularies.read_ranks(spec, vocabularies.llama3_file()))
    if spec == WORDS:
        return _WhiteSpace()
    if spec in NAMED:
        return _Tiktoken(spec, *vocabularies.named_encoding(spec))
    if spec.startswith("hf:"):
        return _HuggingFace(spec, vocabularies.from_hub(spec))
    path = Path(spec).expanduser()
    if path.is_dir():
        path /= "tokenizer.json"
    if not path.is_file():
        known = f"llama3, {WORDS}, {', '.join(NAMED)}, hf:NAME or the path of a tokenizer.json or tokenizer.model"
        raise ConfigError(f"no tokenizer {spec!r}: give {known}")
    if path.suffix == ".json":
        return _HuggingFace(spec, vocabularies.read_json(spec, path))
    return _Tiktoken(spec, *vocabularies.read_ranks(spec, path))


def request_tokenizer(spec: str) -> str:
    """Return the spec that counts what a teacher reads: ``llama3`` where passages are counted in words."""
    return "llama3" if spec == WORDS else spec


class _WhiteSpace(Tokenizer):
    """Counts words between white space, as ``str.split`` does."""

    name = WORDS
    fingerprint = hashlib.sha256(b"runs of characters that are not white space").hexdigest()

    def count(self, text: str) -> int:
        return len(text.split())


class _Tiktoken(Tokenizer):
    """Byte-pair encoding by tiktoken.

    A single space between two characters that are not white space always begins a token (or is one): in the split
    patterns of Llama 3, cl100k and o200k no match crosses it. So a text is counted word by word from a table, which
    takes half the time of encoding it (docs/decisions.md).
    """

    def __init__(self, name: str, encoding: tiktoken.Encoding, fingerprint: str) -> None:
        self.name, self.fingerprint, self._encoding = name, fingerprint, encoding
        self._after_space = Table(self._after_a_space)
        self._first = Table(lambda words: [self._encoded(word) - self._encoded(f" {word}") for word in words])
        self._line_end = Table(lambda marks: [self._encoded(f"a{end}\n") - self._encoded(f"a{end}") for end in marks])

    def count(self, text: str) -> int:
        words = text.encode().split(b" ")
        tokens = sum(map(self._after_space.__getitem__, words))
        return tokens + self._first[words[0]] if tokens < UNKNOWN else self._encoded(text)

    def count_spans(self, text: str, starts: Positions, ends: Positions) -> tuple[Positions, Positions]:
        words = words_of(text)
        sums = np.concatenate(([0], np.cumsum(self._in_place(words))))
        first, last = np.searchsorted(words.begins, starts), np.searchsorted(words.begins, ends + 1)
        added = sums[last] - sums[first]
        # A span is counted by words where it begins and ends with one.
        is_whole = words.begins[last] == ends + 1
        by_words = (words.begins[first] == starts) & is_whole & (added < UNKNOWN)
        # Alone, a span's first word has no space before it.
        heads, back = np.unique(words.which[first[by_words]], return_inverse=True)
        alone = added.copy()
        alone[by_words] += self._first.many([words.known[head] for head in heads.tolist()])[back]
        for index in np.flatnonzero(~by_words).tolist():
            span = text[starts[index] : ends[index]]
            alone[index] = self._encoded(span)
            added[index] = alone[index] - self._first[span.partition(" ")[0].encode()]
        # Anything but a single space between two spans has tokens of its own, or changes those around it.
        goes_on = is_whole & words.by_space[last - 1] & (ends + 1 == np.append(starts[1:], -1))
        gaps = np.flatnonzero(~goes_on[:-1])
        edges = np.stack((starts[gaps], ends[gaps], starts[gaps + 1], ends[gaps + 1]), axis=1)
        seams = np.array([self._seam(text, *edge) for edge in edges.tolist()], np.int64)
        added[gaps + 1] = np.minimum(alone[gaps + 1] + seams, UNKNOWN)
        return alone, added

    def _in_place(self, words: Words) -> Positions:
        """Return the tokens of each word and the space before it."""
        tokens = self._after_space.many(words.known)[words.which]
        # Of two spaces the first is a token; more than two must be counted in the text.
        blank = words.which == words.known.index(b"") if b"" in words.known else words.which < 0
        tokens[blank] = 1
        tokens[1:][blank[1:] & blank[:-1]] = UNKNOWN
        return tokens

    def _seam(self, text: str, start: int, end: int, following: int, stop: int) -> int:
        """Return the tokens that the gap between ``text[start:end]`` and ``text[following:stop]`` adds to both."""
        gap = text[end:following]
        if gap == "\n" and text[following] != "/" and (marks := _LINE_END.search(text[max(start, end - 6) : end])):
            return self._line_end[marks[0].encode()]
        space = text.rfind(" ", start, end)
        if space < 0 or len(gap) > _GAP:
            # With one word alone, the tokens at the gap can depend on what precedes it.
            return UNKNOWN
        last, first = text[space:end], text[following:stop].partition(" ")[0]
        return self._encoded(f"{last}{gap}{first}") - self._encoded(last) - self._encoded(first)

    def _after_a_space(self, words: Sequence[str]) -> list[int]:
        """Return the tokens of each word with a space before it, encoded together: each space begins a token."""
        ordinary = [word.strip() == word != "" and len(word) <= WORD for word in words]
        text = "".join([f" {word}" for word in compress(words, ordinary)])
        tokens = self._encoding.decode_tokens_bytes(self._encoding.encode_ordinary(text))
        begins = [index for index, token in enumerate(tokens) if token[0] == _SPACE]
        counts = map(sub, [*begins[1:], len(tokens)], begins)
        return [next(counts) if quick else self._alone(word) for word, quick in zip(words, ordinary, strict=True)]

    def _alone(self, word: str) -> int:
        """Return the tokens of one word with a space before it."""
        return self._encoded(f" {word}") if word.strip() == word != "" else UNKNOWN

    def _encoded(self, text: str) -> int:
        if len(text) <= _SLICE:
            return len(self._encoding.encode_ordinary(text))
        return sum(len(self._encoding.encode_ordinary(part)) for part in _slices(text))


class _HuggingFace(Tokenizer):
    """A ``tokenizer.json``, read by the ``tokenizers`` package."""

    def __init__(self, name: str, tokenizer: Any) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = True  # their strings are split like any other text
        self.name, self._tokenizer = name, tokenizer
        self.fingerprint = hashlib.sha256(tokenizer.to_str().encode()).hexdigest()

    def count(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def count_many(self, texts: Sequence[str]) -> list[int]:
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch(list(texts), add_special_tokens=False)]


def _slices(text: str) -> Iterator[str]:
    """Cut a long text before a space, where tokens end anyway; without a space, where the slice is full."""
    start = 0
    while len(text) - start > _SLICE:
        space = text.rfind(" ", start + 1, start + _SLICE)
        end = space if space > 0 else start + _SLICE
        yield text[start:end]
        start = end
    yield text[start:]
