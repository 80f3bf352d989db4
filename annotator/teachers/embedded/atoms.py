"""Atoms, the syllables, numbers and signs of a sentence, and what their shape says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from annotator.teachers.embedded.lexicon import lexicon
from normalizers.text import is_syllable

_BEFORE_SENTENCE = frozenset("\"“‘'*•:-–.?!…)(")
_LONGEST_RUN = 12
_INITIALS = re.compile(r"(?:[A-ZĐ]\.){2,}[A-ZĐ]?|[A-ZĐ]\.")


@dataclass(frozen=True, slots=True)
class Atom:
    """A syllable, number or sign of a passage, and what is known about it."""

    start: int
    """Code points into the passage, ``end`` too."""
    end: int
    text: str
    opens: bool
    """It is the first of its word."""
    phrase: bool
    """Its word goes on in lower case after the first syllable ("Tuy nhiên", "Thú y"): no proper name."""
    pos: str
    """Part of speech of its word in underthesea's tag set: ``Np`` is a proper noun."""
    tag: str
    """What the CRF says of its word: ``O``, ``B-PER``, ``I-LOC``, ..."""
    rule: str
    """Type of the rule span that covers it, or empty."""

    @property
    def capital(self) -> bool:
        """Whether it begins with an upper-case letter, and no rule covers it."""
        return self.text[0].isupper() and not self.rule

    @property
    def proper(self) -> bool:
        """Whether it may be a syllable of a person's or a place's name."""
        return self.capital and not self.phrase and self.text not in lexicon().syllables["common"]

    @property
    def acronym(self) -> bool:
        """Whether it is written in capitals alone."""
        return len(self.text) > 1 and self.text.isupper() and not _INITIALS.fullmatch(self.text)

    @property
    def initials(self) -> bool:
        """Whether it abbreviates a name that is withheld: "N.V.A"."""
        return _INITIALS.fullmatch(self.text) is not None

    @property
    def foreign(self) -> bool:
        """Whether it has a capital and is spelt as no Vietnamese syllable: "Merkel"."""
        return self.capital and not self.acronym and len(self.text) > 2 and not is_syllable(self.text)


def joined(atoms: Sequence[Atom], start: int, end: int) -> str:
    """Return the texts of ``atoms[start:end]`` with single spaces."""
    return " ".join([atom.text for atom in atoms[max(start, 0) : end]])


def opens_sentence(atoms: Sequence[Atom], at: int) -> bool:
    """Whether a common word would have a capital at ``at`` too."""
    return at == 0 or atoms[at - 1].text in _BEFORE_SENTENCE


def run_end(atoms: Sequence[Atom], at: int) -> int:
    """Return the end of the run of capitalised syllables that starts at ``at``."""
    end = at
    while end < min(len(atoms), at + _LONGEST_RUN) and (atoms[end].proper or _in_name(atoms, at, end)):
        end += 1
    return end


def _in_name(atoms: Sequence[Atom], first: int, at: int) -> bool:
    """Whether a word that begins sentences ends the name from ``first``, "Tôn Ngộ Không", or begins it: "Từ Thuận"."""
    syllables = lexicon().syllables
    if not atoms[at].capital or atoms[at].text not in syllables["names_too"] or at + 1 == len(atoms):
        return False
    if first < at:
        return not atoms[at + 1].capital
    return atoms[at + 1].proper and atoms[at].text in syllables["family"] and not opens_sentence(atoms, at)


def cue(atoms: Sequence[Atom], at: int) -> str:
    """Return what the words before ``at`` announce: a value of ``Lexicon.cues``, ``title`` (by a rule), or nothing."""
    if at and atoms[at - 1].rule == "title":
        return "title"
    cues = lexicon().cues
    announced = (cues.get(joined(atoms, at - length, at).lower()) for length in (3, 2, 1) if at >= length)
    return next(filter(None, announced), "")
