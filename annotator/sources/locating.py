"""Locate a source: the bundled sample, local files, or a dataset on the Hugging Face Hub."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from importlib import resources
from itertools import takewhile
from pathlib import Path
from urllib.parse import unquote

from annotator.config.addresses import without_secrets
from annotator.errors import SourceError
from annotator.sources.formats.files import SUFFIXES, SourceFile, unreadable
from annotator.sources.remote import RemoteFile, is_url, listed
from normalizers.text import nfc

METADATA = frozenset({"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"})
"""Metadata files that the Hub and ``save_to_disk`` put beside a dataset."""

_HUB_NAME = re.compile(r"([A-Za-z0-9][\w.-]*/[\w.-]+)(?:@([\w./-]+))?", re.ASCII)
_HASH_WHOLE_BELOW = 1_000_000_000  # bytes: a few seconds of hashing
_HASHED_END = 1 << 20  # bytes at either end of each file of a larger source


@dataclass(frozen=True, slots=True)
class HubDataset:
    """A dataset on the Hugging Face Hub, such as ``bkai-foundation-models/BKAINewsCorpus``."""

    name: str
    revision: str = ""
    """A branch, a tag or a commit; empty for the newest commit."""

    def __str__(self) -> str:
        return f"{self.name}@{self.revision}" if self.revision else self.name


def locate(source: str | os.PathLike[str] | None) -> tuple[SourceFile, ...] | HubDataset:
    """Return the files of ``source`` in the order of their names, or its Hub dataset.

    None or ``sample`` is the bundled sample; a folder of that name is written ``./sample``. A path that exists, or
    looks like one, is a path; ``org/name`` is a Hub dataset; ``https://``, ``hf://`` and ``s3://`` are remote files.

    Raises:
        SourceError: nothing is there, it cannot be read, or it holds no file of a known type.
    """
    if source is None or source == "sample":
        return _listed(Path(str(resources.files("annotator.sources") / "bundled")))
    written = os.fspath(source)
    if is_url(written):
        return _remote(written)
    path = Path(written).expanduser() if written.startswith("~") else Path(written)
    try:
        if written and path.exists():
            return _listed(path) if path.is_dir() else _single(path)
    except OSError as error:
        raise unreadable(written, error) from error
    if dataset := hub_dataset(written):
        return dataset
    raise SourceError(
        f"no such file or folder: {written or '(empty name)'}; give `sample`, an existing path, or a Hub dataset as "
        "org/name or org/name@revision"
    )


def hub_dataset(source: str | os.PathLike[str]) -> HubDataset | None:
    """Return the Hub dataset that ``source`` names; None for a path that exists and for any other source."""
    written = os.fspath(source)
    found = _HUB_NAME.fullmatch(written)
    if found is None or written.lower().endswith(SUFFIXES) or Path(written).exists():
        return None
    return HubDataset(found[1], found[2] or "")


def at_revision(source: str, revision: str) -> str:
    """Return ``source`` at a commit of its Hub dataset; unchanged if it is no Hub dataset or has no ``revision``."""
    dataset = hub_dataset(source) if revision else None
    return str(HubDataset(dataset.name, revision)) if dataset else source


def fingerprint(source: str | os.PathLike[str] | None) -> str:
    """Return a fingerprint of the content of ``source``, for the manifest and for skipping finished stages.

    Local files: ``sha256:`` over names inside the source and contents, so that a copied or touched file keeps it. From
    1 GB on, only the size and the first and last MiB of each file are read (a Parquet footer is in the last). Remote
    files: likewise, over their names, sizes and versions. A Hub dataset: ``hub:``, its name and the revision of
    ``source``, without a request, so that a finished run can continue offline.

    Raises:
        SourceError: as ``locate``, or a file that cannot be read.
    """
    located = locate(source)
    if isinstance(located, HubDataset):
        return f"hub:{located}"
    digest = hashlib.sha256()
    whole = sum(file.size for file in located) < _HASH_WHOLE_BELOW
    for file in located:
        content = file.path.version if isinstance(file.path, RemoteFile) else _hash(file.path, file.size, whole=whole)
        digest.update(f"{file.name}\0{file.size}\0{content}\n".encode())
    return f"sha256:{digest.hexdigest()}"


def _single(path: Path) -> tuple[SourceFile]:
    """Return one file, which must be of a known type."""
    file = SourceFile(_portable(path.name), path)
    if not file.suffix:
        raise SourceError(f"cannot read {path}: its type is unknown; use one of {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise SourceError(f"cannot read {path}: not a regular file; write it to a file first")
    return (file,)


def _remote(url: str) -> tuple[SourceFile, ...]:
    """List the files at ``url``; each is named by its address without the part that all of them share."""
    found = listed(url, SUFFIXES)
    if not found:
        raise SourceError(
            f"no file to read at {without_secrets(url)}; it must hold files of type {', '.join(SUFFIXES)}"
        )
    addresses = [str(file) for file in found]
    folders = zip(*(address.split("/")[:-1] for address in addresses), strict=False)
    depth = len(list(takewhile(lambda parts: len(set(parts)) == 1, folders)))
    names = (nfc(unquote("/".join(address.split("/")[depth:]))) for address in addresses)
    return tuple(SourceFile(name, file) for name, file in zip(names, found, strict=True))


def _listed(root: Path) -> tuple[SourceFile, ...]:
    """List the files of known types under ``root``, without hidden ones, in the order of their names."""

    def fail(error: OSError) -> None:
        raise unreadable(error.filename, error) from error

    files: list[SourceFile] = []
    for folder, subfolders, names in os.walk(root, onerror=fail):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in names:
            path = Path(folder, name)
            file = SourceFile(_portable(path.relative_to(root).as_posix()), path)
            if file.suffix and name not in METADATA and not name.startswith(".") and path.is_file():
                files.append(file)
    if not files:
        raise SourceError(f"no file to read in {root}; put files of type {', '.join(SUFFIXES)} there")
    return tuple(sorted(files, key=lambda file: file.name))


def _portable(name: str) -> str:
    """Return a file name as valid NFC text, also where the file system stores other bytes."""
    return nfc(os.fsencode(name).decode("utf-8", "replace"))


def _hash(path: Path, size: int, *, whole: bool) -> str:
    try:
        with path.open("rb") as stream:
            if whole:
                return hashlib.file_digest(stream, "sha256").hexdigest()
            digest = hashlib.sha256(stream.read(_HASHED_END))
            stream.seek(max(size - _HASHED_END, 0))
            digest.update(stream.read(_HASHED_END))
            return digest.hexdigest()
    except OSError as error:
        raise unreadable(path, error) from error
