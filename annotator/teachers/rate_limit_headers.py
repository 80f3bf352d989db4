"""Read from the headers of a response how long to wait: ``Retry-After`` and ``x-ratelimit-*``."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

_MONTH: Final = 32 * 86400.0
"""Seconds: no limit lasts longer, so a longer value is no duration."""
_DURATION: Final = re.compile(r"(?:([\d.]+)d)?(?:([\d.]+)h)?(?:([\d.]+)m(?!s))?(?:([\d.]+)s)?(?:([\d.]+)ms)?")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the endpoint asks this request to wait; None where it asks for no wait.

    They are read from ``retry-after-ms``, else from ``Retry-After`` in seconds or as a date (RFC 9110), else from the
    reset of a limit that is used up.
    """
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        if (value := headers.get(name)) is None:
            continue
        seconds = _seconds(value, scale)
        if seconds is not None and 0 <= seconds < _MONTH:
            return seconds
    return pause(headers, 1) or None


def pause(headers: Mapping[str, str], tokens: int) -> float:
    """Return the seconds until the limits named in ``x-ratelimit-*`` headers allow ``tokens`` tokens.

    ``remaining`` is what is left of a limit and ``reset`` the time until all of it is back. Limits refill evenly, so a
    part of it is back in the same part of that time.
    """
    longest = 0.0
    for what, wanted in (("", 1), ("-requests", 1), ("-tokens", tokens)):
        left = _number(headers.get(f"x-ratelimit-remaining{what}"))
        if left is None or left >= wanted:
            continue
        reset = _seconds(headers.get(f"x-ratelimit-reset{what}", "")) or 0.0
        whole = _number(headers.get(f"x-ratelimit-limit{what}"))
        share = min(1.0, (wanted - left) / (whole - left)) if whole is not None and whole > left else 1.0
        if 0 < reset < _MONTH:
            longest = max(longest, reset * share)
    return longest


def _seconds(text: str, scale: float = 1.0) -> float | None:
    """Return seconds from now: ``6m0s``, ``120ms``, ``7.66s``, a number, a Unix time (s, ms or µs), or a date."""
    text = text.strip()
    plain = _number(text)
    if plain is not None:
        for unit in (1.0, 1e3, 1e6):
            if abs(plain / unit - time.time()) < 400 * 86400:
                return plain / unit - time.time()
        return plain * scale
    if text and (found := _DURATION.fullmatch(text)):
        units = (86400.0, 3600.0, 60.0, 1.0, 0.001)
        return sum(unit * (_number(part) or 0.0) for unit, part in zip(units, found.groups(), strict=True))
    return _until(text)


def _number(text: str | None) -> float | None:
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < 1e17 else None


def _until(date: str) -> float | None:
    """Return the seconds until a date of HTTP or ISO 8601; None for other text."""
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, TypeError, OverflowError, IndexError):
        try:
            moment = datetime.fromisoformat(date)
        except ValueError:
            return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.timestamp() - time.time()
