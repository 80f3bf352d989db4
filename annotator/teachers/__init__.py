"""Who answers: the embedded teacher, or a model behind an OpenAI-compatible endpoint.

Another teacher is one file that satisfies ``Teacher`` and one line in ``make_teacher``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from annotator.config import KEY_VARIABLES, RunConfig, refuse_secrets
from annotator.errors import ConfigError
from annotator.ledger import request_key


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about one passage. ``content`` decides the answer and nothing else is in it: it is the identity."""

    key: str
    content: Mapping[str, Any]
    """model, messages, sampling parameters, and the version of the prompt."""
    body: bytes = b""
    """What is sent to a chat endpoint: the content without the version of the prompt, as JSON."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A teacher's answer as it came."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    pause: float = 0.0
    """Seconds nobody should ask anything, by the limits that came with the answer."""


class Teacher(Protocol):
    """Answers questions about passages."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """Everything but the passage that decides an answer; stands in the manifest."""
        ...

    def question(self, passage: str) -> Question:
        """The question to ask about ``passage``."""
        ...

    async def ask(self, question: Question) -> Reply:
        """Ask once, without any retry.

        Raises:
            RetryableError: asking again may help.
            RefusedError: this question will never be answered.
            FatalTeacherError: no question will be answered.
        """
        ...

    async def probe(self) -> None:
        """Find out, at next to no cost, whether questions are being answered at all.

        Raises:
            TeacherError: as ``ask`` does.
        """
        ...

    async def close(self) -> None:
        """Let go of connections and processes."""
        ...


def make_question(content: Mapping[str, Any]) -> Question:
    """A question with its key."""
    return Question(key=request_key(content), content=content)


def require_key(config: RunConfig) -> str:
    """The provider's key, from the environment; empty for the embedded teacher, which needs none.

    Raises:
        ConfigError: there is no key and the provider needs one, it cannot be one, or the environment's address for the
            provider has a password in it.
    """
    variable = KEY_VARIABLES.get(config.provider)
    key = os.environ.get(variable, "").strip() if variable else ""
    if not (key.isascii() and key.isprintable()):  # as a header it would be refused, by an error that repeats it
        raise ConfigError(f"{variable} holds characters that no key has; export it again")
    address = f"{config.provider.upper()}_BASE_URL"  # where the SDKs look for it
    refuse_secrets(os.environ.get(address, ""), address)
    # A server of one's own asks for no key.
    if variable and not key and not (config.provider == "openai" and config.base_url):
        raise ConfigError(f"--provider {config.provider} needs a key in the environment: export {variable}=...")
    return key


def make_teacher(config: RunConfig) -> Teacher:
    """The teacher that ``config`` names.

    Raises:
        ConfigError: an unknown prompt.
    """
    if config.provider == "local":
        from annotator.teachers.embedded.teacher import EmbeddedTeacher

        return EmbeddedTeacher(workers=config.processes)

    from annotator.teachers.chat import ENTITIES, ChatTeacher
    from prompts import load_prompt

    try:
        prompt = load_prompt(config.prompt)
    except (LookupError, ValueError) as error:
        raise ConfigError(f"--prompt: {error.args[0]}") from error
    return ChatTeacher(config, prompt, ENTITIES if config.response_format == "json" else None)


def make_translator(config: RunConfig) -> Teacher:
    """The same model, asked for the English name of a Vietnamese entity type in place of a passage."""
    from annotator.teachers.chat import ChatTeacher
    from prompts import load_prompt

    return ChatTeacher(config, load_prompt("label-translation", slot="{label}"))
