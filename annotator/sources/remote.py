"""Read remote files by byte ranges through fsspec: from a web server, the Hub, or an object store.

Each read requests exactly its bytes. fsspec's own caches are off: they are made for sequential reading, and fetch
megabytes around the kilobytes of a Parquet footer or a page. Transient failures are retried.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO, Final, TypeVar, cast
from urllib.parse import urlsplit

from annotator.config.addresses import shown
from annotator.engines.environment import carried
from annotator.errors import SourceError
from annotator.sources.byte_ranges import ByteRanges

Value = TypeVar("Value")

READERS: Final = 8
"""Requests in flight at once."""
_TRIES: Final = 5
_LONGEST_WAIT: Final = 8.0  # seconds between two tries
_SILENCE: Final = 60  # seconds without a byte after which a connection counts as dead
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)  # one letter is a drive of Windows
_ADDRESS: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^\s'\"<>)]+", re.IGNORECASE)
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})  # HTTP statuses that may be another next time
_PACKAGES: Final = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file at an address; readers use only what it has in common with ``pathlib.Path``."""

    url: str
    size: int
    version: str = ""
    """ETag, hash or date of its content, from its server; empty where there is none."""

    def __str__(self) -> str:
        return shown(self.url)

    def open(self, mode: str = "rb") -> BinaryIO:
        """Open it for reading by ranges."""
        assert mode == "rb"  # noqa: S101 - nothing else is ever asked for
        return cast(BinaryIO, io.BufferedReader(self.ranges(), 1 << 20))

    def ranges(self) -> ByteRanges:
        """Open it without a buffer: a read is a request."""
        system = _system(urlsplit(self.url).scheme)
        remote = _tried(lambda: system.open(self.url, "rb", cache_type="none", size=self.size), self.url)

        def fetch(start: int, size: int) -> bytes:
            remote.seek(start)
            content = bytes(remote.read(size))
            if len(content) < size:
                raise ConnectionError(f"{len(content)} of {size} bytes came")
            return content

        return ByteRanges(lambda start, size: _tried(lambda: fetch(start, size), self.url), self.size, remote.close)


def is_url(source: str) -> bool:
    """Return whether ``source`` names a scheme: ``https://...``, ``hf://...``, ``s3://...``."""
    return _URL.match(source) is not None


def listed(url: str, suffixes: tuple[str, ...]) -> list[RemoteFile]:
    """List what lies at ``url`` (a file, a folder, or a pattern with ``*``), in the order of the addresses.

    Raises:
        SourceError: nothing is there, it may not be read, or the scheme needs a package that is not installed.
    """
    system = _system(urlsplit(url).scheme)
    web = urlsplit(url).scheme.lower() in {"http", "https"}

    def look() -> list[RemoteFile]:
        if "*" in url:
            names = sorted(system.glob(url))
        elif urlsplit(url).path.lower().endswith(suffixes):
            names = [url if web else system._strip_protocol(url)]
        else:
            names = sorted(system.ls(url, detail=False) if web else system.find(url))
        wanted = [name for name in names if urlsplit(name).path.lower().endswith(suffixes)]
        return together(lambda name: _described(system, name), wanted)

    return list(_tried(look, url))


def credentials() -> dict[str, str]:
    """Return the environment variables that file systems read, with the Hub's token from where its client keeps it."""
    from huggingface_hub import get_token

    found, token = carried("HF_ENDPOINT", "AWS_", "GOOGLE_", "AZURE_", "FSSPEC_"), get_token()
    return {**found, "HF_TOKEN": token} if token else found


def together(function: Callable[[Any], Value], items: list[Any]) -> list[Value]:
    """Call ``function`` for each item, several at once, and return the results in order."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2 * READERS) as pool:
        return list(pool.map(function, items))


def _described(system: Any, name: str) -> RemoteFile:
    info = system.info(name)
    versions = (
        info.get(key) for key in ("ETag", "etag", "sha256", "blob_id", "md5Hash", "Last-Modified", "LastModified")
    )
    url = str(system.unstrip_protocol(name))
    if info.get("size") is None:
        raise SourceError(f"{shown(url)} does not say how large it is; download it and give the file")
    return RemoteFile(url, int(info["size"]), next((str(value) for value in versions if value), ""))


@lru_cache(maxsize=8)
def _system(scheme: str) -> Any:
    """Return fsspec's file system for a scheme, without its memory of listings and pieces."""
    import fsspec

    options: dict[str, Any] = {}
    if scheme.lower() in {"http", "https"}:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_SILENCE, sock_read=_SILENCE)
        options = {"client_kwargs": {"timeout": timeout, "trust_env": True}}
    try:
        return fsspec.filesystem(scheme.lower(), **options)
    except ImportError as error:
        package = _PACKAGES.get(scheme.lower(), f"fsspec[{scheme}]")
        raise SourceError(f"{scheme}:// needs a package that is not installed; pip install '{package}'") from error
    except ValueError as error:
        raise SourceError(f"no file system is known for {scheme}://; give https://, hf://, s3:// or a path") from error


def _tried(ask: Callable[[], Value], url: str) -> Value:
    """Call ``ask``, again after a while where the failure may pass; turn what remains into one line.

    Raises:
        SourceError: it failed for good.
    """
    from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

    wait = wait_random_exponential(multiplier=0.5, max=_LONGEST_WAIT)
    with _explained(url):
        return Retrying(stop=stop_after_attempt(_TRIES), wait=wait, retry=retry_if_exception(_may_pass), reraise=True)(
            ask
        )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those behind it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _status(error: BaseException) -> int | None:
    """Return the HTTP status of an error or of its cause; libraries keep it in different places."""
    for one in _chain(error):
        status = getattr(one, "status", None) or getattr(getattr(one, "response", None), "status_code", None)
        if isinstance(status, int):
            return status
    return None


def _is_broken_line(error: BaseException) -> bool:
    """Return whether an error or its cause is one of the connection."""
    import aiohttp
    import httpx2

    kinds = (
        aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, httpx2.TransportError, TimeoutError, ConnectionError,
    )  # fmt: skip
    return any(isinstance(one, kinds) for one in _chain(error))


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, SourceError):
        return False
    status = _status(error)
    return status in _PASSING if status else _is_broken_line(error)


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Turn what the libraries raise into one line that says how to fix it."""
    try:
        yield
    except SourceError:
        raise
    except Exception as error:  # each file system has errors of its own
        status, broken, where = _status(error), _is_broken_line(error), shown(url)
        if status in {401, 403} or isinstance(error, PermissionError):
            reason = f"access to {where} is refused ({status or 403}); check your token or credentials"
        elif status in {404, 410} or (status is None and isinstance(error, FileNotFoundError) and not broken):
            reason = f"nothing is at {where} ({status or 404}); check the address"
        elif status is None and broken:
            reason = f"cannot reach {where}: {_one_line(error)}; check the network and run the same command again"
        elif status is None and "range requests" in str(error):
            reason = f"the server of {where} sends whole files only; download it and give the file"
        else:
            cause = f"its server answers {status}" if status else _one_line(error)
            reason = f"cannot read {where}: {cause}; run the same command again, or download it"
        raise SourceError(reason) from error


def _one_line(error: Exception) -> str:
    while error.__cause__ is not None and isinstance(error.__cause__, Exception):
        error = error.__cause__
    line = _ADDRESS.sub(lambda match: shown(match[0]), " ".join(str(error).split()))
    return line[:200] or type(error).__name__
