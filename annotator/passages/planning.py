"""Plan how the units of one document are grouped into passages and leftovers, by dynamic programming."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf
from typing import Final, TypeAlias

from annotator.passages.units import Units

_EACH: Final = 1 << 40
"""Cost of a passage, more than all squares of tokens in a document add up to."""

_Cost: TypeAlias = tuple[int, int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class SizeLimits:
    """Bounds of a passage in tokens, both inclusive."""

    low: int
    high: int
    pack: bool = False
    """Whether passages are filled to ``high``; otherwise their sizes are balanced."""

    def side(self, tokens: int) -> int:
        """Return -1 below the bounds, 0 within, 1 above."""
        return (tokens > self.high) - (tokens < self.low)


def plan_passages(units: Units, sums: Sequence[int], limits: SizeLimits) -> list[tuple[int, int]]:
    """Return the best partition into passages alone, which ``plan`` would find too; empty if there is none."""
    best: list[float] = [0]
    begins = [0]
    first = last_standing = 0
    for j, can_stand in enumerate(units.can_stand, start=1):
        last_standing = j if can_stand else last_standing
        total = sums[j]
        while total - sums[first] > limits.high:
            first += 1
        least, begin = inf, 0
        for i in range(first, last_standing):
            tokens = total - sums[i]
            if tokens < limits.low:
                break
            cost = best[i] + _EACH + tokens * tokens
            if cost < least:
                least, begin = cost, i
        best.append(least)
        begins.append(begin)
    return _spans(begins) if best[-1] < inf else []


def _spans(begins: Sequence[int]) -> list[tuple[int, int]]:
    """Return the spans of a partition in which the span that ends at j begins at ``begins[j]``."""
    spans: list[tuple[int, int]] = []
    j = len(begins) - 1
    while j:
        spans.append((begins[j], j))
        j = begins[j]
    return spans[::-1]


def plan(
    units: Units, sums: Sequence[int], known: dict[tuple[int, int], int], limits: SizeLimits
) -> list[tuple[int, int]]:
    """Return the best partition into spans ``[i, j)`` of units, by dynamic programming over where the last one begins.

    It minimises, in this order: tokens that may be lost without a complete sentence, number of leftovers, leftovers
    before the end, tokens in leftovers, number of passages, and the squares of their sizes, which balances them.

    With ``pack`` a leftover is no loss, since others fill up its passage. Instead of leftovers and the tokens in them,
    the size of all spans counts: ``high`` for a passage, its tokens for a leftover.
    """
    standing_before = [0, *accumulate(units.can_stand)]
    best: list[tuple[_Cost, int]] = [((0, 0, 0, 0, 0, 0), 0)]
    for j in range(1, len(units) + 1):
        options: list[tuple[_Cost, int]] = []
        for i in range(j - 1, -1, -1):
            if i < j - 1 and sums[j] - sums[i] > limits.high:
                break
            tokens = known.get((i, j), sums[j] - sums[i])
            if tokens > limits.high:
                continue
            lost, left, inner, size, passages, squares = best[i][0]
            stands = standing_before[j] > standing_before[i]
            if stands and tokens >= limits.low:
                filled = limits.high if limits.pack else 0
                cost = (lost, left, inner, size + filled, passages + 1, squares + tokens * tokens)
            else:
                risk = 0 if tokens < limits.low else tokens
                more = 0 if limits.pack else 1
                cost = (lost + risk, left + more, inner + (j < len(units)), size + tokens, passages, squares)
            options.append((cost, i))
        best.append(min(options))
    return _spans([begin for _, begin in best])
