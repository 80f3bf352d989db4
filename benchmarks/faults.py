"""How much longer a run takes with faults of the endpoint, each alone and all together.

    python benchmarks/faults.py [--passages 2000] [--latency 0.1] [--concurrency 64] [--timeout 2] [--rounds 1]
                                [--only NAME,NAME]

An endpoint in its own process answers after --latency seconds. A share of the passages (--share) meets the fault at the
first try and is answered at the second; a cut answer and a refusal are answers, which must not be asked for again.
"all at once" is the list of faults that the project promises to handle (LISTED), each for that share; "all retried at
once" is harder: each of its faults needs a retry. Every round times each case once, after one without faults; figures
are medians of the rounds, "times" that of each round's ratio to the time without faults. "At best" is the lower bound
for any client: every request, answered or not, occupies one of --concurrency connections for --latency. "Repeated"
counts good answers that were sent more than once.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.annotate import Answering, passages

JSON, HTML = "application/json", "text/html"
FAULTS: dict[str, tuple[int, str, bytes] | str] = {
    "429 with Retry-After": (429, f"{JSON}\r\nRetry-After: 0.2", b"{}"),
    "429 without": (429, JSON, b"{}"),
    "500": (500, JSON, b"{}"),
    "503": (503, HTML, b"<html>busy</html>"),
    "connection reset": "reset",
    "hung up": "hang up",
    "time-out": "silence",
    "slow body": "slow",
    "cut-off body": "cut",
    "truncated JSON": (200, JSON, b'{"choices": [{"message": {"content": "[["}}'),
    "empty content": (200, JSON, b'{"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]}'),
    "content null": (200, JSON, b'{"choices": [{"message": {"content": null}, "finish_reason": "stop"}]}'),
    "no JSON": (200, "text/plain", b"OK"),
    "HTML page": (200, HTML, b"<html>sorry</html>"),
    "200 with an error": (200, JSON, b'{"error": {"message": "overloaded", "code": 500}}'),
    "invalid UTF-8": (200, JSON, b'{"choices": [{"message": {"content": "\xff\xfe"}, "finish_reason": "stop"}]}'),
}
"""Status, content type and body, or a failure of the connection. Each is retried."""
KEPT: dict[str, tuple[int, str, bytes]] = {
    "cut by length": (200, JSON, b'{"choices": [{"message": {"content": "[["}, "finish_reason": "length"}]}'),
    "refusal": (200, JSON, b'{"choices": [{"message": {"content": null, "refusal": "no"}, "finish_reason": "stop"}]}'),
}
"""Answers that a retry would not change."""
LISTED = [name for name in [*FAULTS, *KEPT] if name not in ("hung up", "cut-off body")]
"""429 with and without Retry-After, 500, 503, connection reset, time-out, slow body, truncated JSON, empty content,
finish_reason=length, refusal, content=null, wrong content type, HTML error page, 200 with an error, invalid UTF-8."""
WAITING = ("time-out", "slow body")
"""Faults that hold a request until --timeout."""


class State:
    """What the endpoint has to do, and its counts."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.share, self.latency = 0.05, 0.1
        self.tries: Counter[bytes] = Counter()
        self.good: Counter[bytes] = Counter()

    def fault_of(self, body: bytes) -> str:
        """Return the fault of this request, if any."""
        key = hashlib.sha256(body).digest()
        self.tries[key] += 1
        place = int.from_bytes(key[:4], "big") / 2**32 / self.share
        if self.tries[key] == 1 and place < len(self.faults):
            fault = self.faults[int(place)]
            self.good[key] += fault in KEPT
            return fault
        self.good[key] += 1
        return ""


class Misbehaving(Answering):
    """Answers or fails, as the settings demand."""

    def __init__(self, state: State) -> None:
        super().__init__(state.latency)
        self.state = state

    def respond(self, head: bytes, body: bytes) -> None:
        """Answer a request, or fail."""
        state = self.state
        if head.startswith(b"put"):
            state.__init__()  # type: ignore[misc]
            vars(state).update(json.loads(body))
            return self._send(200, JSON, b"{}")
        if head.startswith(b"get"):
            counted = {"requests": state.tries.total(), "repeated": sum(n > 1 for n in state.good.values())}
            return self._send(200, JSON, json.dumps(counted).encode())
        fault = state.fault_of(body)
        asyncio.get_running_loop().call_later(state.latency, self._misbehave, {**FAULTS, **KEPT}.get(fault))
        return None

    def _misbehave(self, fault: tuple[int, str, bytes] | str | None) -> None:
        if fault is None:
            self.transport.write(self.answer)
        elif isinstance(fault, tuple):
            self._send(*fault)
        elif fault in ("slow", "cut"):
            self.transport.write(self.answer[:-20])
        if fault in ("hang up", "cut"):
            self.transport.close()
        elif fault == "reset":
            wire = self.transport.get_extra_info("socket")
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()

    def _send(self, status: int, kind: str, body: bytes) -> None:
        head = f"HTTP/1.1 {status} x\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        self.transport.write(head.encode() + body)


def serve() -> None:
    """Serve on a free port of 127.0.0.1, which is printed, until killed."""

    async def forever() -> None:
        state, loop = State(), asyncio.get_running_loop()
        server = await loop.create_server(lambda: Misbehaving(state), "127.0.0.1", 0, backlog=2048)
        print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
        await server.serve_forever()

    asyncio.run(forever())


def tell(url: str, method: str, what: object = None) -> Any:
    """Send a control request to the endpoint."""
    request = urllib.request.Request(url, json.dumps(what).encode(), method=method)  # noqa: S310 - our own address
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return json.load(answer)


def run(url: str, options: argparse.Namespace, faults: list[str]) -> dict[str, Any]:
    """Run once and check that every passage is answered."""
    from annotator.asking.pool import ask_all
    from annotator.asking.rate_limits import Pace
    from annotator.config.settings import RunConfig
    from annotator.ledger import SqliteLedger
    from annotator.teachers import make_teacher, questions_about
    from annotator.terminal.events import Progress

    tell(url, "PUT", {"faults": faults, "share": options.share, "latency": options.latency})
    teacher = make_teacher(RunConfig(provider="openai", model="m", base_url=url, timeout=options.timeout))
    with tempfile.TemporaryDirectory() as folder, SqliteLedger(Path(folder) / "completions.sqlite") as ledger:
        began = time.monotonic()
        questions = questions_about(passages(options.passages), teacher)
        ask_all(questions, teacher, ledger, Pace(concurrency=options.concurrency), Progress())
        took = time.monotonic() - began
        if len(ledger) != options.passages:
            raise SystemExit(f"{len(ledger)} of {options.passages} answered")
    return {"took": took, **tell(url, "GET")}


def main() -> None:
    """Parse the options, measure, print."""
    if sys.argv[1:] == ["--serve"]:
        return serve()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, default=2000)
    parser.add_argument("--latency", type=float, default=0.1)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--timeout", type=float, default=2.0)
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", default="", help="names of faults; likewise 'all at once'")
    options = parser.parse_args()
    cases = {
        "none": [],
        **{name: [name] for name in [*FAULTS, *KEPT]},
        "all but the two that wait": [name for name in FAULTS if name not in WAITING],
        "all at once": LISTED,
        "all retried at once": list(FAULTS),
    }
    chosen = ["none", *options.only.split(",")] if options.only else list(cases)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in chosen}
    server = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)  # noqa: S603
    url = server.stdout.readline().strip() if server.stdout else ""
    try:
        run(url, argparse.Namespace(**{**vars(options), "passages": 1}), [])  # the first run imports everything
        for _ in range(options.rounds):
            for name in chosen:
                found[name].append(run(url, options, cases[name]))
    finally:
        server.kill()
    report(found, options)
    return None


def report(found: dict[str, list[dict[str, Any]]], options: argparse.Namespace) -> None:
    """Print medians and the spread of the ratios."""
    print(f"{'fault':<26} {'seconds':>8} {'times':>6} {'from-to':>10} {'at best':>8} {'requests':>9} {'repeated':>9}")
    for name, rounds in found.items():
        times = [run["took"] / none["took"] for run, none in zip(rounds, found["none"], strict=True)]
        requests = median(run["requests"] for run in rounds)
        best = median(requests * options.latency / options.concurrency / none["took"] for none in found["none"])
        print(
            f"{name:<26} {median(run['took'] for run in rounds):>8.2f} {median(times):>6.2f} "
            f"{min(times):>5.2f}-{max(times):.2f} {best:>8.2f} {requests:>9.0f} "
            f"{max(run['repeated'] for run in rounds):>9}"
        )


if __name__ == "__main__":
    main()
