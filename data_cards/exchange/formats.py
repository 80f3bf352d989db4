"""The formats by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import IO, Final

from annotator.errors import ConfigError, did_you_mean
from annotator.records import Annotation, Mention
from data_cards.exchange import alpaca, argilla, conll, doccano, gliner, jsonl, labelstudio, spacy, universalner
from data_cards.exchange.carrying import Job, Reviewed, Unread, nothing_lost
from data_cards.exchange.tokens import syllables, words


@dataclass(frozen=True, slots=True)
class Format:
    """The functions that write and read a format."""

    write: Callable[[IO[bytes], Iterable[Annotation], Job], None]
    read: Callable[[Path], Iterator[Reviewed | Unread]]
    lost: Callable[[Annotation], Mapping[Mention, str]] = nothing_lost
    """The mentions that it cannot hold, with the reason."""
    beside: tuple[str, Callable[[Sequence[str]], bytes]] | None = None
    """Suffix and content of a second file, made of the labels."""
    negatives: float = 0.0
    """Ratio of absent types to present ones, where the run has no negatives."""


FORMATS: Final[Mapping[str, Format]] = MappingProxyType(
    {
        "conll": Format(partial(conll.write, tokenize=syllables), conll.read, partial(conll.lost, tokenize=syllables)),
        "conll-words": Format(partial(conll.write, tokenize=words), conll.read, partial(conll.lost, tokenize=words)),
        "spacy": Format(spacy.write, spacy.read, spacy.lost),
        "gliner": Format(gliner.write, gliner.read, gliner.lost, negatives=1.0),
        "labelstudio": Format(labelstudio.write, labelstudio.read, beside=(".config.xml", labelstudio.config)),
        "argilla": Format(argilla.write, argilla.read, argilla.lost, (".labels.json", argilla.labels_file)),
        "doccano": Format(doccano.write, doccano.read, beside=(".labels.json", doccano.labels_file)),
        "alpaca": Format(alpaca.write, alpaca.read),
        "universalner": Format(universalner.write, universalner.read),
        "jsonl": Format(jsonl.write, jsonl.read),
    }
)


def format_named(name: str) -> Format:
    """The format ``name``.

    Raises:
        ConfigError: there is none.
    """
    if name not in FORMATS:
        raise ConfigError(f"unknown --format {name!r}{did_you_mean(name, FORMATS, listed=True)}")
    return FORMATS[name]
