"""The formats of ``--format`` by name. A new one also needs its name in ``NAMES``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Final

from annotator.errors import ConfigError, did_you_mean
from annotator.records import Annotation, Mention
from data_cards.exchange import argilla, conll, doccano, gliner, labelstudio, spacy, strings
from data_cards.exchange.json_files import from_line, read_each, to_line, write_array, write_lines
from data_cards.exchange.passages import Exported, Reviewed, Unread, nothing_lost
from data_cards.exchange.places import syllables, words


@dataclass(frozen=True, slots=True)
class Format:
    """The functions that write and read a format."""

    write: Callable[[IO[bytes], Iterable[Exported]], None]
    read: Callable[[Path], Iterator[Reviewed | Unread]]
    lost: Callable[[Annotation], Mapping[Mention, str]] = nothing_lost
    """Returns the mentions that it cannot hold, with the reasons."""
    beside: tuple[str, Callable[[Sequence[str]], str]] | None = None
    """Suffix of a second file, and the function that makes its text from the labels."""
    negatives: float = 0.0
    """Ratio of absent types to present ones, for a run without negatives."""


def _json(
    to_object: Callable[[Exported], Any],
    from_object: Callable[[Any], Reviewed | Unread],
    write: Callable[[IO[bytes], Iterable[Any]], None] = write_array,
    **others: Any,
) -> Format:
    """Return a format with a JSON object for each passage, in an array or on lines."""
    return Format(
        lambda file, passages: write(file, map(to_object, passages)), partial(read_each, convert=from_object), **others
    )


def _conll(tokenize: Callable[[str], list[tuple[int, int]]]) -> Format:
    return Format(partial(conll.write, tokenize=tokenize), conll.read, partial(conll.lost, tokenize=tokenize))


FORMATS: Final[Mapping[str, Format]] = MappingProxyType(
    {
        "conll": _conll(syllables),
        "conll-words": _conll(words),
        "spacy": Format(spacy.write, spacy.read, spacy.lost),
        "gliner": _json(gliner.to_item, gliner.from_item, lost=gliner.lost, negatives=1.0),
        "labelstudio": _json(labelstudio.to_task, labelstudio.from_task, beside=(".config.xml", labelstudio.config)),
        "argilla": _json(
            argilla.to_record, argilla.from_record, lost=argilla.lost, beside=(".labels.json", argilla.labels_file)
        ),
        "doccano": _json(doccano.to_line, doccano.from_line, write_lines, beside=(".labels.json", doccano.labels_file)),
        "alpaca": Format(strings.write_rows, strings.read_rows),
        "universalner": _json(strings.to_conversation, strings.from_conversation),
        "jsonl": _json(to_line, from_line, write_lines),
    }
)


def format_named(name: str) -> Format:
    """Return the format ``name``.

    Raises:
        ConfigError: there is none.
    """
    if name not in FORMATS:
        raise ConfigError(f"unknown --format {name!r}{did_you_mean(name, FORMATS, listed=True)}")
    return FORMATS[name]
