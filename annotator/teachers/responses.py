"""What an endpoint's answer says: the reply in its body, the complaint in it, and the waits its headers ask for.

The body is read by us, since an endpoint can answer 200 and still send an error object, an HTML page or half a JSON
document.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

from annotator.errors import RetryableError
from annotator.teachers import Reply

LONGEST_PAUSE: Final = 3600.0
"""Seconds; a longer wait is not taken at its word."""
_DURATION: Final = re.compile(r"(?:([\d.]+)h)?(?:([\d.]+)m(?!s))?(?:([\d.]+)s)?(?:([\d.]+)ms)?")


def read_reply(content: bytes, headers: Mapping[str, str], secret: str = "") -> Reply:
    """Read the body of a 200 answer; ``headers`` may ask for a pause.

    Raises:
        RetryableError: it is no chat completion, or it was cut off.
    """
    try:
        body = json.loads(content)
        choice = body["choices"][0]
        message = choice["message"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        said = message_of(content, secret)
        raise RetryableError(f"the answer is no chat completion: {said}", kind="malformed answer") from error
    text, refusal = (message.get("content"), message.get("refusal")) if isinstance(message, dict) else (None, None)
    text = text if isinstance(text, str) else ""
    finish_reason = str(choice.get("finish_reason") or "") if isinstance(choice, dict) else ""
    usage = body.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    prompt_tokens, completion_tokens = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    return Reply(
        text=_clean(text),
        finish_reason="refusal" if refusal and not text and finish_reason in ("", "stop") else _clean(finish_reason),
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        pause=pause(headers, prompt_tokens + completion_tokens),
    )


def message_of(content: bytes, secret: str = "") -> str:
    """What an error body says, on one line of at most 200 characters; ``secret`` is blotted out."""
    try:
        body = json.loads(content)
        body = body.get("error", body)
        said = str(body.get("message", body) if isinstance(body, dict) else body)
    except (ValueError, AttributeError, RecursionError):
        said = content[:1000].decode("utf-8", "replace")
    if secret:
        said = said.replace(secret, "[key]")
    return _clean(" ".join(said.split())[:200]) or "nothing"


def out_of_money(content: bytes) -> bool:
    """Whether a 429 says that the account has no credit left (OpenAI's ``insufficient_quota``): no wait helps."""
    return b'"insufficient_quota"' in content


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the endpoint asks this request to wait.

    ``retry-after-ms``, else ``Retry-After`` in seconds or as a date (RFC 9110), else the reset of a limit that is used
    up.
    """
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * scale
        except KeyError:
            continue
        except ValueError:
            seconds = _until(headers[name])
        if 0 <= seconds < LONGEST_PAUSE:
            return seconds
    return pause(headers, 1) or None


def pause(headers: Mapping[str, str], tokens: int) -> float:
    """Seconds until the limits named in ``x-ratelimit-*`` headers have room for a request of ``tokens`` tokens.

    ``remaining`` is what may still be spent and ``reset`` the time until the limit is whole again. Limits refill
    evenly, so that what is missing is there in its share of that time.
    """
    longest = 0.0
    for what, wanted in (("requests", 1), ("tokens", tokens)):
        left = _number(headers.get(f"x-ratelimit-remaining-{what}"))
        if left is None or left >= wanted:
            continue
        reset = _seconds(headers.get(f"x-ratelimit-reset-{what}", ""))
        whole = _number(headers.get(f"x-ratelimit-limit-{what}"))
        share = min(1.0, (wanted - left) / (whole - left)) if whole is not None and whole > left else 1.0
        longest = max(longest, min(reset * share, LONGEST_PAUSE))
    return longest


def _seconds(text: str) -> float:
    """``6m0s``, ``120ms``, ``7.66s`` or a plain number of seconds; anything else is 0."""
    plain = _number(text)
    if plain is not None:
        return plain
    found = _DURATION.fullmatch(text.strip())
    if not found:
        return 0.0
    units = (3600.0, 60.0, 1.0, 0.001)
    return sum(unit * (_number(part) or 0.0) for unit, part in zip(units, found.groups(), strict=True))


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0 <= number < 1e15 else None


def _until(date: str) -> float:
    """Seconds until an HTTP date; negative when it is past or no date."""
    try:
        return parsedate_to_datetime(date).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return -1.0


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**31 else 0


def _clean(text: str) -> str:
    """JSON can name half a surrogate pair, which no file can hold."""
    return text.encode("utf-8", "replace").decode("utf-8") if not text.isascii() else text
