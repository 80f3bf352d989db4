"""Any OpenAI-compatible endpoint: vLLM, llama.cpp, Ollama, a gateway, OpenAI itself.

The openai SDK takes ten times the CPU time of plain HTTP, so only the Batch API uses it. Completions are asked for over
HTTP, with the environment variables and headers of the SDK.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Final

from annotator.config.settings import RunConfig
from annotator.teachers.http import HttpConnection

OFFICIAL: Final = "https://api.openai.com/v1"


def connect(config: RunConfig, key: str) -> HttpConnection:
    """Return a connection to the endpoint; nothing is sent yet."""
    address = config.base_url or os.environ.get("OPENAI_BASE_URL") or OFFICIAL
    return HttpConnection(address.rstrip("/") + "/", headers(key), config.timeout)


def headers(key: str) -> dict[str, str]:
    """Return the headers of a request, by the variables that the openai SDK reads; names are in lower case."""
    found = {
        "accept": "application/json",
        "content-type": "application/json",
        "user-agent": "vner-annotate",
        "authorization": f"Bearer {key}" if key else "",
        "openai-organization": os.environ.get("OPENAI_ORG_ID", ""),
        "openai-project": os.environ.get("OPENAI_PROJECT_ID", ""),
    }
    for line in os.environ.get("OPENAI_CUSTOM_HEADERS", "").split("\n"):
        name, colon, value = line.partition(":")
        if colon:
            found[name.strip().lower()] = value.strip()
    return {name: value for name, value in found.items() if value}


def list_batches(client: Any) -> Iterable[Any]:
    """Return the account's batches, the newest first, page by page."""
    listing: Iterable[Any] = client.batches.list(limit=100)
    return listing
