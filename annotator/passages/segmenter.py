"""underthesea's word segmenter, loaded without the rest of the package."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec, module_from_spec
from typing import NamedTuple

_LIKE_ADDRESS = re.compile(r"(?:ht|f)tps?:|\.[a-z]{2,13}/")


class Segmenter(NamedTuple):
    """The segmenter of underthesea, and the pattern of the tokens that it joins to words."""

    segment: Callable[..., list[str]]
    token_pattern: re.Pattern[str]


@cache
def segmenter() -> Segmenter:
    """Load the segmenter once a process."""
    with only_submodules("underthesea"):
        from underthesea.pipeline.text_normalize import text_normalize  # noqa: F401 - the others import it in a circle
        from underthesea.pipeline.word_tokenize import word_tokenize
        from underthesea.pipeline.word_tokenize.regex_tokenize import patterns

        word_tokenize("")  # its model is imported at the first call
    return Segmenter(word_tokenize, patterns)


def without_addresses(sentence: str) -> str:
    """Return the sentence with an ``x`` for each character of what looks like a web address.

    underthesea's token pattern takes exponential time on an address that ends in punctuation.
    """
    return re.sub(r"\S+", lambda chunk: "x" * len(chunk[0]) if _LIKE_ADDRESS.search(chunk[0]) else chunk[0], sentence)


@contextmanager
def only_submodules(package: str) -> Iterator[None]:
    """Import submodules of ``package`` without running the package itself, unless it is imported already.

    Where torch and transformers are installed, ``import underthesea`` imports both for its translator: eight seconds of
    CPU in each process.
    """
    spec = find_spec(package) if package not in sys.modules else None
    if spec is None:
        yield
        return
    sys.modules[package] = module_from_spec(spec)
    try:
        yield
    finally:
        del sys.modules[package]  # a later import of the package runs it as usual
