"""Time and memory of the audit, by number of samples.

    python benchmarks/audit.py make RUN OUT --samples 1000000   # a run directory of so many samples
    python benchmarks/audit.py measure OUT                       # seconds, and the largest memory

``make`` repeats a run: every copy has its own ids, and its texts are written in another alphabet (small letters
exchanged, the same in the mentions), so that copies are no duplicates of each other, while offsets, lengths, types and
the leaks within a copy stay. ``measure`` audits in a fresh process, after the imports.

Measured on two busy cores (processor time; the machine did other things), from a run over 6,600 real articles with the
local teacher:

    MEASURED
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import string
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from annotator import tables
from annotator.rundir import SPLITS, RunDir, write_json

Rewrite = Callable[[dict[str, Any], str, dict[int, int]], dict[str, Any]]


def documents(row: dict[str, Any], copy: str, letters: dict[int, int]) -> dict[str, Any]:
    """A document of its own."""
    return {**row, "id": copy + row["id"], "text": row["text"].translate(letters)}


def passages(row: dict[str, Any], copy: str, letters: dict[int, int]) -> dict[str, Any]:
    """A passage of these documents."""
    pieces = [{**piece, "document_id": copy + piece["document_id"]} for piece in row["pieces"]]
    return {**row, "id": copy + row["id"], "text": row["text"].translate(letters), "pieces": pieces}


def annotations(row: dict[str, Any], copy: str, letters: dict[int, int]) -> dict[str, Any]:
    """Its annotation."""
    mentions = [{**mention, "text": mention["text"].translate(letters)} for mention in row["mentions"]]
    return {**row, "passage_id": copy + row["passage_id"], "text": row["text"].translate(letters), "mentions": mentions}


def samples(row: dict[str, Any], copy: str, letters: dict[int, int]) -> dict[str, Any]:
    """And its samples."""
    answer = [mention.translate(letters) for mention in json.loads(row["output"])]
    return {
        **row,
        "id": copy + row["id"],
        "input": row["input"].translate(letters),
        "output": json.dumps(answer, ensure_ascii=False),
        "passage_id": copy + row["passage_id"],
    }


def make(source: RunDir, out: RunDir, wanted: int) -> None:
    """Write a run directory with at least ``wanted`` samples."""
    manifest = source.read_manifest()
    one = sum(tables.count(source.samples(split)) for split in SPLITS)
    copies = -(-wanted // one)
    work: list[tuple[Path, Path, Any, Rewrite]] = [
        (source.documents, out.documents, tables.DOCUMENT, documents),
        (source.passages, out.passages, tables.PASSAGE, passages),
        (source.annotations, out.annotations, tables.ANNOTATION, annotations),
        *((source.samples(split), out.samples(split), tables.SAMPLE, samples) for split in SPLITS),
    ]
    for read, written, schema, rewrite in work:
        written.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            write = stack.enter_context(tables.writer(stack.enter_context(written.open("wb")), schema))
            for number in range(copies):
                for rows in _chunks(read, f"{number}-", _letters(number), rewrite):
                    write(tables.pa.RecordBatch.from_pylist(rows, schema))
        print(written, flush=True)
    for stage in manifest["stages"].values():  # nothing was rejected in the copies
        for flow in stage["funnel"]:
            flow.update({name: flow[name] * copies for name in ("in", "out")})
            flow["made"] = {name: count * copies for name, count in flow["made"].items()}
    write_json(out.manifest, manifest)


def _chunks(path: Path, copy: str, letters: dict[int, int], rewrite: Rewrite) -> Iterator[list[dict[str, Any]]]:
    for batch in tables.batches(path):
        yield [rewrite(row, copy, letters) for row in batch.to_pylist()]


def _letters(number: int) -> dict[int, int]:
    """Another order of the small letters for each copy; the first keeps its own."""
    order = list(string.ascii_lowercase)
    if number:
        random.Random(number).shuffle(order)
    return str.maketrans(string.ascii_lowercase, "".join(order))


def measure(target: Path) -> None:
    """Audit, and print what it took."""
    import pandas  # noqa: F401, ICN001 - what the audit needs is loaded before the clock starts
    import pyarrow.compute  # noqa: F401

    from data_cards.audit import audit_dataset
    from data_cards.auditing.dataset import find

    dataset = find(str(target))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin, used = time.perf_counter(), time.process_time()
    figures = audit_dataset(dataset).figures
    wall, cpu = time.perf_counter() - begin, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{figures['samples']['count']:,} samples: {wall:.1f} s, {cpu:.1f} s of processor time, "
          f"{before // 1024} MB before, at most {peak // 1024} MB")  # fmt: skip
    print(json.dumps({name: number for name, number in figures["leaks"].items() if name != "examples"}))
    print(figures["problems"][:3])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    making = commands.add_parser("make")
    making.add_argument("run", type=Path)
    making.add_argument("out", type=Path)
    making.add_argument("--samples", type=int, default=1_000_000)
    commands.add_parser("measure").add_argument("target", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "make":
        make(RunDir(arguments.run), RunDir(arguments.out), arguments.samples)
    else:
        measure(arguments.target)
