"""Cut a line of an answer: its bullet, the items that share it, the cells of an item."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain

MARKS = " \t\"'“”‘’`*_"
BULLET = re.compile(r"\s*+(?:(?:[-*•+–▪●○◦►➤]|\d{1,4}+[.)]|[\u2600-\u27bf\U0001f300-\U0001faff]\ufe0f?+)\s++){1,2}+")
_INTRO = re.compile(
    r"""[^:()\[\]]{0,50}\b(?:thực\ thể|entit(?:y|ies)|kết\ quả|results?|answer|đáp\ án)\b[^:()\[\]]{0,40}?
    (?::|\s(?:are|is|include|là|gồm|bao\ gồm)(?::|\s))\s*""",
    re.VERBOSE | re.IGNORECASE,
)
_TUPLE = re.compile(r"\(([^()\n]{1,400}+)\)")
_ENDS = (  # where a line with several items is cut, if each part is one
    re.compile(r"\s*;\s*"),
    re.compile(r"\s*,\s+"),
    re.compile(r"\s+\|\s+"),
    re.compile(r"\s+[-–]\s+"),
    re.compile(r"\.\s+(?=[^\s:.][^:.]{0,40}+:)"),
)
_ITEM = re.compile(
    r"""[^(){}]*\S\s*[({][^(){}]+[)}] | [^:]*\S:\s+\S.* | .*\S\s(?:->|[→⇒⟶➔➜]|=>|=)\s.*
    | .*\S\s?/\s?[^\W\d][\w\ ]*""",
    re.VERBOSE | re.DOTALL,
)


def indent(line: str) -> int:
    """Count the white space before ``line``."""
    return len(line) - len(line.lstrip())


def without_bullet(line: str) -> str:
    """Return ``line`` without its bullet or number."""
    match = BULLET.match(line)
    return line[match.end() :].strip() if match else line.strip()


def cut_line(body: str) -> list[str]:
    """Cut a line into its items: at semicolons or commas where each part has its own type, at tuples without quotes."""
    if intro := _INTRO.match(body):
        body = body[intro.end() :].rstrip(" .")
    inner = body.strip("[]{} .") if body.startswith(("[", "{")) and body.endswith(("]", "}", "].")) else body
    tuples = _TUPLE.findall(inner)
    if tuples and not _TUPLE.sub("", inner).strip(", ;") and all("," in one for one in tuples):
        return tuples
    return parts_of(inner, _ITEM)


def parts_of(body: str, item: re.Pattern[str]) -> list[str]:
    """Cut ``body`` at the first mark that leaves nothing but items; return it whole where no mark does."""
    for end in _ENDS:
        parts = [part.removeprefix("and ").removeprefix("và ") for part in end.split(body) if part.strip()]
        if len(parts) > 1 and all(map(item.fullmatch, parts)):
            return parts
    return [body]


_SEPARATORS = tuple(
    re.compile(mark)
    for mark in (
        r"\s*\|\s*",
        r"\s*::\s*",
        r"\s*(?:->|=>|[→⇒⟶➔➜])\s*",
        r"\t+",
        r"\s*=\s*",
        r"\s*:[*_]*\s+",
        r"\s+[-–—]\s+",
        r"\s*[,;]\s*",
        r"\s*/\s*(?=[^\W\d][\w ]*\Z)",
        r"\s{2}",
        r"\s+(?=(?:[BIESLU]-\w+|O)\Z)",
    )
)
_BRACKET = re.compile(r"(.*\S)\s*[(\[（{<]([^()\[\]（）{}<>]+)[)\]）}>]\W*")
_LEADING_BRACKET = re.compile(r"\W*[(\[（{<]([^()\[\]（）{}<>]+)[)\]）}>][\s:*-]*(\S.*)", re.DOTALL)
_FIRST_BRACKET = re.compile(
    r"([^()\[\]]*[^()\[\]\s])[\s*_]*[(\[（]([^()\[\]（）]+)[)\]）][\s*_]*(?:[-–—:|,.=>](.*))?", re.DOTALL
)
_SENTENCE = re.compile(r"[.;:]\s+|\s+[-–—]\s+")
_OPENING = re.compile(r"[(\[（{<]")
_LONG_GAP = re.compile(r"\s{3,}")
MAX_CELLS = 6


def cells(line: str) -> list[tuple[str, ...]]:
    """Return every way to cut ``line`` into two or more cells, without marks and quotes; the least doubtful first."""
    line = line.strip().rstrip(".,;")
    if line.startswith("(") and line.endswith(")") and line.count("(") == 1:
        line = line[1:-1]
    line = _LONG_GAP.sub(lambda gap: gap[0][:2], line)
    ways: list[Sequence[str]] = []
    if "|" not in line and _OPENING.search(line):
        brackets = (pattern.fullmatch(line) for pattern in (_BRACKET, _FIRST_BRACKET, _LEADING_BRACKET))
        ways += [bracket.groups("") for bracket in brackets if bracket]
    for separator in _SEPARATORS:
        marks = list(separator.finditer(line))[:MAX_CELLS]
        if not marks:
            continue
        first, *rest = separator.split(line, MAX_CELLS)
        inner = (bracket.groups() if (bracket := _BRACKET.fullmatch(part)) else (part,) for part in rest)
        ways.append([first, *chain.from_iterable(inner)])
        ways.append([first, *chain.from_iterable(map(_SENTENCE.split, rest))])
        if len(marks) > 1:
            ways += [[line[: mark.start()], line[mark.end() :]] for mark in (marks[-1], marks[0])]
    return [way for way in dict.fromkeys(map(_clean, ways)) if len(way) > 1]


def _clean(parts: Sequence[str]) -> tuple[str, ...]:
    unboxed = (_unboxed(part.strip()) for part in parts)
    stripped = (part.strip(MARKS + ".-–:" if at else MARKS + ":") for at, part in enumerate(unboxed))
    return tuple(part for part in stripped if part and not part.isspace())


def _unboxed(part: str) -> str:
    return part[1:-1] if part[:1] + part[1:][-1:] in ("[]", "«»", "「」") else part
