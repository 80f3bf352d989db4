"""How close the annotation engine comes to the limit of an endpoint, and its CPU time, compared with bare clients.

    python benchmarks/annotate.py [--passages 2000] [--settings 0.1x64,0.2x256] [--rounds 5] [--memory 2000,50000]
                                  [--clients engine,aiohttp,openai] [--base-url URL,URL] [--json]

A setting is the latency of the endpoint in seconds and the number of concurrent requests. Every client does the same
work: it fills the shipped prompt with each passage, sends it, and reads the text of the answer. The engine also stores
every answer in a ledger on the disk ("asking"), and then finds it again and parses it as `clean` does ("all"). Each run
is its own process. A round runs every client once, in turn, so that other load of the machine affects all of them.
Figures are medians; "times" is the median of each round's ratio of CPU time to that of the bare aiohttp client. Without
--base-url (one address for each setting, in order), endpoints are started in their own processes.

The limit is the number of concurrent requests / the latency. No run reaches it completely: passages are answered in
waves, and the engine needs one more, since its first question is sent alone; "of possible" is the share of what remains
possible. At the end, the peak of the engine's memory by number of passages is measured, at the first setting.
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
    """Yield numbered passages of about 900 characters, cut from the bundled sample."""
    text = " ".join(
        json.loads(line)["text"]
        for path in sorted((ROOT / "annotator" / "sources" / "bundled").glob("*.jsonl"))
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
    """A stopwatch that starts when it is created."""

    def __init__(self) -> None:
        self.began = Took(time.perf_counter(), time.process_time())

    def took(self) -> Took:
        """Return the time since the start."""
        return Took(time.perf_counter() - self.began.wall, time.process_time() - self.began.cpu)


# --------------------------------------------------------------------------------------------------------- clients


def run_engine(base_url: str, number: int, concurrency: int) -> Took:
    """The engine with its ledger and the parser."""
    from annotator.asking.pool import ask_all
    from annotator.asking.rate_limits import Pace
    from annotator.cleaning.replies.parser import parse_reply
    from annotator.config.settings import RunConfig
    from annotator.ledger import SqliteLedger
    from annotator.teachers import make_teacher, questions_about
    from annotator.terminal.events import Progress

    teacher = make_teacher(RunConfig(provider="openai", model="m", base_url=base_url))
    with tempfile.TemporaryDirectory() as folder, SqliteLedger(Path(folder) / "completions.sqlite") as ledger:
        watch = Watch()
        ask_all(questions_about(passages(number), teacher), teacher, ledger, Pace(concurrency=concurrency), Progress())
        asked = watch.took()
        for passage in passages(number):
            completion = ledger.get(teacher.question(passage.text).key)
            parse_reply(completion.reply if completion else "", passage.text)
        if len(ledger) != number:
            raise SystemExit(f"{len(ledger)} of {number} answered")
    return asked


def run_aiohttp(base_url: str, number: int, concurrency: int) -> Took:
    """A bare aiohttp client."""
    import aiohttp

    async def all_of_them() -> Took:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def ask(body: dict[str, Any]) -> str:
                async with session.post(f"{base_url}/chat/completions", json=body) as response:
                    return str((await response.json())["choices"][0]["message"]["content"])

            return await drive(ask, number, concurrency)

    return asyncio.run(all_of_them())


def run_openai(base_url: str, number: int, concurrency: int) -> Took:
    """The openai SDK, used as in its manual."""
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
    """Run one client in this process and print its times; a first passage imports everything."""
    CLIENTS[client](base_url, 1, 1)
    watch = Watch()
    asked = CLIENTS[client](base_url, number, concurrency)
    whole = watch.took()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": asked.wall, "asking": asked.cpu, "cpu": whole.cpu, "peak": peak}))


# -------------------------------------------------------------------------------------------------------- endpoint


class Answering(asyncio.Protocol):
    """HTTP/1.1 with keep-alive that answers every request with ``REPLY`` after ``latency`` seconds."""

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
        """Store the transport."""
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Answer every complete request."""
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


def measure(
    options: argparse.Namespace, base_url: str, latency: float, concurrency: int
) -> dict[str, dict[str, float]]:
    """Return the medians of ``--rounds`` rounds."""
    number = options.passages
    rounds = [
        {client: one_process(client, base_url, number, concurrency) for client in options.clients.split(",")}
        for _ in range(options.rounds)
    ]
    figures = {}
    for client in rounds[0]:
        found = {name: statistics.median(runs[client][name] for runs in rounds) for name in rounds[0][client]}
        turns = math.ceil(number / concurrency) if client != "engine" else 1 + math.ceil((number - 1) / concurrency)
        rate = number / found["seconds"]
        figures[client] = {
            "rate": rate,
            "of_limit": rate * latency / concurrency,
            "of_possible": turns * latency / found["seconds"],
            "asking_cpu_per_1000": found["asking"] / number * 1000,
            "cpu_per_1000": found["cpu"] / number * 1000,
            "peak_mib": found["peak"],
        }
        if "aiohttp" in rounds[0]:
            ratios = (runs[client]["cpu"] / runs["aiohttp"]["cpu"] for runs in rounds)
            figures[client]["times"] = statistics.median(ratios)
    return figures


def one_process(client: str, base_url: str, number: int, concurrency: int) -> dict[str, float]:
    """Run one client in its own process and return its times."""
    command = [sys.executable, __file__, "--one", client, base_url, str(number), str(concurrency)]
    taken: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)  # noqa: S603
    return taken


def table(name: str, figures: dict[str, dict[str, float]]) -> None:
    """Print the figures of one setting."""
    print(f"\n{name}")
    print(
        f"{'client':<8} {'requests/s':>10} {'of limit':>9} {'of possible':>12} "
        f"{'CPU s/1,000: asking':>20} {'all':>6} {'times':>6} {'peak MiB':>9}"
    )
    for client, figure in figures.items():
        print(
            f"{client:<8} {figure['rate']:>10.0f} {figure['of_limit']:>9.1%} {figure['of_possible']:>12.1%} "
            f"{figure['asking_cpu_per_1000']:>20.3f} {figure['cpu_per_1000']:>6.3f} "
            f"{figure.get('times', 0):>6.2f} {figure['peak_mib']:>9.0f}",
            flush=True,
        )


def main() -> None:
    """Parse the options, measure, print."""
    if sys.argv[1:2] == ["--serve"]:
        return serve(float(sys.argv[2]))
    if sys.argv[1:2] == ["--one"]:
        return one_run(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, default=2000)
    parser.add_argument("--settings", default="0.1x64,0.2x256", help="seconds x requests at once, ...")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", default=",".join(CLIENTS))
    parser.add_argument("--memory", default="2000,50000", help="numbers of passages; empty: skip")
    parser.add_argument("--base-url", default="", help="one for each setting, which answer after its seconds")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
    settings = [(float(part.split("x")[0]), int(part.split("x")[1])) for part in options.settings.split(",")]
    addresses, servers = options.base_url.split(",") if options.base_url else [], []
    try:
        while len(addresses) < len(settings):
            command = [sys.executable, __file__, "--serve", str(settings[len(addresses)][0])]
            servers.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))  # noqa: S603
            addresses.append(servers[-1].stdout.readline().strip())
        report: dict[str, Any] = {}
        for address, (latency, concurrency) in zip(addresses, settings, strict=True):
            name = f"{options.passages} passages, {latency:g} s, {concurrency} at once"
            report[name] = measure(options, address, latency, concurrency)
            if not options.json:
                table(f"{name}: limit {concurrency / latency:.0f} requests/s", report[name])
        for number in [int(part) for part in options.memory.split(",") if part]:
            peak = one_process("engine", addresses[0], number, settings[0][1])["peak"]
            report.setdefault("peak_mib", {})[number] = peak
            if not options.json:
                print(f"engine, {number} passages: peak {peak:.0f} MiB", flush=True)
    finally:
        for server in servers:
            server.kill()
    if options.json:
        print(json.dumps(report, indent=2))
    return None


if __name__ == "__main__":
    main()
