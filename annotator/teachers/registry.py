"""The providers: a new one is a module in this package and a line here.

Standard library only, since settings and command line are made from this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A provider: its module, and what is known without importing it."""

    module: str
    """For a chat provider it has ``connect``, which returns a connection like ``HttpConnection``, and with a Batch API
    ``list_batches``; for any other it has ``make_teacher``."""
    help: str
    """Description for ``--help``."""
    chat: bool = True
    """Whether it asks a model with a prompt over HTTP."""
    key: str = ""
    """The environment variable with the key."""
    key_optional: bool = False
    """Whether no key is needed with ``--base-url``, since a local server asks for none."""
    model: str = ""
    """The default model."""
    host: str = ""
    """The host of the provider itself, for which prices hold."""
    batches: bool = False
    """Whether it has a Batch API."""


PROVIDERS: Final[Mapping[str, Provider]] = {
    "local": Provider(module="annotator.teachers.embedded.teacher", help="embedded, no key", chat=False),
    "openai": Provider(module="annotator.teachers.openai", help="any OpenAI-compatible endpoint", key="OPENAI_API_KEY",
                       key_optional=True, host="api.openai.com", batches=True),
    "groq": Provider(module="annotator.teachers.groq", help="Groq's own SDK", key="GROQ_API_KEY",
                     model="llama3-70b-8192", host="api.groq.com", batches=True),
}  # fmt: skip

CHAT: Final = tuple(name for name, provider in PROVIDERS.items() if provider.chat)
"""The names of the providers that are asked over HTTP."""


def chat_providers() -> str:
    """Return the names of ``CHAT`` as a phrase."""
    return " or ".join(CHAT)
