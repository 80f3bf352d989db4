"""The rules that look a clean label up in the lexicon or reshape it with its help, and the loop that applies them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

from normalizers.lexicon import Lexicon, deletions, head_phrase, vietnamese_key

_WRAPPINGS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?:an?|the|other|(?:named )?entity) (?P<rest>.+)",
        r"(?:names?|types?|kinds?|sorts?) of (?:an? |the )?(?P<rest>.+)",
        r"(?P<rest>.+?)(?:'s)? (?:names?|types?|entity|entities|mention)",
        r"(?:các|những|tên của|tên gọi|tên|loại|kiểu|thực thể) (?P<rest>.+)",
        r"(?:cac|nhung|ten cua|ten goi|ten|loai|kieu|thuc the) (?P<rest>.+)",
        r"(?P<rest>.+?) (?:khác|khac)",
        r"(?P<rest>.+?) ?\d+",
    )
)
_PLURALS = (
    (re.compile(r"(?<=..)ies$"), "y"),
    (re.compile(r"(?<=[^eo]ach)es$"), "e"),
    (re.compile(r"(?<=ss|sh|ch|.x|.o)es$"), ""),
    (re.compile(r"(?<=[a-z])men$"), "man"),
    (re.compile(r"(?<=[^suic'])s$|(?<=[^i]c)s$"), ""),
)


def _vietnamese(lexicon: Lexicon, label: str) -> str:
    return lexicon.vietnamese.get(vietnamese_key(label), label)


def _bare_vietnamese(lexicon: Lexicon, label: str) -> str:
    return lexicon.bare.get(vietnamese_key(label), label)


def _abbreviation(lexicon: Lexicon, label: str) -> str:
    return lexicon.abbreviations.get(label, label)


def _synonym(lexicon: Lexicon, label: str) -> str:
    return lexicon.synonyms.get(label, label)


def _spelling(lexicon: Lexicon, label: str) -> str:
    words = label.split(" ")
    for i, pair in enumerate(map(" ".join, itertools.pairwise(words))):
        if pair in lexicon.words:
            return " ".join([*words[:i], lexicon.words[pair], *words[i + 2 :]])
    return " ".join(lexicon.words.get(word, word) for word in words)


def _plural(lexicon: Lexicon, label: str) -> str:
    """Make the head noun singular: ``fields of study`` -> ``field of study``."""
    if label in lexicon.invariable:
        return label
    head = head_phrase(label)
    before, space, noun = head.rpartition(" ")
    return f"{before}{space}{_singular(lexicon, noun)}{label[len(head) :]}"


def _singular(lexicon: Lexicon, noun: str) -> str:
    if noun in lexicon.irregular:
        return lexicon.irregular[noun]
    if noun not in lexicon.invariable and len(noun) > 3 and noun.isascii():
        for ending, instead in _PLURALS:
            if ending.search(noun):
                return ending.sub(instead, noun)
    return noun


def _wrapping(lexicon: Lexicon, label: str) -> str:
    """Take away what says only that a name or type follows, and numbers: ``name of company 1`` -> ``company``."""
    for wrapping in _WRAPPINGS:
        found = wrapping.fullmatch(label)
        if found and any(lexicon.understands(rest) for rest in (found["rest"], _plural(lexicon, found["rest"]))):
            return found["rest"]
    return label


def _typing(lexicon: Lexicon, label: str) -> str:
    """Mend a keystroke in each word, if that makes the label a known type: ``medical conditon``."""
    mended = " ".join(_mended(lexicon, word) for word in label.split(" "))
    return mended if mended in lexicon.known else label


def _mended(lexicon: Lexicon, word: str) -> str:
    """Return the only word of a type that is a keystroke away; first letters and a last s are rarely mistyped."""
    if len(word) < 6 or word in lexicon.words_of_types or word in lexicon.not_typing_errors:
        return word
    around = {other for part in (word, *deletions(word)) for other in lexicon.near.get(part, ()) if other[0] == word[0]}
    close = [other for other in around if _one_keystroke(word, other) and f"{word}s" != other and f"{other}s" != word]
    return close[0] if len(close) == 1 else word


def _one_keystroke(a: str, b: str) -> bool:
    """Tell whether one letter was added, left out, replaced, or two neighbours swapped."""
    start = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    a, b = a[start:], b[start:]
    swapped = len(a) > 1 and a[1::-1] + a[2:] == b
    return a[1:] == b or a == b[1:] or a[1:] == b[1:] or swapped


RULES: tuple[tuple[str, Callable[[Lexicon, str], str]], ...] = (
    ("vietnamese", _vietnamese),
    ("abbreviation", _abbreviation),
    ("synonym", _synonym),
    ("bare vietnamese", _bare_vietnamese),
    ("spelling", _spelling),
    ("plural", _plural),
    ("wrapping", _wrapping),
    ("typing error", _typing),
)


def settle(lexicon: Lexicon, label: str) -> tuple[str, str]:
    """Apply the rules to a clean label until it is known, meaningless or out of their reach.

    Returns the label and the name of the last rule that changed it, empty if none did. It ends because the lexicon
    has no circles (a test holds that) and every other rule shortens the label or moves it towards the lexicon.
    """
    last = ""
    while label not in lexicon.known and vietnamese_key(label) not in lexicon.meaningless:
        changes = ((rule(lexicon, label), name) for name, rule in RULES)
        changed, name = next(((changed, name) for changed, name in changes if changed != label), (label, ""))
        if not name:
            break
        label, last = changed, name
    return label, last
