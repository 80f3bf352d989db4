"""A dataset on the Hugging Face Hub: its Parquet files where it has them, else a stream.

``datasets`` says which files make the split ``train``; where all of them are Parquet they are sampled like any others,
by row numbers and byte ranges. What else it can load is streamed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from annotator.errors import SourceError
from annotator.sources.locating import HubDataset, SourceFile
from annotator.sources.remote import RemoteFile, listed, together
from annotator.sources.rows import Columns, Record, Row, to_rows

SPLIT: Final = "train"


def parquet_files(dataset: HubDataset) -> tuple[SourceFile, ...]:
    """Return the Parquet files of the split ``train``, of the newest commit; none if it is made of something else.

    Raises:
        SourceError: the dataset is unknown, closed, or cannot be reached.
    """
    import datasets

    with _explained(dataset.name):
        files = datasets.load_dataset_builder(dataset.name).config.data_files or {}
        urls = [str(url) for url in files.get(SPLIT, [])]
    if not urls or not all(url.startswith("hf://") and url.lower().endswith(".parquet") for url in urls):
        return ()

    def described(url: str) -> SourceFile:
        (file,) = listed(url, (".parquet",))
        return SourceFile(url.partition("@")[2].partition("/")[2], RemoteFile(url, file.size, file.version))

    return tuple(together(described, urls))


def stream(name: str, columns: Columns, seed: int, buffer_size: int = 10_000) -> Iterator[Row]:
    """Yield the rows of the train split of a Hub dataset, streamed, in an order shuffled by ``seed``.

    The shuffle is the stream's own: the order of the shards, and a buffer of ``buffer_size`` rows. It costs little to
    download but is not uniform: the first rows come from the first shards of the shuffled order.

    Raises:
        SourceError: the dataset is unknown, closed, without a train split, or cannot be reached.
    """
    import datasets

    def records() -> Iterator[Record]:
        loaded = datasets.load_dataset(name, split=SPLIT, streaming=True)
        for number, fields in enumerate(loaded.shuffle(seed=seed, buffer_size=buffer_size), start=1):
            yield Record(f"{name}:{number}", fields)

    with _explained(name):
        yield from to_rows(name, records(), columns, name)


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn what the library raises into one line with a mend."""
    import datasets

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # its retries are its own; what fails is raised
    try:
        yield
    except SourceError:
        raise
    except datasets.exceptions.DatasetNotFoundError as error:
        raise SourceError(
            f"no local path and no open Hub dataset is called {name}; check the name, or set HF_TOKEN if it is closed"
        ) from error
    except Exception as error:  # the library lets through what its parsers, its cache and its HTTP client raise
        cause = " ".join(str(error).split())[:300] or type(error).__name__
        raise SourceError(
            f"cannot read {name} from the Hub: {cause}; check its name and the network, or give a folder of its files"
        ) from error
