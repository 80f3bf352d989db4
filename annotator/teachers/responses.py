"""Read the body of an endpoint's response: a reply or an error. ``rate_limit_headers`` reads the headers.

An endpoint can answer 200 and still send an error object, an HTML page or half a JSON document.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from annotator.errors import TeacherError
from annotator.teachers import Reply
from annotator.teachers.rate_limit_headers import pause
from annotator.teachers.token_logprobs import read_logprobs

FINAL: Final[Mapping[str, str]] = {
    "stop": "stop", "eos": "stop", "eos_token": "stop", "end_turn": "stop", "stop_sequence": "stop", "complete": "stop",
    "length": "length", "max_tokens": "length", "model_length": "length", "max_length": "length",
    "content_filter": "content_filter", "safety": "content_filter", "recitation": "content_filter",
    "refusal": "refusal", "tool_calls": "tool_calls", "function_call": "function_call", "": "",
}  # fmt: skip
"""The finish reasons of complete answers, of OpenAI and of others, and their names in the ledger."""
_SHORTEST_KEY: Final = 8
"""Characters. Local servers are given keys such as "none" or "x", which also occur in other words."""
_TEXT: Final = ("text", "output_text")
_THINKING: Final = ("thinking", "reasoning", "redacted_thinking")
_WRONG_KEY: Final = re.compile(
    r"(invalid|incorrect|wrong|missing|expired|not valid)\W.{0,20}api.?key|api.?key.{0,20}\W(invalid|incorrect|expired|"
    r"missing|not valid|not found)", re.IGNORECASE)  # fmt: skip


def read_reply(content: bytes, headers: Mapping[str, str], secret: str = "", *, probing: bool = False) -> Reply:
    """Read the body of a 200 answer.

    Args:
        content: the body.
        headers: they may ask for a pause; names in any case.
        secret: replaced in messages and bodies.
        probing: accept any chat completion, and return it without its text.

    Raises:
        TeacherError: ``malformed answer``: no chat completion, or one of an unknown form; ``unfinished answer``: its
            finish reason is not in ``FINAL``.
    """
    try:
        body = json.loads(content)
        choice = body["choices"][0]
        message = choice["message"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise TeacherError(
            f"the answer is no chat completion: {message_of(content, secret)}",
            kind="malformed answer",
            body=_whole(content, secret),
        ) from error
    reason = str(choice.get("finish_reason") or "") if isinstance(choice, dict) else ""
    prompt_tokens, completion_tokens = _tokens(body.get("usage"))
    written = _read_message(message)
    if probing:
        return Reply("", reason, prompt_tokens, completion_tokens)
    if written is None:
        raise TeacherError("the answer has an unknown form", kind="malformed answer", body=_whole(content, secret))
    if reason.lower() not in FINAL:
        cause = f"the answer ended with finish_reason {_clean(reason)[:60]!r}"
        raise TeacherError(cause, kind="unfinished answer", body=_whole(content, secret))
    final = FINAL[reason.lower()]
    text, thinking = written
    if not text and thinking:
        # The server marks the whole answer as thinking, or the answer was cut off before its first word.
        text = f"<think>{thinking}" if final == "length" else thinking
    text = _clean(text)
    return Reply(
        text=text,
        finish_reason="refusal" if _refused(message) and not text and final in ("", "stop") else final,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        pause=pause(headers, prompt_tokens + completion_tokens),
        body="" if text else _whole(content, secret),
        logprobs=read_logprobs(choice, text),
    )


def _read_message(message: Any) -> tuple[str, str] | None:
    """Return text and thinking of a message: text, parts, tool calls, or thinking alone; None for anything else."""
    if not isinstance(message, dict):
        return None
    content = message.get("content")
    parts = [
        _read_part(part) for part in (content if isinstance(content, list) else ["" if content is None else content])
    ]
    text: str | None = "".join(part[0] for part in parts if part)
    named = (message.get(name) for name in ("reasoning_content", "reasoning", "thinking"))
    thinking = next((value for value in named if isinstance(value, str)), "")
    thinking = thinking or "".join(part[1] for part in parts if part)
    if not text and (calls := message.get("tool_calls") or message.get("function_call")):
        text = _arguments(calls)
    return None if None in parts or text is None else (text, thinking)


def _refused(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return bool(message.get("refusal")) or any(
        isinstance(part, dict) and part.get("type") == "refusal" for part in parts
    )


def _read_part(part: Any) -> tuple[str, str] | None:
    """Return text and thinking of one part of a content; None for an unknown type."""
    if isinstance(part, str):
        return part, ""
    if not isinstance(part, dict):
        return None
    kind = part.get("type")
    if kind == "refusal":
        return "", ""
    content = part.get("text", part.get("thinking", part.get("reasoning", "")))
    if isinstance(content, list):  # Mistral's thinking is a list of parts again
        content = "".join(str(item.get("text", "")) for item in content if isinstance(item, dict))
    if not isinstance(content, str):
        return None
    if kind in _TEXT:
        return content, ""
    return ("", content) if kind in _THINKING else None


def _arguments(calls: Any) -> str | None:
    """Return the arguments of tool calls, one call a line: some models answer by calling an invented function."""
    lines = []
    for call in calls if isinstance(calls, list) else [calls]:
        function = call.get("function", call) if isinstance(call, dict) else None
        given = function.get("arguments") if isinstance(function, dict) else None
        if isinstance(given, dict | list):
            given = json.dumps(given, ensure_ascii=False)
        if not isinstance(given, str):
            return None
        lines.append(given)
    return "\n".join(lines)


def message_of(content: bytes, secret: str = "") -> str:
    """Return the message in an error body, on one line of at most 200 characters; ``secret`` is replaced."""
    try:
        return words_of(json.loads(content), secret)
    except (ValueError, RecursionError):
        return words_of(content[:1000].decode("utf-8", "replace"), secret)


def words_of(error: object, secret: str = "") -> str:
    """Return the message in a parsed error body, or in a text, likewise."""
    return _clean(" ".join(_without(message_in(error), secret).split())[:200]) or "nothing"


def message_in(body: object) -> str:
    """Find the message in an error: OpenAI's, Gemini's (in a list), FastAPI's ``detail`` (a text or a list)."""
    if isinstance(body, list) and body:
        return message_in(body[0])
    if isinstance(body, dict):
        names = ("message", "msg", "detail", "error", "code")
        return next((message_in(body[name]) for name in names if body.get(name)), str(body))
    return str(body)


def out_of_money(content: bytes) -> bool:
    """Return whether a 429 means that the account has no credit left (OpenAI's ``insufficient_quota``)."""
    return b'"insufficient_quota"' in content


def wrong_key(message: str) -> bool:
    """Return whether a 400 is about the key, as with Google and xAI."""
    return bool(_WRONG_KEY.search(message.replace("_", " ")))


def moved_to(headers: Mapping[str, str], path: str) -> str:
    """Return the base address that a redirect names, without the query, which may hold a secret; empty if none."""
    try:
        parts = urlsplit(headers.get("location", ""))
        host = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not host:
        return ""
    base = parts.path.rstrip("/").removesuffix(path).rstrip("/")
    place = f"{parts.scheme}://{host}{base}"
    return place if place.isprintable() and place.isascii() else ""


def tokens_in(body: str) -> tuple[int, int]:
    """Return the tokens of prompt and completion that a body of any form reports."""
    try:
        return _tokens(json.loads(body)["usage"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return 0, 0


def _tokens(usage: Any) -> tuple[int, int]:
    usage = usage if isinstance(usage, dict) else {}
    prompt, completion = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    # xAI and Google count the tokens of thinking in the total only.
    return prompt, max(completion, _count(usage.get("total_tokens")) - prompt)


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**31 else 0


def _whole(content: bytes, secret: str) -> str:
    """Return the whole body, which was paid for."""
    return _clean(_without(content.decode("utf-8", "replace"), secret))


def _without(text: str, secret: str) -> str:
    """Replace the key in ``text``."""
    return text.replace(secret, "[key]") if len(secret) >= _SHORTEST_KEY else text


def _clean(text: str) -> str:
    """Replace half a surrogate pair, which JSON can hold and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode("utf-8") if not text.isascii() else text
