"""Which documents are worth drawing: text with letters, in Vietnamese, each only once."""

from __future__ import annotations

from annotator.records import Document
from annotator.sources.rows import Row, rejected, text_hash

_VIETNAMESE = frozenset("ăđĩũơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ")
"""The lower-case letters of Vietnamese outside ASCII and Latin-1: à or ê would count French and Portuguese in."""

_CLEARLY_VIETNAMESE = 0.10
"""Share of such letters above which nothing else is asked. Vietnamese news has 0.06 to 0.26, all but two articles in a
thousand above 0.10; English and French have none, Romanian about 0.04."""
_LOOKED_AT = 10_000  # characters of a text that language identification reads


class Screen:
    """Remembers what was taken, so that no text and no id is taken twice."""

    def __init__(self) -> None:
        """Begin with nothing taken."""
        self._ids: dict[str, str] = {}  # sha256 of a text -> the id it was taken under
        self._taken: set[str] = set()

    def __call__(self, document: Document) -> Row:
        """Take ``document``, with an id of its own, or reject it: ``empty``, ``duplicate`` or ``not Vietnamese``."""
        if not any(map(str.isalpha, document.text)):
            return rejected("empty", document.id, document.text.strip(), "the text has no letters")
        digest = text_hash(document.text)
        if digest in self._ids:
            return rejected("duplicate", document.id, document.text, f"same text as document {self._ids[digest]}")
        if not is_vietnamese(document.text):
            share = f"{vietnamese_share(document.text):.0%} of the letters are specific to Vietnamese"
            return rejected("not Vietnamese", document.id, document.text, share)
        identity = document.id
        while identity in self._taken:
            identity = f"{identity}#{digest[:8]}"
        self._taken.add(identity)
        self._ids[digest] = identity
        return document if identity == document.id else Document(identity, document.text, document.source)


def vietnamese_share(text: str) -> float:
    """Return the share of letters of NFC ``text`` that hardly any other language has, 0 where there are no letters."""
    lowered = text[:_LOOKED_AT].lower()
    letters = sum(map(str.isalpha, lowered))
    return sum(map(_VIETNAMESE.__contains__, lowered)) / letters if letters else 0.0


def is_vietnamese(text: str) -> bool:
    """Tell whether NFC ``text`` is Vietnamese: by its letters where they are clear, else by langdetect."""
    if vietnamese_share(text) > _CLEARLY_VIETNAMESE:
        return True
    from langdetect import DetectorFactory, LangDetectException, detect

    DetectorFactory.seed = 0  # it draws random n-grams: without a seed, the same text may get two answers
    try:
        return bool(detect(text[:_LOOKED_AT]) == "vi")
    except LangDetectException:  # no letter it knows
        return False
