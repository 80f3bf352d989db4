"""Teachers behind a chat-completions endpoint: ``openai`` for any compatible address, ``groq`` by Groq's own SDK.

One question is one request; nothing is tried twice here: ``annotator.asking`` decides about that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from annotator.config import KEY_VARIABLES, RunConfig
from annotator.errors import FatalTeacherError, RefusedError, RetryableError, TeacherError
from annotator.teachers import Question, Reply, require_key
from annotator.teachers.connections import Connection, connect
from annotator.teachers.form import Form
from annotator.teachers.responses import message_of, out_of_money, read_reply, retry_after
from annotator.teachers.straight import Answer
from prompts import Prompt

_FATAL: Final = {
    401: "the key was not accepted",
    402: "the account has no credit",
    403: "the key may not use this",
    404: "no such model or address",
    407: "the proxy wants a user and a password",
}
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
"""The response format of ``--response-format json``. It is part of every key: a change orphans paid answers."""
_AGAIN: Final = frozenset({408, 409, 425, 429, 498})
"""Statuses below 500 that may go away; 498 is Groq's word for a full house."""


class ChatTeacher:
    """Asks a model over HTTP, at temperature 0."""

    def __init__(self, config: RunConfig, prompt: Prompt, response_format: Mapping[str, Any] | None = None) -> None:
        self._config = config
        settings: dict[str, Any] = {
            "model": config.teacher_model,
            "temperature": 0,
            "max_tokens": config.max_completion_tokens,
        }
        if response_format:  # without one the question is what it was before there was any
            settings["response_format"] = response_format
        self.identity: Mapping[str, Any] = {
            **settings,
            "prompt": {"name": prompt.name, "version": prompt.version, "sha256": prompt.sha256},
        }
        self._form = Form(prompt, settings)
        self._connection: Connection | None = None  # made at the first question; without one no key is needed
        self._key = ""

    def question(self, passage: str) -> Question:
        """The prompt, filled with ``passage``."""
        return self._form.fill(passage)

    async def ask(self, question: Question) -> Reply:
        """Send one request."""
        return await self._post(question.body)

    async def probe(self) -> None:
        """Ask for one token about nothing: the smallest request that the model itself has to answer."""
        messages = [{"role": "user", "content": "ping"}]
        body = {"model": self._config.teacher_model, "messages": messages, "temperature": 0, "max_tokens": 1}
        await self._post(json.dumps(body).encode())

    async def close(self) -> None:
        """Close the connections."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _post(self, body: bytes) -> Reply:
        if self._connection is None:
            self._key = require_key(self._config)
            self._connection = connect(self._config, self._key)
        answer = await self._connection.post(body)
        if answer.status >= 400:
            raise self._error(self._connection.where, answer)
        return read_reply(answer.body, answer.headers, self._key)

    def _error(self, where: str, answer: Answer) -> TeacherError:
        status, kind = answer.status, f"http {answer.status}"
        said = message_of(answer.body, self._key)
        if status == 429 and out_of_money(answer.body):
            status = 402
        if status in _FATAL:
            mend = {
                402: "see the account's billing",
                404: "see --model and --base-url",
                407: "see HTTP_PROXY, HTTPS_PROXY and NO_PROXY in the environment",
            }.get(status, f"check {KEY_VARIABLES[self._config.provider]}")
            return FatalTeacherError(f"{where} answered {answer.status}, {_FATAL[status]}: {said}; {mend}", kind=kind)
        message = f"{where} answered {status}: {said}"
        if status in _AGAIN or status >= 500:
            return RetryableError(message, kind=kind, retry_after=retry_after(answer.headers))
        return RefusedError(message, kind=kind)
