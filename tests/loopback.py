"""The base of the test servers: HTTP on loopback, in a thread."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


class Handler(BaseHTTPRequestHandler):
    """Handles the requests of one connection, without a log."""

    protocol_version = "HTTP/1.1"

    def send_head(self, status: int, length: int, headers: Mapping[str, str] | None = None) -> None:
        """Send the status and the headers of a response, by default one of JSON."""
        self.send_response(status)
        head = {"Content-Type": "application/json", "Content-Length": str(length), **(headers or {})}
        for name, value in head.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # some tests kill a client during a request


class Loopback:
    """Serves on 127.0.0.1 while the context is open."""

    port = 0
    """0: any free port."""

    def handler(self) -> type[Handler]:
        """Return the class that handles requests to this server."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        """The address of the server, without a path."""
        return f"http://127.0.0.1:{self.port}"

    def address(self, provider: str) -> str:
        """Return the address for ``--base-url``; Groq's SDK adds ``/openai/v1`` itself."""
        return f"http://127.0.0.1:{self.port}" + ("/v1" if provider == "openai" else "")

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", self.port), self.handler())
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
