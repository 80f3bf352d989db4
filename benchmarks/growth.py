"""How time and memory grow with the number of documents, stage by stage, on one machine.

    python benchmarks/growth.py --corpus news/ --sizes 1000 10000 100000 --work /tmp/growth --workers 1

The corpus of each size repeats the documents of --corpus with other ids, one more sentence in each and one word in six
replaced by another of the corpus: with fewer, the screens for near duplicates, which are on as by default, would reject
passages. No teacher is asked: the ledger is filled with generated replies (up to six names and numbers of a passage,
with random types); ``annotate`` only finds that all passages are answered.

Every stage is its own process. Its wall and CPU time include its imports, the tokenizer and the manifest's fingerprint
of the source. Its memory is the peak of its own process, from VmHWM of Linux, without those of --workers.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from annotator.config.settings import RunConfig, make_config
from annotator.ledger import SqliteLedger
from annotator.records import Completion, Document
from annotator.run import runner
from annotator.sources.documents import Columns
from annotator.sources.sampling import sample
from annotator.storage import tables
from annotator.storage.rundir import RunDir
from annotator.teachers import make_teacher
from annotator.terminal.events import Progress

STAGES = ("sample", "chunk", "fill", "annotate", "clean", "explode", "audit")
WORD = re.compile(r"(?<!\w)[^\W\d_]+(?!\w)")
NAMES = re.compile(r"(?<!\w)[A-ZĐÂÊÔƠƯ]\w*(?: [A-ZĐÂÊÔƠƯ]\w*)*|(?<![\w.,/])\d[\d.,/]*\d(?![\w.,/])")
TYPES = ("person", "ORGANIZATION", "địa điểm", "date", "product_name", "event")


def make_corpus(source: str, path: Path, documents: int) -> None:
    """Write ``documents`` rows to one Parquet file: those of ``source`` in turn, each slightly changed."""
    drawn = sample(source, 1 << 20, 0, Columns(text="text", id="id"))
    kept = [item for item in drawn if isinstance(item, Document)]
    rng = random.Random(0)
    words = [word for document in kept[:500] for word in WORD.findall(document.text) if word.islower()]

    def other(match: re.Match[str]) -> str:
        return rng.choice(words) if match[0].islower() and rng.random() < 1 / 6 else match[0]

    def rows() -> Iterator[Document]:
        for number, document in enumerate(islice(cycle(kept), documents)):
            line = f"Bản tin số {number} của tòa soạn được gửi đi lúc {rng.randrange(24)} giờ {rng.randrange(60)}."
            yield Document(str(number), f"{WORD.sub(other, document.text)}\n{line}", "growth")

    with path.open("wb") as file:
        tables.write_records(file, tables.DOCUMENT, rows())


def fill(run: RunDir) -> None:
    """Write a generated reply for every passage to the ledger."""
    stored = run.read_manifest()["config"]
    config = make_config({name: value for name, value in stored.items() if name in RunConfig.__slots__})
    teacher = make_teacher(config)
    passages = tables.read_passages(run.passages)
    with SqliteLedger(run.ledger) as ledger:
        while batch := list(islice(passages, 1000)):
            made = []
            for passage in batch:
                names = list(dict.fromkeys(NAMES.findall(passage.text)))[:6]
                reply = json.dumps(list(zip(names, TYPES, strict=False)), ensure_ascii=False)
                key = teacher.question(passage.text).key
                made.append(Completion(key, passage.id, reply, "stop", 0, 0, 0.0, 0.0))
            ledger.append(made)


def one_stage(stage: str, corpus: Path, root: Path, workers: int) -> None:
    """Run one stage in this process."""
    run = RunDir(root)
    if stage == "fill":
        fill(run)
    elif stage == "audit":
        from data_cards.audit.compute import audit

        audit(run)
    else:
        documents = tables.count(corpus)
        settings = {"source": str(corpus), "docs": documents, "workers": workers}
        runner.run(root, settings if stage == "sample" else {}, Progress(), until=stage)


def measured(args: argparse.Namespace, stage: str, corpus: Path, root: Path) -> dict[str, float]:
    """Run one stage in its own process, and return its figures."""
    command = [sys.executable, __file__, "--corpus", str(corpus), "--work", str(root), "--stage", stage]
    result = subprocess.run(  # noqa: S603
        [*command, "--workers", str(args.workers)], check=True, stdout=subprocess.PIPE, text=True
    )
    figures: dict[str, float] = json.loads(result.stdout)
    return figures


def main() -> None:
    """Measure every size, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True, help="a source, as vner-annotate build takes it")
    parser.add_argument("--work", type=Path, required=True, help="folder for corpora and run directories; kept")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    args = parser.parse_args()
    if args.stage:
        began = time.perf_counter()
        one_stage(args.stage, Path(args.corpus), args.work, args.workers)
        spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        cpu = sum(usage.ru_utime + usage.ru_stime for usage in spent)
        # Not ru_maxrss: a process inherits it from its parent.
        status = Path("/proc/self/status").read_text()
        peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
        print(json.dumps({"wall": round(time.perf_counter() - began, 2), "cpu": round(cpu, 2), "peak_mb": round(peak)}))
        return
    args.work.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {}
    for size in args.sizes:
        corpus = args.work / f"{size}.parquet"
        make_corpus(args.corpus, corpus, size)
        root = args.work / f"run-{size}"
        report[str(size)] = {}
        for stage in STAGES:
            figures = report[str(size)][stage] = measured(args, stage, corpus, root)
            if not args.json:
                print(
                    f"{size:>9,} {stage:9} {'  '.join(f'{name} {value:,}' for name, value in figures.items())}",
                    flush=True,
                )
    if args.json:
        print(json.dumps(report))


if __name__ == "__main__":
    main()
