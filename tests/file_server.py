"""A folder on loopback: as a web server with byte ranges, and as a dataset on the Hub.

Counts requests and bytes; ``faults`` makes requests fail.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests import loopback
from tests.loopback import Loopback

COMMIT = "c" * 40


@dataclass
class FileServer(Loopback):
    """Serves ``root`` on 127.0.0.1."""

    root: Path
    has_ranges: bool = True
    faults: list[int | None] = field(default_factory=list)
    """Failures of the next requests: an HTTP status, or None for half of the answer and a cut connection."""
    requests: list[str] = field(default_factory=list)
    bytes_sent: int = 0
    commit: str = COMMIT
    """The newest commit of the dataset."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def handler(self) -> type[loopback.Handler]:
        return type("BoundHandler", (Handler,), {"files": self})


class Handler(loopback.Handler):
    """Handles the requests of one connection."""

    files: FileServer

    def answer(self) -> None:
        path, query = unquote(urlsplit(self.path).path), parse_qs(urlsplit(self.path).query)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.files.lock:
            self.files.requests.append(f"{self.command} {path}")
            fault = self.files.faults.pop(0) if self.files.faults else 0
        if fault:
            self._send(fault, b"no")
        elif hub := re.fullmatch(r"/api/datasets/org/name(?:/(revision|tree|paths-info)/[^/]+)?/?(.*)", path):
            self._hub(*hub.groups(), query, body)
        elif resolved := re.fullmatch(r"/datasets/org/name/resolve/[^/]+/(.+)", path):
            self._file(self.files.root / resolved[1], cut=fault is None)
        else:
            self._file(self.files.root / path.lstrip("/"), cut=fault is None)

    do_GET = do_HEAD = do_POST = answer  # noqa: N815 - names of the standard library

    def _hub(self, what: str | None, path: str, query: dict[str, list[str]], body: bytes) -> None:
        root = self.files.root
        if what == "tree":
            recursive = query.get("recursive", ["false"])[0].lower() == "true"
            folder = root / path
            if not folder.is_dir():
                self._json({"error": "no such path"}, 404, {"X-Error-Code": "EntryNotFound"})
                return
            self._json([self._entry(entry) for entry in sorted(folder.glob("**/*" if recursive else "*"))])
        elif what == "paths-info":
            asked = json.loads(body)["paths"] if body.startswith(b"{") else parse_qs(body.decode())["paths"]
            self._json([self._entry(root / name) for name in asked if name and (root / name).exists()])
        else:
            siblings = [{"rfilename": file.relative_to(root).as_posix()} for file in root.glob("**/*")]
            head = {"id": "org/name", "sha": self._commit(), "private": False, "siblings": siblings}
            self._json({**head, "tags": [], "disabled": False, "gated": False})

    def _commit(self) -> str:
        """Return the commit that a request names, or the newest."""
        named = re.search(r"/(?:revision|resolve)/([0-9a-f]{40})", self.path)
        return named[1] if named else self.files.commit

    def _entry(self, path: Path) -> dict[str, Any]:
        kind = "directory" if path.is_dir() else "file"
        oid = hashlib.sha256(path.name.encode()).hexdigest()[:40]
        size = path.stat().st_size if path.is_file() else 0
        return {"type": kind, "oid": oid, "size": size, "path": path.relative_to(self.files.root).as_posix()}

    def _file(self, path: Path, *, cut: bool) -> None:
        if path.is_dir():
            links = "".join(f'<a href="{entry.name}">{entry.name}</a>\n' for entry in sorted(path.iterdir()))
            self._send(200, links.encode(), {"Content-Type": "text/html"})
            return
        if not path.is_file():
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        content = path.read_bytes()
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": self._commit()}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked and self.files.has_ranges:
            start, end = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
            headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
            self._send(206, content[start : end + 1], headers, cut=cut)
        else:
            self._send(200, content, headers, cut=cut)

    def _json(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(value).encode(), headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None, *, cut: bool = False) -> None:
        self.send_head(status, len(body), headers)
        if self.command != "HEAD":
            sent = body[: len(body) // 2] if cut else body
            with self.files.lock:
                self.files.bytes_sent += len(sent)
            self.wfile.write(sent)
        if cut:
            self.close_connection = True
            self.connection.shutdown(2)
