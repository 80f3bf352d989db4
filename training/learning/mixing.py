"""Data of a stage: which rows are taken, their tokens on the disk, and the order in which they are learnt.

Nothing here holds a data set in memory: rows are read in batches, tokens lie in Arrow files that are mapped, and what
is kept are row numbers and lengths, 16 bytes a sample.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from annotator.errors import StudentError
from annotator.progress import Progress
from annotator.storage import tables
from annotator.storage.rundir import replacing
from training.learning.recipes import DataSet, Portion
from training.prompting import student_input, template

Numbers = npt.NDArray[np.int64]

_TOKENS: Final = pa.schema(
    [("input_ids", pa.list_(pa.int32())), ("labels", pa.list_(pa.int32())), ("length", pa.int32())]
)
_EMPTY: Final = frozenset({"", "[]"})


@dataclass(frozen=True, slots=True)
class Taken:
    """What a stage takes of one file."""

    name: str
    path: Path
    sha256: str
    """Of the file's bytes."""
    rows: Numbers
    """Row numbers, ascending."""
    in_file: int
    without_answer: int
    """Rows left out since their answer is empty."""

    def fingerprint(self) -> dict[str, Any]:
        """What identifies the choice, for a person and for a hash."""
        chosen = hashlib.sha256(self.rows.astype("<i8").tobytes()).hexdigest()
        return {"set": self.name, "sha256": self.sha256, "rows": len(self.rows), "rows_sha256": chosen}


def find(sets: Mapping[str, DataSet], names: Sequence[str], data: Path) -> dict[str, Path]:
    """Where the data sets ``names`` lie, in ``data`` or at the absolute path that the recipe gives.

    Raises:
        StudentError: some are missing; the message says which and what makes them.
    """
    paths = {name: data / Path(sets[name].file).expanduser() for name in names}
    missing = [name for name, path in paths.items() if not path.is_file()]
    if missing:
        made_by = "; ".join(sets[name].convert.format(out=paths[name]) for name in missing)
        raise StudentError(f"missing data: {', '.join(sets[name].file for name in missing)}; made by: {made_by}")
    return paths


def take(portion: Portion, path: Path, seed: int) -> Taken:
    """Choose the rows of ``portion``: filtered, then drawn by the seed, the same whatever else is in the mixture."""
    with_answer, passages, total = [], [], 0
    columns = ["output", "passage_id"] if portion.passages else ["output"]
    for batch in tables.batches(path, columns):
        answers = batch.column("output").to_pylist()
        with_answer.append(np.fromiter((answer.strip() not in _EMPTY for answer in answers), bool, len(answers)))
        if portion.passages:
            passages += batch.column("passage_id").to_pylist()
        total += len(answers)
    kept = np.concatenate(with_answer) if with_answer else np.zeros(0, bool)
    rows = np.arange(total) if portion.empty else np.flatnonzero(kept)
    rng = _rng(seed, "take", portion.set)
    if portion.passages:
        names = sorted({passages[row] for row in rows})
        drawn = {names[number] for number in rng.permutation(len(names))[: portion.passages]}
        rows = np.array([row for row in rows if passages[row] in drawn], np.int64)
    wanted = min(round(portion.share * len(rows)), portion.limit or len(rows))
    chosen = np.sort(rng.permutation(rows)[:wanted])
    return Taken(
        portion.set, path, file_sha256(path), chosen.astype(np.int64), total, 0 if portion.empty else int((~kept).sum())
    )


def tokenised(taken: Taken, tokenizer: Any, max_tokens: int, cache: Path, progress: Progress) -> Path:
    """The tokens of ``taken`` as an Arrow file in ``cache``, made once: input, labels, and their length together.

    A sample whose input or whose output has more than ``max_tokens`` tokens is left out.
    """
    key = {**taken.fingerprint(), "tokenizer": tokenizer_sha256(tokenizer), "template": template().sha256,
           "max_tokens": max_tokens}  # fmt: skip
    path = cache / f"{taken.name}-{digest(key)[:16]}.arrow"
    if path.is_file():
        return path
    progress.start("tokens", "samples", len(taken.rows))
    with replacing(path) as file, pa.ipc.new_stream(file, _TOKENS) as stream:
        for rows in _chosen(taken):
            inputs = tokenizer([student_input(row["instruction"], row["input"]) for row in rows])["input_ids"]
            labels = tokenizer(text_target=[row["output"] for row in rows])["input_ids"]
            pairs = [pair for pair in zip(inputs, labels, strict=True) if max(map(len, pair)) <= max_tokens]
            lengths = [len(source) + len(target) for source, target in pairs]
            columns = [[source for source, _ in pairs], [target for _, target in pairs], lengths]
            stream.write_batch(
                pa.RecordBatch.from_arrays(
                    [pa.array(column, field.type) for column, field in zip(columns, _TOKENS, strict=True)],
                    schema=_TOKENS,
                )
            )
            progress.advance(len(rows))
    progress.finish()
    return path


def mixed(files: Sequence[Path]) -> Any:
    """The samples of all ``files`` as one ``datasets.Dataset``, mapped, not read."""
    import datasets

    parts = [datasets.Dataset.from_file(str(path)) for path in files]
    return datasets.concatenate_datasets([part for part in parts if len(part)] or parts[:1])


class Order:
    """The order in which samples are learnt: a permutation by seed and epoch, in which like lengths stand together.

    Shuffled samples are gathered by ``window`` batches, sorted by length in there, cut into batches, and the batches of
    the whole epoch are shuffled. So each step of the optimiser sees as many samples as without, drawn at random from
    all data, but of like length. What fills no batch comes last.
    """

    def __init__(self, lengths: Numbers, *, batch: int, window: int, seed: int) -> None:
        self._lengths, self._batch, self._window, self._seed = lengths, batch, window, seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Another epoch, another order."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        return iter(self.numbers().tolist())

    def numbers(self) -> Numbers:
        """Sample numbers in order."""
        rng = _rng(self._seed, "order", str(self._epoch))
        order = rng.permutation(len(self._lengths))
        if self._window < 2:
            return order
        whole = len(order) // self._batch * self._batch
        full, rest = order[:whole], order[whole:]
        step = self._window * self._batch
        gathered = [full[start : start + step] for start in range(0, whole, step)]
        by_length = [part[np.argsort(self._lengths[part], kind="stable")] for part in gathered]
        batches = np.concatenate([*by_length, full[:0]]).reshape(-1, self._batch)
        return np.concatenate([rng.permutation(batches).ravel(), rest])


def digest(value: Any) -> str:
    """sha256 over canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode("utf-8")).hexdigest()


def tokenizer_sha256(tokenizer: Any) -> str:
    """What the tokenizer does, as a hash: of its vocabulary and rules."""
    return hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode("utf-8")).hexdigest()


def _chosen(taken: Taken) -> Iterator[list[dict[str, Any]]]:
    numbers, row = iter(taken.rows.tolist()), 0
    wanted = next(numbers, None)
    for batch in tables.batches(taken.path, ["instruction", "input", "output"]):
        here = []
        while wanted is not None and wanted < row + len(batch):
            here.append(wanted - row)
            wanted = next(numbers, None)
        rows = iter(batch.take(pa.array(here, pa.int64())).to_pylist())
        while part := list(islice(rows, 512)):
            yield part
        row += len(batch)


def _rng(seed: int, *what: str) -> np.random.Generator:
    return np.random.default_rng([seed, *hashlib.sha256(" ".join(what).encode()).digest()])


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes; a file that is as old and as long as when it was read last is not read again."""
    about = path.stat()
    return _sha256(path, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=64)
def _sha256(path: Path, _time: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
