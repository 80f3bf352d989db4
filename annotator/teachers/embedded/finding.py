"""Find people, organizations and places in one sentence: names by their capitals, types by cues.

The CRF alone is not enough on news: it takes unusual words for places and includes the words before a name. So a name
is a run of capitalised syllables. Its type comes from a head ("Sở", "huyện"), a list of well-known names, a title or an
address before it, a family name, the words after it, and last from the CRF. ``RULES`` find names, and ``TYPES`` give a
run of capitals its type; of both, the first rule with a result decides.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from annotator.teachers.embedded.atoms import Atom, cue, is_person, is_word, joined, known, opens_sentence, run_end
from annotator.teachers.embedded.heads import head, headed
from annotator.teachers.embedded.lexicon import LOCATION, ORGANIZATION, PERSON, lexicon

_DISTRICT = re.compile(r"(?:H|Q|P|TX|TT|TP|Tp)\.\w+\Z")
_DISTRICTS = frozenset(("Q.", "P.", "H.", "TX.", "TT.", "TP.", "Tp."))
_PHOTO = frozenset(("Ảnh", "ảnh", "Ảnh:", "Nguồn", "nguồn"))
_NO_SOURCE = frozenset(("Internet", "NVCC", "FBNV", "FB", "TL", "CTV", "PV", "INT", "MXH"))
_JOINTS = frozenset((",", "và", "hay", "hoặc", "cùng", "với", "-", "–", "/"))
_LONGEST_NAME = 5
NOTHING = ""
_CRF = {"PER": PERSON, "ORG": ORGANIZATION, "LOC": LOCATION}
_BRAND = re.compile(
    r"(?!Mc|Mac|De|Di|Le)\w*[a-z][A-Z]\w*|[A-Z]{2,}[a-z]{2,}|(?:Viet|Vina|Petro)[a-z]+|\w+(?:bank|tel|corp|soft)"
)
"""VNPost, HoREA, Vietlott, Techcombank."""


@dataclass(frozen=True, slots=True)
class Name:
    """A name at ``[start, end)`` of type ``label``, which is empty where the type is unknown."""

    start: int
    end: int
    text: str
    label: str
    sure: bool
    """Whether the type comes from a rule, not from the CRF alone."""
    opens_sentence: bool
    """Whether a common word would have a capital there too."""
    foreign: bool
    joined: bool
    """Whether only a comma, "và" or the like is between it and the name before."""


Found = tuple[int, str, bool]
"""End of a name in atoms, its type or nothing, and whether that is sure."""
Rule = Callable[[Sequence[Atom], int, str], Found | None]
"""Takes atoms, the index of one and the cue before it; ``None`` leaves the decision to the next rule."""
Typed = tuple[str, bool]
"""A type, or nothing for what is no person, place or organization; and whether that is sure."""
TypeRule = Callable[[Sequence[Atom], int, int, str], Typed | None]
"""Takes atoms, begin and end of a run in them, and the cue before it; ``None`` leaves the decision to the next rule."""


def by_head(atoms: Sequence[Atom], at: int, before: str) -> Found | None:
    """Find "huyện Đức Hòa" or "Sở Y tế Hà Nội", unless a well-known name is longer."""
    end, label = headed(atoms, at)
    return (end, label, True) if label and end > at + known(atoms, at, before)[0] else None


def by_list(atoms: Sequence[Atom], at: int, before: str) -> Found | None:
    """Find a well-known name; but not "Nga" in "chị Nga", nor "Anh" that begins a sentence and means "he"."""
    length, label = known(atoms, at, before)
    announced = before == "none" or (before == PERSON and not atoms[at].foreign)
    if length > 1 or (length and not announced and not (label == LOCATION and _is_common(atoms, at))):
        return at + length, label, True
    return None


def by_source(atoms: Sequence[Atom], at: int, before: str) -> Found | None:
    """Find the newspaper in "báo Lao động", and the source of a picture in "Ảnh: TÁ LÂM" and "Ảnh: EPA"."""
    atom = atoms[at]
    if before == ORGANIZATION and atom.capital and atom.phrase and atoms[at - 1].text.islower():
        end = next((other for other in range(at + 1, len(atoms)) if atoms[other].opens), len(atoms))
        return end, ORGANIZATION, True
    if at < 2 or atoms[at - 1].text != ":" or atoms[at - 2].text not in _PHOTO or not atom.capital:
        return None
    end = run_end(atoms, at)
    if end == at + 1 and atom.acronym:
        return end, NOTHING if atom.text in _NO_SOURCE else ORGANIZATION, True
    if end == at + 1 and atom.foreign:
        return end, ORGANIZATION, False
    return (end, PERSON, True) if 2 <= end - at <= 4 and not any(atom.foreign for atom in atoms[at:end]) else None


def by_initials(atoms: Sequence[Atom], at: int, before: str) -> Found | None:
    """Find "N.V.A", and "A." after an address."""
    atom = atoms[at]
    if not atom.initials or atom.rule or atom.text == "V.I.P" or (len(atom.text) < 4 and before != PERSON):
        return None
    return at + 1, PERSON, True


def by_district(atoms: Sequence[Atom], at: int, _cue: str) -> Found | None:
    """Find "Q.1" and "H.Hóc Môn"."""
    if atoms[at].rule or at + 1 == len(atoms):
        return None
    if atoms[at].text in _DISTRICTS and (atoms[at + 1].text.isdigit() or atoms[at + 1].proper):
        return max(at + 2, min(run_end(atoms, at + 1), at + 3)), LOCATION, True
    if _DISTRICT.match(atoms[at].text):
        return max(at + 1, min(run_end(atoms, at), at + 3)), LOCATION, True
    return None


def by_capitals(atoms: Sequence[Atom], at: int, before: str) -> Found | None:
    """Find any other run of capitalised syllables."""
    if run_end(atoms, at) == at or _is_common(atoms, at) or atoms[at].text in lexicon().syllables["acronyms"]:
        return None
    end = _name_end(atoms, at, before)
    if end < len(atoms) and not atoms[end].opens and is_word(atoms[end - 1].text, atoms[end].text):
        end -= 1  # no name ends inside a word: "Thủ tướng Chính phủ"
        if end == at:
            return None
    is_name = before == PERSON or (before != "none" and joined(atoms, at, end).lower() not in lexicon().heads)
    if not is_name or end - at > _LONGEST_NAME:
        return end, NOTHING, False
    return end, *type_of(atoms, at, end, before)


RULES: tuple[Rule, ...] = (by_head, by_list, by_source, by_initials, by_district, by_capitals)


def find_names(atoms: Sequence[Atom]) -> Iterator[Name]:
    """Yield the names of one sentence in order, without overlaps; some have no type."""
    at, carried, last = 0, "", -1
    while at < len(atoms):
        before, carried = carried or cue(atoms, at), ""
        found = next((found for rule in RULES if (found := rule(atoms, at, before))), None)
        if found is None:
            at += 1
            continue
        end, label, sure = found
        text, foreign = joined(atoms, at, end), any(atom.foreign for atom in atoms[at:end])
        linked = at > 1 and last == at - 1 and atoms[at - 1].text in _JOINTS
        yield Name(atoms[at].start, atoms[end - 1].end, text, label, sure, opens_sentence(atoms, at), foreign, linked)
        last = end
        if before == "title" and label != PERSON and text in lexicon().known:
            carried = before  # "Tổng thống Nga Vladimir ..."
        at = end


def _is_common(atoms: Sequence[Atom], at: int) -> bool:
    """Return whether the capital at ``at`` marks a sentence, an address or a role, not a name."""
    atom, cues = atoms[at], lexicon().cues
    word = atom.text.lower()
    if word in {"mc", "pv", "ctv", "vđv"}:
        return True
    following = atoms[at + 1] if at + 1 < len(atoms) else None
    if cues.get(word) == PERSON and following is not None and following.capital and not is_person(atoms, at, 3):
        return True  # "Chị V.T.K." where a line break is lost
    if not opens_sentence(atoms, at) or atom.acronym or is_person(atoms, at, 3):
        return False
    if word in cues:
        return True
    if following is not None and following.foreign and not atom.foreign:
        return not atom.pos.startswith("N")  # "Gặp Merkel"
    return not atom.foreign and atom.pos != "Np"


def _name_end(atoms: Sequence[Atom], at: int, before: str) -> int:
    """Return the end of the name at ``at`` in a run that may hold several."""
    run = run_end(atoms, at)
    if is_person(atoms, at):
        return run
    end = at + 1
    while end < run and not head(atoms, end)[0] and (before == PERSON or known(atoms, end, "")[0] < 2):
        if end == at + 1 and atoms[at].acronym and is_person(atoms, end):
            break
        if atoms[end - 1].foreign and not atoms[end].foreign and atoms[end].opens and atoms[end].pos != "Np":
            break  # "Manchester Arena Vợ", where a line break is lost
        end += 1
    return end


def type_of(atoms: Sequence[Atom], at: int, end: int, before: str) -> Typed:
    """Return the type of the run ``atoms[at:end]`` and whether that is sure."""
    return next(found for rule in TYPES if (found := rule(atoms, at, end, before)) is not None)


def _announced_body(atoms: Sequence[Atom], at: int, end: int, before: str) -> Typed | None:
    """Recognize "Sao Mai" after "hãng", "HAGL" after "cựu cầu thủ"."""
    acronym = end == at + 1 and atoms[at].acronym
    announced = (before == ORGANIZATION and not is_person(atoms, at)) or (before in {"role", "title"} and acronym)
    return (ORGANIZATION, True) if announced else None


def _by_last_word(atoms: Sequence[Atom], at: int, end: int, _before: str) -> Typed | None:
    """Recognize "Fjordline Partners" as a company, and that "Gió Biển Marathon" and "Apple App Store" are none."""
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
    """Recognize "Thùy Miên" after "ca sĩ", a family name before two syllables, "Ibrahimovic cho biết"."""
    following = atoms[end + 1] if end + 1 < len(atoms) and atoms[end].text in {",", "("} else None
    if before == "where" and is_person(atoms, at, 3) and following is not None and known(atoms, end + 1, "")[0]:
        return LOCATION, True  # "ở Khuất Duy Tiến, Hà Nội"
    acts = any(atom.foreign for atom in atoms[at:end]) and _acts(atoms, end)
    person = before in {PERSON, "role", "title"} or is_person(atoms, at, 3) or acts
    return (PERSON, True) if person else None


def _acts(atoms: Sequence[Atom], end: int) -> bool:
    """Return whether a verb follows whose subject is a person."""
    verbs = lexicon().syllables["person_verbs"]
    return any(joined(atoms, end, end + length).lower() in verbs for length in (3, 2, 1) if end + length <= len(atoms))


def _by_spelling(atoms: Sequence[Atom], at: int, end: int, before: str) -> Typed | None:
    """Recognize brands by capitals inside them, or by their beginning or end."""
    brand = end == at + 1 and before != PERSON and _BRAND.fullmatch(atoms[at].text)
    return (ORGANIZATION, False) if brand else None


def _by_tags(atoms: Sequence[Atom], at: int, end: int, before: str) -> Typed | None:
    """Return the CRF's type of most syllables; a place only if a cue agrees, since that is also its guess in doubt."""
    tags = Counter(atom.tag[2:] for atom in atoms[at:end] if atom.tag[2:] in _CRF)
    label = _CRF[tags.most_common(1)[0][0]] if tags else NOTHING
    if label == LOCATION and before != "where":
        label = ORGANIZATION if before == "source" else NOTHING
        person = is_person(atoms, at) or _is_foreign_person(atoms, at, end)
        return None if not label and person else (label, not label)
    return (label, False) if label else None


def _by_shape(atoms: Sequence[Atom], at: int, end: int, before: str) -> Typed | None:
    """Return person for any other run that is shaped like a name: "Dương Mịch", "Alicia Keys"."""
    person = before != "where" and (is_person(atoms, at) or _is_foreign_person(atoms, at, end))
    return (PERSON, False) if person else (NOTHING, False)


def _is_foreign_person(atoms: Sequence[Atom], at: int, end: int) -> bool:
    run = atoms[at:end]
    return 1 < len(run) < 4 and any(atom.foreign for atom in run) and not any(atom.acronym for atom in run)


TYPES: tuple[TypeRule, ...] = (
    _announced_body,
    _by_last_word,
    _by_spelling,
    _announced_person,
    _by_tags,
    _by_shape,
)
"""The last one always has a result."""
