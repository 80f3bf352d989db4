"""Teachers: the embedded one, or a model behind an OpenAI-compatible endpoint.

Another provider is one module here and one line in ``registry.py``. The settings import that, so this module imports
the settings only inside functions.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from annotator.errors import ConfigError
from annotator.records import Completion
from annotator.teachers.registry import PROVIDERS

if TYPE_CHECKING:
    from annotator.config.settings import RunConfig
    from annotator.records import Passage
    from prompts import Prompt

QUERY_PROMPT: Final = "query-ner-vi"
"""The default prompt of queries such as "What describes X in the text?"."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question about one passage; ``key`` is the hash of its content."""

    key: str
    content: Mapping[str, Any]
    """All that decides the answer: model, messages, sampling parameters and version of the prompt."""
    body: bytes = b""
    """The request to a chat endpoint: the content without the version of the prompt, as JSON."""


class Asked(NamedTuple):
    """A passage with its question, whose key is computed once."""

    passage: Passage
    question: Question


@dataclass(frozen=True, slots=True)
class Reply:
    """A teacher's answer."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    """Including those of thinking."""
    pause: float = 0.0
    """Seconds without requests that the rate limits in the answer's headers ask for."""
    body: str = ""
    """The whole body, where the text is empty."""
    logprobs: str = ""
    """Token probabilities of ``text`` in the form of ``token_logprobs``; empty where the endpoint sent none."""


def completion_of(key: str, passage_id: str, reply: Reply, latency: float) -> Completion:
    """Return the ledger's record of a reply that came now; ``latency`` is in seconds, and 0 in a batch."""
    return Completion(
        key=key,
        passage_id=passage_id,
        reply=reply.text,
        finish_reason=reply.finish_reason,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        latency=latency,
        created=time.time(),
        logprobs=reply.logprobs,
    )


class Teacher(Protocol):
    """Answers questions about passages."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """Return all but the passage that decides an answer, for the manifest."""
        ...

    @property
    def sent_as(self) -> Mapping[str, str]:
        """Return the parameters that are sent under another name, since the endpoint asked for it."""
        ...

    def question(self, passage: str) -> Question:
        """Return the question about ``passage``."""
        ...

    async def ask(self, question: Question) -> Reply:
        """Ask once, without a retry.

        Raises:
            TeacherError: there is no answer.
        """
        ...

    async def probe(self, *, whole: bool = False) -> None:
        """Find out by one small request whether questions are answered.

        Args:
            whole: send every parameter of a question; else ask for one token of text.

        Raises:
            TeacherError: they are not.
        """
        ...

    async def close(self) -> None:
        """Close connections and processes."""
        ...


def questions_about(passages: Iterable[Passage], teacher: Teacher) -> Iterator[Asked]:
    """Yield each passage with its question."""
    return (Asked(passage, teacher.question(passage.text)) for passage in passages)


def make_question(content: Mapping[str, Any]) -> Question:
    """Return a question with its key."""
    from annotator.ledger import request_key

    return Question(key=request_key(content), content=content)


def require_key(config: RunConfig) -> str:
    """Return the provider's key, from the environment; empty where none is needed.

    Raises:
        ConfigError: the key is missing or malformed, or so is the environment's address for the provider.
    """
    from annotator.config.addresses import check_endpoint

    provider = PROVIDERS[config.provider]
    key = os.environ.get(provider.key, "").strip() if provider.key else ""
    if not (key.isascii() and key.isprintable()):  # the HTTP library's error would repeat it
        raise ConfigError(f"{provider.key} holds characters that no key has; export it again")
    variable = f"{config.provider.upper()}_BASE_URL"  # of the SDKs
    check_endpoint(os.environ.get(variable, ""), variable)
    if provider.key and not key and not (provider.key_optional and config.base_url):
        raise ConfigError(f"--provider {config.provider} needs a key in the environment: export {provider.key}=...")
    return key


def make_teacher(config: RunConfig) -> Teacher:
    """Return the teacher that ``config`` names.

    Raises:
        ConfigError: an unknown prompt, or types that cannot be read.
    """
    provider = PROVIDERS[config.provider]
    if not provider.chat:
        teacher: Teacher = import_module(provider.module).make_teacher(config)
        return teacher

    from annotator.config.settings import OPEN_PROMPT
    from annotator.teachers.chat import ENTITIES, ChatTeacher
    from prompts import SLOT, TYPES

    name = "typed-ner-vi" if config.types and config.prompt == OPEN_PROMPT else config.prompt
    prompt = _load_prompt(name, SLOT)
    if bool(config.types) != (TYPES in prompt.user):
        needs = "has no {types}; leave --prompt out, or give one that has" if config.types else "needs --types FILE"
        raise ConfigError(f"--prompt {name} {needs}")
    if config.types:
        from annotator.teachers.entity_types import read_types

        prompt = prompt.with_types(read_types(Path(config.types)).rendered())
    return ChatTeacher(config, prompt, ENTITIES if config.response_format == "json" else None)


def make_translator(config: RunConfig) -> Teacher:
    """Return a teacher that asks the model of ``config`` for the English name of a Vietnamese entity type."""
    return make_chat_teacher(config, "label-translation", "{label}")


def make_query_teacher(config: RunConfig) -> Teacher:
    """Return a teacher that asks the model of ``config`` queries, each about one entity type of a passage.

    Raises:
        ConfigError: an unknown prompt, or one that asks about whole passages.
    """
    return make_chat_teacher(config, query_prompt(config.prompt), "{query}")


def make_chat_teacher(config: RunConfig, prompt: str, slot: str) -> Teacher:
    """Return a teacher that asks the model of ``config`` with a ``prompt`` whose place for the text is ``slot``.

    Raises:
        ConfigError: there is no such prompt.
    """
    from annotator.teachers.chat import ChatTeacher

    return ChatTeacher(config, _load_prompt(prompt, slot))


def query_prompt(setting: str) -> str:
    """Return the prompt of queries for a ``--prompt``, whose default is about whole passages."""
    from annotator.config.settings import OPEN_PROMPT

    return QUERY_PROMPT if setting in ("", OPEN_PROMPT) else setting


def query_text(text: str, instruction: str) -> str:
    """Return a query in the form of UniversalNER's conversation."""
    return f"Text: {text}\n\nQuestion: {instruction}"


def _load_prompt(name: str, slot: str) -> Prompt:
    from prompts import load_prompt

    try:
        return load_prompt(name, slot)
    except (LookupError, ValueError) as error:
        raise ConfigError(f"--prompt: {error.args[0]}") from error
