"""The method's own question, "What describes X in the text?": one query about one entity type of a passage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from annotator.errors import ConfigError

if TYPE_CHECKING:
    from annotator.config.settings import RunConfig
    from annotator.teachers import Teacher

PROMPT: Final = "query-ner-vi"
SLOT: Final = "{query}"
"""What a prompt that asks about one type of entity holds, once."""


def query_text(text: str, instruction: str) -> str:
    """Return a query as it goes into the prompt, in the manner of UniversalNER's conversation."""
    return f"Text: {text}\n\nQuestion: {instruction}"


def prompt_of(setting: str) -> str:
    """Return the prompt of queries where ``--prompt`` is ``setting``: its default is one about whole passages."""
    from annotator.config.settings import OPEN_PROMPT

    return PROMPT if setting in ("", OPEN_PROMPT) else setting


def make_query_teacher(config: RunConfig) -> Teacher:
    """Make a teacher that asks the model of ``config`` queries; the default prompt is ``PROMPT``.

    Raises:
        ConfigError: an unknown prompt, or one that asks about whole passages.
    """
    from annotator.teachers.chat import ChatTeacher
    from prompts import load_prompt

    try:
        prompt = load_prompt(prompt_of(config.prompt), SLOT)
    except (LookupError, ValueError) as error:
        raise ConfigError(f"--prompt: {error.args[0]}") from error
    return ChatTeacher(config, prompt)
