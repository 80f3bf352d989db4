"""Time and memory of the audit, by number of samples.

    python benchmarks/audit.py make RUN OUT --samples 1000000   # a run directory with this number of samples
    python benchmarks/audit.py measure OUT                       # seconds, and the largest memory

``make`` repeats a run: every copy has its own ids, and its texts are written in another alphabet (small letters
permuted, the same in the mentions), so that copies are not duplicates of each other; offsets, lengths, types and the
leaks within a copy stay the same. ``measure`` audits in a fresh process, after the imports.

Measured from a run over 300 real articles with the local teacher, on two busy cores:

      1,003,266 samples     75 s of CPU    415 MB at most (126 MB of them libraries)
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from annotator.storage import tables
from annotator.storage.atomic import write_json
from annotator.storage.rundir import SPLITS, RunDir

IDS = {"id", "passage_id", "document_id"}
TEXTS = {"text", "input", "output"}
LETTERS = b"ghijklmopqsvwxyz"
"""Small letters that have no meaning after a backslash in JSON."""


def make(source: RunDir, out: RunDir, wanted: int) -> None:
    """Write a run directory with at least ``wanted`` samples."""
    manifest = source.read_manifest()
    copies = -(-wanted // sum(tables.count(source.samples(split)) for split in SPLITS))
    files = [(source.documents, out.documents), (source.passages, out.passages), (source.annotations, out.annotations)]
    files += [(source.samples(split), out.samples(split)) for split in SPLITS]
    for read, written in files:
        written.parent.mkdir(parents=True, exist_ok=True)
        batches = list(tables.batches(read))
        with written.open("wb") as file, tables.writer(file, batches[0].schema) as write:
            for number in range(copies):
                letters = _letters(number)
                for batch in batches:
                    columns = [_copied(column, name, f"{number}-", letters) for name, column in zip(
                        batch.schema.names, batch.columns, strict=True)]  # fmt: skip
                    write(pa.RecordBatch.from_arrays(columns, schema=batch.schema))
        print(written, flush=True)
    for stage in manifest["stages"].values():
        for flow in stage["funnel"]:  # the copies have no rejections
            flow["in"], flow["rejected"] = (flow["in"] - sum(flow["rejected"].values())) * copies, {}
            flow["out"] *= copies
            flow["made"] = {name: count * copies for name, count in flow["made"].items()}
    write_json(out.manifest, manifest)


def _copied(column: pa.Array, name: str, copy: str, letters: bytes) -> pa.Array:
    if pa.types.is_list(column.type):
        items = column.flatten()
        fields = [_copied(items.field(field.name), field.name, copy, letters) for field in column.type.value_type]
        made = pa.StructArray.from_arrays(fields, fields=list(column.type.value_type))
        offsets = pc.subtract(column.offsets, column.offsets[0])
        return pa.ListArray.from_arrays(offsets, made, type=column.type)
    if name in IDS:
        return pc.binary_join_element_wise(copy, column, "")
    if name in TEXTS:
        whole = pa.concat_arrays([column])  # its data begin at the first byte
        valid, offsets, data = whole.buffers()
        written = pa.py_buffer(data.to_pybytes().translate(letters))
        return pa.Array.from_buffers(whole.type, len(whole), [valid, offsets, written], offset=whole.offset)
    return column


def _letters(number: int) -> bytes:
    """Return another permutation of the letters for each copy; the first is unchanged."""
    order = list(LETTERS)
    if number:
        random.Random(number).shuffle(order)
    return bytes.maketrans(LETTERS, bytes(order))


def measure(target: Path) -> None:
    """Audit a run, and print time and memory."""
    import pandas  # noqa: F401 - what the audit needs is loaded before the clock starts

    from data_cards.audit.compute import audit_dataset
    from data_cards.audit.dataset import find

    dataset = find(str(target))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin, used = time.perf_counter(), time.process_time()
    figures = audit_dataset(dataset).figures
    wall, cpu = time.perf_counter() - begin, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{figures['samples']['count']:,} samples: {wall:.1f} s, {cpu:.1f} s of CPU; {before // 1024} MB before, "
          f"at most {peak // 1024} MB")  # fmt: skip
    print(json.dumps({name: number for name, number in figures["leaks"].items() if name != "examples"}))
    print(figures["problems"][:3])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    making = commands.add_parser("make")
    making.add_argument("run", type=Path)
    making.add_argument("out", type=Path)
    making.add_argument("--samples", type=int, default=1_000_000)
    measuring = commands.add_parser("measure")
    measuring.add_argument("target", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "make":
        make(RunDir(arguments.run), RunDir(arguments.out), arguments.samples)
    else:
        measure(arguments.target)
