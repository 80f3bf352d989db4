"""Data of a stage: which rows are taken, their tokens on the disk, and the order in which they are learnt.

No data set is held in memory: ``datasets`` reads the files and keeps tokens in mapped Arrow files. What is kept are row
numbers and lengths, 16 bytes a sample.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from annotator.errors import StudentError
from annotator.storage import tables
from annotator.terminal.events import Progress
from training.prompting import student_input, template
from training.train.recipes import DataSet, Portion

Numbers = npt.NDArray[np.int64]
_EMPTY: Final = frozenset({"", "[]"})


@dataclass(frozen=True, slots=True)
class Taken:
    """The part of a file that a stage uses."""

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
        """Return what identifies the choice, for a person and for a hash."""
        chosen = hashlib.sha256(self.rows.astype("<i8").tobytes()).hexdigest()
        return {"set": self.name, "sha256": self.sha256, "rows": len(self.rows), "rows_sha256": chosen}

    def as_dict(self) -> dict[str, Any]:
        """Return what the record of a stage says of it."""
        counts = {"in_file": self.in_file, "without_answer": self.without_answer}
        return {**self.fingerprint(), "file": self.path.name, **counts}


def find(sets: Mapping[str, DataSet], data: Path) -> dict[str, Path]:
    """Find the files of data sets in ``data``, or at the absolute path that the recipe gives.

    Raises:
        StudentError: some are missing; the message names them and the commands that make them.
    """
    paths = {name: data / Path(one.file).expanduser() for name, one in sets.items()}
    if missing := [name for name, path in paths.items() if not path.is_file()]:
        made_by = "; ".join(sets[name].convert.format(out=paths[name]) for name in missing)
        raise StudentError(f"missing data: {', '.join(sets[name].file for name in missing)}; made by: {made_by}")
    return paths


def take(portion: Portion, path: Path, seed: int) -> Taken:
    """Choose the rows of ``portion``: filtered, then drawn by the seed, the same whatever else is in the mixture."""
    answered: list[bool] = []
    passages: list[str] = []
    for batch in tables.batches(path, ["output", "passage_id"] if portion.passages else ["output"]):
        answered += [answer.strip() not in _EMPTY for answer in batch.column("output").to_pylist()]
        passages += batch.column("passage_id").to_pylist() if portion.passages else []
    rows = np.arange(len(answered)) if portion.empty else np.flatnonzero(np.array(answered, bool))
    rng = _rng(seed, "take", portion.set)
    if portion.passages:
        names = sorted({passages[row] for row in rows})
        drawn = {names[number] for number in rng.permutation(len(names))[: portion.passages]}
        rows = np.array([row for row in rows if passages[row] in drawn], np.int64)
    wanted = min(round(portion.share * len(rows)), portion.limit or len(rows))
    chosen = np.sort(rng.permutation(rows)[:wanted]).astype(np.int64)
    left_out = 0 if portion.empty else answered.count(False)
    return Taken(portion.set, path, file_sha256(path), chosen, len(answered), left_out)


def tokenised(taken: Taken, tokenizer: Any, max_tokens: int, cache: Path, progress: Progress) -> Path:
    """Return the tokens of ``taken`` as an Arrow file in ``cache``, made once: input, labels, their length together.

    A sample whose input or whose output has more than ``max_tokens`` tokens is left out.
    """
    import datasets

    key = {**taken.fingerprint(), "tokenizer": tokenizer_sha256(tokenizer), "template": template().sha256,
           "max_tokens": max_tokens}  # fmt: skip
    path = cache / f"{taken.name}-{digest(key)[:16]}.arrow"
    if path.is_file():
        return path

    def encode(rows: dict[str, list[str]]) -> dict[str, list[Any]]:
        texts = [student_input(*pair) for pair in zip(rows["instruction"], rows["input"], strict=True)]
        labels = tokenizer(text_target=rows["output"])["input_ids"]
        pairs = [
            pair
            for pair in zip(tokenizer(texts)["input_ids"], labels, strict=True)
            if max(map(len, pair)) <= max_tokens
        ]
        progress.advance(len(texts))
        return {
            "input_ids": [source for source, _ in pairs],
            "labels": [target for _, target in pairs],
            "length": [len(source) + len(target) for source, target in pairs],
        }

    progress.start("tokens", "samples", len(taken.rows))
    copy = cache / "parquet"  # the rows as datasets maps them; removed when their tokens are there
    ids = datasets.List(datasets.Value("int32"))
    datasets.disable_progress_bars()
    whole = datasets.Dataset.from_parquet(str(taken.path), cache_dir=str(copy))
    whole.select(taken.rows).map(
        encode,
        batched=True,
        batch_size=512,
        remove_columns=whole.column_names,
        features=datasets.Features({"input_ids": ids, "labels": ids, "length": datasets.Value("int32")}),
        cache_file_name=str(path),
        new_fingerprint=digest(key)[:16],
    )
    shutil.rmtree(copy, ignore_errors=True)
    progress.finish()
    return path


def mixed(files: Sequence[Path]) -> Any:
    """Return the samples of all ``files`` as one ``datasets.Dataset``, mapped, not read."""
    import datasets

    parts = [datasets.Dataset.from_file(str(path)) for path in files]
    return datasets.concatenate_datasets([part for part in parts if len(part)] or parts[:1])


class Order:
    """The order of training samples: a permutation by seed and epoch, grouped by similar length.

    Shuffled samples are gathered by ``window`` batches, sorted by length in there, cut into batches, and the batches of
    the whole epoch are shuffled. So each step of the optimiser sees as many samples as without, drawn at random from
    all data, but of like length. What fills no batch comes last. (transformers' ``group_by_length`` does not shuffle
    its batches.)
    """

    def __init__(self, lengths: Numbers, *, batch: int, window: int, seed: int) -> None:
        self._lengths, self._batch, self._window, self._seed = lengths, batch, window, seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Change the order for another epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        return iter(self._numbers().tolist())

    def _numbers(self) -> Numbers:
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
    """Return the sha256 of canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode("utf-8")).hexdigest()


def tokenizer_sha256(tokenizer: Any) -> str:
    """Return what the tokenizer does, as a hash: of its vocabulary and rules."""
    return hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode("utf-8")).hexdigest()


def _rng(seed: int, *what: str) -> np.random.Generator:
    return np.random.default_rng([seed, *hashlib.sha256(" ".join(what).encode()).digest()])


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes; a file as old and as long as when it was read last is not read again."""
    about = path.stat()
    return _sha256(path, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=64)
def _sha256(path: Path, _time: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
