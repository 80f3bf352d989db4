"""Read the token probabilities of a chat completion, and store them in a compact form with the answer.

The form has a unit for each token, separated by spaces: its length in code points and, after a colon, its negative
log-probability (natural, in thousandths). ``12 2:412 30`` is a reply of 44 code points, certain but for the 13th and
14th. Successive certain tokens (probability above 0.9995) are one unit, and so are tokens that divide a code point, as
byte-level tokenizers do with Vietnamese letters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

IMPROBABLE: Final = 100.0
"""Highest -log p that is stored: OpenAI sends -9999 for a token outside its twenty best."""


def read_logprobs(choice: Mapping[str, Any], text: str) -> str:
    """Return the compact form of ``choice.logprobs.content`` for the reply ``text``.

    It is empty if there is no such content, or if that is malformed or does not spell ``text``. Tokens before and after
    the reply, such as those of thinking, are left out.
    """
    try:
        tokens = [(_bytes(one), float(one["logprob"])) for one in choice["logprobs"]["content"]]
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError):
        return ""
    wanted = text.encode("utf-8")
    begin = b"".join(token for token, _ in tokens).rfind(wanted)
    if not wanted or begin < 0 or any(math.isnan(logprob) for _, logprob in tokens):
        return ""
    units: list[tuple[int, int]] = []
    at, start, doubt = -begin, 0, 0.0
    for token, logprob in tokens:
        at += len(token)
        if at <= 0 or not token:
            continue
        doubt += min(IMPROBABLE, max(0.0, -logprob))
        end = min(at, len(wanted))
        if end == start or (end < len(wanted) and wanted[end] & 0xC0 == 0x80):
            continue
        length, thousandths = len(wanted[start:end].decode("utf-8")), round(1000 * doubt)
        if units and not thousandths and not units[-1][1]:
            units[-1] = (units[-1][0] + length, 0)
        else:
            units.append((length, thousandths))
        start, doubt = end, 0.0
        if end == len(wanted):
            break
    return " ".join(f"{length}:{doubt}" if doubt else str(length) for length, doubt in units)


def least_probability(logprobs: str, reply: str, start: int, end: int) -> float | None:
    """Return the probability of the least probable token that touches ``reply[start:end]``.

    None where ``logprobs``, in the compact form, is empty or belongs to another reply.
    """
    units = list(_units(logprobs))
    if not units or units[-1][1] != len(reply):
        return None
    doubts = [doubt for low, high, doubt in units if low < end and start < high]
    return math.exp(-max(doubts) / 1000) if doubts else None


def _units(logprobs: str) -> Iterator[tuple[int, int, int]]:
    """Yield start, end and thousandths of each unit."""
    at = 0
    for unit in logprobs.split():
        length, _, doubt = unit.partition(":")
        yield at, at + int(length), int(doubt or 0)
        at += int(length)


def _bytes(token: Mapping[str, Any]) -> bytes:
    """Return the UTF-8 bytes of a token, whose text cannot represent a part of a letter."""
    given = token.get("bytes")
    return bytes(given) if isinstance(given, list) else str(token["token"]).encode("utf-8")
