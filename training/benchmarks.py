"""Read benchmarks, which are queries with gold, and predictions, which are answers by the id of their query."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

from annotator.errors import SourceError
from annotator.records import Sample
from annotator.samples.explode import instruction
from annotator.sources.formats import json as json_format
from annotator.sources.formats.columns import read_parquet
from annotator.sources.formats.files import local
from normalizers.text import nfc

_NEEDED: Final = ("id", "input", "output", "entity_type")
_MENTIONS: Final = TypeAdapter(list[str])


def read_benchmark(path: Path) -> list[Sample]:
    """Read the queries of a benchmark, in the order of the file.

    Raises:
        SourceError: it is missing, no Parquet file of samples, empty, or has an id twice.
    """
    if not path.is_file():
        raise SourceError(f"no benchmark {path}; give a .parquet file of samples, such as convert and build write")
    samples = [_sample(record.value, path) for record in read_parquet(local(path))]
    if not samples:
        raise SourceError(f"{path} holds no samples")
    if twice := [identity for identity, times in Counter(sample.id for sample in samples).items() if times > 1]:
        raise SourceError(f"{path} has the id {twice[0]!r} twice; ids must be distinct")
    return samples


def _sample(row: dict[str, Any], path: Path) -> Sample:
    """Return a row as a sample, in NFC, with values for columns that a file of another tool may lack."""
    if missing := [name for name in _NEEDED if name not in row]:
        raise SourceError(f"{path} has no column {missing[0]!r}; samples have {', '.join(_NEEDED)}")
    text = {name: str(row[name]) if name == "id" else nfc(str(row[name])) for name in _NEEDED}
    return Sample(
        **text,
        instruction=row.get("instruction") or instruction(text["entity_type"]),
        negative=bool(row.get("negative", text["output"] == "[]")),
        passage_id=row.get("passage_id") or text["id"],
    )


def gold_of(sample: Sample) -> list[str]:
    """Return the gold mentions of a sample; raise a SourceError if its output is no JSON list of strings."""
    try:
        return list(map(nfc, _MENTIONS.validate_json(sample.output)))
    except ValueError as error:
        message = f"the gold of {sample.id} is no JSON list of strings: {sample.output[:80]!r}"
        raise SourceError(message) from error


def fingerprint(samples: Sequence[Sample]) -> str:
    """Return the sha256, in hex, of the queries of a benchmark without their gold."""
    digest = hashlib.sha256()
    for sample in samples:
        row = [sample.id, sample.instruction, sample.input, sample.entity_type]
        digest.update(json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
    return digest.hexdigest()


def read_predictions(path: Path) -> dict[str, str]:
    """Read answers by id from JSON lines with ``id`` and ``output``.

    Raises:
        SourceError: the file is missing, a line is no such object, or an id occurs twice.
    """
    if not path.is_file():
        raise SourceError(f"cannot read predictions {path}: no such file; vner-annotate predict makes them")
    found: dict[str, str] = {}
    for record in json_format.read(local(path)) if path.stat().st_size else ():
        value = record.value
        if not isinstance(value, dict) or not {"id", "output"} <= value.keys():
            raise SourceError(
                f'{record.where} is not {{"id": ..., "output": ...}} ({record.error or record.raw[:80]}); remove that '
                "line (where predict was stopped in it, the same command does)"
            )
        identity, output = str(value["id"]), value["output"]
        if identity in found:
            raise SourceError(f"{record.where}: the id {identity!r} is there twice; remove one of the lines")
        found[identity] = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
    return found
