"""What a run of capitalised syllables is: ``TYPES`` are asked in their order, the first that knows decides."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from annotator.teachers.embedded.atoms import Atom, joined
from annotator.teachers.embedded.lexicon import LOCATION, ORGANIZATION, PERSON, lexicon
from annotator.teachers.embedded.shapes import is_person, known

NOTHING = ""
Typed = tuple[str, bool]
"""A type, or nothing for what is no person, place or organization; and whether that is sure."""
Rule = Callable[[Sequence[Atom], int, int, str], Typed | None]
"""Looks at the run ``atoms[at:end]``, knowing the cue before it."""

_CRF = {"PER": PERSON, "ORG": ORGANIZATION, "LOC": LOCATION}
_BRAND = re.compile(
    r"(?!Mc|Mac|De|Di|Le)\w*[a-z][A-Z]\w*|[A-Z]{2,}[a-z]{2,}|(?:Viet|Vina|Petro)[a-z]+|\w+(?:bank|tel|corp|soft)"
)
"""VNPost, HoREA, Vietlott, Techcombank."""


def type_of(atoms: Sequence[Atom], at: int, end: int, before: str) -> Typed:
    """Return the type of the run ``atoms[at:end]`` and whether that is sure."""
    return next(found for rule in TYPES if (found := rule(atoms, at, end, before)) is not None)


def _announced_body(atoms: Sequence[Atom], at: int, end: int, before: str) -> Typed | None:
    """Know "Sao Mai" after "hãng", "HAGL" after "cựu cầu thủ"."""
    acronym = end == at + 1 and atoms[at].acronym
    announced = (before == ORGANIZATION and not is_person(atoms, at)) or (before in {"role", "title"} and acronym)
    return (ORGANIZATION, True) if announced else None


def _by_last_word(atoms: Sequence[Atom], at: int, end: int, _before: str) -> Typed | None:
    """Know that "Fjordline Partners" is a company, "Gió Biển Marathon" and "Apple App Store" are not."""
    words, last = lexicon(), atoms[end - 1].text
    if end > at + 1 and last in words.syllables["companies"] and any(atom.foreign for atom in atoms[at:end]):
        return ORGANIZATION, True
    if end == at + 1 and last in {"Việt", "Trưởng"}:
        return NOTHING, True  # "người Việt"
    product = end > at + 1 and words.known.get(atoms[at].text) == ORGANIZATION
    product |= end < len(atoms) and atoms[end].text.isdigit() and any(atom.foreign for atom in atoms[at:end])
    if product or last in words.syllables["contests"] or re.search(r"\d", joined(atoms, at, end)):
        return NOTHING, True
    if end > at + 1 and words.known.get(last) == LOCATION and atoms[end - 1].foreign:
        return LOCATION, False  # "Tây Nam Syria"
    return None


def _announced_person(atoms: Sequence[Atom], at: int, end: int, before: str) -> Typed | None:
    """Know "Thùy Miên" after "ca sĩ", a family name with two syllables behind it, "Ibrahimovic cho biết"."""
    following = atoms[end + 1] if end + 1 < len(atoms) and atoms[end].text in {",", "("} else None
    if before == "where" and is_person(atoms, at, 3) and following is not None and known(atoms, end + 1, "")[0]:
        return LOCATION, True  # "ở Khuất Duy Tiến, Hà Nội"
    acts = any(atom.foreign for atom in atoms[at:end]) and _acts(atoms, end)
    person = before in {PERSON, "role", "title"} or is_person(atoms, at, 3) or acts
    return (PERSON, True) if person else None


def _acts(atoms: Sequence[Atom], end: int) -> bool:
    """Whether what people do follows."""
    verbs = lexicon().syllables["person_verbs"]
    return any(joined(atoms, end, end + length).lower() in verbs for length in (3, 2, 1) if end + length <= len(atoms))


def _by_spelling(atoms: Sequence[Atom], at: int, end: int, before: str) -> Typed | None:
    """Know brands by the capitals inside them, or by what they begin or end with."""
    brand = end == at + 1 and before != PERSON and _BRAND.fullmatch(atoms[at].text)
    return (ORGANIZATION, False) if brand else None


def _by_tags(atoms: Sequence[Atom], at: int, end: int, before: str) -> Typed | None:
    """Take what the CRF says of most syllables; a place only where a cue agrees, for it says so when it is lost too."""
    tags = Counter(atom.tag[2:] for atom in atoms[at:end] if atom.tag[2:] in _CRF)
    label = _CRF[tags.most_common(1)[0][0]] if tags else NOTHING
    if label == LOCATION and before != "where":
        label = ORGANIZATION if before == "source" else NOTHING
        person = is_person(atoms, at) or _is_foreign_person(atoms, at, end)
        return None if not label and person else (label, not label)
    return (label, False) if label else None


def _by_shape(atoms: Sequence[Atom], at: int, end: int, before: str) -> Typed | None:
    """Return person for a rest that is shaped like a name: "Dương Mịch", "Alicia Keys"."""
    person = before != "where" and (is_person(atoms, at) or _is_foreign_person(atoms, at, end))
    return (PERSON, False) if person else (NOTHING, False)


def _is_foreign_person(atoms: Sequence[Atom], at: int, end: int) -> bool:
    run = atoms[at:end]
    return 1 < len(run) < 4 and any(atom.foreign for atom in run) and not any(atom.acronym for atom in run)


TYPES: tuple[Rule, ...] = (
    _announced_body,
    _by_last_word,
    _by_spelling,
    _announced_person,
    _by_tags,
    _by_shape,
)
"""The last one always decides."""
