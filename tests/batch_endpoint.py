"""The Batch API of OpenAI and Groq on loopback; a batch ends when the test ends it."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests import loopback
from tests.endpoint import completion, echo_entities, usage_of
from tests.loopback import Loopback

Line = dict[str, Any]


def answered(request: Line, content: str | None = None) -> Line:
    """Return a line of the output file: the answer ``content``, by default that of ``echo_entities``."""
    passage = passage_of(request)
    content = echo_entities(passage, 1).content if content is None else content
    body = completion({"content": content}, usage=usage_of(passage))
    return {"custom_id": request["custom_id"], "response": {"status_code": 200, "body": body}, "error": None}


def refused(request: Line, status: int = 400, message: str = "context length exceeded") -> Line:
    """Return a line of the error file for a request that was refused."""
    body = {"error": {"message": message, "type": "invalid_request_error"}}
    return {"custom_id": request["custom_id"], "response": {"status_code": status, "body": body}, "error": None}


def too_late(request: Line) -> Line:
    """Return a line of the error file for a request that was not made before the batch expired."""
    error = {"code": "batch_expired", "message": "This request could not be executed in time."}
    return {"custom_id": request["custom_id"], "response": None, "error": error}


def passage_of(request: Line) -> str:
    """Return the passage that a request asks about."""
    content: str = request["body"]["messages"][-1]["content"]
    return content.partition("<passage>\n")[2].rpartition("\n</passage>")[0]


class BatchEndpoint(Loopback):
    """Serves ``.../files`` and ``.../batches`` on 127.0.0.1, and records its requests and files."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.seen: list[str] = []
        """``METHOD kind`` of each request."""
        self.faults: dict[str, deque[tuple[int, bytes]]] = {}
        """Failures to send in place of the next answers, by ``METHOD kind``."""
        self.cut: int | None = None
        """Bytes after which the next download is cut."""
        self.reached = threading.Event()
        self.hold: dict[str, threading.Event] = {}
        """A request of this kind is executed and sets ``reached``; its answer waits for the event."""
        self.page = 100

    def requests(self, batch_id: str) -> list[Line]:
        """Return the requests of a batch."""
        data = self.files[self.batches[batch_id]["input_file_id"]]
        return [json.loads(line) for line in data.decode("utf-8").split("\n") if line]

    def finish(
        self,
        decide: Callable[[Line], Line | None] = answered,
        *,
        status: str = "completed",
        extra: bytes = b"",
        batch_id: str = "",
    ) -> None:
        """End a batch, by default the newest: ``decide`` returns the line for each request, or None."""
        batch_id = batch_id or list(self.batches)[-1]
        lines = [line for request in reversed(self.requests(batch_id)) if (line := decide(request))]
        good = [line for line in lines if (line["response"] or {}).get("status_code") == 200]
        bad = [line for line in lines if line not in good]
        batch = self.batches[batch_id]
        batch["status"] = status
        batch["request_counts"] |= {"completed": len(good), "failed": len(bad)}
        for name, part in (("output_file_id", good), ("error_file_id", bad)):
            if part:
                batch[name] = self._keep(
                    b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in part) + extra
                )

    def fail(self, message: str) -> None:
        """Fail the newest batch."""
        batch = self.batches[list(self.batches)[-1]]
        batch["status"] = "failed"
        batch["errors"] = {"object": "list", "data": [{"code": "x", "message": message, "line": None, "param": None}]}

    def _keep(self, data: bytes) -> str:
        name = f"file-{len(self.files) + 1}"
        self.files[name] = data
        return name

    def _order(self, asked: Line) -> dict[str, Any]:
        name = f"batch_{len(self.batches) + 1}"
        total = self.files[asked["input_file_id"]].count(b"\n")
        counts = {"total": total, "completed": 0, "failed": 0}
        self.batches[name] = {"id": name, "object": "batch", "created_at": 1, **asked}
        self.batches[name] |= {"status": "validating", "request_counts": counts, "errors": None}
        self.batches[name] |= {"output_file_id": None, "error_file_id": None}
        return self.batches[name]

    def _listing(self, query: dict[str, list[str]]) -> dict[str, Any]:
        newest = list(reversed(self.batches.values()))
        after = query.get("after", [""])[0]
        start = next((place + 1 for place, batch in enumerate(newest) if batch["id"] == after), 0)
        page = newest[start : start + self.page]
        return {"object": "list", "data": page, "has_more": start + self.page < len(newest)}

    def handler(self) -> type[loopback.Handler]:
        endpoint = self

        class Handler(loopback.Handler):
            def do_POST(self) -> None:  # noqa: N802 - a name of the standard library
                data = self.rfile.read(int(self.headers["Content-Length"]))
                if self._kind() == "files":
                    self._answer(lambda: endpoint._uploaded(data, self.headers["Content-Type"]))
                else:
                    self._answer(lambda: endpoint._order(json.loads(data)))

            def do_GET(self) -> None:  # noqa: N802 - a name of the standard library
                url = urlsplit(self.path)
                *_, before, last = url.path.split("/")
                if last == "content":
                    self._answer(lambda: endpoint.files[before])
                elif last == "batches":
                    self._answer(lambda: endpoint._listing(parse_qs(url.query)))
                else:
                    self._answer(lambda: endpoint.batches[last])

            def _kind(self) -> str:
                parts = urlsplit(self.path).path.split("/")
                return "content" if parts[-1] == "content" else "files" if "files" in parts else "batches"

            def _answer(self, make: Callable[[], Any]) -> None:
                kind = f"{self.command} {self._kind()}"
                endpoint.seen.append(kind)
                if faults := endpoint.faults.get(kind):
                    self._send(*faults.popleft())
                    return
                try:
                    made = make()
                except KeyError:
                    self._send(404, b'{"error": {"message": "no such thing"}}')
                    return
                if held := endpoint.hold.get(kind):
                    endpoint.reached.set()
                    held.wait(600)
                self._send(200, made if isinstance(made, bytes) else json.dumps(made).encode())

            def _send(self, status: int, body: bytes) -> None:
                self.send_head(status, len(body))
                if self._kind() == "content" and endpoint.cut is not None:
                    body, endpoint.cut, self.close_connection = body[: endpoint.cut], None, True
                self.wfile.write(body)

        return Handler

    def stop(self) -> None:
        """Release the requests that are held, and stop listening."""
        for held in self.hold.values():
            held.set()
        super().stop()

    def _uploaded(self, data: bytes, content_type: str) -> dict[str, Any]:
        form = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + data)
        parts = {part.get_param("name", header="content-disposition"): part for part in form.iter_parts()}  # type: ignore[attr-defined]
        assert parts["purpose"].get_content().strip() == "batch"
        file = parts["file"].get_payload(decode=True)
        return {
            "id": self._keep(file), "object": "file", "bytes": len(file), "created_at": 1,
            "filename": parts["file"].get_filename(), "purpose": "batch", "status": "processed",
        }  # fmt: skip
