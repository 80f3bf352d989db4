"""Parameters of a request that an endpoint wants under another name.

OpenAI's reasoning models refuse ``max_tokens`` and name ``max_completion_tokens`` in its place. A question and its key
stay as they are; only what is sent changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MAX_TOKENS: Final = "max_tokens"
SUCCESSOR: Final = "max_completion_tokens"


def other_names(refusal: str) -> dict[str, str]:
    """Return the parameters to send under another name, by what a 400 says; empty where it is about something else."""
    return {MAX_TOKENS: SUCCESSOR} if MAX_TOKENS in refusal and SUCCESSOR in refusal else {}


def renamed(body: bytes, sent_as: Mapping[str, str]) -> bytes:
    """Return a JSON body with parameters under the names in ``sent_as``."""
    for name, other in sent_as.items():  # in a text these quotes would be escaped
        body = body.replace(f'"{name}":'.encode(), f'"{other}":'.encode())
    return body
