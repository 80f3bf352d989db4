"""Atoms: the syllables, numbers and signs of a sentence, and what their shape and word lists tell about them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from annotator.passages.dictionary import dictionary
from annotator.teachers.embedded.lexicon import LOCATION, ORGANIZATION, lexicon
from normalizers.text import fold_tones, is_syllable

_BEFORE_SENTENCE = frozenset("\"“‘'*•:-–.?!…)(")
_LONGEST_RUN = 12
_LONGEST_KNOWN = 8
_INITIALS = re.compile(r"(?:[A-ZĐ]\.){2,}[A-ZĐ]?|[A-ZĐ]\.")


@dataclass(frozen=True, slots=True)
class Atom:
    """A syllable, number or sign of a passage, and what is known about it."""

    start: int
    """Code points into the passage, ``end`` too."""
    end: int
    text: str
    opens: bool
    """Whether it is the first of its word."""
    phrase: bool
    """Whether its word is in lower case after the first syllable ("Tuy nhiên", "Thú y"), so no proper name."""
    pos: str
    """Part of speech of its word in underthesea's tag set: ``Np`` is a proper noun."""
    tag: str
    """The CRF's tag of its word: ``O``, ``B-PER``, ``I-LOC``, ..."""
    rule: str
    """Type of the rule span that covers it, or empty."""

    @property
    def capital(self) -> bool:
        """Return whether it begins with an upper-case letter, and no rule covers it."""
        return self.text[0].isupper() and not self.rule

    @property
    def proper(self) -> bool:
        """Return whether it may be a syllable of a person's or a place's name."""
        return self.capital and not self.phrase and self.text not in lexicon().syllables["common"]

    @property
    def acronym(self) -> bool:
        """Return whether it is written in capitals alone."""
        return len(self.text) > 1 and self.text.isupper() and not _INITIALS.fullmatch(self.text)

    @property
    def initials(self) -> bool:
        """Return whether it abbreviates a name that is withheld: "N.V.A"."""
        return _INITIALS.fullmatch(self.text) is not None

    @property
    def foreign(self) -> bool:
        """Return whether it has a capital and is not spelt like a Vietnamese syllable: "Merkel"."""
        return self.capital and not self.acronym and len(self.text) > 2 and not is_syllable(self.text)


def joined(atoms: Sequence[Atom], start: int, end: int) -> str:
    """Return the texts of ``atoms[start:end]`` with single spaces."""
    return " ".join([atom.text for atom in atoms[max(start, 0) : end]])


def opens_sentence(atoms: Sequence[Atom], at: int) -> bool:
    """Return whether a common word would have a capital at ``at`` too."""
    return at == 0 or atoms[at - 1].text in _BEFORE_SENTENCE


def run_end(atoms: Sequence[Atom], at: int) -> int:
    """Return the end of the run of capitalised syllables that starts at ``at``."""
    end = at
    while end < min(len(atoms), at + _LONGEST_RUN) and (atoms[end].proper or _in_name(atoms, at, end)):
        end += 1
    return end


def _in_name(atoms: Sequence[Atom], first: int, at: int) -> bool:
    """Return whether a word that also begins sentences belongs to the name from ``first``: "Tôn Ngộ Không"."""
    syllables = lexicon().syllables
    if not atoms[at].capital or atoms[at].text not in syllables["names_too"] or at + 1 == len(atoms):
        return False
    if first < at:
        return not atoms[at + 1].capital
    return atoms[at + 1].proper and atoms[at].text in syllables["family"] and not opens_sentence(atoms, at)


def cue(atoms: Sequence[Atom], at: int) -> str:
    """Return the cue before ``at``: a value of ``Lexicon.cues``, ``title`` (by a rule), or nothing."""
    if at and atoms[at - 1].rule == "title":
        return "title"
    cues = lexicon().cues
    announced = (cues.get(joined(atoms, at - length, at).lower()) for length in (3, 2, 1) if at >= length)
    return next(filter(None, announced), "")


def known(atoms: Sequence[Atom], at: int, before: str) -> tuple[int, str]:
    """Return length and type of the longest well-known name at ``at``, after the cue ``before``; else ``(0, "")``."""
    words = lexicon()
    if not atoms[at].capital and (atoms[at].rule or atoms[at].text not in words.known_starts):
        return 0, ""
    for length in range(min(_LONGEST_KNOWN, len(atoms) - at), 0, -1):
        name = joined(atoms, at, at + length)
        label = words.known.get(name) or (words.known.get(name.title(), "") if length > 1 and name.isupper() else "")
        if label == LOCATION and joined(atoms, at + length, at + length + 1) in words.syllables["clubs"]:
            return length + 1, ORGANIZATION
        if label == ORGANIZATION and length == 1 and joined(atoms, at + 1, at + 3) == "Việt Nam":
            return 3, ORGANIZATION  # "Toyota Việt Nam"
        if label and (length > 1 or _stands_alone(atoms, at, before)):
            return length, label
    return 0, ""


def _stands_alone(atoms: Sequence[Atom], at: int, before: str) -> bool:
    """Return whether a well-known name of one syllable is no part of a longer name or word, by what follows it."""
    if at + 1 == len(atoms):
        return True
    atom, following = atoms[at], atoms[at + 1]
    if atom.phrase and not following.opens and not following.capital:
        return False  # "Mỹ thuật"
    if before == "title":
        return True  # "Tổng thống Nga Vladimir ..."
    if atom.foreign:
        return not following.foreign or following.text in lexicon().known  # not "Paris Hilton"
    # "Nga" or "Đức" is more likely a syllable of a longer name
    return len(atom.text) > 4 or atom.acronym or following.foreign or run_end(atoms, at) <= at + 1


def is_person(atoms: Sequence[Atom], at: int, shortest: int = 2) -> bool:
    """Return whether a Vietnamese family name begins a run of ``shortest`` to four syllables at ``at``."""
    if atoms[at].text.capitalize() not in lexicon().syllables["family"] or not atoms[at].opens:
        return False
    return shortest <= run_end(atoms, at) - at <= 4 and not known(atoms, at, "")[0]


def is_word(first: str, second: str) -> bool:
    """Return whether two syllables, the second in lower case, are one word of the dictionary."""
    return second.islower() and fold_tones(f"{first} {second}".lower()) in dictionary()
