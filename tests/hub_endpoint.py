"""The Hugging Face Hub on loopback: the part of its API that publishing needs, and its failures.

Repositories, branches and commits are kept in memory; files of more than a few kilobytes are sent through LFS, those of
more than ``chunk_size`` in several parts, as on the Hub. A ``Fault`` makes requests fail by method and path.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from tests import loopback
from tests.loopback import Loopback
from tests.xet_endpoint import XetStore

GOOD_TOKEN = "hf_goodtokengoodtokengoodtoken"
XET_TOKEN = "xet_goodtoken"
LICENCES = {"unknown", "cc-by-4.0", "apache-2.0", "other"}


@dataclass
class Repository:
    """A dataset: its branches with their files, the newest commits and the commit messages."""

    private: bool = False
    branches: dict[str, dict[str, bytes]] = field(default_factory=lambda: {"main": {".gitattributes": b""}})
    heads: dict[str, str] = field(default_factory=lambda: {"main": "0" * 40})
    messages: list[str] = field(default_factory=list)


@dataclass
class Fault:
    """A failure of the first ``times`` requests that match."""

    method: str
    part: str
    status: int = 0
    """0: the connection is cut after ``after`` bytes of the body. 1: the request is executed, its answer is lost.
    2: there is no answer."""
    body: bytes = b'{"error": "no"}'
    after: int = 0
    times: int = 1000


class Hub(Loopback):
    """Serves the part of the Hub's API that publishing needs, on 127.0.0.1."""

    def __init__(self, chunk_size: int = 0, lfs_above: int = 4096) -> None:
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.faults: list[Fault] = []
        self.requests: Counter[str] = Counter()
        self.stored: Counter[str] = Counter()
        self.xet = XetStore()
        self.chunk_size, self.lfs_above = chunk_size, lfs_above
        self.lock = threading.Lock()
        self.closing = threading.Event()

    def files(self, name: str, branch: str = "main") -> dict[str, bytes]:
        """Return the files of a branch."""
        return self.repositories[name].branches[branch]

    def fault(self, method: str, path: str) -> Fault | None:
        """Return the fault that applies to a request."""
        with self.lock:
            for fault in self.faults:
                if fault.method == method and fault.part in path and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None

    def handler(self) -> type[loopback.Handler]:
        return type("BoundHandler", (Handler,), {"hub": self})

    def stop(self) -> None:
        """Release the requests that get no answer, and stop listening."""
        self.closing.set()
        super().stop()


class Handler(loopback.Handler):
    """Handles the requests of one connection."""

    hub: Hub
    answer_is_lost = False

    def handle_one(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests[f"{self.command} {path}"] += 1
        fault = self.hub.fault(self.command, path)
        length = int(self.headers.get("Content-Length") or 0)
        if fault and not fault.status:
            self.rfile.read(min(length, fault.after))
            self.close_connection = True
            self.connection.shutdown(2)
            return
        body = self.rfile.read(length) if length else self._chunked()
        if fault and fault.status == 2:
            self.hub.closing.wait()
            return
        if fault and fault.status > 1:
            self._send(fault.status, fault.body)
            return
        self.answer_is_lost = fault is not None
        stored = path.startswith(("/store/", "/xet/"))
        if not stored and self.headers.get("Authorization") != f"Bearer {GOOD_TOKEN}":
            self._json({"error": "Invalid username or password."}, 401)
            return
        with self.hub.lock:
            self._answer(path, body)

    do_GET = do_POST = do_PUT = handle_one  # noqa: N815 - names of the standard library

    def _chunked(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return b""
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, path: str, body: bytes) -> None:
        if path == "/api/repos/create":
            self._create(json.loads(body))
        elif path == "/api/validate-yaml":
            self._validate(json.loads(body)["content"])
        elif path.endswith(".git/info/lfs/objects/batch"):
            self._batch(json.loads(body))
        elif path.startswith("/store/"):
            self._store(path.split("/")[2:], body)
        elif path.startswith("/xet/"):
            self._xet(path, body)
        elif path == "/verify":
            asked = json.loads(body)
            right = len(self.hub.objects.get(asked["oid"], b"")) == asked["size"]
            self._json({}, 200 if right else 404)
        elif found := re.fullmatch(
            r"/api/datasets/([^/]+/[^/]+)(?:/(revision|preupload|commit|branch|xet-write-token)/(.+))?", path
        ):
            self._repository(*found.groups(), body)
        elif found := re.fullmatch(r"/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._resolve(*found.groups())
        else:
            self._json({"error": f"not played: {path}"}, 501)

    def _resolve(self, name: str, revision: str, file: str) -> None:
        repository = self.hub.repositories[name]
        branch = next(branch for branch, sha in repository.heads.items() if revision in {branch, sha})
        self._send(200, repository.branches[branch][file])

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked['organization']}/{asked['name']}"
        url = f"{self.hub.url}/datasets/{name}"
        if asked["organization"] == "somebody-else":
            self._json({"error": "You don't have the rights to create a dataset under this namespace"}, 403)
        elif name in self.hub.repositories:
            self._json({"error": "You already created this dataset repo", "url": url}, 409)
        else:
            self.hub.repositories[name] = Repository(private=asked.get("visibility") == "private")
            self._json({"url": url, "name": name})

    def _validate(self, content: str) -> None:
        licence = re.search("^license: (.*)$", content, re.MULTILINE)
        if licence and licence[1] in LICENCES:
            self._json({"warnings": [], "errors": []})
        else:
            self._json({"errors": [{"message": '"license" must be one of [...]'}], "warnings": []}, 400)

    def _repository(self, name: str, what: str | None, branch: str | None, body: bytes) -> None:
        repository = self.hub.repositories.get(name)
        if repository is None:
            self._json({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
        elif what == "branch":
            repository.branches[str(branch)] = dict(repository.branches["main"])
            repository.heads[str(branch)] = repository.heads["main"]
            self._json({})
        elif (branch := branch or "main") not in repository.branches:
            self._json({"error": "Invalid rev id"}, 404, {"X-Error-Code": "RevisionNotFound"})
        elif what == "xet-write-token":
            until = int(time.time()) + 3600
            self._json({"casUrl": f"{self.hub.url}/xet", "accessToken": XET_TOKEN, "exp": until})
        elif what == "preupload":
            self._preupload(repository.branches[branch], json.loads(body))
        elif what == "commit":
            self._commit(repository, branch, [json.loads(line) for line in body.splitlines()])
        else:
            files = [{"rfilename": path} for path in repository.branches[branch]]
            head = {"id": name, "sha": repository.heads[branch], "private": repository.private, "siblings": files}
            self._json({**head, "tags": [], "disabled": False, "gated": False})

    def _preupload(self, files: dict[str, bytes], asked: dict[str, Any]) -> None:
        answers = []
        for file in asked["files"]:
            lfs = file["size"] > self.hub.lfs_above
            there = files.get(file["path"])
            oid = None if there is None else _sha256(there) if lfs else _git_sha1(there)
            mode = "lfs" if lfs else "regular"
            answers.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self._json({"files": answers})

    def _batch(self, asked: dict[str, Any]) -> None:
        objects = []
        for thing in asked["objects"]:
            oid, size = thing["oid"], thing["size"]
            answer: dict[str, Any] = {"oid": oid, "size": size}
            if oid not in self.hub.objects:
                upload: dict[str, Any] = {"href": f"{self.hub.url}/store/{oid}"}
                if self.hub.chunk_size and size > self.hub.chunk_size:
                    parts = -(-size // self.hub.chunk_size)
                    urls = {str(number): f"{self.hub.url}/store/{oid}/{number}" for number in range(1, parts + 1)}
                    upload["header"] = {"chunk_size": str(self.hub.chunk_size), **urls}
                answer["actions"] = {"upload": upload, "verify": {"href": f"{self.hub.url}/verify"}}
            objects.append(answer)
        self._json({"transfer": "multipart" if self.hub.chunk_size else "basic", "objects": objects})

    def _store(self, where: list[str], body: bytes) -> None:
        oid = where[0]
        if len(where) == 2:
            self.hub.parts.setdefault(oid, {})[int(where[1])] = body
            self._send(200, b"", {"ETag": f'"{_sha256(body)}"'})
            return
        if self.command == "POST":  # the last request: all parts were sent
            named = [part["partNumber"] for part in json.loads(body)["parts"]]
            body = b"".join(self.hub.parts[oid][number] for number in named)
        if _sha256(body) == oid:  # a killed client has sent only a part
            self.hub.stored[oid] += 1
            self.hub.objects[oid] = body
        self._json({}, 200 if oid in self.hub.objects else 400)

    def _xet(self, path: str, body: bytes) -> None:
        what = path.removeprefix("/xet/v1/").split("/")
        if self.headers.get("Authorization") != f"Bearer {XET_TOKEN}":
            self._json({"error": "no token of this storage"}, 401)
        elif what[0] == "xorbs" and self.command == "POST":
            self._json({"was_inserted": self.hub.xet.add_xorb(what[-1], body)})
        elif what[0] == "shards" and self.command == "POST":
            for oid, content in self.hub.xet.files(body):
                if _sha256(content) == oid:
                    self.hub.stored[oid] += 1
                    self.hub.objects[oid] = content
            self._json({"result": 1})
        else:
            self._json({"error": f"not known: {path}"}, 404)  # a query for chunks of other datasets: none is known

    def _commit(self, repository: Repository, branch: str, lines: list[dict[str, Any]]) -> None:
        header = lines[0]["value"]
        if header.get("parentCommit", repository.heads[branch]) != repository.heads[branch]:
            self._json({"error": "A commit has happened since. Please refresh and try again."}, 412)
            return
        files = dict(repository.branches[branch])
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        repository.branches[branch] = files
        repository.messages.append(header["summary"])
        oid = hashlib.sha1(f"{branch}{len(repository.messages)}".encode(), usedforsecurity=False).hexdigest()
        repository.heads[branch] = oid
        self._json({"commitUrl": f"{self.hub.url}/datasets/x/y/commit/{oid}", "commitOid": oid, "success": True})

    def _json(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        message = {"X-Error-Message": value["error"]} if status >= 400 and "error" in value else {}
        self._send(status, json.dumps(value).encode(), {**message, **(headers or {})})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        if self.answer_is_lost:
            self.close_connection = True
            self.connection.shutdown(2)
            return
        self.send_head(status, len(body), headers)
        self.wfile.write(body)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _git_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
