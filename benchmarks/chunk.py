"""Speed and quality of chunking, compared with other chunkers and with encoding the same text once.

    python benchmarks/chunk.py --corpus news/ --docs 6600 --rounds 5
    pip install semchunk chonkie langchain-text-splitters llama-index-core    # missing ones are reported and skipped

Every tool gets the same documents, tokenizer (tiktoken with Llama 3's vocabulary) and limit, with no overlap, in one
process on one core. They run in turn in each round, after a separate first round (``cold_seconds``: with an empty table
of words). ``ratio`` is the median over the rounds of a tool's CPU time divided by that of encoding every document once
in the same round, so that other load of the machine matters little.

With --workers, the last line is the pipeline on so many cores: the wall time, including the transfer of documents
and passages, divided by that of encoding once on one core; first with the start of the processes, then with processes
that have started and have seen these words.

Quality of the chunks: ``within`` is the share of chunks of --min-tokens to --max-tokens tokens; ``whole`` the share
with sentence bounds at both ends, by our own rules for sentences, which favours us; ``lost`` the non-space characters
of the documents that are in no chunk (including those that we reject); ``altered`` the chunks that are not slices.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from importlib import import_module
from itertools import islice
from typing import Any

from annotator.engines.local import LocalEngine
from annotator.passages.chunking import BLOCK, chunk
from annotator.passages.sentences import split_sentences
from annotator.passages.tokenizers import load_tokenizer
from annotator.records import Document, Passage
from annotator.run.partitions import chunk_part
from annotator.sources.documents import Columns
from annotator.sources.sampling import sample
from annotator.storage.tables import DOCUMENT, to_batch

Chunk = tuple[str, list[tuple[int, str, int | None]]]
"""The text, and its pieces as (number of the document, text, offset if the tool returns it)."""


def ours(documents: list[Document], encoding: Any, low: int, high: int) -> Iterator[Passage]:  # noqa: ARG001
    """Chunk as the pipeline does."""
    made = chunk(documents, load_tokenizer("llama3"), low, high)
    return (passage for passage in made if isinstance(passage, Passage))


def semchunk(documents: list[Document], encoding: Any, low: int, high: int) -> Iterator[list[str]]:  # noqa: ARG001
    """Chunk with semchunk's own counter."""
    chunker = import_module("semchunk").chunkerify(lambda text: len(encoding.encode_ordinary(text)), high)
    return (chunker(document.text) for document in documents)


def chonkie(documents: list[Document], encoding: Any, low: int, high: int) -> Iterator[list[str]]:  # noqa: ARG001
    """Chunk by sentences, as many as fit."""
    chunker = import_module("chonkie").SentenceChunker(tokenizer=encoding, chunk_size=high, chunk_overlap=0)
    return ([item.text for item in chunker.chunk(document.text)] for document in documents)


def langchain(documents: list[Document], encoding: Any, low: int, high: int) -> Iterator[list[str]]:  # noqa: ARG001
    """Chunk by paragraphs, then sentence ends, then spaces."""
    splitter = import_module("langchain_text_splitters").RecursiveCharacterTextSplitter(
        chunk_size=high,
        chunk_overlap=0,
        length_function=lambda text: len(encoding.encode_ordinary(text)),
        separators=["\n\n", "\n", ". ", " ", ""],
        keep_separator="end",
    )
    return (splitter.split_text(document.text) for document in documents)


def llama_index(documents: list[Document], encoding: Any, low: int, high: int) -> Iterator[list[str]]:  # noqa: ARG001
    """Chunk by paragraphs, then by sentences of nltk for English."""
    splitter = import_module("llama_index.core.node_parser").SentenceSplitter(
        chunk_size=high, chunk_overlap=0, tokenizer=encoding.encode_ordinary
    )
    return (splitter.split_text(document.text) for document in documents)


TOOLS: dict[str, Callable[..., Iterator[Any]]] = {
    "vner-annotate": ours,
    "semchunk": semchunk,
    "chonkie": chonkie,
    "langchain-text-splitters": langchain,
    "llama-index-core": llama_index,
}


def cpu_seconds(work: Callable[[], Iterable[Any]]) -> float:
    """Consume ``work`` and return its CPU time; the corpus is frozen, so that garbage collection skips it."""
    gc.collect()
    gc.freeze()
    began = time.process_time()
    deque(work(), maxlen=0)
    return time.process_time() - began


def on_all_cores(documents: list[Document], encoding: Any, low: int, high: int, workers: int) -> dict[str, float]:
    """Return the wall time of chunking in ``workers`` processes, divided by that of encoding once in this one."""

    def seconds(work: Iterable[Any]) -> float:
        began = time.perf_counter()
        deque(work, maxlen=0)
        return time.perf_counter() - began

    bounds = {"min_tokens": low, "max_tokens": high, "pack": False}
    work = partial(chunk_part, tokenizer=load_tokenizer("llama3"), **bounds, near_duplicates=False)
    blocks = [to_batch(documents[begin : begin + BLOCK], DOCUMENT) for begin in range(0, len(documents), BLOCK)]
    gc.collect()
    gc.freeze()  # as in the pipeline, which holds no documents
    once = seconds(len(encoding.encode_ordinary(document.text)) for document in documents)
    with closing(LocalEngine(workers)) as engine:
        taken = {name: seconds(engine.spread(work, blocks)) for name in ("from_start", "processes_there")}
    return {name: round(time / once, 2) for name, time in taken.items()}


def chunks_of(documents: list[Document], made: Iterable[Any]) -> Iterator[Chunk]:
    """Convert passages, or lists of chunks a document, to one form."""
    numbers = {document.id: number for number, document in enumerate(documents)}
    for number, item in enumerate(made):
        if isinstance(item, Passage):
            where = [(numbers[piece.document_id], piece) for piece in item.pieces]
            yield item.text, [(at, documents[at].text[piece.start : piece.end], piece.start) for at, piece in where]
        else:
            yield from ((text, [(number, text, None)]) for text in item)


def quality(documents: list[Document], chunks: Iterable[Chunk], encoding: Any, low: int, high: int) -> dict[str, Any]:
    """Return the quality figures of the chunks."""
    sentences = [split_sentences(document.text) for document in documents]
    edges = [({item.start for item in row}, {item.end for item in row}) for row in sentences]
    left = [[not character.isspace() for character in document.text] for document in documents]
    position = [0] * len(documents)
    total = within = whole = altered = 0
    for text, pieces in chunks:
        total += 1
        within += low <= len(encoding.encode_ordinary(text)) <= high
        is_whole = True
        for number, piece, start in pieces:
            stripped = piece.strip()
            at = documents[number].text.find(stripped, position[number] if start is None else start)
            at = at if at >= 0 else documents[number].text.find(stripped)
            if at < 0:
                altered += 1
                is_whole = False
                continue
            end = position[number] = at + len(stripped)
            left[number][at:end] = [False] * (end - at)
            is_whole &= at in edges[number][0] and end in edges[number][1]
        whole += is_whole
    return {
        "chunks": total,
        "within": round(within / max(1, total), 4),
        "whole": round(whole / max(1, total), 4),
        "lost": sum(map(sum, left)),
        "altered": altered,
    }


def main() -> None:
    """Run the rounds and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True, help="a source, as vner-annotate build takes it")
    parser.add_argument("--docs", type=int, default=6600)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--min-tokens", type=int, default=150)
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--text-field", default="text")
    parser.add_argument("--workers", type=int, default=0, help="also spread over so many processes")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    args = parser.parse_args()
    drawn = sample(args.corpus, args.docs, 0, Columns(text=args.text_field, id="id"))
    documents = [item for item in drawn if isinstance(item, Document)]
    megabytes = sum(len(document.text.encode()) for document in documents) / 1e6
    encoding: Any = load_tokenizer("llama3")._encoding  # type: ignore[attr-defined]
    bounds = (encoding, args.min_tokens, args.max_tokens)
    report: dict[str, Any] = {"documents": len(documents), "megabytes": round(megabytes, 1), "tools": {}}
    if args.workers:
        report["all_cores"] = {"workers": args.workers, **on_all_cores(documents, *bounds, args.workers)}
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(islice(os.sched_getaffinity(0), 1)))
    tools = {}
    for name, tool in TOOLS.items():
        try:
            deque(tool(documents[:1], *bounds), maxlen=0)
            tools[name] = tool
        except ImportError as error:
            report["tools"][name] = f"not installed ({error.name})"

    def encode() -> Iterator[int]:
        return (len(encoding.encode_ordinary(document.text)) for document in documents)

    seconds: dict[str, list[float]] = {name: [] for name in ("encode", *tools)}
    for _ in range(args.rounds + 1):
        seconds["encode"].append(cpu_seconds(encode))
        for name, tool in tools.items():
            seconds[name].append(cpu_seconds(lambda tool=tool: tool(documents, *bounds)))  # type: ignore[misc]
    for name, (cold, *warm) in seconds.items():
        ratio = statistics.median(mine / once for mine, once in zip(warm, seconds["encode"][1:], strict=True))
        report["tools"][name] = {
            "ratio": round(ratio, 2),
            "mb_per_second": round(megabytes / statistics.median(warm), 2),
            "cold_seconds": round(cold, 2),
        }
        if name != "encode":
            report["tools"][name] |= quality(documents, chunks_of(documents, tools[name](documents, *bounds)), *bounds)
    if args.json:
        print(json.dumps(report))
    else:
        print(f"{report['documents']:,} documents, {report['megabytes']} MB")
        for name, figures in report["tools"].items():
            print(
                f"{name:26}",
                figures if isinstance(figures, str) else "  ".join(f"{k} {v:,}" for k, v in figures.items()),
            )
        if args.workers:
            ratios = report["all_cores"]
            print(
                f"{f'ours, {args.workers} processes':26} ratio {ratios['from_start']} from the start,"
                f" {ratios['processes_there']} when they are there, by the clock"
            )


if __name__ == "__main__":
    main()
