"""Variants of a benchmark, which docs/evaluate.md lists.

A word is changed in the same way wherever it occurs in a passage, so a mention remains one mention.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from annotator.records import Sample
from annotator.samples.explode import seeded
from normalizers.text import bare, fold_case, nfc
from training.benchmarks import gold_of
from training.score.slips import TONES, mistype

TYPO_RATE: Final = 0.1
"""Share of the words that have a slip."""

_WORD: Final = re.compile(r"\w+")
_CHAR: Final = re.compile(r"\S")
_VOWELS: Final = ("oa", "oe", "uy", "Oa", "Oe", "Uy", "OA", "OE", "UY")


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A text with replaced pieces."""

    original: str
    text: str
    places: list[tuple[int, int]]
    """By character of the original, start and end of its replacement in the new text."""

    def follow(self, mention: str) -> list[str]:
        """Return the distinct slices of the new text at the places of ``mention``, if it is in the original.

        Places at whole words count; where there are none, all places do. A slice covers the whole of a piece whose
        length has changed.
        """
        if not mention or mention not in self.original:
            return []
        whole, anywhere = rf"(?<!\w){re.escape(mention)}(?!\w)", re.escape(mention)
        found = list(re.finditer(whole, self.original)) or list(re.finditer(anywhere, self.original))
        ends = [(self.places[match.start()][0], self.places[match.end() - 1][1]) for match in found]
        return list(dict.fromkeys(self.text[start:end] for start, end in ends))


def rewrite(text: str, pieces: re.Pattern[str], change: Callable[[str], str]) -> Rewritten:
    """Replace each match of ``pieces``, a pattern without groups, by ``change(piece)``."""
    split = re.split(f"({pieces.pattern})", text)  # every second part is a match
    parts = [(part, change(part) if number % 2 else part) for number, part in enumerate(split)]
    places: list[tuple[int, int]] = []
    at = 0
    for old, new in parts:
        each = len(old) == len(new)  # one character for another
        places += [(at + n, at + n + 1) if each else (at, at + len(new)) for n in range(len(old))]
        at += len(new)
    return Rewritten(text, "".join(new for _, new in parts), places)


def variant(name: str, samples: Iterable[Sample], seed: int) -> Iterator[Sample]:
    """Yield the samples of the variant ``name``; ids, types and instructions stay.

    Gold follows the text: a mention becomes the slices at its places. One that is not in its passage is changed alone.
    """
    change = VARIANTS[name]
    seen: tuple[str, str] = ("", "")
    for sample in samples:
        if (sample.passage_id, sample.input) != seen:  # the queries of a passage follow each other
            seen = sample.passage_id, sample.input
            rewritten = change(sample.input, seed, sample.passage_id)
        gold = [
            new
            for mention in gold_of(sample)
            for new in rewritten.follow(mention) or [change(mention, seed, sample.passage_id).text]
        ]
        output = json.dumps(list(dict.fromkeys(gold)), ensure_ascii=False)
        yield dataclasses.replace(sample, input=rewritten.text, output=output)


def _tone_placement(text: str, _seed: int, _passage: str) -> Rewritten:
    other = _other_placement()
    return rewrite(text, re.compile(rf"(?:(?<![qQ])(?:{'|'.join(other)}))(?!\w)"), lambda piece: other[piece])


def _typos(text: str, seed: int, passage: str) -> Rewritten:
    def slip(word: str) -> str:
        rng = seeded(seed, "typos", passage, word)
        if rng.random() >= TYPO_RATE or len(word) < 2 or not word.isalpha():
            return word
        return mistype(word, rng)

    return rewrite(text, _WORD, slip)


def _teencode(text: str, seed: int, passage: str) -> Rewritten:
    words, pattern = _dictionary()
    return rewrite(text, pattern, lambda piece: seeded(seed, "teencode", passage, piece).choice(words[piece]))


VARIANTS: Final[dict[str, Callable[[str, int, str], Rewritten]]] = {
    "no-diacritics": lambda text, *_: rewrite(text, _CHAR, bare),
    "tone-placement": _tone_placement,
    "lower-case": lambda text, *_: rewrite(text, _CHAR, fold_case),
    "typos": _typos,
    "teencode": _teencode,
}
"""By name, a function of a text, the seed and the id of its passage."""


@cache
def _dictionary() -> tuple[dict[str, list[str]], re.Pattern[str]]:
    data = resources.files(__package__).joinpath("teencode.toml").read_text(encoding="utf-8")
    words: dict[str, list[str]] = tomllib.loads(data)["words"]
    longest_first = sorted(words, key=len, reverse=True)
    return words, re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")


@cache
def _other_placement() -> dict[str, str]:
    """Return both spellings of each pair of vowels with a tone, each with the other."""
    pairs: dict[str, str] = {}
    for vowels, tone in itertools.product(_VOWELS, TONES):
        old, new = nfc(vowels[0] + tone + vowels[1]), nfc(vowels + tone)
        pairs |= {old: new, new: old}
    return pairs
