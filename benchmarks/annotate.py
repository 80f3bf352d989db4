"""How close to an endpoint's own limit the annotation engine comes, and at what cost, beside bare clients.

    python benchmarks/annotate.py [--passages 2000] [--latency 0.1] [--concurrency 64] [--rounds 5] [--json]
                                  [--clients engine,aiohttp,openai] [--base-url URL]

Every client does the same work: it fills the shipped prompt with each passage, sends it, and takes the text out of the
answer. The engine also keeps every answer in a ledger on the disk ("asking"), and then finds it again and reads it as
`clean` does ("all"). Each run is a process of its own; a round runs every client once, in turn, so that what else the
machine does hits all alike. Without --base-url an endpoint is started in a process of its own, which answers each
request after --latency seconds. The limit is the time in which that many passages can be answered at best:
ceil(passages / concurrency) latencies.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from annotator.records import Passage, Piece

ROOT = Path(__file__).resolve().parents[1]
REPLY = '[["Nguyễn Văn An", "person"], ["Hà Nội", "city"], ["Bộ Y tế", "ministry"], ["tháng 3", "date"]]'


def passages(number: int) -> Iterator[Passage]:
    """Passages of about 900 characters, cut from the bundled sample and numbered, made as they are taken."""
    text = " ".join(
        json.loads(line)["text"]
        for path in sorted((ROOT / "annotator" / "sample").glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    )
    for index in range(number):
        start = index * 331 % (len(text) - 900)
        piece = f"{index}: {text[start : start + 900]}"
        yield Passage(f"p{index}", piece, 230, (Piece("d", 0, len(piece)),), 1)


class Took(NamedTuple):
    """Seconds of wall and CPU time."""

    wall: float
    cpu: float


class Watch:
    """Runs from when it is made."""

    def __init__(self) -> None:
        self.began = Took(time.perf_counter(), time.process_time())

    def took(self) -> Took:
        """Time since then."""
        return Took(time.perf_counter() - self.began.wall, time.process_time() - self.began.cpu)


# --------------------------------------------------------------------------------------------------------- clients


def run_engine(base_url: str, number: int, concurrency: int) -> Took:
    """The engine with its ledger, and the reader of replies."""
    from annotator.asking.annotate import Pace, annotate
    from annotator.config import RunConfig
    from annotator.ledger import Ledger
    from annotator.progress import Silent
    from annotator.replies.parsing import parse_reply
    from annotator.teachers import make_teacher

    teacher = make_teacher(RunConfig(provider="openai", model="m", base_url=base_url))
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "completions.sqlite") as ledger:
        watch = Watch()
        annotate(passages(number), teacher, ledger, Pace(concurrency=concurrency), Silent())
        asked = watch.took()
        for passage in passages(number):
            completion = ledger.get(teacher.question(passage.text).key)
            parse_reply(completion.reply if completion else "")
        if len(ledger) != number:
            raise SystemExit(f"{len(ledger)} of {number} answered")
    return asked


def run_aiohttp(base_url: str, number: int, concurrency: int) -> Took:
    """Nothing but requests."""
    import aiohttp

    async def all_of_them() -> Took:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def ask(body: dict[str, Any]) -> str:
                async with session.post(f"{base_url}/chat/completions", json=body) as response:
                    return str((await response.json())["choices"][0]["message"]["content"])

            return await drive(ask, number, concurrency)

    return asyncio.run(all_of_them())


def run_openai(base_url: str, number: int, concurrency: int) -> Took:
    """The openai SDK as its manual shows it."""
    import openai

    async def all_of_them() -> Took:
        async with openai.AsyncOpenAI(api_key="none", base_url=base_url, max_retries=0) as client:

            async def ask(body: dict[str, Any]) -> str:
                return str((await client.chat.completions.create(**body)).choices[0].message.content)

            return await drive(ask, number, concurrency)

    return asyncio.run(all_of_them())


async def drive(ask: Callable[[dict[str, Any]], Awaitable[str]], number: int, concurrency: int) -> Took:
    """Let ``concurrency`` workers share the passages."""
    from prompts import load_prompt

    prompt, stream, answered, watch = load_prompt("open-ner-vi"), passages(number), 0, Watch()

    async def work() -> None:
        nonlocal answered
        for passage in stream:
            messages = prompt.messages(passage.text)
            text = await ask({"model": "m", "messages": messages, "temperature": 0, "max_tokens": 1024})
            answered += bool(text)

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(work())
    if answered != number:
        raise SystemExit(f"{answered} of {number} answered")
    return watch.took()


CLIENTS = {"engine": run_engine, "aiohttp": run_aiohttp, "openai": run_openai}


def one_run(client: str, base_url: str, number: int, concurrency: int) -> None:
    """Run one client in this process and print what it took; one passage before that has everything imported."""
    CLIENTS[client](base_url, 1, 1)
    watch = Watch()
    asked = CLIENTS[client](base_url, number, concurrency)
    whole = watch.took()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": asked.wall, "asking": asked.cpu, "cpu": whole.cpu, "peak": peak}))


# -------------------------------------------------------------------------------------------------------- endpoint


class Answering(asyncio.Protocol):
    """HTTP/1.1 with keep-alive: answers every request with ``REPLY`` after ``latency`` seconds."""

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.received = b""
        usage = {"prompt_tokens": 700, "completion_tokens": 50, "total_tokens": 750}
        choice = {"index": 0, "message": {"role": "assistant", "content": REPLY}, "finish_reason": "stop"}
        body = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}
        content = json.dumps(body).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        self.answer = head.encode() + content

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Answer every whole request."""
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            head = self.received[:end].lower()
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            if len(self.received) < end + 4 + length:
                return
            body, self.received = self.received[end + 4 : end + 4 + length], self.received[end + 4 + length :]
            self.respond(head, body)

    def respond(self, head: bytes, body: bytes) -> None:  # noqa: ARG002 - for those who look at them
        """Answer one request."""
        asyncio.get_running_loop().call_later(self.latency, self.transport.write, self.answer)


def serve(latency: float) -> None:
    """Serve on a free port of 127.0.0.1, which is printed, until killed."""

    async def forever() -> None:
        server = await asyncio.get_running_loop().create_server(
            lambda: Answering(latency), "127.0.0.1", 0, backlog=2048
        )
        print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
        await server.serve_forever()

    asyncio.run(forever())


# ---------------------------------------------------------------------------------------------------------- report


def measure(options: argparse.Namespace, base_url: str) -> dict[str, dict[str, float]]:
    """Medians of ``--rounds`` rounds."""
    runs: dict[str, list[dict[str, float]]] = {client: [] for client in options.clients.split(",")}
    work = [str(part) for part in (base_url, options.passages, options.concurrency)]
    for _ in range(options.rounds):
        for client, results in runs.items():
            command = [sys.executable, __file__, "--one", client, *work]
            results.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))  # noqa: S603
    limit = options.passages / (math.ceil(options.passages / options.concurrency) * options.latency)
    figures = {}
    for client, results in runs.items():
        rate = options.passages / statistics.median(result["seconds"] for result in results)
        asking, cpu, peak = (
            statistics.median(result[name] for result in results) for name in ("asking", "cpu", "peak")
        )
        figures[client] = {
            "rate": rate,
            "share": rate / limit,
            "asking_cpu_per_1000": asking / options.passages * 1000,
            "cpu_per_1000": cpu / options.passages * 1000,
            "peak_mib": peak,
        }
    return figures


def main() -> None:
    """Parse, measure, print."""
    if sys.argv[1:2] == ["--serve"]:
        return serve(float(sys.argv[2]))
    if sys.argv[1:2] == ["--one"]:
        return one_run(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, default=2000)
    parser.add_argument("--latency", type=float, default=0.1, help="seconds; with --base-url, what that one takes")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", default=",".join(CLIENTS))
    parser.add_argument("--base-url", default="")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
    server = None
    if not options.base_url:
        command = [sys.executable, __file__, "--serve", str(options.latency)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
        options.base_url = server.stdout.readline().strip() if server.stdout else ""
    try:
        figures = measure(options, options.base_url)
    finally:
        if server:
            server.kill()
    if options.json:
        print(json.dumps(figures, indent=2))
        return None
    print(f"{'client':<10} {'requests/s':>10} {'of limit':>9} {'CPU s/1,000: asking':>20} {'all':>5} {'peak MiB':>9}")
    for client, figure in figures.items():
        print(
            f"{client:<10} {figure['rate']:>10.0f} {figure['share']:>9.1%} "
            f"{figure['asking_cpu_per_1000']:>20.2f} {figure['cpu_per_1000']:>5.2f} {figure['peak_mib']:>9.0f}"
        )
    return None


if __name__ == "__main__":
    main()
