"""Suggests types for a label that no rule knows: those whose names in the lexicon look most like it."""

from __future__ import annotations

from normalizers.lexicon import Lexicon, vietnamese_key
from normalizers.text import strip_diacritics

_MOST = 5  # suggestions


def suggest(lexicon: Lexicon, label: str) -> list[str]:
    """Return types whose Vietnamese (or English) names share most words with ``label``; parts of ``a/b`` come first.

    The first word weighs double: Vietnamese names begin with what a thing is.
    """
    parts = [part for part in label.split("/") if part in lexicon.known] if "/" in label else []
    plain = label.isascii()
    wanted = _weights(label if plain else vietnamese_key(label))
    names = lexicon.vietnamese.items()
    scored = [
        (_likeness(wanted, _weights(strip_diacritics(name) if plain else name)), target) for name, target in names
    ]
    scored += [(_likeness(wanted, _weights(name)), name) for name in lexicon.known] if plain else []
    best: dict[str, float] = {}
    for score, target in scored:
        best[target] = max(score, best.get(target, 0.0))
    near = sorted((target for target in best if best[target] > 0.3), key=lambda target: (-best[target], target))
    return list(dict.fromkeys([*parts, *near]))[:_MOST]


def _weights(name: str) -> dict[str, int]:
    words = name.replace("/", " ").split()
    return {word: 2 if word == words[0] else 1 for word in reversed(words)}


def _likeness(one: dict[str, int], other: dict[str, int]) -> float:
    """Return Dice's coefficient of the weighted words."""
    shared = sum(min(weight, other[word]) for word, weight in one.items() if word in other)
    return 2 * shared / max(1, sum(one.values()) + sum(other.values()))
