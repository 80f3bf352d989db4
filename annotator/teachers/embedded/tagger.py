"""The embedded teacher: underthesea's CRF models and hand-written rules. No key, no network, no randomness.

underthesea (Apache-2.0, https://github.com/undertheseanlp/underthesea) has its models inside its wheel.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib.metadata import version
from itertools import pairwise
from operator import itemgetter
from typing import Any, TypeAlias

from annotator.passages.dictionary import dictionary
from annotator.passages.segmenter import only_submodules, segmenter, without_addresses
from annotator.passages.sentences import split_sentences
from annotator.teachers.embedded.atoms import Atom
from annotator.teachers.embedded.finding import Name, find_names
from annotator.teachers.embedded.lexicon import ORGANIZATION, PERSON
from annotator.teachers.embedded.rules import Span, find_spans
from normalizers.text import fold_tones

TEACHER_VERSION = "2"
"""To be raised whenever ``extract`` returns something else: it is part of the key of answers."""
_STOPPED = re.compile(r"\w+\.\w{2,}\.")
"""An abbreviation with the full stop of its sentence: "TP.HCM."."""
_Tagger: TypeAlias = Callable[[list[tuple[str, ...]]], list[str]]
"""Returns the tags of words, each given as a row of columns."""


def identity() -> dict[str, str]:
    """Return what decides an answer besides the passage: the versions of underthesea and of the rules."""
    return {"underthesea": version("underthesea"), "rules": TEACHER_VERSION}


def warm_up() -> None:
    """Load the models and the dictionary (one second, 150 MB) before the first passage needs them."""
    _taggers()
    dictionary()


def extract(text: str) -> list[tuple[str, str]]:
    """Return the distinct ``(mention, type)`` pairs of ``text`` (NFC) in order of first occurrence.

    Every mention is an exact slice of ``text``. Rules overrule the CRF: they see the whole form ("ngày 5/6").
    """
    spans = find_spans(text)
    # The CRF works best on single sentences, and a name never spans two.
    sentences = (atoms(text, sentence.start, sentence.end, spans) for sentence in split_sentences(text))
    names = _agree(name for sentence in sentences for part in _parted(sentence) for name in find_names(part))
    pairs = [(text[start:end], label) for start, end, label in sorted([*spans, *names])]
    return _longest_forms(text, list(dict.fromkeys(pairs)))


def _agree(found: Iterable[Name]) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and type of the names of a passage: one type a name, by the votes of its occurrences.

    Shorter forms of a name get the type of its longest form. Names without a type are left out.
    """
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
                label = ""  # a common word that begins a sentence
            elif name.text.isupper() and " " not in name.text and label == PERSON:
                label = ""  # an acronym
        previous = label
        if label:
            yield name.start, name.end, label


def _longest_forms(text: str, pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Leave out mentions that occur only inside longer ones of their type: "Alaska" if each is in "bang Alaska"."""
    kept = []
    for mention, label in pairs:
        longer = [other for other, kind in pairs if kind == label and mention in other and other != mention]
        hidden = text
        for other in longer:
            hidden = hidden.replace(other, "\0")
        if not longer or re.search(rf"(?<!\w){re.escape(mention)}(?!\w)", hidden):
            kept.append((mention, label))
    return kept


def _parted(sentence: list[Atom]) -> Iterator[list[Atom]]:
    """Cut a sentence where more than one space separates two atoms: a line break was lost there."""
    first = 0
    for index, (one, other) in enumerate(pairwise(sentence), start=1):
        if other.start > one.end + 1:
            yield sentence[first:index]
            first = index
    yield sentence[first:]


def reply_for(text: str) -> str:
    """Return the answer as a language model gives it: a JSON list of ``[mention, type]`` pairs."""
    return json.dumps(extract(text), ensure_ascii=False)


def tag_words(sentence: str) -> list[tuple[str, str, str]]:
    """Return ``(word, part of speech, entity tag)`` of each word, as ``underthesea.ner`` does.

    underthesea corrects the spelling of words, so they need not occur in ``sentence``.
    """
    tag_parts_of_speech, tag_entities = _taggers()
    tokens = segmenter().segment(sentence)
    kinds = tag_parts_of_speech([(token, "X") for token in tokens])
    # No feature uses column 2, the chunk, so the model of chunks need not run.
    tags = tag_entities([(token, kind, "X", "X") for token, kind in zip(tokens, kinds, strict=True)])
    return list(zip(tokens, kinds, tags, strict=True))


@cache
def _taggers() -> tuple[_Tagger, _Tagger]:
    """Load the models of parts of speech and of entities, once in each process."""
    segmenter()  # underthesea's modules import one another in a circle, which has to be entered here
    with only_submodules("underthesea"):
        from underthesea.pipeline.ner import CRFNERPredictor
        from underthesea.pipeline.pos_tag import CRFPOSTagPredictor

        return _tagger(CRFPOSTagPredictor.Instance()), _tagger(CRFNERPredictor.Instance())


def _tagger(predictor: Any) -> _Tagger:
    """Return the CRF model of a predictor, with features in linear instead of quadratic time."""
    from underthesea.transformer.tagged import TaggedTransformer

    features = TaggedTransformer(predictor.transformer.template)
    return lambda rows: predictor.model.tag(features.transform([rows])[0]) if rows else []


def _in_phrase(syllables: list[str]) -> list[bool]:
    """Return for each syllable of a word whether it belongs to a capitalised phrase such as "Tuy nhiên".

    A capital and the lower case after it are a phrase if the dictionary has them. The segmenter joins words at times:
    "Quỹ Quốc tế" has a phrase in it, "Trần Chí Công tiếp" none.
    """
    flags = [False] * len(syllables)
    starts = [index for index, syllable in enumerate(syllables) if syllable[:1].isupper()]
    for start, end in pairwise([*starts, len(syllables)]):
        if end - start > 1 and fold_tones(" ".join(syllables[start:end]).lower()) in dictionary():
            flags[start:end] = [True] * (end - start)
    return flags


def atoms(text: str, start: int, end: int, spans: list[Span]) -> list[Atom]:
    """Return the atoms of the sentence ``text[start:end]``, each with its exact place in ``text``."""
    sentence = without_addresses(text[start:end])
    # A word is one or more tokens of this pattern, so places are found by counting tokens, not by comparing letters.
    places = [(start + match.start(), start + match.end()) for match in segmenter().token_pattern.finditer(sentence)]
    described = [
        (index == 0, phrase, kind, tag)
        for word, kind, tag in tag_words(sentence)
        for index, phrase in enumerate(_in_phrase(word.split(" ")))
    ]
    if len(places) != len(described):  # never in NFC text
        return []
    atoms = []
    for (left, right), description in zip(places, described, strict=True):
        near = bisect_left(spans, right, key=itemgetter(0)) - 1  # the last span that starts before the atom ends
        rule = spans[near][2] if near >= 0 and spans[near][1] > left else ""
        word = text[left:right]
        word = word[:-1] if _STOPPED.fullmatch(word) else word
        atoms.append(Atom(left, left + len(word), word, *description, rule))
    return atoms
