"""Ask a model about the entities of a passage on which two teachers differ, and read the answer.

The question shows these candidates in the order of the passage, with the words around them, but not whose they are. The
answer is a JSON list of the numbers of the right ones. A run keeps the version of the prompt, which ``check.json``
names, since another one would ask and pay again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from annotator.checking.compare import Entity
from annotator.cleaning.replies.final_answer import final_answer
from annotator.config.settings import RunConfig
from annotator.records import Completion
from annotator.teachers import Teacher, make_chat_teacher

SLOT: Final = "{candidates}"
FIRST: Final = "arbiter.1"
"""The prompt of runs whose ``check.json`` names none."""
NEWEST: Final = "arbiter.2"
AROUND: Final = 4
"""Words that the first version shows on either side of a candidate."""
EXCERPT: Final = 5
"""Words that the second version shows at least: the candidate, and one or more on either side."""
_NUMBERS: Final = re.compile(r"\[\s*(?:\d{1,4}\s*(?:,\s*\d{1,4}\s*)*)?\]")
_NEAR: Final = 200
"""Characters on either side of a candidate that are searched for words."""


def make_arbiter(config: RunConfig, prompt: str) -> Teacher:
    """Return a teacher that asks the model of ``config`` which candidates are right, by a prompt of ``QUESTIONS``."""
    return make_chat_teacher(config, prompt, SLOT)


def accepted(answer: Completion, candidates: Sequence[Entity]) -> frozenset[tuple[str, str]] | None:
    """Return mention and label of the candidates that ``answer`` accepts; None where it cannot be read."""
    found = _NUMBERS.findall(final_answer(answer.reply))
    if not found or answer.finish_reason == "length":
        return None
    numbers = [int(number) for number in re.findall(r"\d+", found[-1])]
    if not all(1 <= number <= len(candidates) for number in numbers):
        return None
    return frozenset(candidates[number - 1].key for number in numbers)


def listing(text: str, candidates: Sequence[Entity]) -> str:
    """Return what the first version shows: excerpts of ``text`` around the candidates, then a numbered list of them."""
    windows: list[tuple[int, int]] = []
    for one in candidates:
        low, high = _around(text, one.places[0].start, one.places[0].end, AROUND)
        if windows and low <= windows[-1][1] + 1:
            windows[-1] = (windows[-1][0], max(high, windows[-1][1]))
        else:
            windows.append((low, high))
    excerpts = " … ".join(_flat(text[low:high]) for low, high in windows)
    lines = [f"{number}. {_flat(one.mention)}: {one.label}" for number, one in enumerate(candidates, start=1)]
    return "\n".join([excerpts, "", *lines])


def marked(text: str, candidates: Sequence[Entity]) -> str:
    """Return what the second version shows: a line for each excerpt of ``text``, with the candidates marked in it.

    ``làm ở [1 company: Công ty [2 person, 3 river: Sông Xanh]] tại Cần Thơ``. The shorter a mention, the more words are
    shown around it. Candidates whose spans cross are in different excerpts.
    """
    types: dict[tuple[int, int], list[str]] = {}
    for number, one in enumerate(candidates, start=1):
        types.setdefault((one.places[0].start, one.places[0].end), []).append(f"{number} {one.label}")
    excerpts: list[_Excerpt] = []
    for start, end in types:
        missing = EXCERPT - len(text[start:end].split())
        low, high = _around(text, start, end, max(1, -(-missing // 2)))
        last = excerpts[-1] if excerpts else None
        if last and low <= last.high + 1 and not any(a < start < b < end for a, b in last.spans):
            last.high = max(last.high, high)
            last.spans.append((start, end))
        else:
            excerpts.append(_Excerpt(low, high, [(start, end)]))
    return "\n".join(one.marked(text, types) for one in excerpts)


QUESTIONS: Final[Mapping[str, Callable[[str, Sequence[Entity]], str]]] = {FIRST: listing, NEWEST: marked}
"""What each prompt shows of a passage and its candidates."""


@dataclass(slots=True)
class _Excerpt:
    low: int
    high: int
    spans: list[tuple[int, int]] = field(default_factory=list)
    """Of its candidates: disjoint, or one inside the other."""

    def marked(self, text: str, types: Mapping[tuple[int, int], Sequence[str]]) -> str:
        marks = [(start, 1, -end, f"[{', '.join(types[start, end])}: ") for start, end in self.spans]
        marks += [(end, 0, 0, "]") for _, end in self.spans]  # at one place, spans end before others begin
        shown, at = "", self.low
        for place, _, _, mark in sorted(marks):
            shown += text[at:place] + mark
            at = place
        return _flat(shown + text[at : self.high])


def _around(text: str, start: int, end: int, words: int) -> tuple[int, int]:
    """Return begin and end of the excerpt with so many ``words`` on either side of a span."""
    before = re.search(rf"(?:\S+\s+){{0,{words}}}\S*\Z", text[max(0, start - _NEAR) : start])
    after = re.match(rf"\S*(?:\s+\S+){{0,{words}}}", text[end : end + _NEAR])
    return start - len(before[0] if before else ""), end + len(after[0] if after else "")


def _flat(text: str) -> str:
    return " ".join(text.split())
