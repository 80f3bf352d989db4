"""Files of benchmarks and of predictions: queries with their gold, and answers by the id of their query."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from annotator.errors import SourceError
from annotator.records import Sample
from annotator.samples.explode import INSTRUCTION
from normalizers.text import nfc

_NEEDED: Final = ("id", "input", "output", "entity_type")


def read_benchmark(path: Path) -> list[Sample]:
    """Read the queries of a benchmark, in the order of the file.

    Raises:
        SourceError: it is not there, no Parquet file of samples, empty, or has an id twice.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise SourceError(f"no benchmark {path}; give a .parquet file of samples, such as convert and build write")
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"{path} is no readable Parquet file; give a file of samples, see convert") from error
    if missing := [name for name in _NEEDED if name not in table.column_names]:
        raise SourceError(f"{path} has no column {missing[0]!r}; samples have {', '.join(_NEEDED)}")
    samples = [_sample(row) for batch in table.to_batches() for row in batch.to_pylist()]
    if not samples:
        raise SourceError(f"{path} holds no samples")
    if twice := [identity for identity, times in Counter(sample.id for sample in samples).items() if times > 1]:
        raise SourceError(f"{path} has the id {twice[0]!r} twice; ids must be distinct")
    return samples


def _sample(row: dict[str, Any]) -> Sample:
    """Make a sample of a row, in NFC; what a foreign file may lack is put in."""
    text = {name: str(row[name]) if name == "id" else nfc(str(row[name])) for name in _NEEDED}
    instruction = row.get("instruction") or INSTRUCTION.format(entity_type=text["entity_type"])
    negative = bool(row.get("negative", text["output"] == "[]"))
    return Sample(**text, instruction=instruction, negative=negative, passage_id=row.get("passage_id") or text["id"])


def gold_of(sample: Sample) -> list[str]:
    """Return the right mentions of a sample.

    Raises:
        SourceError: its output is no JSON list of strings.
    """
    try:
        mentions = json.loads(sample.output)
    except (ValueError, RecursionError):
        mentions = None
    if not isinstance(mentions, list) or not all(isinstance(mention, str) for mention in mentions):
        raise SourceError(f"the gold of {sample.id} is no JSON list of strings: {sample.output[:80]!r}")
    return list(map(nfc, mentions))


def fingerprint(samples: Sequence[Sample]) -> str:
    """Return the identity of the questions of a benchmark, without their gold: sha256 in hex."""
    digest = hashlib.sha256()
    for sample in samples:
        row = [sample.id, sample.instruction, sample.input, sample.entity_type]
        digest.update(json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
    return digest.hexdigest()


def read_predictions(path: Path) -> dict[str, str]:
    """Read the answers of ``path`` by id: JSON lines with ``id`` and ``output``.

    Raises:
        SourceError: it is not there, a line is no such object, or an id is there twice.
    """
    from annotator.sources.formats.files import lines, local

    if not path.is_file():
        raise SourceError(f"cannot read predictions {path}: no such file; vner-annotate predict makes them")
    found: dict[str, str] = {}
    for number, line in enumerate(lines(local(path)), start=1):
        if not line.error and not line.value.strip():
            continue
        try:
            if line.error:
                raise ValueError(line.error)
            record = json.loads(line.value)
            identity, output = str(record["id"]), record["output"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            cause = f"{type(error).__name__}: {' '.join(str(error).split())}"[:120].rstrip(": ")
            raise SourceError(
                f'{path}, line {number}: wants {{"id": ..., "output": ...}} ({cause}); remove that line '
                "(where predict was stopped in it, the same command does)"
            ) from error
        if identity in found:
            raise SourceError(f"{path}, line {number}: the id {identity!r} is there twice; remove one of the lines")
        found[identity] = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
    return found
