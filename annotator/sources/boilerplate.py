"""Find boilerplate in articles: photo credits, bylines, "Xem thêm", and lines that many articles share.

News sites write these into the text, on the same line and often without a full stop. The rules prefer precision: a cut
ends only where a credit, a name or a sentence certainly ends.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from annotator.storage.scratch import full_disk_explained, temporary_database

COMMON: Final = 5
"""Documents that must share a line or sentence for it to be common ..."""
COMMON_SHARE: Final = 0.001
"""... and the share of all documents."""
LONG: Final = 8
"""Words from which on a line or sentence can be common: a shorter one may be written twice by chance."""

_UPPER: Final = "A-ZÀ-ÝĂĐĨŨƠƯẠ-Ỹ"
_WORD: Final = rf"[{_UPPER}\d][\w.&'’-]*(?<!\.)"
_NAME: Final = rf"(?:{_WORD}|[{_UPPER}]\.)(?:[ /]{{1,3}}(?:{_WORD}|[{_UPPER}]\.|và|&|-|–)){{0,5}}"
_AGENCY: Final = (
    r"(?:Reuters|AFP|AP|EPA|Getty(?: Images)?|TTXVN|VNE|VnExpress|Vnexpress|Internet|NVCC|FBNV|FB|BBC|CNN|Bloomberg|"
    r"Sputnik|TASS|RIA Novosti|Xinhua|Yonhap|Kyodo|Instagram|Facebook|Twitter|YouTube|Google Maps?|Zing|"
    r"KT|PV|CTV|VOV|VTV|TTO|NLĐ|Daily Mail|Dailymail)(?:/(?:TTXVN|Getty|AFP|Reuters|VNA|VOV|TTO))?\b"
)
_KIND: Final = (
    r"(?:Ảnh|ảnh|Hình|hình|Nguồn ảnh|Nguồn|nguồn|Đồ họa|Clip|Video)(?: minh h(?:oạ|ọa)| tư liệu| chụp màn hình)?"
)

_CREDITS: Final = (
    re.compile(rf"\(\s*{_KIND}\s*:\s*[^()\n]{{1,60}}\)\.?"),
    re.compile(r"\(\s*[ẢảHh](?:nh|ình) (?:minh h(?:oạ|ọa)|tư liệu|Internet|internet|chụp màn hình)[^()\n]{0,30}\)\.?"),
    re.compile(
        rf"(?<![\w(])(?:- )?(?:Ảnh|Nguồn ảnh|Nguồn)(?: minh h(?:oạ|ọa)| tư liệu)?\s?:\s?"
        rf"(?:{_NAME}|[\w-]+\.\w+)\.(?=\s|$)"
    ),
    re.compile(rf"(?<![\w(])(?:- )?(?:Ảnh|Nguồn ảnh)(?: minh h(?:oạ|ọa)| tư liệu)?\s?:\s?{_AGENCY}\.?"),
    re.compile(rf"(?<![\w(])(?:- )?(?:Ảnh|Nguồn ảnh)\s?:\s?{_NAME}(?=\s*$)", re.MULTILINE),
    re.compile(r"(?<![\w(])Ảnh (?:minh h(?:oạ|ọa)|chụp màn hình)\.(?=\s|$)"),
)
_BYLINE: Final = re.compile(
    rf"(?<=[.!?…”\"/)])(?<!\d\.)\s+(?:\(?[Tt]heo )?{_NAME}"
    r"(?:\s?\((?:[Tt]heo |[Tt]ổng hợp|T/[hH]|t/h|TH|ghi|[Tt]hực hiện|dịch)[^()\n]{0,40}\)"
    r"|, [Tt]heo [^.\n]{2,30})?\)?\s*$"
)
_SOURCE: Final = re.compile(r"(?<=[.!?…”\"/)])\s+\(?[Tt]heo [^.!?\n()]{2,40}(?:\([^()\n]{2,30}\))?\)?\s*$")
_MORE: Final = re.compile(
    r"(?:<\w{1,6}>)?[\[(]?(?:[>»→*]+ ?)?"
    r"(?:Xem thêm|XEM THÊM|Đọc thêm|ĐỌC THÊM|Tin liên quan|TIN LIÊN QUAN|Bài liên quan)\s?:"
    r"(?:[^\n.!?]{0,120}(?=\n|$))?"
)
_INVITATION: Final = re.compile(
    r"(?:(?<=[.!?…”\"])\s|^)\s*(?:Xin )?[Mm]ời (?:quý )?(?:độc giả|bạn đọc|các bạn|quý vị)\b"
    r"(?:[^.!?\n]|[.!?](?!\s)){0,120}?"
    r"(?:xem|theo dõi|đón đọc|đón xem|tham khảo)(?:[^.!?:\n]|[.!?:](?!\s)){0,80}(?:[.!?:]+(?=\s|$)|$)",
    re.MULTILINE,
)
_COUNT: Final = "INSERT INTO sentences VALUES (?, 1) ON CONFLICT DO UPDATE SET documents = documents + 1"
_END: Final = re.compile(r"(?<=[.!?…])\s+|\n\s*")
_CAPTION_AT_MOST: Final = 30  # words


@dataclass(frozen=True, slots=True)
class Cut:
    """The slice ``[start, end)`` of a text, which is boilerplate by the rule ``reason``."""

    start: int
    end: int
    reason: str


def pieces(text: str) -> Iterator[tuple[int, int, int]]:
    """Yield the long sentences of ``text``, roughly split: start, end, and a hash that ignores case and white space."""
    start = 0
    for between in (*(match.span() for match in _END.finditer(text)), (len(text), 0)):
        piece = text[start : between[0]]
        if piece.count(" ") >= LONG - 1:
            yield start, between[0], _key(piece)
        start = between[1]


def _key(piece: str) -> int:
    folded = " ".join(piece.casefold().split())
    return int.from_bytes(hashlib.blake2b(folded.encode(), digest_size=8).digest(), "little", signed=True)


def common_lines(texts: Iterable[str]) -> frozenset[int]:
    """Return the hashes of the sentences that many of ``texts`` share."""
    database, documents = temporary_database("sentences (key INTEGER PRIMARY KEY, documents INTEGER)"), 0
    for documents, text in enumerate(texts, start=1):  # noqa: B007 - the last number is the result
        with full_disk_explained():
            database.executemany(_COUNT, {(key,) for _, _, key in pieces(text)})
    query = "SELECT key FROM sentences WHERE documents >= ?"
    return frozenset(key for (key,) in database.execute(query, (max(COMMON, COMMON_SHARE * documents),)))


def find(text: str, shared: Collection[int] = ()) -> list[Cut]:
    """Return the boilerplate of ``text``, in order and without overlap.

    Args:
        text: NFC.
        shared: hashes of sentences that many documents share, see ``common_lines``.
    """
    own = pieces(text) if shared else ()
    found = [Cut(start, end, "line of many documents") for start, end, key in own if key in shared]
    lowered = text.lower()  # cheaper than the patterns, which most articles do not need
    if "mời " in lowered:
        found += [Cut(*match.span(), "invitation") for match in _INVITATION.finditer(text)]
    if "thêm" in lowered or "liên quan" in lowered:
        found += [Cut(*match.span(), "see also") for match in _MORE.finditer(text)]
    if any(word in lowered for word in ("ảnh", "nguồn", "(hình", "clip:", "video:", "đồ họa:")):
        found += _credits(text)
    end = len(text)
    while byline := _last(text[:end]):
        found.append(byline)
        end = byline.start
    return _disjoint(text, found)


def remove(text: str, cuts: Iterable[Cut]) -> str:
    """Return ``text`` without ``cuts`` and without blank lines; a space joins the parts around a cut in a line."""
    joined, at = "", 0
    for cut in (*cuts, Cut(len(text), len(text), "")):
        left, right = joined.rstrip(" "), text[at : cut.start].lstrip(" ")
        between = " " if left and right and not left[-1].isspace() and right[0] not in "\n,.;:!?)" else ""
        joined = left + between + right
        at = cut.end
    return "\n".join(line.strip(" ") for line in joined.split("\n") if line.strip())


def _credits(text: str) -> Iterator[Cut]:
    """Yield photo credits; one that ends the first sentence of a line includes that sentence, the caption."""
    for pattern in _CREDITS:
        for match in pattern.finditer(text):
            start = text.rfind("\n", 0, match.start()) + 1
            before = text[start : match.start()]
            is_first = start > 0 and not re.search(r"[.!?…][\"”]?\s+\S", before) and before.strip()
            if is_first and len(before.split()) <= _CAPTION_AT_MOST and text[match.end() :].strip():
                yield Cut(start, match.end(), "photo caption")
            else:
                yield Cut(*match.span(), "photo credit")


def _last(text: str) -> Cut | None:
    """Return the byline or source at the end of ``text``, or None."""
    body = text.rstrip()
    line = body.rfind("\n") + 1
    for pattern in (_SOURCE, _BYLINE):
        match = pattern.search(body, max(line, len(body) - 90))
        if match and len(match[0].split()) <= 8:
            return Cut(match.start(), len(body), "byline")
    return None


def _disjoint(text: str, cuts: Iterable[Cut]) -> list[Cut]:
    """Sort cuts, strip white space from them, and keep the first or longer of two that overlap."""
    kept: list[Cut] = []
    for cut in sorted(cuts, key=lambda cut: (cut.start, -cut.end)):
        value = text[cut.start : cut.end]
        start, end = cut.start + len(value) - len(value.lstrip()), cut.end - len(value) + len(value.rstrip())
        if end > start and (not kept or start >= kept[-1].end):
            kept.append(Cut(start, end, cut.reason))
    return kept
