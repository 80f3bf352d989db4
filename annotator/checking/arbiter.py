"""Ask a third question about a passage, only about what two teachers differ on, and read the answer.

The question shows the candidates in the order of the passage, with the words around them, and does not say whose they
are. The answer is a JSON list of the numbers of those that are right.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

from annotator.checking.compare import Entity
from annotator.cleaning.replies.final_answer import final_answer
from annotator.config import RunConfig
from annotator.records import Completion
from annotator.teachers import Teacher

SLOT: Final = "{candidates}"
AROUND: Final = 4
"""Words that are shown on either side of a candidate."""
_NUMBERS: Final = re.compile(r"\[\s*(?:\d{1,4}\s*(?:,\s*\d{1,4}\s*)*)?\]")
_BEFORE: Final = re.compile(rf"(?:\S+\s+){{0,{AROUND}}}\S*\Z")
_AFTER: Final = re.compile(rf"\S*(?:\s+\S+){{0,{AROUND}}}")


def make_arbiter(config: RunConfig) -> Teacher:
    """Make a teacher that asks the model of ``config`` which candidates are right."""
    from annotator.teachers.chat import ChatTeacher
    from prompts import load_prompt

    return ChatTeacher(config, load_prompt("arbiter", slot=SLOT))


def listing(text: str, candidates: Sequence[Entity]) -> str:
    """Return what a question shows: excerpts of ``text`` around the candidates, then the candidates by number."""
    lines = [f"{number}. {_flat(one.mention)}: {one.label}" for number, one in enumerate(candidates, start=1)]
    return "\n".join([" … ".join(_excerpts(text, candidates)), "", *lines])


def accepted(answer: Completion, candidates: Sequence[Entity]) -> frozenset[tuple[str, str]] | None:
    """Return mention and label of the candidates that ``answer`` calls right; None where it cannot be read."""
    found = _NUMBERS.findall(final_answer(answer.reply))
    if not found or answer.finish_reason == "length":
        return None
    numbers: list[int] = json.loads(found[-1])
    if any(not 1 <= number <= len(candidates) for number in numbers):
        return None
    return frozenset(candidates[number - 1].key for number in numbers)


def _excerpts(text: str, candidates: Sequence[Entity]) -> list[str]:
    windows: list[tuple[int, int]] = []
    for one in candidates:
        start, end = one.places[0].start, one.places[0].end
        before, after = _BEFORE.search(text[max(0, start - 200) : start]), _AFTER.match(text[end : end + 200])
        low, high = start - len(before[0] if before else ""), end + len(after[0] if after else "")
        if windows and low <= windows[-1][1] + 1:
            windows[-1] = (windows[-1][0], max(high, windows[-1][1]))
        else:
            windows.append((low, high))
    return [_flat(text[low:high]) for low, high in windows]


def _flat(text: str) -> str:
    return " ".join(text.split())
