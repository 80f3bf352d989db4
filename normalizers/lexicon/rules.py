"""The rules that look a clean label up in the lexicon or reshape it, and the loop that applies them."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterator, Mapping

from normalizers.lexicon import Lexicon, head_phrase, kinds, vietnamese_key

_WRAPPINGS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?:enamex|numex|timex\d?|datetime|ner(?: (?:type|tag|label))?) (?P<rest>.+)",
        r"(?:named )?entity(?: (?:type|label|class|category|tag))? (?P<rest>.+)",
        r"(?:an?|the|other) (?P<rest>.+)",
        r"names? of (?:an? |the )?(?P<rest>.+)",
        r"(?P<rest>.+?)(?:'s)? (?:names?|mention|others?|misc|(?:entity|entities)(?: (?:type|label|class|name))?)",
        r"(?:các|những|tên của|tên gọi|tên|loại|kiểu|thực thể) (?P<rest>.+)",
        r"(?P<rest>.+?) (?:khác|khac)",
        r"(?P<rest>.+?)[ -]?\d+",
    )
)
_TYPE_OF = re.compile(r"(?:types?|kinds?|sorts?) of (?:an? |the )?(?P<rest>.+)")
_BEFORE_VIETNAMESE = re.compile(r"(?P<first>[bieslu]|cac|nhung|ten(?: cua| goi)?|loai|kieu|thuc the) (?P<rest>.+)")
_PLURALS = tuple(
    (re.compile(f"{ending}$"), singular)
    for ending, singular in (
        ("ies", "y"), ("ves", "f"), ("ves", "fe"), ("men", "man"), ("(?<=ss|sh|ch|.x|.o|zz)es", ""), ("s", ""),
        ("(?<=[sz])es", ""), ("ices", "ex"), ("ices", "ix"), ("ses", "sis"), ("ae", "a"), ("i", "us"), ("a", "um"),
        ("a", "on"),
    )
)  # fmt: skip
_HEAD_FIRST = re.compile(r"(?P<noun>\w+)(?P<rest> (?:by|up|on|general|martial|elect|laureate|emeritus|designate))")
_AND_OR = re.compile(r" (?:and|or) ")
SHORTEST_TYPING = 6
"""The least number of letters of a word in which a keystroke is corrected."""


def _spelling(lexicon: Lexicon, label: str) -> str:
    words = label.split(" ")
    for i, pair in enumerate(map(" ".join, itertools.pairwise(words))):
        if pair in lexicon.spelling:
            return " ".join([*words[:i], lexicon.spelling[pair], *words[i + 2 :]])
    return " ".join(lexicon.spelling.get(word, word) for word in words)


def _glued(lexicon: Lexicon, label: str) -> str:
    """Separate what was written as one word (``politicalparty``), and join what a case salad took apart."""
    words = label.split(" ")
    if len(words) > 1:
        whole = label.replace(" ", "")
        if (whole in lexicon.known or whole in lexicon.synonyms or whole in lexicon.glued) and (
            any(len(word) < 3 for word in words) or not all(map(lexicon.is_english, words))
        ):
            return lexicon.glued.get(whole, whole)
    return " ".join(_separated(lexicon, word) for word in words)


def _separated(lexicon: Lexicon, word: str) -> str:
    if not word.isascii() or not word.isalpha() or lexicon.is_english(word):
        return word
    for ending, singular in (("", ""), ("s", ""), ("ies", "y")):
        name = lexicon.glued.get(word.removesuffix(ending) + singular) if word.endswith(ending) else None
        if name:
            return name
    if word.endswith("name") and word[:-4] in lexicon.known:
        return f"{word[:-4]} name"
    cuts = [(word[:i], word[i:]) for i in range(4, len(word) - 4)]
    found = [
        f"{one} {other}"
        for one, other in cuts
        if _singular(lexicon, other) in lexicon.heads and one not in lexicon.prefixes and lexicon.is_english(one)
    ]
    return found[0] if len(found) == 1 else word


def _plural(lexicon: Lexicon, label: str) -> str:
    """Make the head noun singular: ``fields of study`` -> ``field of study``."""
    if label in lexicon.invariable or _AND_OR.search(label):
        return label
    head = head_phrase(label)
    before, space, noun = head.rpartition(" ")
    if before in lexicon.invariable or head in lexicon.invariable:
        return label
    if (found := _HEAD_FIRST.fullmatch(head)) and found["noun"] != (one := _singular(lexicon, found["noun"])):
        return f"{one}{found['rest']}{label[len(head) :]}"
    singular = f"{before}{space}{_singular(lexicon, noun)}{label[len(head) :]}"
    if noun == "people" and before and not lexicon.understands(singular):
        return label  # the dutch people are no person
    return singular


def _singular(lexicon: Lexicon, noun: str) -> str:
    """Return the singular of ``noun`` if the lexicon has it, else ``noun`` itself."""
    if noun in lexicon.irregular:
        return lexicon.irregular[noun]
    if len(noun) < 4 or noun in lexicon.nouns or noun in lexicon.invariable:
        return noun
    for ending, instead in _PLURALS:
        one = ending.sub(instead, noun)
        known = one in lexicon.nouns or lexicon.spelling.get(one) in lexicon.nouns or one in lexicon.abbreviations
        if one != noun and len(one) > 2 and known:
            return one
    return noun


def _wrapping(lexicon: Lexicon, label: str) -> str:
    """Remove numbers and words that only announce a name or type: ``name of company 1`` -> ``company``."""
    for wrapping in _WRAPPINGS:
        found = wrapping.fullmatch(label)
        if found and any(lexicon.understands(rest) for rest in (found["rest"], _plural(lexicon, found["rest"]))):
            return found["rest"]
    first, _, rest = label.partition(" ")
    if first == "type" and settle(lexicon, rest)[0] in lexicon.coarse:  # type_person
        return rest
    if found := _TYPE_OF.fullmatch(label):
        return f"{_plural(lexicon, found['rest'])} type"
    if found := _BEFORE_VIETNAMESE.fullmatch(label):
        key = vietnamese_key(rest := found["rest"])
        tables = (lexicon.vietnamese, lexicon.bare, lexicon.meaningless)
        if any(key in table for table in tables) or (found["first"] in "bi" and rest in lexicon.known):
            return rest
    return label


def _path(lexicon: Lexicon, label: str) -> str:
    """Return the narrower type of a path (``organization company``), and turn ``organization political`` round."""
    first, _, rest = label.partition(" ")
    above = lexicon.abbreviations.get(first) or lexicon.synonyms.get(first, first)
    if not rest or above not in lexicon.coarse:
        return label
    target, _ = settle(lexicon, rest)
    if target in lexicon.known and above in kinds(target):
        return target
    turned = f"{rest} {above}"
    return turned if turned in lexicon.known else label


def _typing(lexicon: Lexicon, label: str) -> str:
    """Correct a keystroke in each word, if that makes the label a known type: ``medical conditon``."""
    corrected = " ".join(_corrected(lexicon, word) for word in label.split(" "))
    return corrected if corrected in lexicon.known else label


def _corrected(lexicon: Lexicon, word: str) -> str:
    """Return the only word of a type that is a keystroke away; first letters and a last s are rarely mistyped."""
    if len(word) < SHORTEST_TYPING or not word.isalpha() or lexicon.is_english(word):
        return word
    near = _one_letter_less(lexicon)
    around = {other for part in (word, *_deletions(word)) for other in near.get(part, ()) if other[0] == word[0]}
    close = [other for other in around if _one_keystroke(word, other) and f"{word}s" != other and f"{other}s" != word]
    return close[0] if len(close) == 1 else word


@functools.cache
def _one_letter_less(lexicon: Lexicon) -> Mapping[str, list[str]]:
    """Map each long word of a type, and the word without any one of its letters, to the words it comes from."""
    near: dict[str, list[str]] = {}
    for word in lexicon.words_of_types:
        if len(word) >= SHORTEST_TYPING and word.isalpha():
            for part in (word, *_deletions(word)):
                near.setdefault(part, []).append(word)
    return near


def _deletions(word: str) -> Iterator[str]:
    return (word[:i] + word[i + 1 :] for i in range(len(word)))


def _one_keystroke(a: str, b: str) -> bool:
    """Report whether one letter was added, left out, replaced, or two neighbours swapped."""
    start = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    a, b = a[start:], b[start:]
    swapped = len(a) > 1 and a[1::-1] + a[2:] == b
    return a[1:] == b or a == b[1:] or a[1:] == b[1:] or swapped


RULES: tuple[tuple[str, Callable[[Lexicon, str], str]], ...] = (
    ("vietnamese", lambda lexicon, label: lexicon.vietnamese.get(vietnamese_key(label), label)),
    ("abbreviation", lambda lexicon, label: lexicon.abbreviations.get(label, label)),
    ("synonym", lambda lexicon, label: lexicon.synonyms.get(label, label)),
    ("bare vietnamese", lambda lexicon, label: lexicon.bare.get(vietnamese_key(label), label)),
    ("spelling", _spelling),
    ("spacing", _glued),
    ("plural", _plural),
    ("wrapping", _wrapping),
    ("path", _path),
    ("typing error", _typing),
)


def settle(lexicon: Lexicon, label: str) -> tuple[str, str]:
    """Apply the rules to a clean label until it is known, meaningless or out of their reach.

    Returns the label and the name of the last rule that changed it, empty if none did. The loop ends because the
    lexicon has no circles (a test checks that) and every other rule shortens the label or brings it nearer to the
    lexicon.
    """
    last = ""
    while label not in lexicon.known and vietnamese_key(label) not in lexicon.meaningless:
        changes = ((rule(lexicon, label), name) for name, rule in RULES)
        changed, name = next(((changed, name) for changed, name in changes if changed != label), (label, ""))
        if not name:
            break
        label, last = changed, name
    return label, last
