"""What a list or a family name says of the capitals at one place."""

from __future__ import annotations

from collections.abc import Sequence

from annotator.passages.dictionary import dictionary
from annotator.teachers.embedded.atoms import Atom, joined, run_end
from annotator.teachers.embedded.lexicon import LOCATION, ORGANIZATION, lexicon
from normalizers.text import fold_tones

_LONGEST_KNOWN = 8


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
    """Whether a well-known name of one syllable is no part of a longer name or word, by what follows it."""
    if at + 1 == len(atoms):
        return True
    atom, following = atoms[at], atoms[at + 1]
    if atom.phrase and not following.opens and not following.capital:
        return False  # "Mỹ thuật"
    if before == "title":
        return True  # "Tổng thống Nga Vladimir ..."
    if atom.foreign:
        return not following.foreign or following.text in lexicon().known  # not "Paris Hilton"
    # "Nga" or "Đức" is rather a syllable of a longer name
    return len(atom.text) > 4 or atom.acronym or following.foreign or run_end(atoms, at) <= at + 1


def is_person(atoms: Sequence[Atom], at: int, shortest: int = 2) -> bool:
    """Whether a Vietnamese family name begins a run of ``shortest`` to four syllables at ``at``."""
    if atoms[at].text.capitalize() not in lexicon().syllables["family"] or not atoms[at].opens:
        return False
    return shortest <= run_end(atoms, at) - at <= 4 and not known(atoms, at, "")[0]


def is_word(first: str, second: str) -> bool:
    """Whether two syllables, the second in lower case, are one word of the dictionary."""
    return second.islower() and fold_tones(f"{first} {second}".lower()) in dictionary()
