"""Screen documents: Vietnamese text of some length, each only once, without boilerplate.

The cheap checks come first: enough text, Vietnamese, the same text or nearly the same before. Then boilerplate is
removed; last comes whether the text repeats itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import langdetect
import numpy as np

from annotator.duplicates.minhash import NearDuplicates
from annotator.duplicates.ngrams import Hashes, ngrams, syllables
from annotator.records import Document, Rejected
from annotator.sources import boilerplate
from annotator.sources.documents import Row, rejected, text_hash
from annotator.sources.drawn_documents import Drawn
from normalizers.encodings import has_syllables, is_damaged, repair

BOILERPLATE: Final = "boilerplate"
"""The stage under which pieces that are cut out of documents are counted."""

_VIETNAMESE = frozenset("ăđĩũơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ")
"""The lower-case letters of Vietnamese outside ASCII and Latin-1: à or ê would count French and Portuguese in."""

_CLEARLY_VIETNAMESE = 0.10
"""Share of such letters above which language identification is not needed. Vietnamese news has 0.06 to 0.26, all
but two articles in a thousand above 0.10; English and French have none, Romanian about 0.04."""
_LOOKED_AT = 10_000  # characters of a text that language identification reads
_N = 8  # syllables of an n-gram that a text may repeat
_JUDGED = 100  # n-grams that a text must have to be judged
_REPEATED = 0.3  # share of repeated n-grams from which on a text repeats itself


@dataclass(frozen=True, slots=True)
class Screening:
    """The settings of the screens."""

    near_duplicates: float = 0.8
    """Jaccard index of two texts' 5-grams of syllables from which on they are near duplicates; 0: never."""
    shortest: int = 20
    """Words a document must have: with fewer it is a caption, a headline or a link."""
    cuts: bool = True
    """Whether boilerplate is removed."""
    repairs_encoding: bool = False
    """Whether text that was decoded in the wrong encoding is repaired where the original is certain."""


class Screen:
    """Screens documents one by one, and remembers the accepted ones, so that no text and no id is accepted twice."""

    def __init__(self, settings: Screening, drawn: Drawn) -> None:
        """Begin with no accepted document; ``drawn`` holds those that are screened."""
        self._settings, self._drawn = settings, drawn
        self._common: frozenset[int] | None = None
        near = settings.near_duplicates
        self._near = NearDuplicates(near, lambda number: drawn.get(number).text) if near else None

    def learn(self, documents: Iterable[Document]) -> None:
        """Find the lines that many of ``documents`` share: the first round of the draw. Later calls change nothing."""
        if self._common is None and self._settings.cuts:
            self._common = boilerplate.common_lines(document.text for document in documents)

    def __call__(self, number: int) -> tuple[Row, list[Rejected]]:
        """Accept the drawn document with this number, or reject it.

        Returns:
            The document, without boilerplate and under an id of its own, and what was cut out of it; or a rejection.
        """
        document = self._drawn.get(number)
        digest = text_hash(document.text)[:32]
        if reason := self._why_not(document, digest):
            return reason, []
        hashes = syllables(document.text)
        sketch = self._near.sketch(hashes) if self._near else None
        if self._near and sketch and (found := self._near.find(sketch)):
            detail = f"{found[1]:.0%} the same as document {self._drawn.get(found[0]).id}"
            return rejected("near duplicate", document.id, document.text, detail), []
        cut = boilerplate.find(document.text, self._common or ()) if self._settings.cuts else []
        text = boilerplate.remove(document.text, cut) if cut else document.text
        if cut and self._is_short(text):
            detail = f"{len(text.split())} words are left without credits, bylines and common lines"
            return rejected("boilerplate only", document.id, document.text, detail), []
        if (share := repeated_share(hashes)) >= _REPEATED:
            detail = f"{share:.0%} of its {_N}-grams of syllables are repeated"
            return rejected("repeats itself", document.id, document.text, detail), []
        identity = document.id
        while self._drawn.has_id(identity):
            identity = f"{identity}#{digest[:8]}"
        self._drawn.accept(identity, bytes.fromhex(digest))
        if self._near and sketch:
            self._near.add(number, sketch)
        removed = [
            Rejected(BOILERPLATE, one.reason, identity, document.text[one.start : one.end],
                     f"characters {one.start} to {one.end} of the article as it came")
            for one in cut
        ]  # fmt: skip
        return Document(identity, text, document.source), removed

    def _why_not(self, document: Document, digest: str) -> Rejected | None:
        """Return the rejection of a whole document, or None; the cheapest checks come first."""
        text = document.text
        if not any(map(str.isalpha, text)):
            return rejected("empty", document.id, text.strip(), "the text has no letters")
        if self._is_short(text):
            return rejected("too short", document.id, text, f"{len(text.split())} words")
        if (other := self._drawn.accepted_as(bytes.fromhex(digest))) is not None:
            return rejected("duplicate", document.id, text, f"same text as document {other}")
        if damage := _damage(text):
            return rejected("damaged encoding", document.id, text, damage)
        if not is_vietnamese(text):
            share = f"{vietnamese_share(text):.0%} of the letters are specific to Vietnamese"
            return rejected("not Vietnamese", document.id, text, share)
        return None

    def _is_short(self, text: str) -> bool:
        return len(text) < 20 * self._settings.shortest and len(text.split()) < self._settings.shortest


def _damage(text: str) -> str:
    """Return what a wrong encoding did to Vietnamese ``text``; empty for a sound text."""
    if is_damaged(text):
        if original := repair(text):
            return f"UTF-8 read as Latin-1 or cp1252; --repair-encoding makes it: {original[:80]}"
        return "letters were lost or garbled by a wrong encoding; what they were is not certain"
    clear = vietnamese_share(text) > _CLEARLY_VIETNAMESE
    if clear or has_syllables(text[:_LOOKED_AT]) or not is_vietnamese(text):
        return ""
    return "its words are no syllables of Vietnamese: text in an old encoding, such as TCVN3, or read in a wrong one"


def repeated_share(hashes: Hashes) -> float:
    """Return the share of the 8-grams of a text that repeat earlier ones; 0 for a short text."""
    found = ngrams(hashes, _N)
    return 1 - len(np.unique(found)) / len(found) if len(found) >= _JUDGED else 0.0


def vietnamese_share(text: str) -> float:
    """Return the share of letters of NFC ``text`` that hardly any other language has, 0 where there are no letters."""
    lowered = text[:_LOOKED_AT].lower()
    letters = sum(map(str.isalpha, lowered))
    return sum(map(_VIETNAMESE.__contains__, lowered)) / letters if letters else 0.0


def is_vietnamese(text: str) -> bool:
    """Return whether NFC ``text`` is Vietnamese: by its letters where they are clear, else by langdetect."""
    if vietnamese_share(text) > _CLEARLY_VIETNAMESE:
        return True
    langdetect.DetectorFactory.seed = 0  # it draws random n-grams: without a seed, the same text may get two answers
    try:
        return bool(langdetect.detect(text[:_LOOKED_AT]) == "vi")
    except langdetect.LangDetectException:  # no letter it knows
        return False
