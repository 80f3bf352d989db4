"""Two ways to send one request: through an SDK, or straight through aiohttp with what the SDK would send.

The openai SDK costs several times what sending a request costs, which a server of one's own can be too fast for. So for
``openai`` the SDK says where to and with which headers (it reads ``OPENAI_BASE_URL``, ``OPENAI_ORG_ID`` and the like),
and aiohttp sends. The SDK sends itself for ``groq``, and where aiohttp cannot do what the environment asks for.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from annotator.config import RunConfig
from annotator.errors import RetryableError

if TYPE_CHECKING:
    import ssl

PATH: Final = "chat/completions"
_TELEMETRY: Final = "x-stainless-"
"""How the SDK's headers about itself begin."""
_LOGIN: Final = re.compile(r"//[^/\s]*@")
"""User and password in an address, such as a proxy's."""


class Answer(NamedTuple):
    """An HTTP answer of any status."""

    status: int
    headers: Mapping[str, str]
    """Names in any case."""
    body: bytes


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
    import openai

    idle = openai.DefaultAsyncHttpxClient(verify=False, trust_env=False)
    client = openai.AsyncOpenAI(**options, http_client=idle)
    proxy = _proxy(str(client.base_url))
    if proxy.startswith("socks"):
        return ThroughSdk(openai, openai.AsyncOpenAI(**options), config.timeout)
    return Straight(client, config.timeout, proxy)


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
    """aiohttp, with the address and the headers of an SDK client that itself sends nothing."""

    def __init__(self, client: Any, timeout: float, proxy: str) -> None:
        import aiohttp
        from yarl import URL

        self.where = str(client.base_url)
        self._client = client
        self._url = URL(self.where + PATH)
        said = {**client.default_headers, **client.auth_headers, "User-Agent": "vner-annotate"}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=_tls() if self._url.scheme == "https" else True),
            headers={
                name: value
                for name, value in said.items()
                if isinstance(value, str) and not name.lower().startswith(_TELEMETRY)
            },
            timeout=aiohttp.ClientTimeout(total=timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=proxy or None,
        )
        self._failures = (aiohttp.ClientError, OSError)

    async def post(self, body: bytes) -> Answer:
        """Send one request."""
        try:
            response = await self._session.post(self._url, data=body)
            return Answer(
                response.status, response.headers, await response.read()
            )  # read, it gives its connection back
        except TimeoutError as error:
            raise _timed_out(self.where) from error
        except self._failures as error:
            raise _unreachable(self.where, error) from None  # its own words can hold the password of a proxy

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()
        await self._client.close()


def _proxy(url: str) -> str:
    """The proxy for ``url`` that the environment names, if any; chosen as the SDKs choose it."""
    parts, proxies = urlsplit(url), getproxies()
    if proxy_bypass(parts.hostname or ""):
        return ""
    found = proxies.get(parts.scheme) or proxies.get("all") or ""
    return found if not found or "://" in found else f"http://{found}"


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
