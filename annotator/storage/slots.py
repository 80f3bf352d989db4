"""A table of a fixed size in a temporary file: what is looked up at random, and would fill the memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from annotator.errors import RunDirError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Numbers = npt.NDArray[np.uint64]
    Rows = npt.NDArray[np.uint8]


class Slots:
    """Rows of bytes by their places. The file has no name; the disk holds those parts of it that were written."""

    def __init__(self, size: int, width: int) -> None:
        """Begin with ``size`` rows of ``width`` bytes, all zero.

        Raises:
            RunDirError: no file can be made.
        """
        self.size, self._width = size, width
        with _explained():
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - it lives as long as the table
            self._file.truncate(size * width)

    def get(self, places: Numbers) -> Rows:
        """The rows at some places."""
        import numpy as np

        found = bytearray()
        for place, begin, end in _stretches(places):
            self._file.seek(place * self._width)
            found += self._file.read((end - begin) * self._width)
        return np.frombuffer(found, np.uint8).reshape(-1, self._width)

    def put(self, places: Numbers, rows: Rows) -> None:
        """Set the rows at some places; where a place comes twice, the last one stays.

        Raises:
            RunDirError: the disk is full.
        """
        with _explained():
            for place, begin, end in _stretches(places):
                self._file.seek(place * self._width)
                data = memoryview(rows[begin:end].tobytes())
                while data:  # a disk that becomes full takes a part, and refuses the next
                    data = data[self._file.write(data) :]


def _stretches(places: Numbers) -> Iterator[tuple[int, int, int]]:
    """Places that follow one another: the first, and where they begin and end among all."""
    import numpy as np

    if not len(places):
        return iter(())
    begins = np.flatnonzero(np.diff(places, prepend=places[:1] + 2) != 1)  # any step but one begins a stretch
    return zip(places[begins].tolist(), begins.tolist(), [*begins[1:].tolist(), len(places)], strict=True)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunDirError(
            f"cannot write to {tempfile.gettempdir()}: {error.strerror or error};"
            " free some space, or set TMPDIR to a folder with more"
        ) from error
