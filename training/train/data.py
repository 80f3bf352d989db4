"""Data of a stage: its samples, their tokens, and the order of training.

``datasets`` keeps samples and tokens in memory-mapped Arrow files. Memory holds lengths and row numbers, 16 bytes a
sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from annotator.errors import StudentError, one_line
from annotator.terminal.events import Progress
from training.prompting import student_input
from training.train.recipes import DataSet, Portion

_COLUMNS: Final = ["instruction", "input", "output"]
_EMPTY: Final = frozenset({"", "[]"})


def find(sets: Mapping[str, DataSet], data: Path) -> dict[str, Path]:
    """Return the files of data sets by name, in ``data`` or at the absolute path that the recipe gives.

    Raises:
        StudentError: some are missing; the message names them and the commands that write them.
    """
    paths = {name: data / Path(one.file).expanduser() for name, one in sets.items()}
    if missing := [name for name, path in paths.items() if not path.is_file()]:
        files = ", ".join(sets[name].file for name in missing)
        commands = "; ".join(sets[name].convert.format(out=paths[name]) for name in missing)
        raise StudentError(f"missing data: {files}; to write them: {commands}")
    return paths


def select(portion: Portion, path: Path, seed: int, cache: Path) -> tuple[Any, dict[str, Any]]:
    """Return the samples of ``portion``, filtered, then drawn by the seed, and counts for the record of the stage.

    The samples are a ``datasets.Dataset`` with its files in ``cache``.

    Raises:
        StudentError: the file cannot be read, or lacks a column.
    """
    import datasets
    from pyarrow import ArrowException

    datasets.disable_progress_bars()
    columns = [*_COLUMNS, "passage_id"] if portion.passages else _COLUMNS
    try:
        rows = datasets.Dataset.from_parquet(str(path), columns=columns, cache_dir=str(cache))
    except (datasets.exceptions.DatasetsError, ArrowException) as error:
        raise StudentError(f"cannot read {path}: {one_line(error)}; convert it again") from error
    in_file = without_answer = len(rows)
    if not portion.empty:
        rows = rows.filter(lambda output: output.strip() not in _EMPTY, input_columns="output")
    without_answer -= len(rows)
    if portion.passages:
        names = np.random.default_rng(seed).permutation(sorted(rows.unique("passage_id")))
        drawn = set(names[: portion.passages].tolist())
        rows = rows.filter(lambda name: name in drawn, input_columns="passage_id")
    wanted = min(round(portion.share * len(rows)), portion.limit or len(rows))
    chosen = np.sort(np.random.default_rng(seed).permutation(len(rows))[:wanted])
    record = {
        "set": portion.set,
        "file": path.name,
        "rows": wanted,
        "in_file": in_file,
        "without_answer": without_answer,
    }
    return rows.select(chosen).select_columns(_COLUMNS), record


def tokenise(rows: Any, tokenizer: Any, max_tokens: int, cache: Path, progress: Progress) -> Any:
    """Return the tokens of samples as a ``datasets.Dataset``: input, labels, and their length together.

    Samples with more than ``max_tokens`` tokens of input or of output are left out. ``cache`` is for these samples and
    this tokenizer alone; what it holds is used again.
    """

    def encode(samples: dict[str, list[str]]) -> dict[str, Any]:
        texts = [student_input(*pair) for pair in zip(samples["instruction"], samples["input"], strict=True)]
        inputs, labels = tokenizer(texts)["input_ids"], tokenizer(text_target=samples["output"])["input_ids"]
        progress.advance(len(texts))
        lengths = [len(one) + len(other) for one, other in zip(inputs, labels, strict=True)]
        return {"input_ids": inputs, "labels": labels, "length": lengths}

    progress.start("tokens", "samples", len(rows))
    path = cache / "tokens.arrow"
    # A fixed fingerprint, since datasets would hash the tokenizer, whose state changes when it is used.
    tokens = rows.map(
        encode, batched=True, remove_columns=_COLUMNS, cache_file_name=str(path), new_fingerprint="tokens"
    )
    progress.finish()
    return tokens.filter(
        lambda inputs, labels: max(len(inputs), len(labels)) <= max_tokens, input_columns=["input_ids", "labels"]
    )


class Order:
    """The order of training samples: a permutation by seed and epoch, grouped by similar length.

    Shuffled samples are sorted by length within ``window`` batches and cut into batches, and the batches of the whole
    epoch are shuffled. An incomplete batch comes last. (transformers' ``group_by_length`` does not shuffle its
    batches.)
    """

    def __init__(self, lengths: npt.NDArray[np.int64], *, batch: int, window: int, seed: int) -> None:
        self._lengths, self._batch, self._window, self._seed = lengths, batch, window, seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Change the order for another epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self._seed, self._epoch])
        order = rng.permutation(len(self._lengths))
        if self._window > 1:
            whole = len(order) // self._batch * self._batch
            step = self._window * self._batch
            gathered = [order[start : min(start + step, whole)] for start in range(0, whole, step)]
            by_length = [part[np.argsort(self._lengths[part], kind="stable")] for part in gathered]
            batches = np.concatenate([*by_length, order[:0]]).reshape(-1, self._batch)
            order = np.concatenate([rng.permutation(batches).ravel(), order[whole:]])
        return iter(order.tolist())
