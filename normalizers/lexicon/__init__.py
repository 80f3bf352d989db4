"""The tables of the label rules, read once from the files beside this module.

vietnamese.toml     Vietnamese type name -> English, by domain of news
abbreviations.toml  org -> organization
synonyms.toml       place -> location: true synonyms only, and the tags of well-known tag sets
spelling.toml       organisation -> organization
plurals.toml        plurals that the rules and the noun list cannot know
types.toml          further types that stay as they are
meaningless.toml    labels that say nothing
related.toml        which types are kinds of each other, alike, or near
nouns.txt           English nouns; other_words.txt: English words that are no nouns
"""

from __future__ import annotations

import functools
import re
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from normalizers.text import nfc, strip_diacritics

_TONE = "\u0300\u0301\u0303\u0309\u0323"
_OLD_PLACEMENT = re.compile(rf"(o)([{_TONE}])([ae])(?![\u0300-\u036f])|(u)([{_TONE}])(y)(?![\u0300-\u036f])")
_FINAL_Y = re.compile(rf"\b([hklmst]|qu)y(?=[{_TONE}]?(?![\w\u0300-\u036f]))")
_HEAD_END = re.compile(r" (?:of|in|for|with|at|on|by|from|to) ")
_JOINER = re.compile(r"/| and | or ")
_INFLECTED = (("ies", "y"), ("es", ""), ("s", ""), ("ied", "y"), ("ed", ""), ("ed", "e"), ("ing", ""), ("ing", "e"),
              ("ly", ""), ("er", ""), ("er", "e"))  # fmt: skip
_SHORT = frozenset(
    ["a", "ad", "ai", "an", "at", "by", "ex", "id", "in", "it", "no", "of", "on", "or", "pc", "to", "tv", "up", "us"]
)


@dataclass(frozen=True, slots=True, eq=False)
class Lexicon:
    """All tables in the form that the rules need. Labels are clean: lower case, single spaces."""

    vietnamese: Mapping[str, str]
    """``vietnamese_key`` of a Vietnamese name -> type."""
    bare: Mapping[str, str]
    """The same without diacritics, with and without spaces, where that is not ambiguous -> type."""
    abbreviations: Mapping[str, str]
    """Whole label -> type."""
    synonyms: Mapping[str, str]
    """Whole label -> type."""
    spelling: Mapping[str, str]
    """One word, or two that are one, anywhere in a label -> how it is written."""
    irregular: Mapping[str, str]
    """Plural word -> singular word."""
    invariable: frozenset[str]
    """Words and labels that look like plurals but are not."""
    meaningless: frozenset[str]
    """Whole labels, Vietnamese ones as ``vietnamese_key``, from two syllables on also without diacritics."""
    known: frozenset[str]
    """Every canonical type in the tables."""
    words_of_types: frozenset[str]
    """The single words of those types."""
    heads: frozenset[str]
    """Long words in which several types end: company, instrument, event."""
    nouns: frozenset[str]
    """English nouns, with the words of types; plurals only where they are not plurals of another noun."""
    english: frozenset[str]
    """English words of any kind, uninflected, of three letters or more."""
    prefixes: frozenset[str]
    """Words that only begin other words: anti, multi."""
    glued: Mapping[str, str]
    """A name of several words, written as one word -> the name."""
    broader: Mapping[str, frozenset[str]]
    """Type -> all types that it is a kind of, directly or through others."""
    alike: Mapping[str, frozenset[str]]
    """Type -> types that could be given to the same mention, with near ones."""
    coarse: frozenset[str]
    """Types that tag sets put first in a path: person, organization."""
    near: Mapping[str, frozenset[str]]
    """Type -> types that mean almost the same; a person should decide whether they are one."""

    def understands(self, label: str) -> bool:
        """Report whether the tables hold ``label`` as a whole: as a type, a name for one, or as meaningless."""
        return (
            label in self.known
            or label in self.abbreviations
            or label in self.synonyms
            or (key := vietnamese_key(label)) in self.vietnamese
            or key in self.bare
            or key in self.meaningless
        )

    def is_english(self, word: str) -> bool:
        """Report whether ``word`` is an English word, inflected or not."""
        return (
            word in self.english
            or word in self.words_of_types
            or word in _SHORT
            or word in self.irregular
            or any(word.endswith(end) and word[: -len(end)] + base in self.english for end, base in _INFLECTED)
        )


def vietnamese_key(text: str) -> str:
    """Return the form under which a Vietnamese name is stored: ``hòa`` as ``hoà``, ``kỹ`` as ``kĩ``, NFC."""
    if text.isascii():
        return _FINAL_Y.sub(r"\1i", text)
    decomposed = unicodedata.normalize("NFD", text)
    moved = _OLD_PLACEMENT.sub(
        lambda found: "".join(part for part in found.group(1, 3, 2, 4, 6, 5) if part), decomposed
    )
    return nfc(_FINAL_Y.sub(r"\1i", moved))


def head_phrase(label: str) -> str:
    """Return the part of an English label whose last word is its head: ``field of study`` -> ``field``."""
    return _HEAD_END.split(label, maxsplit=1)[0]


@functools.cache
def load_lexicon() -> Lexicon:
    """Read the tables; later calls return the same lexicon.

    Raises ``ValueError`` when a name is given twice.
    """
    vietnamese, synonyms = _table("vietnamese"), _merge(_table("synonyms"))
    abbreviations, spelling, plurals = _table("abbreviations"), _table("spelling"), _table("plurals")
    meaningless, families = _table("meaningless"), _table("related")
    options = vietnamese.pop("bare")
    names = _merge(vietnamese, vietnamese_key)
    abbreviation = abbreviations["label"]
    _merge({"abbreviations": abbreviation, "synonyms": synonyms})
    narrower = [(parent, child) for parent, children in families["narrower"].items() for child in children]
    types = _table("types")
    narrower += [(parent, child) for parent in ("person", "location", "organization") for child in types[parent]]
    near = [(one, other) for one, others in families["near"].items() for other in others]
    groups = [*families["alike"].values(), *near]
    known = frozenset(
        [*names.values(), *abbreviation.values(), *synonyms.values(), *(name for pair in narrower for name in pair)]
        + [name for group in groups for name in group]
        + [name for names_of_kind in types.values() for name in names_of_kind]
    )
    words = frozenset(word for label in known for word in label.split(" "))
    nouns = _words("nouns")
    nothing = [vietnamese_key(entry) for entry in (*meaningless["english"], *meaningless["vietnamese"])]
    taken = known | abbreviation.keys() | synonyms.keys()
    bare = _bare_forms(names, options, taken)
    english = nouns | _words("other_words")
    return Lexicon(
        vietnamese=names,
        bare=bare,
        abbreviations=abbreviation,
        synonyms=synonyms,
        spelling=_merge(
            {
                "abbreviations": abbreviations["word"],
                "closed": {pair: pair.replace(" ", "") for pair in spelling["closed"]},
                "word": spelling["word"],
                "pair": spelling["pair"],
            }
        ),
        irregular=plurals["irregular"],
        invariable=frozenset(plurals["invariable"]),
        meaningless=frozenset([*nothing, *(strip_diacritics(entry) for entry in nothing if " " in entry)]),
        known=known,
        words_of_types=words,
        coarse=frozenset(families["coarse"]),
        prefixes=frozenset(spelling["prefixes"]),
        heads=_heads(known),
        nouns=nouns.union(word for word in words if not word.endswith("s")),
        english=english,
        glued=_glued(known | synonyms.keys(), english | taken | bare.keys()),
        broader=_closure(_collect((child, parent) for parent, child in narrower)),
        alike=_collect((one, other) for group in groups for one in group for other in group if one != other),
        near=_collect([*near, *((other, one) for one, other in near)]),
    )


def alike(label: str) -> frozenset[str]:
    """Return the types that could be given to the same mention as ``label`` without being a kind of it or the reverse.

    >>> sorted(alike("price"))
    ['money']
    """
    return load_lexicon().alike.get(label, frozenset())


def near(label: str) -> frozenset[str]:
    """Return the types that mean almost the same as ``label``: not merged, for a person to decide."""
    return load_lexicon().near.get(label, frozenset())


def related(a: str, b: str) -> bool:
    """Report whether two clean types are the same concept, or one is contained in the other: city and location.

    A passage that has one of them may then not serve as a negative example of the other.
    """
    return b in reach(a) or a in reach(b)


@functools.lru_cache(maxsize=65536)
def reach(label: str) -> frozenset[str]:
    """Return ``label``, the types alike to it, and all types that it is a kind of."""
    return kinds(label) | alike(label)


@functools.lru_cache(maxsize=65536)
def kinds(label: str) -> frozenset[str]:
    """Return ``label`` and all types that it is a kind of.

    ``army doctor`` is a kind of ``doctor`` even if no table has it: English compounds name their kind last. A compound
    (``symptom and disease``) is a kind of whatever its parts are kinds of.
    """
    lexicon = load_lexicon()
    if len(parts := _JOINER.split(label)) > 1 and label not in lexicon.known:
        return frozenset({label}).union(*map(reach, parts))
    words = head_phrase(label).removesuffix(" type").split(" ")
    heads = {label, *(" ".join(words[i:]) for i in range(len(words)))}
    return frozenset(heads.union(*(lexicon.broader.get(head, ()) for head in heads)))


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads(files(__name__).joinpath(f"{name}.toml").read_text(encoding="utf-8"))


def _words(name: str) -> frozenset[str]:
    lines = files(__name__).joinpath(f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


def _merge(sections: Mapping[str, Mapping[str, str]], key: Callable[[str], str] = str) -> dict[str, str]:
    merged: dict[str, str] = {}
    for section, entries in sections.items():
        for name, target in entries.items():
            if key(name) in merged:
                raise ValueError(f"lexicon: {name!r} is given twice, the second time in [{section}]: remove one line")
            merged[key(name)] = target
    return merged


def _bare_forms(names: Mapping[str, str], options: Mapping[str, list[str]], taken: Set[str]) -> dict[str, str]:
    flat = [(strip_diacritics(name), target) for name, target in names.items()]
    spelled = [(name, target) for name, target in flat if " " in name or name in options["also"]]
    joined = [(name.replace(" ", ""), target) for name, target in spelled if len(name) > 6]
    unusable = taken | frozenset(options["never"])
    return {
        name: min(targets)
        for name, targets in _collect([*spelled, *joined]).items()
        if len(targets) == 1 and name not in unusable and name not in names
    }


def _glued(names: Set[str], taken: Set[str]) -> dict[str, str]:
    written = {name.replace("television", "tv"): name for name in sorted(names)} | {name: name for name in names}
    pairs = ((form.replace(" ", ""), name) for form, name in sorted(written.items()) if " " in name)
    return {glued: name for glued, name in pairs if glued.isalpha() and glued not in taken}


def _heads(known: Set[str]) -> frozenset[str]:
    """Return the last words of five letters or more that at least three types of several words end in."""
    counts = Counter(label.rpartition(" ")[2] for label in known if " " in label)
    return frozenset(word for word, number in counts.items() if number >= 3 and len(word) >= 5)


def _collect(pairs: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    collected: dict[str, set[str]] = {}
    for name, value in pairs:
        collected.setdefault(name, set()).add(value)
    return {name: frozenset(values) for name, values in collected.items()}


def _closure(parents: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    closed: dict[str, frozenset[str]] = {}
    for name in parents:
        above, open_ends = set[str](), [name]
        while open_ends:
            fresh = parents.get(open_ends.pop(), frozenset()) - above
            above |= fresh
            open_ends.extend(fresh)
        closed[name] = frozenset(above)
    return closed
