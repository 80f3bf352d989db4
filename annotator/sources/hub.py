"""Read a dataset of the Hugging Face Hub: its Parquet files where it has them, else a stream.

``datasets`` finds the files of the split ``train``; where all of them are Parquet they are sampled like other Parquet
files, by row numbers and byte ranges. Other datasets are streamed.

Every function raises ``SourceError`` where the dataset or revision is unknown, closed, or cannot be reached.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from annotator.errors import SourceError, one_line
from annotator.sources.documents import Columns, Row, to_rows
from annotator.sources.formats.files import Record, SourceFile
from annotator.sources.locating import HubDataset
from annotator.sources.remote import RemoteFile, listed, together

SPLIT: Final = "train"
_PATIENCE: Final = 20.0  # seconds for the Hub to name a commit
_BUFFER: Final = 10_000  # rows among which the stream is shuffled
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


def pin(dataset: HubDataset, recorded: str | None = None) -> tuple[str, str]:
    """Return the commit to read, and a notice where the Hub has another one now.

    Args:
        dataset: its revision may be a branch or a tag, which move.
        recorded: the commit of an earlier run, which is kept, also without the Hub; empty where that run recorded none;
            None for a new run.
    """
    from huggingface_hub import HfApi

    commit = dataset.revision
    if not _COMMIT.fullmatch(commit):
        try:
            with _explained(dataset):
                found = HfApi().dataset_info(dataset.name, revision=commit or None, timeout=_PATIENCE)
        except SourceError:
            if recorded is None:
                raise
            return recorded, ""  # a sample that was drawn needs no Hub
        commit = found.sha or commit
    if recorded is None:
        return commit, ""
    if not recorded:
        return "", f"{dataset} is at commit {commit[:12]} now; this run did not record which commit it sampled"
    if commit == recorded:
        return recorded, ""
    keeps = "this run keeps its sample; for a new one, choose another --out or add --fresh"
    return recorded, f"{dataset} has moved from commit {recorded[:12]} to {commit[:12]}; {keeps}"


def parquet_files(dataset: HubDataset) -> tuple[SourceFile, ...]:
    """Return the Parquet files of the split ``train``; none if it consists of other files."""
    import datasets

    with _explained(dataset):
        builder = datasets.load_dataset_builder(dataset.name, revision=dataset.revision or None)
        urls = [str(url) for url in (builder.config.data_files or {}).get(SPLIT, [])]
    if not urls or not all(url.startswith("hf://") and url.lower().endswith(".parquet") for url in urls):
        return ()

    def described(url: str) -> SourceFile:
        (file,) = listed(url, (".parquet",))
        return SourceFile(url.partition("@")[2].partition("/")[2], RemoteFile(url, file.size, file.version))

    return tuple(together(described, urls))


def stream(dataset: HubDataset, columns: Columns, seed: int) -> Iterator[Row]:
    """Yield the rows of the train split of a Hub dataset, streamed, in an order shuffled by ``seed``.

    The shuffle is that of ``datasets``: the order of the shards, and a buffer of some rows. It costs little
    to download but is not uniform: the first rows come from the first shards of the shuffled order.
    """
    import datasets

    name = dataset.name

    def records() -> Iterator[Record]:
        loaded = datasets.load_dataset(name, revision=dataset.revision or None, split=SPLIT, streaming=True)
        for number, fields in enumerate(loaded.shuffle(seed=seed, buffer_size=_BUFFER), start=1):
            yield Record(f"{name}:{number}", fields)

    with _explained(dataset):
        yield from to_rows(name, records(), columns, name)


@contextmanager
def _explained(dataset: HubDataset) -> Iterator[None]:
    """Turn an error of the library into one line with its fix."""
    import datasets

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # its retries are its own; what fails is raised
    try:
        yield
    except SourceError:
        raise
    except datasets.exceptions.DatasetNotFoundError as error:
        raise SourceError(
            f"no local path and no open Hub dataset is called {dataset}; "
            "check the name, or set HF_TOKEN if it is closed"
        ) from error
    except Exception as error:  # of the library's parsers, cache or HTTP client
        raise SourceError(
            f"cannot read {dataset} from the Hub: {one_line(error)}; "
            "check its name and the network, or give a folder of its files"
        ) from error
