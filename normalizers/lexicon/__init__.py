"""The tables behind the label rules, read once from the TOML files that lie beside this module.

vietnamese.toml     Vietnamese type name -> English, by domain of news
abbreviations.toml  org -> organization
synonyms.toml       place -> location, only true synonyms
spelling.toml       organisation -> organization, and words that must not be taken for typing errors
plurals.toml        what the plural rules cannot know
meaningless.toml    labels that say nothing
related.toml        which types are the same concept or one a kind of the other
"""

from __future__ import annotations

import functools
import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from importlib.resources import files

from normalizers.text import nfc, strip_diacritics

_TONE = "\u0300\u0301\u0303\u0309\u0323"
_OLD_PLACEMENT = re.compile(rf"(o)([{_TONE}])([ae])(?![\u0300-\u036f])|(u)([{_TONE}])(y)(?![\u0300-\u036f])")
_FINAL_Y = re.compile(rf"\b([hklmst]|qu)y(?=[{_TONE}]?(?![\w\u0300-\u036f]))")
_HEAD_END = re.compile(r" (?:of|in|for|with|at|on|by|from|to) ")


@dataclass(frozen=True, slots=True)
class Lexicon:
    """All tables, in the form in which the rules look things up. Labels are clean: lower case, single spaces."""

    vietnamese: Mapping[str, str]
    """``vietnamese_key`` of a Vietnamese name -> type."""
    bare: Mapping[str, str]
    """The same without diacritics, with and without spaces, where that is not ambiguous -> type."""
    abbreviations: Mapping[str, str]
    """Whole label -> type."""
    synonyms: Mapping[str, str]
    """Whole label -> type."""
    words: Mapping[str, str]
    """One word, or two that are one, anywhere in a label -> how it is written."""
    irregular: Mapping[str, str]
    """Plural word -> singular word."""
    invariable: frozenset[str]
    """Words and labels that look like plurals and are not."""
    meaningless: frozenset[str]
    """Whole labels, Vietnamese ones as ``vietnamese_key``, from two syllables on also without diacritics."""
    known: frozenset[str]
    """Every canonical type that the tables name."""
    words_of_types: frozenset[str]
    """The single words of those types."""
    not_typing_errors: frozenset[str]
    """Right English words that look like a misspelled word of a type."""
    near: Mapping[str, frozenset[str]]
    """A word of a type (six letters or more), whole or with one letter left out -> the words this was made from."""
    broader: Mapping[str, frozenset[str]]
    """Type -> all types that it is a kind of, directly or through others."""
    alike: Mapping[str, frozenset[str]]
    """Type -> types that could be given to the same mention."""

    def understands(self, label: str) -> bool:
        """Tell whether the tables hold ``label`` as a whole, as a type, a name for one, or as meaningless."""
        key = vietnamese_key(label)
        tables = (self.known, self.abbreviations, self.synonyms)
        return any(label in table for table in tables) or any(
            key in table for table in (self.vietnamese, self.bare, self.meaningless)
        )


def vietnamese_key(text: str) -> str:
    """Return the form under which a Vietnamese name is stored: ``hòa`` as ``hoà``, ``kỹ`` as ``kĩ``, NFC."""
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
    """Read the tables; the second call returns the first one's result.

    Raises ``ValueError`` when one name is given twice: the files contradict each other, one line must go.
    """
    vietnamese, abbreviations, synonyms, spelling, plurals, meaningless, families = (
        tomllib.loads(files(__name__).joinpath(f"{name}.toml").read_text(encoding="utf-8"))
        for name in ("vietnamese", "abbreviations", "synonyms", "spelling", "plurals", "meaningless", "related")
    )
    options = vietnamese.pop("bare")
    names = _merge(vietnamese, vietnamese_key)
    abbreviation, synonym = abbreviations["label"], _merge(synonyms)
    _merge({"abbreviations": abbreviation, "synonyms": synonym})
    kinds = [(parent, child) for parent, children in families["narrower"].items() for child in children]
    groups = list(families["alike"].values())
    known = frozenset(
        [*names.values(), *abbreviation.values(), *synonym.values(), *(name for pair in kinds for name in pair)]
        + [name for group in groups for name in group]
    )
    words = frozenset(word for label in known for word in label.split(" "))
    long_words = [word for word in words if len(word) >= 6 and word.isalpha()]
    nothing = [vietnamese_key(entry) for entry in (*meaningless["english"], *meaningless["vietnamese"])]
    return Lexicon(
        vietnamese=names,
        bare=_bare_forms(names, options, known | abbreviation.keys() | synonym.keys()),
        abbreviations=abbreviation,
        synonyms=synonym,
        words=_merge({"abbreviations": abbreviations["word"], "word": spelling["word"], "pair": spelling["pair"]}),
        irregular=plurals["irregular"],
        invariable=frozenset(plurals["invariable"]),
        meaningless=frozenset([*nothing, *(strip_diacritics(entry) for entry in nothing if " " in entry)]),
        known=known,
        words_of_types=words,
        not_typing_errors=frozenset(spelling["typing"]["words"]),
        near=_collect((part, word) for word in long_words for part in (word, *deletions(word))),
        broader=_closure(_collect((child, parent) for parent, child in kinds)),
        alike=_collect((one, other) for group in groups for one in group for other in group if one != other),
    )


def related(a: str, b: str) -> bool:
    """Tell whether two clean types are the same concept, or one is contained in the other: city and location.

    A passage that has one of them may then not serve as a negative example of the other.
    """
    return b in _reach(a) or a in _reach(b)


@functools.lru_cache(maxsize=65536)
def _reach(label: str) -> frozenset[str]:
    """Return ``label``, what it is alike to, and all that it is a kind of.

    ``army doctor`` is a kind of ``doctor`` whether or not a table has it: English compounds name their kind last.
    """
    lexicon = load_lexicon()
    words = head_phrase(label).split(" ")
    kinds = {label, *(" ".join(words[i:]) for i in range(len(words)))}
    broader = {above for kind in kinds for above in lexicon.broader.get(kind, ())}
    return frozenset(kinds | broader | lexicon.alike.get(label, frozenset()))


def deletions(word: str) -> list[str]:
    """Return ``word`` with one letter left out, in every way."""
    return [word[:i] + word[i + 1 :] for i in range(len(word))]


def _merge(sections: Mapping[str, Mapping[str, str]], key: Callable[[str], str] = str) -> dict[str, str]:
    merged: dict[str, str] = {}
    for section, entries in sections.items():
        for name, target in entries.items():
            if key(name) in merged:
                raise ValueError(
                    f"lexicon: {name!r} stands there twice, the second time in [{section}]: remove one line"
                )
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
