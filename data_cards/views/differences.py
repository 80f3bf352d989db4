"""Groups what two teachers differ about by kind, as a draft for the next version of a prompt."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from annotator.checking.compare import DIFFERENT, NESTED, ONLY_FIRST, ONLY_SECOND, OVERLAPPING, TYPE
from annotator.checking.opinions import Opinion
from annotator.terminal.progress import printable
from normalizers.labels import related

EXAMPLES: Final = 5
"""Examples of each kind: the most frequent ones."""
TITLES: Final = frozenset([
    "ông", "bà", "anh", "chị", "cô", "chú", "bác", "em", "cụ", "thầy", "sĩ", "giáo", "sư", "tiến", "thạc",
    "luật", "kỹ", "giám", "đốc", "tổng", "chủ", "tịch", "phó", "trưởng", "bộ", "thủ", "tướng", "đại", "tá",
    "thượng", "trung", "thiếu", "úy", "ca", "diễn", "viên", "nghệ", "nhà", "văn", "báo",
])  # fmt: skip
"""Syllables of titles and forms of address before names."""
KINDS: Final = {
    "titles in names": "Say whether a title or form of address belongs to the name of a person.",
    "dates and amounts": "Say how much of a date, time or amount is one entity.",
    "nested names": "Say whether the longest name, the shorter one in it, or both are wanted.",
    "shifted spans": "Say where a name begins and ends.",
    "types": "Say which of the two types is meant, or what distinguishes them.",
    "generic nouns": "Say whether expressions without a proper name are entities.",
    "names that one of them leaves out": "Say whether entities of these types are wanted.",
}
"""Kinds of differences in the order in which they are shown, with what a guideline should settle."""


def grouped(opinions: Iterable[Opinion]) -> list[dict[str, Any]]:
    """Return for each kind of difference how often it occurs, and its most frequent examples."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    passage: list[Opinion] = []
    for one in opinions:
        if passage and passage[0].passage_id != one.passage_id:
            _count(passage, found)
            passage = []
        passage.append(one)
    _count(passage, found)
    return [
        {
            "kind": kind,
            "count": found[kind].total(),
            "to_settle": KINDS[kind],
            "examples": [
                {"example": text, "count": number}
                for text, number in sorted(found[kind].items(), key=lambda item: (-item[1], item[0]))[:EXAMPLES]
            ],
        }
        for kind in KINDS
        if found[kind]
    ]


def draft(kinds: Sequence[dict[str, Any]]) -> str:
    """Return the kinds of differences as Markdown."""
    parts = ["# What two teachers differ about\n"]
    for one in kinds:
        lines = [f"- {printable(item['example'])} ({item['count']:,})" for item in one["examples"]]
        parts.append("\n".join([f"## {one['kind']}: {one['count']:,}\n", f"{one['to_settle']}\n", *lines, ""]))
    return "\n".join(parts)


def _count(passage: Sequence[Opinion], found: dict[str, Counter[str]]) -> None:
    """Count the differences of one passage; a pair counts once, at the entity of the first teacher."""
    seconds = [one for one in passage if one.teacher == "second"]
    for one in passage:
        if one.verdict not in DIFFERENT or (one.teacher == "second" and one.verdict != ONLY_SECOND):
            continue
        if one.verdict == TYPE:
            found["types"][f"{one.mention}: {' or '.join(sorted((one.label, one.other_label)))}"] += 1
        elif one.verdict in (ONLY_FIRST, ONLY_SECOND):
            generic = not any(letter.isupper() or letter.isdigit() for letter in one.mention)
            found["generic nouns" if generic else "names that one of them leaves out"][
                f"{one.mention}: {one.label}"
            ] += 1
        else:
            other = next((it for it in seconds if it.verdict == one.verdict and _meet(one, it)), None)
            if other:
                short, long = sorted((one, other), key=lambda it: (len(it.mention), it.mention))
                found[_of_spans(short, long)][f"{short.mention} / {long.mention}: {long.label}"] += 1


def _meet(one: Opinion, other: Opinion) -> bool:
    return one.start < other.end and other.start < one.end and one.other_label == other.label


def _of_spans(short: Opinion, long: Opinion) -> str:
    if any(related(long.label, label) for label in ("date", "time", "money", "quantity")):
        return "dates and amounts"
    before = long.mention[: max(0, short.start - long.start)].lower().split()
    if long.verdict == NESTED and before and all(word in TITLES for word in before):
        return "titles in names"
    return "shifted spans" if long.verdict == OVERLAPPING else "nested names"
