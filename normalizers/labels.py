"""Normalise entity type labels, as a large model writes them, to English types: lower case, singular, one name each.

Cleaning removes what is not part of a label (``entity_type:Organizations``, ``"B-ORG"``, ``[to_chuc]``). Small rules
(``lexicon.rules``) then look it up or reshape it, one at a time, until no rule changes it. A label that no rule knows
is kept, since the set of types is open. A compound (``symptom and disease``) keeps its parts, each normalised.
"""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from normalizers.lexicon import Lexicon, alike, kinds, load_lexicon, near, related, vietnamese_key
from normalizers.lexicon.rules import settle

__all__ = ["LabelDecision", "LabelNormalizer", "Lexicon", "alike", "clean_label", "load_lexicon", "near", "related"]

MAX_RAW = 200
MAX_CHARACTERS = 60
MAX_WORDS = 5
MAX_ALTERNATIVES = 3
MAX_SYLLABLES = 9  # Vietnamese writes every syllable as a word of its own

_KEY = (
    r"(?:(?:named[ _-]?)?entity(?:[ _-]?(?:type|label|class|category))?|types?|labels?(?:[ _-]?type)?"
    r"|category|class|tag|ner(?:[ _-]?(?:type|label|tag))?|lo[aạ]i(?:[ _]th[uự]c[ _]th[eể])?|nhãn|kiểu)"
)
_CODE = re.compile(rf"^[\W_]*{_KEY}[\s\"'`]*(?::|=|->|\.)[\W_]*(?=\w)", re.IGNORECASE)
_MARKUP = re.compile(rf"<\s*/?\s*{_KEY}\s*/?\s*>", re.IGNORECASE)
_ITEM = re.compile(r"^[\W_]*\d+\s*[.):]\s*(?=[^\W\d])")
_BIO = re.compile(
    r"^[\W_]*(?:[BI][-_](?=[A-Z]{2,}(?:[-_ ][A-Z]+)*\W*$)"
    r"|[BIESLU][-_](?=(?i:per|person|org|organi[sz]ation|loc|location|gpe|misc|date|time)\W*$))"
)
_GLOSS = re.compile(r"(.*\w.*?)\s*[(\[{<]([^()\[\]{}<>]*)[)\]}>]?[\W_]*")
_STEP = re.compile(r"\s*(?:-+>|>+|→|»|:+)\s*|\s+[-–—]+\s+")
_EITHER = re.compile(r"\s+and/or\s+|\s*[/\\|,;]+\s*|(?<=\w)\s*\+\s*(?=\w)", re.IGNORECASE)
_CAPITALS_IN_PLURAL = re.compile(r"\b([A-Z]{2,})s\b")
_DOTTED = re.compile(r"\b(?:[^\W\d_]\.)+[^\W\d_]\b\.?")
_WORD_AFTER_CAPITALS = re.compile(r"(?<=[A-Z])(?=[A-Z][a-z]{2})")
_JUNK = re.compile(r"[^\w\s'/>-]|_|'(?!\w)|(?<!\w)'")
_HYPHEN = re.compile(r"-(?!(?<=[^\W\d_]-)\d)(?!(?<=\d-)[^\W\d_])")  # all but that of covid-19 and 5-star
_APOSTROPHES = str.maketrans("’‘‛ʼ", "''''")
_INVISIBLE = frozenset({"Cf", "Cn", "Co", "Cs", "Mn"})

_PARTS = re.compile(r"(/| (?:or|hoặc) )")
_AND = re.compile(r"( (?:and|và) )")
_IN_ENGLISH = {" hoặc ": " or ", " và ": " and "}
_BARE_SYLLABLE = re.compile(
    r"(?:ngh?|nh|gh?|gi|kh?|ph|qu|th?|tr|ch?|[bdhlmnrsvx])?"
    r"(?:uye|uya|ieu|yeu|uoi|uou|oai|oay|uay|uyu|a[iouy]?|e[ou]?|i[aeu]?|o[aei]?|u[aeiouy]?|ye?)(?:ng|nh|ch|[cmnpt])?"
)

Status = Literal["kept", "changed", "rejected", "review"]


@dataclass(frozen=True, slots=True)
class LabelDecision:
    """The outcome for one label."""

    raw: str
    label: str | None
    """The type to use; None when rejected; the cleaned form when under review."""
    status: Status
    """``kept``: it is a right type as it stands. ``review``: it is not English; a person should decide."""
    rule: str
    """The last rule that changed the label (``format`` when only its form changed); the reason of a rejection or
    review; ``known`` for a right label of the lexicon, ``open`` for another right one; ``compound`` for several types.
    """


_Outcome: TypeAlias = tuple[str | None, Status, str]
"""Label, status and rule of a decision."""


class LabelNormalizer:
    """Decides about labels by the lexicon and the decisions of a user, each label once."""

    def __init__(self, lexicon: Lexicon, decisions: Mapping[str, str | None] = MappingProxyType({})) -> None:
        """Take ``decisions``: a label, raw or normalised -> the label to use, None to drop it. They override all rules.

        Raises ``ValueError`` when they lead in a circle or to a label without a letter.
        """
        self._lexicon = lexicon
        self._decisions = _follow_to_the_end(decisions)
        self._chosen = frozenset(label for label in self._decisions.values() if label)
        self._seen: dict[str, LabelDecision] = {}

    def decide(self, raw: str) -> LabelDecision:
        """Decide one label. Deciding its result again gives the same label, ``kept`` (or still ``review``)."""
        decision = self._seen.get(raw)
        if decision is None:
            label, status, rule = self._decide(raw)
            if status == "kept" and label != raw:
                status, rule = "changed", "format" if rule in {"known", "open"} else rule
            decision = self._seen[raw] = LabelDecision(raw, label, status, rule)
        return decision

    def _decide(self, raw: str) -> _Outcome:
        if raw in self._decisions or raw in self._chosen:
            return self._by_user(raw)
        if len(raw) > MAX_RAW:
            return None, "rejected", "too long"
        text, gloss = _split_gloss(raw)
        if text in self._decisions or text in self._chosen:
            return self._by_user(text)
        label, status, rule = _judge(self._lexicon, text)
        if status != "kept" and gloss:
            from_gloss, _, _ = _judge(self._lexicon, gloss)
            if from_gloss in self._lexicon.known:
                label, status, rule = from_gloss, "kept", "gloss"
        if label in self._decisions:
            return self._by_user(label)
        return label, status, rule

    def _by_user(self, text: str) -> _Outcome:
        label = self._decisions.get(text, text)
        return label, "rejected" if label is None else "kept", "user"


def _follow_to_the_end(decisions: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return decisions by the raw and the clean form of their labels, each with the last label it leads to."""
    exact = {raw: label and clean_label(label) for raw, label in decisions.items()}
    links = {clean: label for raw, label in exact.items() if (clean := clean_label(raw))} | exact
    ends: dict[str, str | None] = {}
    for start in links:
        way, label = [start], links[start]
        while label is not None and label in links and label not in way:
            way.append(label)
            label = links[label]
        if label is not None and label in way[:-1]:
            raise ValueError(f"decisions lead in a circle: {' -> '.join([*way, label])}: remove one of them")
        if label is not None and not any(char.isalpha() for char in label):
            raise ValueError(f"the decision for {start!r} names no label with letters: give one, or drop {start!r}")
        ends[start] = label
    return ends


def clean_label(text: str) -> str:
    """Return ``text`` as words in lower case with single spaces; ``a/b`` are alternatives, ``a > b`` is a path.

    Invisible characters, code (``entity_type:``, ``EntityType.``, ``B-``, tags), quotes and punctuation are removed;
    snake_case, kebab-case and camelCase become words.
    """
    while (cleaned := functools.reduce(lambda value, step: step(value), _CLEANING, text)) != text:
        text = cleaned
    return text


def _plain_unicode(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    text = unicodedata.normalize("NFKC", text).translate(_APOSTROPHES)
    categories = {char: unicodedata.category(char) for char in text}
    return "".join(" " if categories[char] == "Cc" else char for char in text if categories[char] not in _INVISIBLE)


def _without_code(text: str) -> str:
    without_tags = _MARKUP.sub(" ", text)
    return _BIO.sub("", _ITEM.sub("", _CODE.sub("", without_tags if without_tags.strip() else text)))


def _alternatives(text: str) -> str:
    """Write alternatives as ``a/b`` and steps of a path (``a: b``, ``/a/b``) as ``a > b``."""
    text = _STEP.sub(">", text.replace("/", ">") if text.startswith("/") else text)
    either = (_joined(" > ", part.split(">")) for part in _EITHER.sub("/", text).split("/"))
    return _joined("/", either)


def _joined(joiner: str, parts: Iterable[str]) -> str:
    return joiner.join(stripped for part in parts if (stripped := part.strip()))


def _split_camel(text: str) -> str:
    return " > ".join(step if " " in step else _camel_words(step) for step in text.split(" > "))


def _camel_words(text: str) -> str:
    pairs = itertools.pairwise(f"{text} ")
    spaced = "".join(f"{a} " if a.islower() and b.isupper() else a for a, b in pairs)
    return _WORD_AFTER_CAPITALS.sub(" ", spaced)


def _words(text: str) -> str:
    text = text.lower().replace("&", " and ").replace("%", " percent ")
    return " ".join(_HYPHEN.sub(" ", _JUNK.sub(" ", text)).split())


_CLEANING: tuple[Callable[[str], str], ...] = (
    _plain_unicode,
    str.strip,
    _without_code,
    _alternatives,
    functools.partial(_DOTTED.sub, lambda found: found[0].replace(".", "")),  # U.S. -> US
    functools.partial(_CAPITALS_IN_PLURAL.sub, r"\1"),  # GPUs -> GPU, which no list of nouns has
    _split_camel,
    _words,
)


def _split_gloss(raw: str) -> tuple[str, str]:
    """Return ``Organization (NGO)`` as two clean labels; the second is empty where there are no brackets."""
    found = _GLOSS.fullmatch(" ".join(_without_code(_plain_unicode(raw)).split()))
    label = clean_label(found[1]) if found else ""
    return (label, clean_label(found[2])) if found and label else (clean_label(raw), "")


def _judge(lexicon: Lexicon, text: str) -> _Outcome:
    """Decide a clean label. The status of a right label is ``kept``, even if rules have changed it."""
    if " > " in text:
        return _judge_path(lexicon, text.split(" > "))
    if _PARTS.search(text) and not lexicon.understands(text):
        return _judge_compound(lexicon, *_split(_PARTS, text))
    return _judge_one(lexicon, text)


def _judge_one(lexicon: Lexicon, text: str) -> _Outcome:
    label, rule = settle(lexicon, text)
    if label in lexicon.known:
        return label, "kept", rule or "known"
    if _AND.search(label):
        parts, joiners = _split(_AND, label)
        if all(settle(lexicon, part)[0] in lexicon.known for part in parts):
            return _judge_compound(lexicon, parts, joiners)
    if reason := _reason_to_reject(lexicon, label):
        return None, "rejected", reason
    if not label.isascii() or _looks_vietnamese(lexicon, label):
        return label, "review", "not english"
    return label, "kept", rule or "open"


def _split(joiner: re.Pattern[str], text: str) -> tuple[list[str], list[str]]:
    pieces = joiner.split(text)
    return pieces[::2], pieces[1::2]


def _judge_path(lexicon: Lexicon, steps: list[str]) -> _Outcome:
    """Decide ``person > athlete``: the last step that is not rejected, if it is a kind of the first."""
    judged = [decision for step in steps if (decision := _judge(lexicon, step))[0] is not None]
    if not judged:
        return _judge(lexicon, steps[0])
    first, last = str(judged[0][0]), str(judged[-1][0])
    if first in kinds(last):
        return judged[-1]
    turned, _ = settle(lexicon, f"{last} {first}")
    if turned in lexicon.known:
        return turned, "kept", "path"
    return _judge(lexicon, "/".join(dict.fromkeys(str(label) for label, _, _ in judged)))


def _judge_compound(lexicon: Lexicon, parts: list[str], joiners: list[str]) -> _Outcome:
    """Decide ``symptom and disease``: one type if its parts normalise to one, apart from those that are rejected.

    Otherwise it stays a compound of its normalised parts.
    """
    judged = [_judge(lexicon, part) for part in parts]
    labels = list(dict.fromkeys(label for label, _, _ in judged if label is not None))
    if len(labels) <= 1:
        return next((decision for decision in judged if decision[0] is not None), judged[0])
    if len(labels) > MAX_ALTERNATIVES:
        return None, "rejected", "too long"
    joiner = _IN_ENGLISH.get(joiners[0], joiners[0]) if len(set(joiners)) == 1 else "/"
    for whole in (joiner.join(labels), "/".join(labels)):
        if lexicon.understands(whole):
            return _judge(lexicon, whole)
    if any(status == "review" for label, status, _ in judged if label is not None):
        return joiner.join(labels), "review", "not english"
    return joiner.join(labels), "kept", "compound"


def _reason_to_reject(lexicon: Lexicon, label: str) -> str:
    letters = [char for char in label if char.isalpha()]
    most_words = MAX_WORDS if label.isascii() else MAX_SYLLABLES
    reasons = {
        "empty": not label,
        "number": not letters,
        "single letter": len(label) == 1,
        "foreign script": not all(unicodedata.name(char, "").startswith("LATIN ") for char in letters),
        "meaningless": vietnamese_key(label) in lexicon.meaningless,
        "too long": len(label) > MAX_CHARACTERS or len(label.split(" ")) > most_words,
    }
    return next((reason for reason, applies in reasons.items() if applies), "")


def _looks_vietnamese(lexicon: Lexicon, label: str) -> bool:
    """Report whether every word could be a Vietnamese syllable without diacritics, and not all are English words."""
    words = label.split(" ")
    return len(words) > 1 and all(map(_BARE_SYLLABLE.fullmatch, words)) and not all(map(lexicon.is_english, words))
