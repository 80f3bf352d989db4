"""Read remote files by byte ranges through fsspec: from a web server, the Hub, or an object store.

Each read requests exactly its bytes. fsspec's own caches are off: they serve sequential reading, and fetch megabytes
around the kilobytes of a Parquet footer or a page. Temporary failures are retried.
"""

from __future__ import annotations

import io
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, TypeVar, cast
from urllib.parse import urlsplit

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from annotator.config.addresses import without_secrets
from annotator.errors import SourceError

Item = TypeVar("Item")
Value = TypeVar("Value")

READERS: Final = 8
"""Requests in flight at once."""
_TRIES: Final = 5
_LONGEST_WAIT: Final = 8.0  # seconds between two tries
_SILENCE: Final = 60  # seconds without a byte after which a connection counts as dead
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)  # one letter is a drive of Windows
_ADDRESS: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^\s'\"<>)]+", re.IGNORECASE)
_TEMPORARY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})  # HTTP statuses


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file at an address. It has the methods of ``pathlib.Path`` that readers use."""

    url: str
    size: int
    version: str = ""
    """ETag, hash or date of its content, from its server; empty where there is none."""

    def __str__(self) -> str:
        return without_secrets(self.url)

    def open(self, mode: str = "rb") -> BinaryIO:
        """Open it for reading from its beginning."""
        assert mode == "rb"  # noqa: S101 - the only mode that readers use
        return cast(BinaryIO, io.BufferedReader(self.ranges(), 1 << 20))

    def ranges(self) -> Any:
        """Open it as a file of fsspec without a buffer; ``bytes_read`` counts what was fetched."""
        file = _retried(lambda: _system(self.url).open(self.url, "rb", cache_type="none", size=self.size), self.url)
        fetch = file.cache.fetcher
        file.bytes_read = 0

        def fetched(start: int, end: int) -> bytes:
            content = bytes(fetch(start, end))
            if len(content) < end - start:
                raise ConnectionError(f"{len(content)} of {end - start} bytes came")
            file.bytes_read += len(content)
            return content

        file.cache.fetcher = lambda start, end: _retried(lambda: fetched(start, min(end, self.size)), self.url)
        return file


def is_url(source: str) -> bool:
    """Return whether ``source`` names a scheme: ``https://...``, ``hf://...``, ``s3://...``."""
    return _URL.match(source) is not None


def listed(url: str, suffixes: tuple[str, ...]) -> list[RemoteFile]:
    """List the files at ``url`` (a file, a folder, or a pattern with ``*``), in the order of the addresses.

    Raises:
        SourceError: nothing is there, it may not be read, or the scheme needs a package that is not installed.
    """
    system = _system(url)
    web = urlsplit(url).scheme.lower() in {"http", "https"}

    def look() -> list[RemoteFile]:
        if "*" in url:
            names = sorted(system.glob(url))
        elif urlsplit(url).path.lower().endswith(suffixes):
            names = [url if web else system._strip_protocol(url)]
        else:
            names = sorted(system.ls(url, detail=False) if web else system.find(url))
        wanted = [name for name in names if urlsplit(name).path.lower().endswith(suffixes)]
        return list(together(lambda name: _described(system, name), wanted))

    return _retried(look, url)


def together(function: Callable[[Item], Value], items: Iterable[Item]) -> Iterator[Value]:
    """Yield ``function(item)`` of each item, in order; ``READERS`` threads work ahead."""
    pool, waiting = ThreadPoolExecutor(READERS), deque[Future[Value]]()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > READERS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _described(system: Any, name: str) -> RemoteFile:
    info = system.info(name)
    versions = (
        info.get(key) for key in ("ETag", "etag", "sha256", "blob_id", "md5Hash", "Last-Modified", "LastModified")
    )
    url = str(system.unstrip_protocol(name))
    if info.get("size") is None:
        raise SourceError(f"the size of {without_secrets(url)} is unknown; download it and give the file")
    return RemoteFile(url, int(info["size"]), next((str(value) for value in versions if value), ""))


def _system(url: str) -> Any:
    """Return fsspec's file system for the scheme of ``url``."""
    import fsspec

    scheme, options = urlsplit(url).scheme.lower(), dict[str, Any]()
    if scheme in {"http", "https"}:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_SILENCE, sock_read=_SILENCE)
        options = {"client_kwargs": {"timeout": timeout, "trust_env": True}}
    try:
        return fsspec.filesystem(scheme, **options)
    except (ImportError, ValueError) as error:  # ValueError: an unknown scheme
        raise SourceError(f"cannot read {scheme}://: {error}; or give https://, hf://, s3:// or a path") from error


def _retried(ask: Callable[[], Value], url: str) -> Value:
    """Return what ``ask`` returns; call it again after a while where the failure is temporary.

    Raises:
        SourceError: the failure stays; one line with cause and fix.
    """
    wait = wait_random_exponential(multiplier=0.5, max=_LONGEST_WAIT)
    retry = retry_if_exception(lambda error: _status(error) in _TEMPORARY or _is_broken_connection(error))
    try:
        return Retrying(stop=stop_after_attempt(_TRIES), wait=wait, retry=retry, reraise=True)(ask)
    except SourceError:
        raise
    except Exception as error:  # each file system has errors of its own
        raise SourceError(_explanation(error, without_secrets(url))) from error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes."""
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


def _is_broken_connection(error: BaseException) -> bool:
    """Return whether the connection failed before an HTTP status."""
    import aiohttp
    import httpx2

    kinds = (aiohttp.ClientError, httpx2.TransportError, TimeoutError, ConnectionError)
    return _status(error) is None and any(isinstance(one, kinds) for one in _chain(error))


def _explanation(error: Exception, where: str) -> str:
    """Return cause and fix of a failure, on one line without secrets."""
    status, missing = _status(error), isinstance(error, FileNotFoundError) and not _is_broken_connection(error)
    if status in {401, 403} or isinstance(error, PermissionError):
        return f"access to {where} is refused ({status or 403}); check your token or credentials"
    if status in {404, 410} or (status is None and missing):
        return f"nothing is at {where} ({status or 404}); check the address"
    *_, root = _chain(error)
    message = _ADDRESS.sub(lambda match: without_secrets(match[0]), str(root))
    cause = " ".join(message.split())[:200] or type(root).__name__
    return f"cannot read {where}: {cause}; check the network and run the same command again, or download it"
