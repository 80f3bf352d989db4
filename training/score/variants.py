"""Variants of a benchmark. A word is changed in the same way wherever it occurs in a passage: a mention stays one.

==================  ===============================================================================================
``no-diacritics``   Every Vietnamese letter as its ASCII letter: ``Hà Nội`` -> ``Ha Noi``.
``tone-placement``  ``hòa`` as ``hoà``, ``thuỷ`` as ``thủy``, and the other way round.
``lower-case``      No capitals.
``typos``           One word in ten has a slip: Telex or VNI keys left over, a neighbouring, missing, doubled or swapped
                    key. Words with digits stay.
``teencode``        Words and phrases in lower case as they are abbreviated in chats (``teencode.toml``).
==================  ===============================================================================================
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
from training.score.slips import mistype

TYPO_RATE: Final = 0.1
"""Share of the words of a passage that have a slip."""

_WORD: Final = re.compile(r"\w+")
_CHAR: Final = re.compile(r"\S")
_TONES: Final = "\u0300\u0301\u0309\u0303\u0323"
_VOWELS: Final = ("oa", "oe", "uy", "Oa", "Oe", "Uy", "OA", "OE", "UY")


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A text after some pieces of it were replaced."""

    original: str
    text: str
    places: list[tuple[int, int]]
    """Of each character of the original: start and end in the new text of what stands for it."""

    def follow(self, mention: str) -> list[str]:
        """Return what became of ``mention``: the distinct slices at its places, none where it is not in the original.

        Its places are those where it is made of whole words; where there is none, all of them. A slice covers the
        whole of a piece whose length has changed.
        """
        if not mention or mention not in self.original:
            return []
        whole, anywhere = rf"(?<!\w){re.escape(mention)}(?!\w)", re.escape(mention)
        found = list(re.finditer(whole, self.original)) or list(re.finditer(anywhere, self.original))
        ends = [(self.places[match.start()][0], self.places[match.end() - 1][1]) for match in found]
        return list(dict.fromkeys(self.text[start:end] for start, end in ends))


def rewrite(text: str, pieces: re.Pattern[str], change: Callable[[str], str]) -> Rewritten:
    """Put ``change(piece)`` for each match of ``pieces``."""
    parts: list[tuple[str, str]] = []
    done = 0
    for match in pieces.finditer(text):
        parts += [(text[done : match.start()],) * 2, (match[0], change(match[0]))]
        done = match.end()
    places: list[tuple[int, int]] = []
    at = 0
    for old, new in [*parts, (text[done:],) * 2]:
        each = len(old) == len(new)  # one character for another
        places += [(at + n, at + n + 1) if each else (at, at + len(new)) for n in range(len(old))]
        at += len(new)
    return Rewritten(text, "".join(new for _, new in parts) + text[done:], places)


def variant(name: str, samples: Iterable[Sample], seed: int) -> Iterator[Sample]:
    """Return the samples as the variant ``name`` has them; ids, types and instructions stay.

    Gold follows: a mention becomes what stands in its places now. One that is not in its passage is changed alone.

    Raises:
        KeyError: there is no such variant.
    """
    change = VARIANTS[name]
    seen: tuple[str, str] = ("", "")
    for sample in samples:
        if (sample.passage_id, sample.input) != seen:  # the queries of a passage come together
            seen = sample.passage_id, sample.input
            rewritten = change(sample.input, seed, sample.passage_id)
        gold = [
            new
            for mention in gold_of(sample)
            for new in rewritten.follow(mention) or [change(mention, seed, sample.passage_id).text]
        ]
        output = json.dumps(list(dict.fromkeys(gold)), ensure_ascii=False)
        yield dataclasses.replace(sample, input=rewritten.text, output=output)


def _no_diacritics(text: str, _seed: int, _passage: str) -> Rewritten:
    return rewrite(text, _CHAR, bare)


def _lower_case(text: str, _seed: int, _passage: str) -> Rewritten:
    return rewrite(text, _CHAR, fold_case)


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
    "no-diacritics": _no_diacritics,
    "tone-placement": _tone_placement,
    "lower-case": _lower_case,
    "typos": _typos,
    "teencode": _teencode,
}


@cache
def _dictionary() -> tuple[dict[str, list[str]], re.Pattern[str]]:
    data = resources.files(__package__).joinpath("teencode.toml").read_text(encoding="utf-8")
    words: dict[str, list[str]] = tomllib.loads(data)["words"]
    longest_first = sorted(words, key=len, reverse=True)
    return words, re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")


@cache
def _other_placement() -> dict[str, str]:
    """Map both spellings of each pair of vowels with each tone, each to the other."""
    pairs: dict[str, str] = {}
    for vowels, tone in itertools.product(_VOWELS, _TONES):
        old, new = nfc(vowels[0] + tone + vowels[1]), nfc(vowels + tone)
        pairs |= {old: new, new: old}
    return pairs
