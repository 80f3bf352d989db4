"""Compare underthesea's bare NER tagger with the embedded teacher on real articles: docs/second-opinion.md has figures.

    python benchmarks/second_tagger.py SOURCE [--docs 300] [--show 50] [--seed 0] [--out DIR]

The tagger (a CRF in underthesea's wheel) finds persons, organisations and locations; --types limits both to these. It
is the first teacher, behind a chat-completions endpoint on loopback; the embedded teacher is the second. Prints the
verdicts, then --show differences drawn at random, with the words around them, for a person to read.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from annotator.checking.compare import ONLY_SECOND, SAME
from annotator.checking.opinions import read_opinions
from annotator.storage import tables
from annotator.storage.rundir import RunDir

ROOT = Path(__file__).resolve().parents[1]
TAGS = {"PER": "person", "ORG": "organization", "LOC": "location"}
TYPES = {"person": "a person's name", "organization": "the name of an organisation", "location": "the name of a place"}


def tagged(text: str) -> list[list[str]]:
    """Return mention and type of each entity that the tagger finds in ``text``."""
    from underthesea import ner

    spans: list[tuple[int, int, str]] = []
    at = 0
    for word, _, _, tag in ner(text):
        start = text.find(word, at)
        if start < 0:  # changed by the tagger, so that it is not in the text
            continue
        at = start + len(word)
        if tag.startswith("I-") and spans and spans[-1][2] == tag[2:] and not text[spans[-1][1] : start].strip():
            spans[-1] = (spans[-1][0], at, tag[2:])
        elif tag != "O":
            spans.append((start, at, tag[2:]))
    return [[text[start:end], TAGS[tag]] for start, end, tag in spans if tag in TAGS]


class Handler(BaseHTTPRequestHandler):
    """Answers chat-completions requests with the entities of the passage in the last message."""

    def do_POST(self) -> None:
        """Answer a request."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        passage = request["messages"][-1]["content"].split("<passage>\n")[-1].split("\n</passage>")[0]
        content = json.dumps(tagged(passage), ensure_ascii=False)
        choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
        body = json.dumps({"id": "x", "object": "chat.completion", "choices": [choice]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Log nothing."""


def main() -> None:
    """Build, check, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--docs", type=int, default=300)
    parser.add_argument("--show", type=int, default=50, metavar="N", help="print N differences, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of that draw")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    out = given.out or Path(tempfile.mkdtemp(prefix="second-tagger-")) / "run"
    out.parent.mkdir(parents=True, exist_ok=True)
    types = out.parent / "types.toml"
    types.write_text("".join(f'[[types]]\nname = "{name}"\ndefinition = "{text}"\n' for name, text in TYPES.items()))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    tagger = ["--provider", "openai", "--base-url", url, "--model", "underthesea-ner"]
    for command in (
        ["build", given.source, "--docs", given.docs, "--types", types, "--out", out, *tagger, "--quiet"],
        ["check", out, "--provider", "local"],
    ):
        subprocess.run([sys.executable, ROOT / "cli.py", *map(str, command)], check=True)  # noqa: S603
    show(RunDir(out), given.show, given.seed)


def show(run: RunDir, number: int, seed: int) -> None:
    """Print ``number`` differences with their passages; a difference between two entities counts once."""
    texts = {one.passage_id: one.text for one in tables.read_annotations(run.annotations)}
    differences = [
        one
        for one in read_opinions(run.agreement)
        if one.verdict not in SAME and (one.teacher != "second" or one.verdict == ONLY_SECOND)
    ]
    drawn = random.Random(seed).sample(differences, min(number, len(differences)))
    for place, one in enumerate(drawn, start=1):
        text = texts[one.passage_id]
        there = [
            f"{it.mention} ({it.label}, {it.teacher})"
            for it in read_opinions(run.agreement)
            if it.passage_id == one.passage_id and it != one and it.start < one.end and one.start < it.end
        ]
        around = f"{text[max(0, one.start - 200) : one.start]}>>{one.mention}<<{text[one.end : one.end + 200]}"
        print(
            f"\n{place}. {one.verdict}: {one.mention} ({one.label}, {one.teacher}); there too: {there}\n   {around!r}"
        )


if __name__ == "__main__":
    main()
