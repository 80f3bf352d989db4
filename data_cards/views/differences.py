"""Group the differences of two teachers by kind, as a draft for the next version of a prompt."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

from annotator.checking.compare import DIFFERENT, NESTED, ONLY_FIRST, ONLY_SECOND, OVERLAPPING, TYPE
from annotator.checking.opinions import Opinion
from annotator.terminal.progress import printable
from normalizers.labels import related

EXAMPLES: Final = 5
"""Examples of each kind: the most frequent ones."""
MENTIONS: Final = 3
"""Mentions in an example of types."""
TITLES: Final = frozenset([
    "ông", "bà", "anh", "chị", "cô", "chú", "bác", "em", "cụ", "thầy", "cháu", "bé", "sĩ", "giáo", "sư", "tiến", "thạc",
    "luật", "kỹ", "giám", "đốc", "tổng", "chủ", "tịch", "phó", "trưởng", "bộ", "thủ", "tướng", "đại", "tá",
    "thượng", "trung", "thiếu", "úy", "ca", "diễn", "viên", "nghệ", "nhà", "văn", "báo", "huấn", "luyện", "cầu", "tiền",
    "đạo", "vệ", "môn", "hlv", "gs", "pgs", "ts", "ths", "bs", "ks", "ls",
])  # fmt: skip
"""Syllables of titles and forms of address before names, in lower case."""
KINDS: Final = {
    "titles in names": "Say whether a title or form of address belongs to the name of a person.",
    "dates and amounts": "Say how much of a date, time or amount is one entity.",
    "nested organisations": "Say whether an organisation within the name of another is an entity of its own.",
    "nested names": "Say whether the longest name, the shorter one in it, or both are wanted.",
    "shifted spans": "Say where a name begins and ends.",
    "types": "Say which of the two types is meant, or what distinguishes them.",
    "generic nouns": "Say whether expressions without a proper name are entities.",
    "names that one of them leaves out": "Say whether entities of these types are wanted.",
}
"""Kinds of differences in the order in which they are shown, with what a guideline should settle."""
Found: TypeAlias = "defaultdict[str, defaultdict[str, Counter[str]]]"
"""Mentions by kind and by difference (two spans, or types)."""


def grouped(opinions: Iterable[Opinion]) -> list[dict[str, Any]]:
    """Return for each kind of difference how often it occurs, and its most frequent examples."""
    found: Found = defaultdict(lambda: defaultdict(Counter))
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
            "count": sum(mentions.total() for mentions in found[kind].values()),
            "to_settle": KINDS[kind],
            "examples": [
                {"example": _example(subject, mentions), "count": mentions.total()}
                for subject, mentions in sorted(found[kind].items(), key=lambda item: (-item[1].total(), item[0]))
            ][:EXAMPLES],
        }
        for kind in KINDS
        if kind in found
    ]


def draft(kinds: Sequence[dict[str, Any]]) -> str:
    """Return the kinds of differences as Markdown, with a line for the rule of each and instructions."""
    parts = [
        "# What two teachers differ about\n",
        "Write a rule for each kind below, or delete it. Put the rules into a copy of the prompt with a name of its "
        "own, and compare the two prompts on a part of the passages: `vner-annotate check DIR --provider NAME "
        "--model NAME --prompt FILE --share 0.05`.\n",
    ]
    for one in kinds:
        lines = [f"- {printable(item['example'])} ({item['count']:,})" for item in one["examples"]]
        parts.append("\n".join([f"## {one['kind']}: {one['count']:,}\n", f"{one['to_settle']}\n", *lines, "\nRule:\n"]))
    return "\n".join(parts)


def _example(subject: str, mentions: Counter[str]) -> str:
    """Return ``city or person: Cần Thơ, Huế``; of two spans, which are their own example, the subject alone."""
    named = [mention for mention, _ in sorted(mentions.items(), key=lambda item: (-item[1], item[0])) if mention]
    return f"{subject}: {', '.join(named[:MENTIONS])}" if named else subject


def _count(passage: Sequence[Opinion], found: Found) -> None:
    """Count the differences in one passage; a pair counts once, at the entity of the first teacher."""
    seconds = [one for one in passage if one.teacher == "second"]
    for one in passage:
        if one.verdict not in DIFFERENT or (one.teacher == "second" and one.verdict != ONLY_SECOND):
            continue
        if one.verdict == TYPE:
            found["types"][" or ".join(sorted((one.label, one.other_label)))][one.mention] += 1
        elif one.verdict in (ONLY_FIRST, ONLY_SECOND):
            generic = all(letter.islower() or letter.isspace() for letter in one.mention)
            kind = "generic nouns" if generic else "names that one of them leaves out"
            found[kind][f"{one.label}, only the {one.teacher} teacher"][one.mention] += 1
        else:
            other = next((it for it in seconds if it.verdict == one.verdict and _meet(one, it)), None)
            if other:
                short, long = sorted((one, other), key=lambda it: (len(it.mention), it.mention))
                found[_of_spans(short, long)][f"{short.mention} / {long.mention}: {long.label}"][""] += 1


def _meet(one: Opinion, other: Opinion) -> bool:
    return one.start < other.end and other.start < one.end and one.other_label == other.label


def _of_spans(short: Opinion, long: Opinion) -> str:
    if _is(long, "date", "time", "money", "quantity"):
        return "dates and amounts"
    if long.verdict == OVERLAPPING:
        return "shifted spans"
    before = re.findall(r"\w+", long.mention[: max(0, short.start - long.start)].lower())
    if long.verdict == NESTED and _is(long, "person") and before and all(word in TITLES for word in before):
        return "titles in names"
    return "nested organisations" if _is(long, "organization") else "nested names"


def _is(one: Opinion, *labels: str) -> bool:
    return any(one.label == label or related(one.label, label) for label in labels)
