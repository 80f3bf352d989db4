"""Speed and memory of cleaning and exploding the answers in a run directory, without a request.

    vner-annotate build news/ --out runs/news
    python benchmarks/clean.py runs/news --passages 16000
    python benchmarks/clean.py runs/news --passages 16000 --predictions 13 --wrong 0.05

Each round is one process on one core, with copies of the passages and the ledger; figures are those of the best round.
With --predictions the replies are generated: names and numbers of the passage, a share of them from another passage,
with type names of the lexicon in any spelling, as a large model might write them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import accumulate, islice
from pathlib import Path

import pyarrow as pa

from annotator.config.settings import RunConfig, make_config
from annotator.ledger import SqliteLedger
from annotator.passages.tokenizers import load_tokenizer
from annotator.records import Completion
from annotator.run import stages as pipeline
from annotator.run.context import Context
from annotator.storage import tables
from annotator.storage.rundir import RunDir
from annotator.teachers import Teacher, make_teacher
from annotator.terminal.events import Progress
from normalizers.labels import load_lexicon

NAMES = re.compile(r"(?<!\w)[A-ZĐÂÊÔƠƯ]\w*(?: [A-ZĐÂÊÔƠƯ]\w*)*|(?<![\w.,/])\d[\d.,/]*\d(?![\w.,/])")


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


def make_replies(run: RunDir, teacher: Teacher, predictions: int, wrong: float) -> None:
    """Replace the ledger of ``run`` by one with generated replies."""
    run.ledger.unlink()
    rng, lexicon = random.Random(0), load_lexicon()
    labels = [*sorted(lexicon.known), *sorted(lexicon.vietnamese), *sorted(lexicon.abbreviations)]
    rng.shuffle(labels)
    weights = list(accumulate(rank**-1.5 for rank in range(1, len(labels) + 1)))  # a few types are the most frequent
    spellings = (str, str.upper, str.title, lambda label: label.replace(" ", "_"), lambda label: f"{label}s")

    def prediction(names: list[str]) -> list[str]:
        (label,) = rng.choices(labels, cum_weights=weights)
        return [rng.choice(names), rng.choice(spellings)(label)]

    with SqliteLedger(run.ledger) as ledger:
        made: list[Completion] = []
        other = ["Núi Thành"]
        for passage in tables.read_passages(run.passages):
            names = NAMES.findall(passage.text) or other
            pairs = [prediction(other if rng.random() < wrong else names) for _ in range(predictions)]
            reply, key = json.dumps(pairs, ensure_ascii=False), teacher.question(passage.text).key
            made.append(Completion(key, passage.id, reply, "stop", 0, 0, 0.0, 0.0))
            other = names
        ledger.append(made)


def one_round(source: RunDir, args: argparse.Namespace) -> dict[str, float]:
    """Clean and explode once in this process."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(islice(os.sched_getaffinity(0), 1)))
    stored = source.read_manifest()["config"]
    config = make_config({name: value for name, value in stored.items() if name in RunConfig.__slots__})
    with tempfile.TemporaryDirectory() as folder:
        run = copied(source, Path(folder), args.passages)
        teacher = make_teacher(config)
        if args.predictions:
            make_replies(run, teacher, args.predictions, args.wrong)
        context = Context(config, run, load_tokenizer(config.tokenizer), teacher, Progress())
        context.tokenizer.count("warm")
        before = resource.getrusage(resource.RUSAGE_SELF)
        figures: dict[str, float] = {"passages": tables.count(run.passages)}
        for stage in ("clean", "explode"):
            began = time.perf_counter()
            if args.profile == stage:
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
    """Run the rounds and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run directory whose passages are answered")
    parser.add_argument("--passages", type=int, default=16000)
    parser.add_argument("--predictions", type=int, default=0, help="make replies with so many predictions each")
    parser.add_argument("--wrong", type=float, default=0.05, help="share of generated predictions of another passage")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", choices=("clean", "explode"), default="", help="one round under cProfile")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    args = parser.parse_args()
    if args.profile or args.rounds == 0:
        print(json.dumps(one_round(RunDir(args.run), args)))
        return
    command = [sys.executable, __file__, *sys.argv[1:], "--rounds", "0"]
    rounds = [json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603
              for _ in range(args.rounds)]  # fmt: skip
    best = min(rounds, key=lambda figures: figures["clean_seconds"] + figures["explode_seconds"])
    total = best["clean_seconds"] + best["explode_seconds"]
    best = {name: round(value, 2) for name, value in best.items()}
    best["passages_per_second"] = round(best["passages"] / total)
    print(json.dumps(best) if args.json else "\n".join(f"{name:20} {value:,}" for name, value in best.items()))


if __name__ == "__main__":
    main()
