"""The providers: a new one is a module in this package and a line here.

Standard library only: the settings and the command line are made from these lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A provider: its module, and what is needed before the import."""

    module: str
    """A chat provider's module has ``connect``, which returns what ``HttpConnection`` is, and with a Batch API
    ``list_batches``; any other has ``make_teacher``."""
    help: str
    """Description for ``--help``."""
    chat: bool = True
    """Asks a model with a prompt over HTTP."""
    key: str = ""
    """The environment variable that holds the key."""
    key_optional: bool = False
    """No key is needed with ``--base-url``: a server of one's own asks for none."""
    model: str = ""
    """The default model."""
    host: str = ""
    """The host of the provider itself: prices and retirements hold there."""
    batches: bool = False
    """Whether it has a Batch API."""


PROVIDERS: Final[Mapping[str, Provider]] = {
    "local": Provider(module="annotator.teachers.embedded.teacher", help="embedded, no key", chat=False),
    "openai": Provider(module="annotator.teachers.openai", help="any OpenAI-compatible endpoint", key="OPENAI_API_KEY",
                       key_optional=True, host="api.openai.com", batches=True),
    "groq": Provider(module="annotator.teachers.groq", help="Groq's own SDK", key="GROQ_API_KEY",
                     model="llama3-70b-8192", host="api.groq.com", batches=True),
}  # fmt: skip


def chat_providers() -> str:
    """Return the names of the providers that are asked over HTTP, as a phrase."""
    return " or ".join(name for name, provider in PROVIDERS.items() if provider.chat)
