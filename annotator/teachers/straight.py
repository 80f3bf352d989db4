"""POST to one address over HTTP/1.1, with the least work for each request.

An endpoint in one's own network answers faster than a general client can ask. This one does what a chat completion
needs (RFC 9112) and no more: connections are kept, each is asked one question at a time, and llhttp, by way of
httptools, reads the answers. There are no redirects, cookies, proxies or compression.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from typing import Final, NamedTuple, cast
from urllib.parse import quote, urlsplit

import httptools
from aiohappyeyeballs import start_connection

KEPT: Final = 15.0
"""Seconds after which an idle connection is not asked again: whoever stands between may have forgotten it."""


DELAY: Final = 0.25
"""Seconds an address of the host has before the next one is tried beside it (RFC 8305)."""


class Answer(NamedTuple):
    """An HTTP answer of any status."""

    status: int
    headers: Mapping[str, str]
    """By names in lower case, or in any case."""
    body: bytes


class Client:
    """Sends to one address over as many connections as there are requests at once."""

    def __init__(self, url: str, headers: Mapping[str, str], timeout: float, tls: ssl.SSLContext | None) -> None:
        """Nothing is sent yet.

        Args:
            url: the address, ``http`` or ``https``, without user or password.
            headers: what to send with each request, beside ``Host`` and what describes the body.
            timeout: seconds from the start of a request to the last byte of its answer.
            tls: what to trust; for ``https`` only.

        Raises:
            ValueError: the address or a header cannot be sent.
        """
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls, self._timeout = tls, timeout
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
        lines = [f"POST {path} HTTP/1.1", f"host: {parts.netloc.encode('idna').decode()}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if any(not line.isprintable() for line in lines):
            raise ValueError("a header has letters that do not print")
        self._head = "\r\n".join([*lines, "content-length: "]).encode("latin-1")
        self._idle: list[_Wire] = []

    async def post(self, body: bytes) -> Answer:
        """Send ``body``, wait for the whole answer.

        Raises:
            TimeoutError: it is not there in time.
            OSError: there is no connection, it broke, or what came is no HTTP answer.
        """
        async with asyncio.timeout(self._timeout):
            wire = await self._wire()
            try:
                answer = await wire.ask(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
            except BaseException:
                wire.close()
                raise
        if wire.open:
            self._idle.append(wire)
        else:
            wire.close()
        return answer

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    async def _wire(self) -> _Wire:
        loop = asyncio.get_running_loop()
        while self._idle:  # the last one first: the others grow old, and are let go
            wire = self._idle.pop()
            if wire.open and loop.time() - wire.asked < KEPT:
                return wire
            wire.close()
        found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        reached = await start_connection(found, happy_eyeballs_delay=DELAY)
        name = self._host if self._tls else None
        try:
            _, wire = await loop.create_connection(_Wire, sock=reached, ssl=self._tls, server_hostname=name)
        except BaseException:
            reached.close()
            raise
        return wire


class _Wire(asyncio.Protocol):
    """One connection: a question, its answer, the next question."""

    def __init__(self) -> None:
        self.open = True
        self.asked = 0.0
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._waiting: asyncio.Future[Answer] | None = None
        self._transport: asyncio.Transport
        self._clear()

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        """Send a whole request; its answer comes."""
        self.asked = self._loop.time()
        self._waiting = self._loop.create_future()
        if self.open:
            self._transport.write(request)
        else:
            self._fail(ConnectionResetError("the connection was closed"))
        return self._waiting

    def close(self) -> None:
        """Drop the connection and whatever is on its way."""
        self.open = False
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(ConnectionError(f"what came is no HTTP answer: {error}"))
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.open = False
        if self._to_the_end and error is None:
            self.on_message_complete()
        elif isinstance(error, OSError):
            self._fail(error)
        else:
            self._fail(ConnectionResetError("the connection was closed before the answer was whole"))

    # What llhttp found

    def on_message_begin(self) -> None:
        self._clear()
        if self._waiting is None:  # nobody asked
            self.open = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._to_the_end = not {"content-length", "transfer-encoding"} & self._headers.keys()

    def on_body(self, part: bytes) -> None:
        self._parts.append(part)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        self._to_the_end = False
        if status < 200:  # the answer itself is still to come
            return
        self.open = self.open and self._parser.should_keep_alive()
        if self._waiting and not self._waiting.done():
            self._waiting.set_result(Answer(status, self._headers, b"".join(self._parts)))
        self._waiting = None

    def _clear(self) -> None:
        self._headers: dict[str, str] = {}
        self._parts: list[bytes] = []
        self._to_the_end = False

    def _fail(self, error: OSError) -> None:
        if self._waiting and not self._waiting.done():
            self._waiting.set_exception(error)
        self._waiting = None
