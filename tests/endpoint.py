"""A chat-completions endpoint on loopback that answers, or fails, as a test demands, and records its requests."""

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
from dataclasses import dataclass, field, replace
from typing import Any

from tests import loopback
from tests.loopback import Loopback

CAPITALS = re.compile(r"[A-ZĐ][^\W\d_]*(?: [A-ZĐ][^\W\d_]*)+")


@dataclass(frozen=True)
class Answer:
    """What the endpoint sends for one request."""

    status: int = 200
    body: bytes | None = None
    """The whole body; None: a completion with ``content``."""
    content: str | None = "[]"
    finish_reason: str = "stop"
    logprobs: Any = None
    """The log probabilities of the choice, or None."""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    """Seconds before the first byte."""
    hang_up: bool = False
    """Close the connection without a response."""
    reset: bool = False
    """Reset the connection (RST) without a response."""
    cut: bool = False
    """Close the connection in the middle of the body."""
    pause: float = 0.0
    """Seconds in the middle of the body."""


def completion(message: dict[str, Any], finish_reason: str | None = "stop", **more: Any) -> dict[str, Any]:
    """Return the body of a chat completion around ``message``; ``more`` are further fields, such as ``usage``."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}
    return {"id": "x", "object": "chat.completion", "choices": [choice], **more}


def usage_of(passage: str) -> dict[str, int]:
    """Return the usage of an answer about ``passage``."""
    return {"prompt_tokens": len(passage), "completion_tokens": 10, "total_tokens": len(passage) + 10}


def echo_entities(passage: str, attempt: int) -> Answer:
    """Predict every run of capitalised words as a place: a deterministic stand-in for a model."""
    found = dict.fromkeys(CAPITALS.findall(passage))
    return Answer(content=json.dumps([[mention, "LOCATION"] for mention in found], ensure_ascii=False))


def delayed(seconds: float, reply: Callable[[str, int], Answer] = echo_entities) -> Callable[[str, int], Answer]:
    """Return ``reply`` with a delay before its answers."""
    return lambda passage, attempt: replace(reply(passage, attempt), delay=seconds)


class Endpoint(Loopback):
    """Serves ``POST .../chat/completions`` on 127.0.0.1; ``reply(passage, attempt)`` gives each response."""

    def __init__(self, reply: Callable[[str, int], Answer] = echo_entities, port: int = 0) -> None:
        self.reply = reply
        self.refuse: Callable[[dict[str, Any]], Answer | None] = lambda request: None
        """Returns the response to a request whatever its passage, or None for ``reply``."""
        self.port = port
        self.asked: Counter[str] = Counter()
        self.requests: list[dict[str, Any]] = []
        self.keys: set[str] = set()
        self.headers: list[dict[str, str]] = []
        """The headers of each request; names in lower case."""
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()

    @property
    def url(self) -> str:
        """The address for ``--base-url``."""
        return self.address("openai")

    def handler(self) -> type[loopback.Handler]:
        endpoint = self

        class Handler(loopback.Handler):
            def setup(self) -> None:
                super().setup()
                with endpoint._lock:
                    endpoint._connections.add(self.connection)

            def do_POST(self) -> None:  # noqa: N802 - a name of the standard library
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                passage = request["messages"][-1]["content"].split("<passage>\n")[-1].split("\n</passage>")[0]
                with endpoint._lock:
                    endpoint.asked[passage] += 1
                    attempt = endpoint.asked[passage]
                    endpoint.requests.append(request)
                    endpoint.keys.add(self.headers.get("Authorization", ""))
                    endpoint.headers.append({name.lower(): value for name, value in self.headers.items()})
                self._send(endpoint.refuse(request) or endpoint.reply(passage, attempt), usage_of(passage))

            def _send(self, answer: Answer, usage: dict[str, int]) -> None:
                time.sleep(answer.delay)
                if answer.reset:
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if answer.hang_up or answer.reset:
                    self.close_connection = True
                    return
                body = answer.body
                if body is None:
                    found = completion({"content": answer.content}, answer.finish_reason, usage=usage)
                    if answer.logprobs is not None:
                        found["choices"][0]["logprobs"] = answer.logprobs
                    body = json.dumps(found).encode()
                self.send_head(answer.status, len(body), answer.headers)
                half = len(body) // 2
                self.wfile.write(body[:half])
                if answer.cut:
                    self.close_connection = True
                    return
                time.sleep(answer.pause)
                self.wfile.write(body[half:])

        return Handler

    def stop(self) -> None:
        """Stop listening, and close every open connection."""
        super().stop()
        with self._lock:
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._connections.clear()
