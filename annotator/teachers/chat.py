"""Teachers behind a chat-completions endpoint: ``openai`` for any compatible address, ``groq`` by Groq's own SDK.

The two SDKs come from one generator and name their errors alike, so one class serves both. The SDKs' own retries are
off: ``annotator.annotate`` decides. The body is read by us, since an endpoint can answer 200 and still send an error
object, an HTML page or half a JSON document.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from annotator.config import KEY_VARIABLES, RunConfig
from annotator.errors import FatalTeacherError, RefusedError, RetryableError, TeacherError
from annotator.teachers import Question, Reply, make_question, require_key
from prompts import Prompt

_FATAL = {401: "the key was not accepted", 403: "the key may not use this", 404: "no such model or address"}
_REFUSED = frozenset({400, 413, 422})


class ChatTeacher:
    """Asks a model over HTTP, at temperature 0."""

    def __init__(self, config: RunConfig, prompt: Prompt) -> None:
        self._config = config
        self._prompt = prompt
        self.identity: Mapping[str, Any] = {
            "model": config.teacher_model,
            "prompt": {"name": prompt.name, "version": prompt.version, "sha256": prompt.sha256},
            "temperature": 0,
            "max_tokens": config.max_completion_tokens,
        }
        self._connection: tuple[Any, Any] | None = None  # made at the first question; without one no key is needed

    def question(self, passage: str) -> Question:
        """The prompt, filled with ``passage``."""
        return make_question(
            {
                "model": self._config.teacher_model,
                "messages": self._prompt.messages(passage),
                "temperature": 0,
                "max_tokens": self._config.max_completion_tokens,
                "prompt": f"{self._prompt.name}.{self._prompt.version}",
            }
        )

    async def ask(self, question: Question) -> Reply:
        """Send one request."""
        if self._connection is None:
            self._connection = _connect(self._config)
        sdk, client = self._connection
        where = str(client.base_url)
        body = {name: value for name, value in question.content.items() if name != "prompt"}
        try:
            response = await client.chat.completions.with_raw_response.create(**body)
            content = response.http_response.content
        except sdk.APITimeoutError as error:
            raise RetryableError(f"no answer in time from {where}; see --timeout", kind="timeout") from error
        except sdk.APIConnectionError as error:
            cause = _root_cause(error)
            raise RetryableError(
                f"cannot reach {where} ({cause}); is the server running, and --base-url right?", kind="connection"
            ) from error
        except sdk.APIStatusError as error:
            raise self._status_error(where, error.status_code, error.response) from error
        return read_reply(content)

    async def close(self) -> None:
        """Close the connections."""
        if self._connection is not None:
            await self._connection[1].close()
            self._connection = None

    def _status_error(self, where: str, status: int, response: Any) -> TeacherError:
        said = _message_of(response.content)
        kind = f"http {status}"
        if status in _FATAL:
            variable = KEY_VARIABLES[self._config.provider]
            mend = "see --model and --base-url" if status == 404 else f"check {variable}"
            return FatalTeacherError(f"{where} answered {status}, {_FATAL[status]}: {said}; {mend}", kind=kind)
        if status in _REFUSED:
            return RefusedError(f"{where} answered {status}: {said}", kind=kind)
        return RetryableError(
            f"{where} answered {status}: {said}", kind=kind, retry_after=_retry_after(response.headers)
        )


def _connect(config: RunConfig) -> tuple[Any, Any]:
    """The SDK and a client of it."""
    key = require_key(config) or "none"  # the SDK insists on some
    options: dict[str, Any] = {"api_key": key, "max_retries": 0, "timeout": config.timeout}
    if config.base_url:
        options["base_url"] = config.base_url
    if config.provider == "groq":
        import groq

        return groq, groq.AsyncGroq(**options)
    import openai

    return openai, openai.AsyncOpenAI(**options)


def read_reply(content: bytes) -> Reply:
    """Read the body of a 200 answer.

    Raises:
        RetryableError: it is no chat completion, or it was cut off.
    """
    try:
        body = json.loads(content)
        choice = body["choices"][0]
        message = choice["message"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        said = _message_of(content)
        raise RetryableError(f"the answer is no chat completion: {said}", kind="malformed answer") from error
    text = message.get("content") if isinstance(message, dict) else None
    usage = body.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return Reply(
        text=text if isinstance(text, str) else "",
        finish_reason=str(choice.get("finish_reason") or ""),
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
    )


def _count(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**31 else 0


def _message_of(content: bytes) -> str:
    """What an error body says, on one line of at most 200 characters."""
    try:
        body = json.loads(content)
        body = body.get("error", body)
        said = body.get("message", body) if isinstance(body, dict) else body
    except (ValueError, AttributeError, RecursionError):
        said = content[:1000].decode("utf-8", "replace")
    return " ".join(str(said).split())[:200] or "nothing"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the endpoint asks us to wait: ``retry-after-ms``, or ``Retry-After`` in seconds (RFC 9110)."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * scale
        except (KeyError, ValueError):
            continue
        if 0 <= seconds < 3600:
            return seconds
    return None


def _root_cause(error: BaseException) -> str:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return " ".join(str(error).split()) or type(error).__name__
