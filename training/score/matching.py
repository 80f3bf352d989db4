"""Compare the answer of one query with its gold list under three matchings, which docs/evaluate.md defines.

``strict`` compares normalised strings. ``relaxed`` adds half a credit for an overlap: whole-word occurrences in the
passage share a character or, where one string is not in the passage, both share an n-gram of syllables longer than half
of the longer one. ``universalner`` compares under UniversalNER's normalisation, to compare with its published figures.

Sources: Segura-Bedmar et al., SemEval-2013 task 9; https://github.com/MantisAI/nervaluate; Zhou et al., UniversalNER
(2023), https://github.com/universal-ner/universal-ner.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Final, NamedTuple

from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from normalizers.text import BLANK, ZERO_WIDTH, fold_tones, nfc

MATCHINGS: Final = ("strict", "relaxed", "universalner")
UNIVERSALNER_WARNING: Final = (
    "universalner normalises as UniversalNER does, to compare with its figures; "
    'on Vietnamese it does damage ("Hội An" becomes "hội"): do not choose a model by it'
)
PARTIAL: Final = 0.5
"""Credit of a mention that overlaps with gold and is not the same."""

_BLANKS = re.compile(f"[{re.escape(BLANK)}]+")
_NO_WIDTH = str.maketrans("", "", ZERO_WIDTH)
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")


class Counts(NamedTuple):
    """What one query adds to the sums under one matching."""

    credit: float
    predicted: int
    gold: int


def count(gold: Sequence[str], answer: Sequence[str], passage: str) -> tuple[Counts, Counts, Counts]:
    """Compare the mentions of one query under each of ``MATCHINGS``; their order and repetitions do not matter."""
    gold_keys, answer_keys = ({same_text(mention) for mention in mentions} - {""} for mentions in (gold, answer))
    equal = gold_keys & answer_keys
    strict = Counts(len(equal), len(answer_keys), len(gold_keys))
    # Equal pairs come first at no loss: a whole credit is no less than the two halves that it may prevent.
    overlaps = _most_overlaps(sorted(gold_keys - equal), sorted(answer_keys - equal), passage)
    relaxed = strict._replace(credit=len(equal) + PARTIAL * overlaps)
    gold_keys, answer_keys = ({universalner(mention) for mention in mentions} for mentions in (gold, answer))
    return strict, relaxed, Counts(len(gold_keys & answer_keys), len(answer_keys), len(gold_keys))


def same_text(mention: str) -> str:
    """Return the key of ``strict``: NFC, no characters without width, single spaces, tones folded."""
    return fold_tones(_BLANKS.sub(" ", nfc(mention).translate(_NO_WIDTH)).strip())


def universalner(mention: str) -> str:
    """Return the key of UniversalNER, which is SQuAD's."""
    return " ".join(_ARTICLES.sub(" ", mention.lower().translate(_NO_PUNCTUATION)).split())


def _most_overlaps(gold: list[str], answer: list[str], passage: str) -> int:
    """Return the greatest number of overlapping pairs without a common mention."""
    if not gold or not answer:
        return 0
    text = same_text(passage)
    spans = {
        mention: [match.span() for match in re.finditer(rf"(?<!\w){re.escape(mention)}(?!\w)", text)]
        for mention in (*gold, *answer)
    }
    overlaps = csr_matrix([[_overlap(one, other, spans) for one in gold] for other in answer])
    return int((maximum_bipartite_matching(overlaps) >= 0).sum())


def _overlap(one: str, other: str, spans: dict[str, list[tuple[int, int]]]) -> bool:
    if spans[one] and spans[other]:
        return any(a < d and c < b for a, b in spans[one] for c, d in spans[other])
    words, other_words = one.split(), other.split()
    shared = SequenceMatcher(None, words, other_words, autojunk=False).find_longest_match()
    return 2 * shared.size > max(len(words), len(other_words))
