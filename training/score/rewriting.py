"""Rewrite a text piece by piece, and tell where each place of it has gone."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A text after some pieces of it were replaced. Offsets are code points, half open."""

    original: str
    text: str
    edits: tuple[tuple[int, int, int, int], ...]
    """Of each replaced piece: start and end in the original, start and end in the new text, in order."""

    def slice(self, start: int, end: int) -> str:
        """What stands now where ``original[start:end]`` stood.

        An end inside a piece whose length has changed moves outward to the end of the piece.
        """
        return self.text[self._moved(start, outward=0) : self._moved(end, outward=1)]

    def _moved(self, place: int, outward: int) -> int:
        """The new offset of an old one; inside a piece that grew or shrank, its start (0) or its end (1)."""
        at = bisect_right(self.edits, place, key=lambda edit: edit[0]) - 1
        if at < 0:
            return place
        old_start, old_end, new_start, new_end = self.edits[at]
        if place >= old_end:
            return new_end + place - old_end
        if place == old_start or old_end - old_start == new_end - new_start:
            return new_start + place - old_start
        return new_end if outward else new_start

    def follow(self, mention: str) -> list[str]:
        """What became of ``mention``: the distinct slices at its places in the original, none where it is not there.

        Its places are those where it is made of whole words; where there is none, all of them.
        """
        if not mention or mention not in self.original:
            return []
        whole, anywhere = rf"(?<!\w){re.escape(mention)}(?!\w)", re.escape(mention)
        places = list(re.finditer(whole, self.original)) or list(re.finditer(anywhere, self.original))
        return list(dict.fromkeys(self.slice(place.start(), place.end()) for place in places))


def rewrite(text: str, pieces: re.Pattern[str], change: Callable[[str], str]) -> Rewritten:
    """Put ``change(piece)`` for each match of ``pieces``."""
    parts: list[str] = []
    edits: list[tuple[int, int, int, int]] = []
    done, length = 0, 0
    for match in pieces.finditer(text):
        new = change(match[0])
        if new != match[0]:
            parts += [text[done : match.start()], new]
            length += match.start() - done
            edits.append((match.start(), match.end(), length, length + len(new)))
            length += len(new)
            done = match.end()
    return Rewritten(text, "".join([*parts, text[done:]]), tuple(edits))
