"""A real chat-completions endpoint on loopback, which answers, fails and remembers as a test tells it to."""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

CAPITALS = re.compile(r"[A-ZĐ][^\W\d_]*(?: [A-ZĐ][^\W\d_]*)+")


@dataclass(frozen=True)
class Answer:
    """What the endpoint sends for one request."""

    status: int = 200
    body: bytes | None = None
    """Sent as it is; without it a completion with ``content``."""
    content: str | None = "[]"
    finish_reason: str = "stop"
    logprobs: Any = None
    """Sent with the choice where there is something."""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    """Seconds before the first byte."""
    hang_up: bool = False
    """Close the connection without a word."""
    reset: bool = False
    """Reset the connection (RST), likewise."""
    cut: bool = False
    """Close the connection in the middle of the body."""
    pause: float = 0.0
    """Seconds in the middle of the body."""


def echo_entities(passage: str, attempt: int) -> Answer:
    """Every run of capitalised words is a place: a deterministic stand-in for a model."""
    found = dict.fromkeys(CAPITALS.findall(passage))
    return Answer(content=json.dumps([[mention, "LOCATION"] for mention in found], ensure_ascii=False))


class Endpoint:
    """Serves ``POST .../chat/completions`` on 127.0.0.1 in a thread. ``reply(passage, attempt)`` decides."""

    def __init__(self, reply: Callable[[str, int], Answer] = echo_entities, port: int = 0) -> None:
        self.reply = reply
        self.refuse: Callable[[dict[str, Any]], Answer | None] = lambda request: None
        """What is answered to a request whatever its passage, if anything."""
        self.port = port
        self.asked: Counter[str] = Counter()
        self.requests: list[dict[str, Any]] = []
        self.keys: set[str] = set()
        self.headers: list[dict[str, str]] = []
        """Of each request; names in lower case."""
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()

    @property
    def url(self) -> str:
        """What ``--base-url`` wants."""
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                with endpoint._lock:
                    endpoint._connections.add(self.connection)

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                passage = request["messages"][-1]["content"].split("<passage>\n")[-1].split("\n</passage>")[0]
                with endpoint._lock:
                    endpoint.asked[passage] += 1
                    attempt = endpoint.asked[passage]
                    endpoint.requests.append(request)
                    endpoint.keys.add(self.headers.get("Authorization", ""))
                    endpoint.headers.append({name.lower(): value for name, value in self.headers.items()})
                self._send(endpoint.refuse(request) or endpoint.reply(passage, attempt), len(passage))

            def _send(self, answer: Answer, size: int) -> None:
                time.sleep(answer.delay)
                if answer.reset:
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if answer.hang_up or answer.reset:
                    self.close_connection = True
                    return
                body = answer.body
                if body is None:
                    choice = {
                        "index": 0,
                        "message": {"role": "assistant", "content": answer.content},
                        "finish_reason": answer.finish_reason,
                        **({"logprobs": answer.logprobs} if answer.logprobs is not None else {}),
                    }
                    usage = {"prompt_tokens": size, "completion_tokens": 10, "total_tokens": size + 10}
                    body = json.dumps(
                        {"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage}
                    ).encode()
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
                self.send_header("Content-Length", str(len(body)))
                for name, value in answer.headers.items():
                    if name != "Content-Type":
                        self.send_header(name, value)
                self.end_headers()
                half = len(body) // 2
                self.wfile.write(body[:half])
                if answer.cut:
                    self.close_connection = True
                    return
                time.sleep(answer.pause)
                self.wfile.write(body[half:])

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, request: object, client_address: object) -> None:
                pass  # a client that was killed midway is what some tests are about

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Listen no more, and drop every open connection."""
        self._server.shutdown()
        self._server.server_close()
        with self._lock:
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._connections.clear()
