"""The teacher behind a chat-completions endpoint: one question is one request, without retries.

A failure is a ``TeacherError`` with its kind; ``annotator.asking.retry_policy`` decides what is done about it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

from annotator.config.settings import RunConfig
from annotator.errors import TeacherError
from annotator.ledger import canonical
from annotator.teachers import Question, Reply, require_key
from annotator.teachers.http import PATH, Answer
from annotator.teachers.rate_limit_headers import retry_after
from annotator.teachers.registry import PROVIDERS
from annotator.teachers.responses import message_of, moved_to, out_of_money, read_reply, wrong_key
from prompts import Prompt

MAX_TOKENS: Final = "max_tokens"
SUCCESSOR: Final = "max_completion_tokens"
"""OpenAI's reasoning models refuse ``max_tokens`` and name this in its place."""
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode
_MEANS: Final[Mapping[int, tuple[str, str]]] = {
    401: ("the key was not accepted", "check {key}"),
    402: ("the account has no credit", "see the account's billing"),
    403: ("the key may not use this", "check {key}"),
    404: ("no such model or address", "see --model and --base-url"),
    407: ("the proxy requires a user and a password", "see HTTP_PROXY, HTTPS_PROXY and NO_PROXY in the environment"),
}
"""The meaning of a status, and how to fix it."""
ENTITIES: Final[Mapping[str, Any]] = {
    "type": "json_schema",
    "json_schema": {
        "name": "entities",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {
                "entities": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"text": {"type": "string"}, "type": {"type": "string"}},
                        "required": ["text", "type"],
                        "additionalProperties": False,
                    },
                }
            },
            "required": ["entities"],
            "additionalProperties": False,
        },
    },
}
"""The response format of ``--response-format json``, part of every key: after a change paid answers are not found."""


class ChatTeacher:
    """Asks a model over HTTP, at temperature 0 unless ``--option`` changes that."""

    def __init__(self, config: RunConfig, prompt: Prompt, response_format: Mapping[str, Any] | None = None) -> None:
        self._config = config
        settings: dict[str, Any] = {
            "model": config.teacher_model,
            "temperature": 0,
            MAX_TOKENS: config.max_completion_tokens,
        }
        if response_format:  # else no name in the content: older keys have none
            settings["response_format"] = response_format
        settings |= config.options
        if settings["temperature"] is None:  # --option temperature=null
            del settings["temperature"]
        self.identity: Mapping[str, Any] = {
            **settings,
            "prompt": {
                "name": prompt.name,
                "version": prompt.version,
                "sha256": prompt.sha256,
                **({"types_sha256": prompt.types_sha256} if prompt.types_sha256 else {}),
            },
        }
        self.sent_as: Mapping[str, str] = {}
        self._settings, self._prompt = settings, prompt
        self._prepare()
        self._connection: Any = None  # made at the first question: keys of questions need neither network nor API key
        self._key = ""

    def question(self, passage: str) -> Question:
        """Return the prompt, filled with ``passage``. The key equals ``request_key`` of its content."""
        text = _encode(passage)[1:-1]
        digest = self._hash_before.copy()
        digest.update(text.encode("utf-8", "surrogatepass"))
        digest.update(self._text_after)
        body = self._body_before + text.encode("utf-8", "replace") + self._body_after
        return Question(digest.hexdigest(), self._content(passage), body)

    async def ask(self, question: Question) -> Reply:
        """Send one request."""
        return await self._post(question.body)

    async def probe(self, *, whole: bool = False) -> None:
        """Send a request of one word with the parameters of a question: the model itself has to answer."""
        body = {"messages": [{"role": "user", "content": "ping"}], **self._settings}
        if not whole:
            body.pop("response_format", None)
            body[MAX_TOKENS] = 1  # if a reasoning model refuses that, it is up
        await self._post(json.dumps(body, separators=(",", ":")).encode(), probing=True)

    async def close(self) -> None:
        """Close the connections."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    def _prepare(self) -> None:
        """Encode and hash what precedes and follows the passage once, since it would take most of a question's time."""
        place = self._prompt.sha256  # stands for the passage: no prompt holds its own hash
        content = self._content(place)
        before, _, after = canonical(content).partition(place)
        self._hash_before = hashlib.sha256(before.encode("utf-8", "surrogatepass"))
        self._text_after = after.encode("utf-8", "surrogatepass")
        sent = {name: value for name, value in content.items() if name != "prompt"}
        before, _, after = _encode(sent).partition(place)
        self._body_before, self._body_after = before.encode("utf-8", "replace"), after.encode("utf-8", "replace")

    def _content(self, text: str) -> dict[str, Any]:
        version = f"{self._prompt.name}.{self._prompt.version}"
        return {"messages": self._prompt.messages(text), **self._settings, "prompt": version}

    async def _post(self, body: bytes, *, probing: bool = False) -> Reply:
        if self._connection is None:
            self._key = require_key(self._config)
            self._connection = import_module(PROVIDERS[self._config.provider].module).connect(self._config, self._key)
        sent_as = self.sent_as
        answer: Answer = await self._connection.post(renamed(body, sent_as))
        if answer.status == 400 and not sent_as and (names := other_names(answer.body.decode("utf-8", "replace"))):
            self.sent_as = names
            answer = await self._connection.post(renamed(body, names))
        if answer.status >= 300:
            raise self._http_error(self._connection.where, answer)
        return read_reply(answer.body, answer.headers, self._key, probing=probing)

    def _http_error(self, where: str, answer: Answer) -> TeacherError:
        message = message_of(answer.body, self._key)
        status = answer.status
        if status == 429 and out_of_money(answer.body):
            status = 402
        if status == 400 and wrong_key(message):
            status = 401
        kind = f"http {status}"
        if status in _MEANS:
            meaning, fix = _MEANS[status]
            fix = fix.format(key=PROVIDERS[self._config.provider].key)
            return TeacherError(f"{where} answered {answer.status}, {meaning}: {message}; {fix}", kind=kind)
        if 300 <= status < 400:
            place = moved_to(answer.headers, PATH)
            fix = f"give --base-url {place}" if place else "see --base-url"
            return TeacherError(f"{where} answered {status}: the address has moved; {fix}", kind=kind)
        if status == 400 and "temperature" in message:
            message = f"{message.rstrip('.')}; give --option temperature=1, or null to leave it out"
        return TeacherError(f"{where} answered {status}: {message}", kind=kind, retry_after=retry_after(answer.headers))


def other_names(refusal: str) -> dict[str, str]:
    """Return the parameters to send under another name, by the message of a 400; empty if it is about something else.

    Only the request changes, not the question and its key.
    """
    return {MAX_TOKENS: SUCCESSOR} if MAX_TOKENS in refusal and SUCCESSOR in refusal else {}


def renamed(body: bytes, sent_as: Mapping[str, str]) -> bytes:
    """Return a JSON body with parameters under the names in ``sent_as``."""
    for name, other in sent_as.items():  # in a text these quotes would be escaped
        body = body.replace(f'"{name}":'.encode(), f'"{other}":'.encode())
    return body
