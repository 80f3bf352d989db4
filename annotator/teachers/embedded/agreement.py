"""One name, one type: the occurrences of a name vote, and its longest form in a passage speaks for shorter ones."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from annotator.teachers.embedded.finding import Name
from annotator.teachers.embedded.lexicon import ORGANIZATION, PERSON


def agree(found: Iterable[Name]) -> Iterator[tuple[int, int, str]]:
    """Give each name of a passage the type its occurrences agree on, in order; names of no type are left out."""
    names = list(found)
    votes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for name in names:
        if name.label:
            votes[name.text][name.label] += len(names) if name.sure else 1  # one rule outweighs the CRF
    types = {text: ballot.most_common(1)[0][0] for text, ballot in votes.items()}
    certain = {name.text for name in names if name.sure and name.label}
    inside = {name.text for name in names if not name.opens_sentence}
    people = " | ".join(text for text, label in types.items() if label == PERSON and " " in text)
    bodies = " | ".join(text for text in certain if types[text] == ORGANIZATION)
    surnames = {text for text in certain if types[text] == PERSON and " " not in text}
    previous = ""
    for name in names:
        label = types.get(name.text, "")
        if not label and name.joined and not name.sure and (name.foreign or " " in name.text):
            label = previous  # "Nadal và Murray"
        if name.text not in certain:
            if (" " in name.text or name.text.isupper()) and f" {name.text} |" in f"{bodies} |":
                label = ORGANIZATION  # "Tân Phong", once "Công ty Tân Phong" has been named
            elif f" {name.text} " in f" {people} " or (name.foreign and not surnames.isdisjoint(name.text.split())):
                label = PERSON  # "Chí Công", once "Trần Chí Công" has; "Moon Jae-in", once "ông Moon" has
            elif not name.foreign and name.text.isalnum() and name.text not in inside:
                label = ""  # a common word at the head of a sentence: the CRF has nothing to go by
            elif name.text.isupper() and " " not in name.text and label == PERSON:
                label = ""  # an acronym
        previous = label
        if label:
            yield name.start, name.end, label
