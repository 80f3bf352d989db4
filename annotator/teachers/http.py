"""Send HTTP requests to one address with aiohttp, through the environment's proxy.

Every failure is a ``TeacherError`` or ``ConfigError`` of one line, without a key or the password of a proxy.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from annotator.config.settings import RunConfig
from annotator.errors import ConfigError, TeacherError

if TYPE_CHECKING:
    import ssl

    import aiohttp

PATH: Final = "chat/completions"
_LOGIN: Final = re.compile(r"//[^/\s]*@")
"""User and password in an address, such as a proxy's."""


class Answer(NamedTuple):
    """An HTTP answer of any status."""

    status: int
    headers: Mapping[str, str]
    """A lookup ignores the case of names."""
    body: bytes


class HttpConnection:
    """Sends requests to one address, each in flight over its own connection. Needs a running event loop."""

    def __init__(self, address: str, headers: Mapping[str, str], timeout: float) -> None:
        """Prepare connections; nothing is sent yet.

        Args:
            address: ``http`` or ``https``, without user or password, with a slash at its end.
            headers: sent with each request.
            timeout: seconds from the start of a request to the last byte of its answer.

        Raises:
            ConfigError: the address, a header or the environment's proxy cannot be used.
        """
        import aiohttp
        from multidict import CIMultiDict
        from yarl import URL

        if not all(part.isascii() and part.isprintable() for line in headers.items() for part in line):
            raise ConfigError("a header cannot be sent; see OPENAI_ORG_ID, OPENAI_PROJECT_ID and OPENAI_CUSTOM_HEADERS")
        self.where = address
        self._proxy: URL | None = None
        proxy = proxy_of(address)
        with explained():
            self._url = URL(address + PATH)
            if proxy and not proxy.startswith("socks"):
                self._proxy = URL(proxy)
        options: dict[str, Any] = {"limit": 0}
        if address.startswith("https:"):
            options["ssl"] = tls()
        self._session = aiohttp.ClientSession(
            connector=_socks(proxy, options) if proxy.startswith("socks") else aiohttp.TCPConnector(**options),
            headers=CIMultiDict(headers),
            timeout=aiohttp.ClientTimeout(total=timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def post(self, body: bytes) -> Answer:
        """Ask for a chat completion with a JSON ``body``; the whole answer must arrive within the timeout.

        Raises:
            TeacherError: no answer came (``connection``, ``timeout``).
        """
        import aiohttp

        try:
            async with self._session.post(self._url, data=body, proxy=self._proxy, allow_redirects=False) as response:
                return Answer(response.status, response.headers, await response.read())
        except TimeoutError as error:
            raise no_answer_in_time(self.where) from error
        except aiohttp.ClientHttpProxyError as error:  # the proxy's answer to CONNECT
            return Answer(error.status, error.headers or {}, error.message.encode())
        except aiohttp.ClientProxyConnectionError as error:
            raise _proxy_unreachable(str(self._proxy), error) from None
        except (
            aiohttp.ClientPayloadError,
            aiohttp.ClientResponseError,
            aiohttp.http_exceptions.HttpProcessingError,
        ) as error:
            message = f"{self.where} sent no whole HTTP answer ({_line(error)}); is --base-url right?"
            raise TeacherError(message, kind="connection") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise unreachable(self.where, error) from error
        except Exception as error:
            if type(error).__module__.startswith(("python_socks", "aiohttp_socks")):
                raise _proxy_unreachable(proxy_of(self.where), error) from None
            raise

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


def proxy_of(address: str) -> str:
    """Return the environment's proxy for ``address``; empty for this machine and for hosts in ``NO_PROXY``.

    Raises:
        ConfigError: the proxy cannot be used.
    """
    parts = urlsplit(address)
    host = parts.hostname or ""
    if is_loopback(host) or proxy_bypass(host):
        return ""
    proxies = getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all") or ""
    if not found:
        return ""
    found = found if "://" in found else f"http://{found}"
    with suppress(ValueError):
        proxy = urlsplit(found)
        if proxy.scheme in ("http", "https", "socks4", "socks4a", "socks5", "socks5h") and proxy.hostname:
            _ = proxy.port
            return found
    raise ConfigError(
        f"the environment's proxy for {address} cannot be used; see HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, "
        "or name the host in NO_PROXY"
    )


def is_loopback(host: str) -> bool:
    """Return whether ``host`` is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def client_options(config: RunConfig, key: str, make_client: Any) -> dict[str, Any]:
    """Return the options of an SDK's client; ``make_client`` makes its HTTP client."""
    options: dict[str, Any] = {"api_key": key or "none", "timeout": config.timeout}  # the SDKs require a key
    if config.base_url:
        options["base_url"] = config.base_url
        if not proxy_of(config.base_url):
            # By default the SDK uses ALL_PROXY for this machine too; ``verify`` keeps the environment's certificates.
            options["http_client"] = make_client(trust_env=False, verify=tls())
    return options


@contextmanager
def explained() -> Iterator[None]:
    """Raise a ``ConfigError`` in place of an error of making a client, whose message can repeat a key or a password."""
    try:
        yield
    except ImportError as error:
        raise ConfigError(
            f"the environment names a proxy that needs the package {error.name or 'socksio'}; install it, "
            "or name the endpoint's host in NO_PROXY"
        ) from None
    except ValueError:
        raise ConfigError(
            "the address or the environment's proxy cannot be used; see --base-url, HTTP_PROXY, HTTPS_PROXY, ALL_PROXY"
        ) from None


def tls() -> ssl.SSLContext:
    """Return the certificates that the SDKs trust."""
    from httpx2 import create_ssl_context

    return create_ssl_context()


def no_answer_in_time(where: str) -> TeacherError:
    """Return the error of a request that had no answer within ``--timeout``."""
    return TeacherError(f"no answer in time from {where}; see --timeout", kind="timeout")


def unreachable(where: str, error: BaseException) -> TeacherError:
    """Return the error of an endpoint that did not answer, with the deepest cause of ``error``."""
    return TeacherError(
        f"cannot reach {where} ({_line(error)}); is the server running, and --base-url right?", kind="connection"
    )


def _proxy_unreachable(proxy: str, error: BaseException) -> TeacherError:
    parts = urlsplit(proxy)
    return TeacherError(
        f"cannot reach the proxy {parts.scheme}://{parts.hostname}:{parts.port} ({_line(error)}); "
        "see HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY",
        kind="connection",
    )


def _socks(proxy: str, options: Mapping[str, Any]) -> aiohttp.BaseConnector:
    try:
        from aiohttp_socks import ProxyConnector
    except ImportError:
        raise ConfigError(
            "the environment names a SOCKS proxy, which needs another package: pip install '.[socks]', "
            "or name the endpoint's host in NO_PROXY"
        ) from None
    scheme, rest = proxy.split("://", 1)
    rdns = scheme in ("socks4a", "socks5h")  # by these the proxy looks up the host
    connector: aiohttp.BaseConnector = ProxyConnector.from_url(f"{scheme.rstrip('ah')}://{rest}", rdns=rdns, **options)
    return connector


def _line(error: BaseException) -> str:
    """Return the message of the deepest cause, on one line, without a login."""
    cause = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    return _LOGIN.sub("//", " ".join(str(cause).split())) or type(cause).__name__
