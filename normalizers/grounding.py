"""Find the mention that a teacher predicts in its passage.

A mention is compared with the passage under rules of growing tolerance, in the order of `RULES`, until one finds it.
Each rule folds mention and passage to keys and searches one key in the other. The folds add up: a mention may differ in
quotes, tone placement and case at once, and the rule is named after the last fold that was needed. A match is a slice
of the passage, of whole words (`normalizers.text.is_whole`), whose own key equals the key of the mention. No fold
removes a diacritic, a letter, a digit or a word: a mention that is only partly in the passage is a `Miss`.

===============  ==================================================================================================
``exact``        the same code points
``trim``         the mention without the quotes and punctuation around it
``unicode``      the same characters: composed or not, compatibility forms, a combining mark typed twice
``tone``         the tone mark on another vowel of the syllable: ``hoà`` = ``hòa``
``case``         capitals or not, but see `_case_fits`
``space``        runs of white space, characters without width, white space beside punctuation
``punctuation``  kinds of dash and quote; the full stops and spaces of abbreviations: ``TP. HCM`` = ``TP HCM``
``underscore``   underscores, in the mention or in the passage, as spaces
===============  ==================================================================================================
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property, partial

from normalizers.text import (
    BLANK,
    QUOTES,
    ZERO_WIDTH,
    bare,
    fold_case,
    fold_tones,
    is_syllable,
    is_whole,
    nfc,
    trim,
    usual_form,
)

_NO_LETTERS = re.compile(r"[\W_]+")  # marks that combine are among them
_CLEAR = frozenset(' \n()[];!?"“”…')
"""Neighbours that always end a word: for most mentions they suffice, without a call of `is_whole`."""
_STOPS = frozenset(",.:")
"""Neighbours that end a word when a clear one follows."""
_NEAR = 3 / 4
"""The share of a mention's characters that the nearest text must have for a near miss."""
_COMPARED = 200
"""The first characters of a mention, by which the nearest text is searched: enough for any name."""

_LETTERS = "\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ffĂăĐđĨĩŨũƠơƯư\u1ea0-\u1ef9"
_UNUSUAL = re.compile(f".[\u0300-\u036f]+|[^\\x00-\\x7f{_LETTERS}\\s]", re.DOTALL)
_SPACES = re.compile(rf"[\s{ZERO_WIDTH}]{{2,}}|[^\S ]|[{ZERO_WIDTH}]|(?<!\w) | (?!\w)")  # not the space of "a b"
_PUNCTUATION = re.compile(
    rf"""(?P<quote>[{QUOTES}]+)
    | (?P<dash>[\u2010-\u2015\u2212])
    | (?<=[^\W\d_]) (?P<stop>\.) (?=[^\W_])
    | (?<![^\W_]) [bcdđfghjklmnpqrstvwxz]+ (?P<gap>[ ]) (?=[^\W\d_])""",
    re.VERBOSE,
)
_PLAIN = {"quote": "'", "dash": "-", "stop": "", "gap": ""}


@dataclass(frozen=True, slots=True)
class Match:
    """The mention is in the passage: ``rule`` found it, ``spans`` are all its occurrences in order of start.

    Spans are code points of the passage, half open; none overlaps another or has white space at an end.
    """

    rule: str
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Miss:
    """The mention is not in the passage: ``reason`` is ``hallucinated``, ``near miss`` or ``empty``.

    ``detail`` shows a person what the passage has instead.
    """

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class _View:
    """A folded text; character ``i`` of ``key`` is ``[starts[i], ends[i])`` of the text itself."""

    key: str
    starts: Sequence[int]
    ends: Sequence[int]

    @classmethod
    def of(cls, text: str) -> _View:
        return cls(text, range(len(text)), range(1, len(text) + 1))


def _rewrite(pattern: re.Pattern[str], new: Callable[[re.Match[str]], str], view: _View) -> _View:
    """Replace each match of ``pattern``, or its named group if it has one, by ``new(match)``."""
    key: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    done = 0
    for match in pattern.finditer(view.key):
        first, last = match.span(match.lastgroup or 0)
        put = new(match)
        if put == view.key[first:last]:
            continue
        key += [view.key[done:first], put]
        starts += [*view.starts[done:first]] + [view.starts[first]] * len(put)
        ends += [*view.ends[done:first]] + [view.ends[last - 1]] * len(put)
        done = last
    if not done:
        return view
    return _View("".join((*key, view.key[done:])), [*starts, *view.starts[done:]], [*ends, *view.ends[done:]])


def _translate(fold: Callable[[str], str], view: _View) -> _View:
    """Fold code point for code point."""
    return _View(fold(view.key), view.starts, view.ends)


def _one_space(match: re.Match[str]) -> str:
    """Return a space between two words, also for ``1, 2`` (which is not ``1,2``); nothing beside other punctuation."""
    text, start, end = match.string, match.start(), match.end()
    if match[0].strip(ZERO_WIDTH) == "" or start == 0 or end == len(text):
        return ""
    before, after = text[start - 1], text[end]
    if before in ".," and after.isdigit() and text[start - 2 : start - 1].isdigit():
        return " "
    return " " if _is_wordlike(before) and _is_wordlike(after) else ""


def _is_wordlike(char: str) -> bool:
    return char.isalnum() or unicodedata.category(char)[0] == "M"


_FOLDS: Mapping[str, Callable[[_View], _View]] = {
    "unicode": partial(_rewrite, _UNUSUAL, lambda match: usual_form(match[0])),
    "tone": partial(_translate, fold_tones),
    "case": partial(_translate, fold_case),
    "space": partial(_rewrite, _SPACES, _one_space),
    "punctuation": partial(_rewrite, _PUNCTUATION, lambda match: _PLAIN[match.lastgroup or ""]),
}
RULES = ("exact", "trim", *_FOLDS, "underscore")
"""The names of the rules, in the order in which they are tried."""


def fold(text: str, rule: str) -> str:
    """Return the key of ``text`` under ``rule``: two strings with the same key are the same mention under that rule."""
    if rule == "exact":
        return text
    view = _View.of(trim(text.replace("_", " ") if rule == "underscore" else text))
    for folded in list(_FOLDS.values())[: RULES.index(rule) - 1]:
        view = folded(view)
    return view.key


def letters(text: str) -> str:
    """Return the bare letters and digits of ``text``: two strings with the same key under any rule have the same."""
    return _NO_LETTERS.sub("", unicodedata.normalize("NFKD", text)).casefold()


class Grounder:
    """Finds mentions in one passage. Folded views of the passage are computed when they are first needed."""

    def __init__(self, text: str) -> None:
        """Take a passage in NFC."""
        self._text = text
        self._padded = text + "  "  # so that the neighbours of any slice exist: [-1] is a space too
        self._views = [_View.of(text)]

    @cached_property
    def _letters(self) -> str:
        return letters(self._text)

    @cached_property
    def _segmented(self) -> Grounder:
        return Grounder(self._text.replace("_", " "))

    @cached_property
    def _skeleton(self) -> str:
        return fold_case(bare(self._text))

    @cached_property
    def _matcher(self) -> SequenceMatcher[str]:
        return SequenceMatcher(None, "", self._skeleton, autojunk=False)

    def ground(self, mention: str) -> Match | Miss:
        """Return every occurrence of ``mention`` under the first rule that finds one, or why there is none."""
        if not (mention and mention[0].isalnum() and mention[-1].isalnum()):
            mention = mention.strip(BLANK)
            if not any(char.isalnum() for char in mention):
                return Miss("empty", f"no letter or digit in {mention!r}")
        if spans := self._exact(mention):
            return Match("exact", spans)
        trimmed = trim(mention)
        if trimmed != mention and (spans := self._exact(trimmed)):
            return Match("trim", spans)
        if letters(trimmed) not in self._letters:
            return self._miss(trimmed)  # no rule can find it: the views are not needed
        return self._folded(trimmed) or self._spaced(trimmed) or self._miss(trimmed)

    def _exact(self, mention: str) -> tuple[tuple[int, int], ...]:
        text, size = self._padded, len(mention)
        spans = []
        start = text.find(mention)
        while start >= 0:
            end = start + size
            if (
                text[start - 1] in _CLEAR and (text[end] in _CLEAR or (text[end] in _STOPS and text[end + 1] in _CLEAR))
            ) or is_whole(text, start, end):
                spans.append((start, end))
                start = text.find(mention, end)
            else:
                start = text.find(mention, start + 1)
        return tuple(spans)

    def _folded(self, mention: str) -> Match | None:
        wanted = _View.of(nfc(mention))
        for level, (rule, folded) in enumerate(_FOLDS.items(), start=1):
            wanted = folded(wanted)
            if len(self._views) == level:
                self._views.append(folded(self._views[-1]))
            if spans := self._occurrences(mention, wanted.key, rule, self._views[level]):
                return Match(rule, spans)
        return None

    def _occurrences(self, mention: str, wanted: str, rule: str, view: _View) -> tuple[tuple[int, int], ...]:
        spans = []
        at = view.key.find(wanted)
        while at >= 0:
            after = at + len(wanted)
            start, end = view.starts[at], view.ends[after - 1]
            written = self._text[start:end]
            if is_whole(self._text, start, end) and fold(written, rule) == wanted and _case_fits(mention, written):
                spans.append((start, end))
                at = view.key.find(wanted, after)
            else:
                at = view.key.find(wanted, at + 1)
        return tuple(spans)

    def _spaced(self, mention: str) -> Match | None:
        """Find ``mention`` with spaces for underscores in both it and the passage, which leaves the spans unchanged."""
        if "_" in mention or "_" in self._text:
            found = self._segmented.ground(trim(mention.replace("_", " ")))
            return Match("underscore", found.spans) if isinstance(found, Match) else None
        return None

    def _miss(self, mention: str) -> Miss:
        """Distinguish a near miss from an invention, by letters without marks and case.

        A text is near that has half of the mention's words in a row (at least two), or most of its characters in order.
        """
        wanted = fold_case(bare(nfc(mention)))[:_COMPARED]
        text, words = self._skeleton, [word.span() for word in re.finditer(r"\w+", wanted)]
        fewest = min(len(words), max(2, (len(words) + 1) // 2))
        for size in range(len(words), max(0, fewest - 1), -1):
            for first in range(len(words) - size + 1):
                run = wanted[words[first][0] : words[first + size - 1][1]]
                if run in text and (place := re.search(rf"(?<![^\W_]){re.escape(run)}(?![^\W_])", text)):
                    return self._near(*place.span())
        self._matcher.set_seq1(wanted)
        longest = self._matcher.find_longest_match()
        first, slack = longest.b - longest.a, len(wanted) // 4
        low = max(0, first - slack)
        around = SequenceMatcher(None, wanted, text[low : first + len(wanted) + slack], autojunk=False)
        same = [block for block in around.get_matching_blocks() if block.size > 1]
        if sum(block.size for block in same) < max(3, _NEAR * len(wanted)):
            return Miss("hallucinated", "nothing like it in the passage")
        return self._near(low + same[0].b, low + same[-1].b + same[-1].size)

    def _near(self, start: int, end: int) -> Miss:
        while start > 0 and not self._text[start - 1].isspace():
            start -= 1
        while end < len(self._text) and not self._text[end].isspace():
            end += 1
        return Miss("near miss", f"the nearest text is {trim(self._text[start:end])!r}")


def _case_fits(mention: str, written: str) -> bool:
    """Whether ``mention`` may differ in its capitals from ``written``, the text of the passage.

    A mention of several words may: all of them side by side are hardly a coincidence (6 of 20,000 names were found in
    passages of other news articles). A single word with capitals is a name, and may be another word in lower case
    (``An`` and ``an``, ``WHO`` and ``who``): it only matches capitals, unless it is long and not a Vietnamese syllable
    (``Facebook`` and ``facebook``). A mention in lower case matches capitals, except that a very short one does not
    match initials (``nh`` and ``N.H``).
    """
    mention, written = fold(mention, "tone"), fold(written, "tone")
    one_word = len(re.findall(r"\w+", written)) == 1
    if mention == mention.lower():
        return written == written.lower() or one_word or len(mention) > 3
    return written != written.lower() or not one_word or (len(written) > 3 and not is_syllable(written))
