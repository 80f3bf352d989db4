"""A file as a stream that fetches exactly the bytes of each read, and records which these were."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


class ByteRanges(io.RawIOBase):
    """A seekable file of known size, without a buffer."""

    def __init__(self, fetch: Callable[[int, int], bytes], size: int, close: Callable[[], None]) -> None:
        """Begin at the first byte.

        Args:
            fetch: returns the bytes from an offset on, as many as its second argument says.
            size: bytes of the file.
            close: called once, at the end.
        """
        self._fetch, self._size, self._close = fetch, size, close
        self._at = 0
        self.ranges: list[tuple[int, int]] = []
        """Start and end of each read; reads that follow each other are one."""

    def readable(self) -> bool:  # noqa: D102
        return True

    def seekable(self) -> bool:  # noqa: D102
        return True

    def tell(self) -> int:  # noqa: D102
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:  # noqa: D102
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int | None = -1) -> bytes:  # noqa: D102
        left = max(self._size - self._at, 0)
        wanted = left if size is None or size < 0 else min(size, left)
        if not wanted:
            return b""
        content = self._fetch(self._at, wanted)
        start = self.ranges.pop()[0] if self.ranges and self.ranges[-1][1] == self._at else self._at
        self._at += len(content)
        self.ranges.append((start, self._at))
        return content

    def readinto(self, buffer: Any) -> int:  # noqa: D102
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:  # noqa: D102
        if not self.closed:
            self._close()
        super().close()


def local_ranges(path: Path) -> ByteRanges:
    """Open a file of this machine."""
    file = path.open("rb")

    def fetch(start: int, size: int) -> bytes:
        file.seek(start)
        return file.read(size)

    return ByteRanges(fetch, os.fstat(file.fileno()).st_size, file.close)
