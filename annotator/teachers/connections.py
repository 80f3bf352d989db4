"""Two ways to send one request: through an SDK, or straight, with what the SDK would send.

To import the openai SDK takes half a second of computing and thirty megabytes, and each request several times what
sending it costs, which a server of one's own can be too fast for. So for ``openai`` the SDK's variables are read here
(``OPENAI_BASE_URL``, ``OPENAI_ORG_ID`` and the like) and ``annotator.teachers.straight`` sends. The SDK sends itself
for ``groq``, and where a proxy stands between.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from annotator.config import RunConfig
from annotator.errors import ConfigError, RetryableError
from annotator.teachers.straight import Answer, Client

if TYPE_CHECKING:
    import ssl

PATH: Final = "chat/completions"
OPENAI: Final = "https://api.openai.com/v1"
_LOGIN: Final = re.compile(r"//[^/\s]*@")
"""User and password in an address, such as a proxy's."""


class Connection(Protocol):
    """Sends requests to one endpoint."""

    @property
    def where(self) -> str:
        """The address, for a person."""
        ...

    async def post(self, body: bytes) -> Answer:
        """Ask for a chat completion with a JSON ``body``; the whole answer must be there within the timeout.

        Raises:
            RetryableError: no answer came (``connection``, ``timeout``).
        """
        ...

    async def close(self) -> None:
        """Close what is open."""
        ...


def connect(config: RunConfig, key: str) -> Connection:
    """The connection that suits the provider and the environment. Nothing is sent yet."""
    options: dict[str, Any] = {
        "api_key": key or "none",  # the SDK insists on some
        "max_retries": 0,
        "timeout": config.timeout,
    }
    if config.base_url:
        options["base_url"] = config.base_url
    if config.provider == "groq":
        import groq

        return ThroughSdk(groq, groq.AsyncGroq(**options), config.timeout)
    address = config.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI
    if not _proxied(address):
        return Straight(address.rstrip("/") + "/", headers(key), config.timeout)
    import openai

    return ThroughSdk(openai, openai.AsyncOpenAI(**options), config.timeout)


def headers(key: str) -> dict[str, str]:
    """What goes with each request, by the variables of the environment that the openai SDK reads; lower-case names."""
    said = {
        "accept": "application/json",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "user-agent": "vner-annotate",
        "authorization": f"Bearer {key}" if key else "",
        "openai-organization": os.environ.get("OPENAI_ORG_ID", ""),
        "openai-project": os.environ.get("OPENAI_PROJECT_ID", ""),
    }
    for line in os.environ.get("OPENAI_CUSTOM_HEADERS", "").split("\n"):
        name, colon, value = line.partition(":")
        if colon:
            said[name.strip().lower()] = value.strip()
    return {name: value for name, value in said.items() if value}


class ThroughSdk:
    """The SDK's own client. openai's and groq's come from one generator and name their errors alike."""

    def __init__(self, sdk: Any, client: Any, timeout: float) -> None:
        self.where = str(client.base_url)
        self._sdk, self._client, self._timeout = sdk, client, timeout

    async def post(self, body: bytes) -> Answer:
        """Send one request."""
        sdk = self._sdk
        try:
            async with asyncio.timeout(self._timeout):  # the SDK's own is for each read
                raw = await self._client.chat.completions.with_raw_response.create(**json.loads(body))
            response = raw.http_response
        except sdk.APIStatusError as error:
            response = error.response
        except (TimeoutError, sdk.APITimeoutError) as error:
            raise _timed_out(self.where) from error
        except sdk.APIConnectionError as error:
            raise _unreachable(self.where, error) from error
        return Answer(response.status_code, response.headers, response.content)

    async def close(self) -> None:
        """Close the SDK's client."""
        await self._client.close()


class Straight:
    """Our own client."""

    def __init__(self, address: str, headers: Mapping[str, str], timeout: float) -> None:
        self.where = address
        tls = _tls() if address.startswith("https:") else None
        try:
            self._client = Client(address + PATH, headers, timeout, tls)
        except ValueError:  # its words can repeat a key
            raise ConfigError(
                "the address or a header cannot be sent; see --base-url, OPENAI_BASE_URL, OPENAI_ORG_ID, "
                "OPENAI_PROJECT_ID and OPENAI_CUSTOM_HEADERS"
            ) from None

    async def post(self, body: bytes) -> Answer:
        """Send one request."""
        try:
            return await self._client.post(body)
        except TimeoutError as error:
            raise _timed_out(self.where) from error
        except OSError as error:
            raise _unreachable(self.where, error) from error

    async def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _proxied(url: str) -> bool:
    """Whether the environment names a proxy for ``url``, as the SDKs read it."""
    parts, proxies = urlsplit(url), getproxies()
    return not proxy_bypass(parts.hostname or "") and bool(proxies.get(parts.scheme) or proxies.get("all"))


def _tls() -> ssl.SSLContext:
    """The certificates that the SDK trusts: those of the HTTP library it is made on."""
    try:
        from httpx2 import create_ssl_context
    except ImportError:  # openai below 3
        from httpx import create_ssl_context
    return create_ssl_context()


def _timed_out(where: str) -> RetryableError:
    return RetryableError(f"no answer in time from {where}; see --timeout", kind="timeout")


def _unreachable(where: str, error: BaseException) -> RetryableError:
    cause = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    said = _LOGIN.sub("//", " ".join(str(cause).split())) or type(cause).__name__
    return RetryableError(
        f"cannot reach {where} ({said}); is the server running, and --base-url right?", kind="connection"
    )
