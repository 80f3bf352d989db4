"""Speed and memory of cleaning and exploding the answers that a run directory holds. No question is asked.

    vner-annotate build news/ --out runs/news
    python benchmarks/clean.py runs/news --passages 16000

Each round is one process on one core, over copies of the passages and the ledger; figures are of the best round.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import pyarrow as pa

from annotator import pipeline, tables
from annotator.config import RunConfig, make_config
from annotator.progress import Silent
from annotator.rundir import RunDir
from annotator.teachers import make_teacher
from annotator.tokens import load_tokenizer


def copied(source: RunDir, root: Path, passages: int) -> RunDir:
    """Make a run directory with the ledger of ``source`` and its first ``passages`` passages."""
    run = RunDir(root)
    shutil.copy(source.ledger, run.ledger)
    with run.passages.open("wb") as file, tables.writer(file, tables.PASSAGE) as write:
        left = passages
        for batch in tables.batches(source.passages):
            write(pa.RecordBatch.from_arrays(batch.slice(0, left).columns, schema=tables.PASSAGE))
            left -= min(left, len(batch))
    return run


def one_round(source: RunDir, passages: int, profile: str) -> dict[str, float]:
    """Clean and explode once, in this process."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(islice(os.sched_getaffinity(0), 1)))
    stored = source.read_manifest()["config"]
    config = make_config({name: value for name, value in stored.items() if name in RunConfig.__slots__})
    with tempfile.TemporaryDirectory() as folder:
        run = copied(source, Path(folder), passages)
        context = pipeline.Context(config, run, load_tokenizer(config.tokenizer), make_teacher(config), Silent())
        context.tokenizer.count("warm")
        before = resource.getrusage(resource.RUSAGE_SELF)
        figures: dict[str, float] = {"passages": tables.count(run.passages)}
        for stage in ("clean", "explode"):
            began = time.perf_counter()
            if profile == stage:
                import cProfile

                cProfile.runctx(f"pipeline.RUN[{stage!r}](context)", globals(), {"context": context}, sort="tottime")
            else:
                pipeline.RUN[stage](context)
            figures[f"{stage}_seconds"] = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_SELF)
    figures["cpu_seconds"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    figures["peak_mb"] = after.ru_maxrss / 1024  # kilobytes on Linux
    figures["grown_mb"] = (after.ru_maxrss - before.ru_maxrss) / 1024
    return figures


def main() -> None:
    """Run the rounds, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run directory whose passages are answered")
    parser.add_argument("--passages", type=int, default=16000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", choices=("clean", "explode"), default="", help="one round under cProfile")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    args = parser.parse_args()
    if args.profile or args.rounds == 0:
        print(json.dumps(one_round(RunDir(args.run), args.passages, args.profile)))
        return
    command = [sys.executable, __file__, str(args.run), "--passages", str(args.passages), "--rounds", "0"]
    rounds = [json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603
              for _ in range(args.rounds)]  # fmt: skip
    best = min(rounds, key=lambda figures: figures["clean_seconds"] + figures["explode_seconds"])
    total = best["clean_seconds"] + best["explode_seconds"]
    best = {name: round(value, 2) for name, value in best.items()}
    best["passages_per_second"] = round(best["passages"] / total)
    print(json.dumps(best) if args.json else "\n".join(f"{name:20} {value:,}" for name, value in best.items()))


if __name__ == "__main__":
    main()
