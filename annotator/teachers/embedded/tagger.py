"""The embedded teacher: underthesea's CRF models and hand-written rules. No key, no network, no randomness.

The answer has the form a language model gives, so that everything behind the teacher is the same for all providers.
underthesea (Apache-2.0, https://github.com/undertheseanlp/underthesea) carries its models inside its wheel.
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
from typing import Any, NamedTuple

from annotator.passages.dictionary import dictionary
from annotator.passages.segmenter import only_submodules, segmenter, without_addresses
from annotator.passages.sentences import split_sentences
from annotator.teachers.embedded.atoms import Atom
from annotator.teachers.embedded.finding import Name, find_names
from annotator.teachers.embedded.lexicon import ORGANIZATION, PERSON
from annotator.teachers.embedded.rules import Span, find_spans
from normalizers.text import fold_tones

TEACHER_VERSION = "2"
"""Raised whenever a rule changes what ``extract`` returns: it is part of the key under which answers are kept."""

_STOPPED = re.compile(r"\w+\.\w{2,}\.")
"""An abbreviation with the full stop of its sentence: "TP.HCM."."""


def identity() -> dict[str, str]:
    """Return what decides the answers besides the passage: the version of the models' package and of the rules."""
    return {"underthesea": version("underthesea"), "rules": TEACHER_VERSION}


def warm_up() -> None:
    """Load the models and the dictionary (one second, 150 MB), so that the first passage does not wait for them."""
    _models()
    dictionary()


def extract(text: str) -> list[tuple[str, str]]:
    """Return the distinct ``(mention, type)`` pairs of ``text`` (NFC) in order of first occurrence.

    Every mention is an exact slice of ``text``. Where a rule and the CRF disagree, the rule is right: it has seen the
    whole form ("ngày 5/6"), the CRF only a digit after a capital letter.
    """
    spans = find_spans(text)
    # The CRF works best on one sentence, and a name never spans two.
    sentences = (atoms(text, sentence.start, sentence.end, spans) for sentence in split_sentences(text))
    names = _agree(name for sentence in sentences for part in _parted(sentence) for name in find_names(part))
    pairs = [(text[start:end], label) for start, end, label in sorted([*spans, *names])]
    return _longest_forms(text, list(dict.fromkeys(pairs)))


def _agree(found: Iterable[Name]) -> Iterator[tuple[int, int, str]]:
    """Give each name of a passage one type; names of no type are left out.

    The occurrences of a name vote, and its longest form in a passage speaks for shorter ones.
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
                label = ""  # a common word at the head of a sentence: the CRF has nothing to go by
            elif name.text.isupper() and " " not in name.text and label == PERSON:
                label = ""  # an acronym
        previous = label
        if label:
            yield name.start, name.end, label


def _longest_forms(text: str, pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Leave out a mention that only stands inside longer ones of its type: "Alaska" where each is a "bang Alaska"."""
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
    """Cut a sentence where more than a space stands: news that has lost its line breaks."""
    first = 0
    for index, (one, other) in enumerate(pairwise(sentence), start=1):
        if other.start > one.end + 1:
            yield sentence[first:index]
            first = index
    yield sentence[first:]


def reply_for(text: str) -> str:
    """Answer as a language model would: a JSON list of ``[mention, type]`` pairs."""
    return json.dumps(extract(text), ensure_ascii=False)


def tag_words(sentence: str) -> list[tuple[str, str, str]]:
    """Return ``(word, part of speech, entity tag)`` of each word, the very ones that ``underthesea.ner`` gives.

    The words are underthesea's, which corrects their spelling: they need not occur in ``sentence`` letter for letter.
    """
    models = _models()
    tokens = models.segment(sentence)
    kinds = models.parts_of_speech.tag([(token, "X") for token in tokens])
    # Column 2, the chunk, appears in no feature: its model need not run.
    tags = models.entities.tag([(token, kind, "X", "X") for token, kind in zip(tokens, kinds, strict=True)])
    return list(zip(tokens, kinds, tags, strict=True))


class _Tagger:
    """One of underthesea's CRF models with the feature template of ``predictor``.

    The predictor itself computes features in time quadratic in the length of the sentence; ``TaggedTransformer``
    computes the same ones in linear time.
    """

    def __init__(self, predictor: Any) -> None:
        from underthesea.transformer.tagged import TaggedTransformer

        self._model = predictor.model
        self._features = TaggedTransformer(predictor.transformer.template)

    def tag(self, rows: list[tuple[str, ...]]) -> list[str]:
        """Return the tag of each row of columns."""
        tags: list[str] = self._model.tag(self._features.transform([rows])[0]) if rows else []
        return tags


class _Models(NamedTuple):
    """What the teacher uses of underthesea."""

    segment: Callable[[str], list[str]]
    token_pattern: re.Pattern[str]
    parts_of_speech: _Tagger
    entities: _Tagger


@cache
def _models() -> _Models:
    """Load the models once a process."""
    words = segmenter()
    with only_submodules("underthesea"):
        from underthesea.pipeline.ner import CRFNERPredictor
        from underthesea.pipeline.pos_tag import CRFPOSTagPredictor

        parts_of_speech, entities = _Tagger(CRFPOSTagPredictor.Instance()), _Tagger(CRFNERPredictor.Instance())
    return _Models(words.segment, words.token_pattern, parts_of_speech, entities)


def _in_phrase(syllables: list[str]) -> list[bool]:
    """Say of each syllable of a word whether it belongs to a capitalised phrase, "Tuy nhiên" or "Thú y".

    A capital and what follows in lower case make one if the dictionary has them: words are glued together at times,
    and "Quỹ Quốc tế" has a phrase in it, "Trần Chí Công tiếp" none.
    """
    flags = [False] * len(syllables)
    starts = [index for index, syllable in enumerate(syllables) if syllable[:1].isupper()]
    for start, end in pairwise([*starts, len(syllables)]):
        if end - start > 1 and fold_tones(" ".join(syllables[start:end]).lower()) in dictionary():
            flags[start:end] = [True] * (end - start)
    return flags


def atoms(text: str, start: int, end: int, spans: list[Span]) -> list[Atom]:
    """Cut the sentence ``text[start:end]`` into atoms, each with its exact place in ``text``."""
    sentence = without_addresses(text[start:end])
    # A word is tokens of this pattern joined by single spaces, so counting tells where it stands; its letters do not.
    places = [(start + match.start(), start + match.end()) for match in _models().token_pattern.finditer(sentence)]
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
